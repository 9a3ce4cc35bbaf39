//! Words counted by a local cluster whose keys are more than its memory for state: from a source that draws them to the
//! counts, through the exchange, with checkpoints. First every key once, then keys drawn by Zipf's law or uniformly.
//!
//! `--keys=N` of 16 bytes, `--mib=N` of memory for state on the disk, `--seconds=N` for each figure, `--heap=0` to leave the
//! heap out. To limit the memory of the whole process with its page cache, start it in a cgroup of its own: services,
//! checkpoints and the program's threads are in it too.

use crate::{
    live_cluster::option,
    measure::{Effort, row},
};
use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use wavetank::{
    host::mix,
    jobs::{
        common::{JobSettings, job_of},
        word_count::{Count, Counted, text},
    },
    local::{LocalCluster, LocalClusterConfig},
    system::{
        dataflow::{
            Program, Programs, Result, Sink, Source, SourceStep, StreamEnv, Text, Timestamp, Waits,
            ready,
        },
        graph::{CheckpointSettings, RestartStrategy, StateBackend},
        ids::JobId,
        protocol::JobStatus,
    },
};

/// Words in one step.
const STEP: u64 = 4096;
/// From checkpoint to checkpoint.
const CHECKPOINT_INTERVAL_MS: u64 = 5000;
/// Between two looks at the clock.
const LOOK: u64 = 16;

/// Every key once, then keys as they are drawn, for so long.
#[derive(Clone)]
struct Drawn {
    keys: u64,
    is_zipf: bool,
    seconds: u64,
    next: u64,
    begun: Option<Instant>,
}

impl Drawn {
    fn id(&self, number: u64) -> u64 {
        if number < self.keys {
            return number;
        }
        let word = mix(1, number);
        if !self.is_zipf {
            return word % self.keys;
        }
        let share = (word >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = ((share * (self.keys as f64).ln()).exp() as u64).clamp(1, self.keys) - 1;
        // What is common is no neighbour of what is common: a prime spreads the ranks.
        rank * 6_793_007 % self.keys
    }
}

/// 16 bytes.
fn word(id: u64) -> Text {
    let mut word = [b'w'; 16];
    let mut place = &mut word[..];
    write!(place, "{id:016}").expect("it fits");
    text(&word)
}

impl Source for Drawn {
    type Out = Text;

    fn next(&mut self) -> Waits<'_, SourceStep<Text>> {
        if self.next >= self.keys {
            let begun = *self.begun.get_or_insert_with(Instant::now);
            if begun.elapsed() > Duration::from_secs(self.seconds) {
                return ready(SourceStep::End);
            }
        }
        let end = if self.next < self.keys {
            (self.next + STEP).min(self.keys)
        } else {
            self.next + STEP
        };
        let records = (self.next..end).map(|number| word(self.id(number))).collect();
        self.next = end;
        ready(SourceStep::Records(records))
    }
}

/// What came, and when.
#[derive(Default)]
struct Told {
    /// The first record, the first that repeats a key, and the last.
    first: Option<Instant>,
    repeated: Option<Instant>,
    last: Option<Instant>,
    /// Records since then.
    records: u64,
    /// Between two looks since then, longest first.
    gaps: Vec<Duration>,
}

/// Looks when counts come; it runs in the task that counts.
#[derive(Clone)]
struct Watched(Arc<Mutex<Told>>);

impl Sink<Counted> for Watched {
    fn write(&mut self, counted: Counted, _: Option<Timestamp>) -> Result<()> {
        let told = &mut *self.0.lock().expect("no panic under this lock");
        if told.first.is_none() {
            told.first = Some(Instant::now());
        }
        if told.repeated.is_none() && counted.count > 1 {
            told.repeated = Some(Instant::now());
        }
        if told.repeated.is_none() {
            return Ok(());
        }
        told.records += 1;
        if told.records.is_multiple_of(LOOK) {
            let now = Instant::now();
            let gap = now - told.last.replace(now).unwrap_or(now);
            if gap > Duration::from_millis(1) {
                told.gaps.push(gap);
            }
        }
        Ok(())
    }
}

fn programs(source: &Drawn, sink: &Watched) -> Programs {
    let (source, sink) = (source.clone(), sink.clone());
    let describe = move |env: &mut StreamEnv, _: &BTreeMap<String, String>| -> Result<()> {
        env.source("drawn", source.clone())
            .key_by(Text::clone)
            .process("count", Count::default())
            .sink("watched", sink.clone());
        Ok(())
    };
    Programs::new().with(Program::new("keyed", 1, describe))
}

/// Prints what it came to.
///
/// # Panics
/// When the job does not finish.
pub fn live_keyed_state(effort: Effort) {
    let keys = option("keys", 10_000_000 / u64::from(effort.divisor));
    let memory = option("mib", 32) << 20;
    let seconds = option("seconds", 20);
    println!(
        "live keyed state: words drawn from {keys}, counted at parallelism 1, checkpoints every {CHECKPOINT_INTERVAL_MS} ms"
    );
    for is_zipf in [true, false] {
        measure(keys, is_zipf, seconds, StateBackend::Disk { memory });
    }
    if option("heap", 1) == 1 {
        measure(keys, true, seconds, StateBackend::default());
    }
}

fn measure(keys: u64, is_zipf: bool, seconds: u64, state_backend: StateBackend) {
    let source = Drawn { keys, is_zipf, seconds, next: 0, begun: None };
    let sink = Watched(Arc::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let config = LocalClusterConfig { slots: 1, ..LocalClusterConfig::default() };
        let programs = programs(&source, &sink);
        let program = programs.get("keyed").expect("it is there").clone();
        let cluster = LocalCluster::start(config, programs).await.expect("it starts");
        let interval_ms = CHECKPOINT_INTERVAL_MS;
        let settings = JobSettings {
            parallelism: 1,
            checkpoints: CheckpointSettings { interval_ms, ..CheckpointSettings::default() },
            restarts: RestartStrategy::None,
            state_backend,
        };
        let job = job_of(&program, JobId(1), &BTreeMap::<String, String>::new(), &settings);
        let job = job.expect("a sound job");
        let result = cluster.run(&job).await.expect("it is taken");
        assert_eq!(result.status, JobStatus::Finished, "{result:?}");
        let completed = cluster.client().details(job.id).await.map(|details| details.checkpoints);
        println!(
            " {} on {state_backend:?}, {completed:?}",
            if is_zipf { "zipf 1.0" } else { "uniform" }
        );
        cluster.stop().await;
    });
    report(&sink.0.lock().expect("no panic under this lock"), keys, is_zipf);
}

fn report(told: &Told, keys: u64, is_zipf: bool) {
    let [first, repeated, last] =
        [told.first, told.repeated, told.last].map(|at| at.expect("there were records"));
    let filled = keys as f64 / (repeated - first).as_secs_f64() / 1e6;
    row("filled", format!("{filled:.2} M/s"));
    let rate = told.records as f64 / (last - repeated).as_secs_f64() / 1e6;
    let aim = if is_zipf { 1.0 } else { 0.2 };
    row("counted", format!("{rate:.2} M/s (aim {aim})"));
    let mut gaps = told.gaps.clone();
    gaps.sort();
    let longest: Vec<String> =
        gaps.iter().rev().take(5).map(|gap| format!("{:.1}", gap.as_secs_f64() * 1e3)).collect();
    row("longest times without a count, ms", format!("{} (aim 10)", longest.join(", ")));
    let long = gaps.iter().filter(|gap| **gap > Duration::from_millis(10)).count();
    row("of more than 10 ms", long);
}
