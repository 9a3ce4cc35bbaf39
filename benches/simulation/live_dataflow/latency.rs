//! How long a record takes from the moment at which it is due, through an exchange between two tasks, to a sink.
//!
//! The load is open: a record is due when its time has come, also while the source is kept from making it, so that
//! whatever stands in its way counts. The source watches the clock, for no sleep ends to the microsecond.

use crate::measure::{Effort, median, row};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Arc, Mutex},
    task::Poll,
    time::{Duration, Instant},
};
use wavetank::{
    jobs::common::{JobSettings, job_of},
    local::{LocalCluster, LocalClusterConfig},
    system::{
        dataflow::{
            Collector, KeyContext, Process, Program, Programs, Result, Sink, Source, SourceStep,
            StreamEnv, Timestamp, Waits,
        },
        graph::{CheckpointSettings, RestartStrategy},
        ids::JobId,
        protocol::JobStatus,
    },
};

/// From record to record.
const PERIOD: Duration = Duration::from_micros(100);
/// The first records, of a second, are not counted.
const WARM_UP: usize = 10_000;
/// Records that are counted in a round.
const RECORDS: usize = 60_000;
/// Different keys, in turns.
const KEYS: u64 = 1000;
/// What is aimed at for a buffer time-out: the median and what one in a hundred exceeds, in ms.
const AIMS: [(Duration, f64, f64); 2] =
    [(Duration::ZERO, 0.1, 0.5), (Duration::from_millis(1), 1.5, 3.0)];

/// Makes records when they are due: the number of each, and when that was, in nanoseconds since `epoch`.
#[derive(Clone)]
struct Paced {
    epoch: Instant,
    begun: Option<Instant>,
    next: u64,
    end: u64,
}

impl Source for Paced {
    type Out = (u64, u64);

    fn next(&mut self) -> Waits<'_, SourceStep<(u64, u64)>> {
        Box::pin(poll_fn(|cx| {
            let now = Instant::now();
            let begun = *self.begun.get_or_insert(now);
            let due = u64::try_from((now - begun).as_nanos() / PERIOD.as_nanos()).expect("small");
            if self.next == self.end {
                return Poll::Ready(Ok(SourceStep::End));
            }
            if self.next >= due {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let first = begun - self.epoch;
            let nanos =
                |number: u64| first.as_nanos() as u64 + (number + 1) * PERIOD.as_nanos() as u64;
            let until = due.min(self.end);
            let records = (self.next..until).map(|number| (number, nanos(number))).collect();
            self.next = until;
            Poll::Ready(Ok(SourceStep::Records(records)))
        }))
    }
}

/// Keeps how many records of a key there were, and hands each on.
#[derive(Clone)]
struct Counted;

impl Process<u64, (u64, u64)> for Counted {
    type State = u64;
    type Out = u64;

    fn process(
        &mut self,
        (_, due): (u64, u64),
        context: &mut KeyContext<'_, u64, u64>,
        out: &mut Collector<'_, u64>,
    ) -> Result<()> {
        *context.state() += 1;
        out.emit(due);
        Ok(())
    }
}

/// Takes the time of each record.
#[derive(Clone)]
struct Timed {
    epoch: Instant,
    /// Nanoseconds.
    latencies: Arc<Mutex<Vec<u64>>>,
}

impl Sink<u64> for Timed {
    fn write(&mut self, due: u64, _: Option<Timestamp>) -> Result<()> {
        let now = self.epoch.elapsed().as_nanos() as u64;
        self.latencies.lock().expect("no panic under this lock").push(now.saturating_sub(due));
        Ok(())
    }
}

fn programs(source: &Paced, sink: &Timed) -> Programs {
    let (source, sink) = (source.clone(), sink.clone());
    let describe = move |env: &mut StreamEnv, _: &BTreeMap<String, String>| -> Result<()> {
        env.source("paced", source.clone())
            .key_by(|(number, _)| number % KEYS)
            .process("count", Counted)
            .sink("timed", sink.clone());
        Ok(())
    };
    Programs::new().with(Program::new("latency", 1, describe))
}

