//! A service over HTTP: requests in a second and how long each takes, beside a bare echo of hyper in a process of its own;
//! at a rate; with responses that are delivered exactly once; while task executors are killed; and the memory of each
//! process over minutes. Everything is on this machine, the clients in this process.
//!
//! `--seconds=N` says how long each load lasts, `--kills=N` how many task executors are killed, one every ten seconds, and
//! `--minutes=N` over how many minutes memory is watched (none without it).

mod bare;
mod load;

use crate::{
    live_cluster::{memory, option, send},
    measure::{Effort, row},
};
pub use bare::{BARE_ECHO_CHILD, bare_echo};
use load::{Load, Loaded};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Requests in a second, at a rate.
const RATE: u32 = 1_000;
/// From kill to kill.
const KILL_EVERY: Duration = Duration::from_secs(10);

/// A service on a cluster of processes.
struct Serving {
    child: Child,
    data: PathBuf,
    address: String,
}

impl Serving {
    fn start(name: &str, arguments: &[&str]) -> Serving {
        let data = std::env::temp_dir().join(format!("wavetank-{name}-{}", std::process::id()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(["serve", "--port=0", "--data"]).arg(&data).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut address = None;
        for line in lines {
            let line = line.expect("a text");
            if let Some(at) = line.strip_prefix("http://") {
                address = Some(at.trim_end_matches('/').to_string());
            }
            if line.contains("Ctrl-C ends it") {
                break;
            }
        }
        Serving { child, data, address: address.expect("it serves") }
    }

    /// The processes that run, by name.
    fn processes(&self) -> BTreeMap<String, u64> {
        let text = std::fs::read(self.data.join("cluster.json")).expect("it serves");
        let file: Value = serde_json::from_slice(&text).expect("it is whole at any time");
        let processes = file["processes"].as_object().expect("it runs");
        processes.iter().filter_map(|(name, id)| Some((name.clone(), id.as_u64()?))).collect()
    }

    /// What each process holds, in MiB.
    fn memory(&self) -> BTreeMap<String, f64> {
        let processes = self.processes().into_iter();
        processes.filter_map(|(name, id)| Some((name, memory(id, "VmRSS")?))).collect()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        send("-INT", self.child.id().into());
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Prints what it came to.
///
/// # Panics
/// When an answer is not that to its request.
pub fn live_services(effort: Effort) {
    let seconds = Duration::from_secs(option("seconds", u64::from(10 / effort.divisor)));
    println!(
        "live services: echo-result, at least once, beside a bare echo of hyper; one front end, one subtask, clients on \
         kept connections in this process"
    );
    let bare = bare::Bare::start();
    {
        let service = Serving::start("live-services", &["--job=echo-result"]);
        for connections in [32, 256] {
            closed(&bare.address, &service.address, connections, seconds);
        }
        at_a_rate("bare echo", &bare.address, seconds);
        at_a_rate("service", &service.address, seconds);
        watch_memory(&service);
    }
    let often = ["--job=echo-result", "--delivery=exactly-once", "--checkpoint-interval=100ms"];
    let service = Serving::start("live-services-once", &often);
    at_a_rate("service, exactly once, checkpoints every 100 ms", &service.address, seconds);
    drop(service);
    while_killed(option("kills", 6));
}

/// As many requests as connections that each wait for their answer bring.
fn closed(bare: &str, service: &str, connections: usize, seconds: Duration) {
    let of = |address: &str| Load::closed(address, connections, seconds).run();
    let (beside, found) = (of(bare), of(service));
    for (who, loaded) in [("bare echo", &beside), ("service", &found)] {
        row(&format!("{connections} connections, {who}"), told(loaded));
    }
    let share = found.per_second() / beside.per_second();
    row(
        &format!("{connections} connections, share of the bare echo"),
        format!("{share:.3} (aim 0.25)"),
    );
}

fn told(loaded: &Loaded) -> String {
    format!(
        "{:.0} requests/s, p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms",
        loaded.per_second(),
        loaded.percentile(0.5),
        loaded.percentile(0.99),
        loaded.percentile(0.999)
    )
}

fn at_a_rate(who: &str, address: &str, seconds: Duration) {
    let loaded = Load::at_rate(address, RATE, seconds).run();
    loaded.assert_right();
    row(&format!("{RATE} requests/s, {who}"), told(&loaded));
}

fn watch_memory(service: &Serving) {
    let minutes = option("minutes", 0);
    let mut at_two = BTreeMap::new();
    for minute in 1..=minutes {
        Load::at_rate(&service.address, RATE, Duration::from_secs(60)).run().assert_right();
        if minute == 2 {
            at_two = service.memory();
        }
    }
    for (name, end) in service.memory().into_iter().filter(|_| minutes > 2) {
        let Some(two) = at_two.get(&name) else { continue };
        let growth = (end / two - 1.0) * 100.0;
        row(
            &format!("resident, minute 2 and {minutes}: {name}"),
            format!("{two:.1}, {end:.1} MiB, {growth:+.1} % (aim 5)"),
        );
    }
}

/// A task executor is killed every so often, while requests come at a rate.
fn while_killed(kills: u64) {
    if kills == 0 {
        return;
    }
    let service = Serving::start("live-services-killed", &["--job=echo-result"]);
    let lasts = KILL_EVERY * u32::try_from(kills + 1).expect("few kills");
    let load = Load::at_rate(&service.address, RATE, lasts);
    let loaded = std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load.run());
        let begun = Instant::now();
        for number in 1..=kills {
            let due = KILL_EVERY * u32::try_from(number).expect("few kills");
            std::thread::sleep(due.saturating_sub(begun.elapsed()));
            let executor = format!("task-executor-{}", number % 2 + 1);
            if let Some(process) = service.processes().get(&executor) {
                send("-KILL", *process);
            }
        }
        loaded.join().expect("the load was put on")
    });
    loaded.assert_right();
    row(&format!("{RATE} requests/s, {kills} task executors killed"), told(&loaded));
    row("wrong answers", loaded.wrong);
    row("without any answer", loaded.unanswered);
    row("share of 504", format!("{:.4}", loaded.timed_out as f64 / loaded.all() as f64));
    row("other refusals", loaded.refused);
    row("longest gap between two answers", format!("{:.2} s", loaded.longest_gap().as_secs_f64()));
}