/// The latencies of a round, in order, in ms.
fn round(buffer_timeout: Duration, records: usize) -> Vec<f64> {
    let epoch = Instant::now();
    let all = WARM_UP + records;
    let source = Paced { epoch, begun: None, next: 0, end: all as u64 };
    let sink = Timed { epoch, latencies: Arc::new(Mutex::new(Vec::with_capacity(all))) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let config =
            LocalClusterConfig { slots: 1, buffer_timeout, ..LocalClusterConfig::default() };
        let programs = programs(&source, &sink);
        let program = programs.get("latency").expect("it is there").clone();
        let cluster = LocalCluster::start(config, programs).await.expect("it starts");
        let settings = JobSettings {
            parallelism: 1,
            checkpoints: CheckpointSettings { interval_ms: 1000, ..CheckpointSettings::default() },
            restarts: RestartStrategy::None,
            ..JobSettings::default()
        };
        let job = job_of(&program, JobId(1), &BTreeMap::<String, String>::new(), &settings);
        let result = cluster.run(&job.expect("a sound job")).await.expect("it is taken");
        assert_eq!(result.status, JobStatus::Finished, "{result:?}");
        cluster.stop().await;
    });
    let latencies = sink.latencies.lock().expect("no panic under this lock");
    assert_eq!(latencies.len(), all, "each record comes once");
    let millis: Vec<f64> = latencies.iter().map(|nanos| *nanos as f64 / 1e6).collect();
    in_order(&millis[WARM_UP..])
}

/// The same between two plain threads and a channel: what the machine itself takes.
fn plain(records: usize) -> Vec<f64> {
    let all = WARM_UP + records;
    let (sender, receiver) = std::sync::mpsc::channel::<Instant>();
    let begun = Instant::now();
    let source = std::thread::spawn(move || {
        let dues = (1..=u32::try_from(all).expect("few")).map(|number| begun + PERIOD * number);
        for due in dues {
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            sender.send(due).expect("it is waited for");
        }
    });
    let latencies: Vec<f64> =
        receiver.iter().map(|due| due.elapsed().as_secs_f64() * 1e3).collect();
    source.join().expect("it does not panic");
    in_order(&latencies[WARM_UP..])
}

fn in_order(latencies: &[f64]) -> Vec<f64> {
    let mut latencies = latencies.to_vec();
    latencies.sort_by(f64::total_cmp);
    latencies
}

/// The median, what one in a hundred exceeds, and the most of each round.
#[derive(Default)]
struct Told(Vec<[f64; 3]>);

impl Told {
    fn add(&mut self, latencies: &[f64]) {
        let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize];
        self.0.push([at(0.5), at(0.99), latencies[latencies.len() - 1]]);
    }

    fn row(&self, what: &str, aim: &str) {
        let [half, most, worst] =
            [0, 1, 2].map(|place| median(&self.0.iter().map(|one| one[place]).collect::<Vec<_>>()));
        let what = format!("{what}: latency p50, p99, most");
        row(&what, format!("{half:.3}, {most:.3}, {worst:.3} ms{aim}"));
    }
}

/// Prints them, medians of interleaved rounds.
pub fn latency(effort: Effort) {
    let rounds = effort.rounds.min(5);
    let records = RECORDS / effort.divisor.min(3) as usize;
    println!(
        "records at {} a second from a source to a sink behind an exchange, since each was due, checkpoints each second: \
         medians of {rounds} rounds of {records} records",
        Duration::from_secs(1).as_nanos() / PERIOD.as_nanos()
    );
    let (mut alone, mut told) = (Told::default(), AIMS.map(|_| Told::default()));
    for _ in 0..rounds {
        alone.add(&plain(records));
        for ((timeout, ..), told) in AIMS.iter().zip(&mut told) {
            told.add(&round(*timeout, records));
        }
    }
    alone.row("two plain threads and a channel", "");
    for ((timeout, half, most), told) in AIMS.iter().zip(&told) {
        let millis = timeout.as_millis();
        told.row(&format!("buffer time-out {millis} ms"), &format!(" (aim {half}, {most})"));
    }
}
