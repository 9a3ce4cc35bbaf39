//! Words counted from a source in memory to a sink that discards them, beside the same loop in plain Rust: words in a
//! second, and processor time for a million words. And how long a record takes.

mod latency;

use super::measure::{Effort, median, row};
use bytes::Bytes;
use std::time::Instant;
use std::{collections::BTreeMap, sync::Arc};
use wavetank::{
    host::mix,
    jobs::{
        common::{JobSettings, job_of},
        word_count::{Count, text, words},
    },
    local::{LocalCluster, LocalClusterConfig},
    system::{
        connector::DiscardingSink,
        dataflow::{Program, Programs, Result, Source, SourceStep, StreamEnv, Text, Waits, ready},
        graph::{CheckpointSettings, RestartStrategy},
        ids::JobId,
        protocol::JobStatus,
    },
};

/// Words of a record.
const LINE_WORDS: u64 = 12;
/// The words are drawn from so many.
const WORDS: u64 = 10_000;
/// Different lines, in turns.
const LINES: u64 = 4096;
/// Lines in one step.
const STEP: usize = 512;
/// Words of each source subtask.
const EACH: u64 = 48_000_000;

fn lines() -> Vec<Bytes> {
    let word = |number: u64| format!("word{}", mix(7, number) % WORDS);
    let line = |line: u64| {
        (0..LINE_WORDS).map(|place| word(line * LINE_WORDS + place)).collect::<Vec<_>>().join(" ")
    };
    (0..LINES).map(|number| Bytes::from(line(number))).collect()
}

/// Hands the same lines out again and again.
#[derive(Clone)]
struct Repeated {
    lines: Arc<Vec<Bytes>>,
    left: u64,
    next: usize,
}

impl Source for Repeated {
    type Out = Bytes;

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        if self.left == 0 {
            return ready(SourceStep::End);
        }
        let count = STEP.min(usize::try_from(self.left).unwrap_or(STEP));
        self.left -= count as u64;
        let begin = self.next % self.lines.len();
        self.next = begin + count;
        let lines = self.lines[begin..].iter().chain(&self.lines[..]).take(count);
        ready(SourceStep::Records(lines.cloned().collect()))
    }
}

fn programs(words_each: u64) -> Programs {
    let source = Repeated { lines: Arc::new(lines()), left: words_each / LINE_WORDS, next: 0 };
    let describe = move |env: &mut StreamEnv, _: &BTreeMap<String, String>| -> Result<()> {
        env.source("lines", source.clone())
            .flat_map("split", |line: Bytes, out| {
                words(&line).for_each(|word| out.emit(text(word)));
            })
            .key_by(Text::clone)
            .process("count", Count::default())
            .sink("counts", DiscardingSink);
        Ok(())
    };
    Programs::new().with(Program::new("throughput", 1, describe))
}

/// Processor time of this process, in seconds.
#[expect(clippy::disallowed_methods, reason = "what the system says of this process")]
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let field = |place: usize| -> f64 {
        after.split_whitespace().nth(place).and_then(|field| field.parse().ok()).unwrap_or(0.0)
    };
    // User and system time, in hundredths of a second.
    (field(11) + field(12)) / 100.0
}

/// Words in a second, in millions, and processor seconds for a million words.
struct Speed {
    rate: f64,
    cost: f64,
}

/// When something began, and how much processor time was used by then.
struct Begin(Instant, f64);

impl Begin {
    fn now() -> Self {
        Begin(Instant::now(), processor_seconds())
    }

    fn speed(&self, words: u64) -> Speed {
        let millions = words as f64 / 1e6;
        let Begin(at, used) = self;
        Speed {
            rate: millions / at.elapsed().as_secs_f64(),
            cost: (processor_seconds() - used) / millions,
        }
    }
}

fn plain(words_all: u64) -> Speed {
    let lines = lines();
    let begin = Begin::now();
    let mut counts = hash_map();
    for line in lines.iter().cycle().take((words_all / LINE_WORDS) as usize) {
        for word in words(line) {
            *counts.entry(word).or_insert(0_u64) += 1;
        }
    }
    std::hint::black_box(counts.len());
    begin.speed(words_all)
}

#[expect(clippy::disallowed_types, reason = "what anybody would write")]
fn hash_map<'a>() -> std::collections::HashMap<&'a [u8], u64> {
    std::collections::HashMap::new()
}

fn cluster(parallelism: u32, words_each: u64) -> Speed {
    // Each task has a thread of its own beside it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let config = LocalClusterConfig { slots: parallelism, ..LocalClusterConfig::default() };
        let programs = programs(words_each);
        let program = programs.get("throughput").expect("it is there").clone();
        let cluster = LocalCluster::start(config, programs).await.expect("it starts");
        let settings = JobSettings {
            parallelism,
            checkpoints: CheckpointSettings { interval_ms: 1000, ..CheckpointSettings::default() },
            restarts: RestartStrategy::None,
            ..JobSettings::default()
        };
        let job = job_of(&program, JobId(1), &BTreeMap::<String, String>::new(), &settings);
        let job = job.expect("a sound job");
        let begin = Begin::now();
        let result = cluster.run(&job).await.expect("it is taken");
        assert_eq!(result.status, JobStatus::Finished, "{result:?}");
        let speed = begin.speed(words_each * u64::from(parallelism));
        cluster.stop().await;
        speed
    })
}

/// Prints them, medians of interleaved rounds.
pub fn live_dataflow(effort: Effort) {
    println!(
        "words counted from memory to a discarding sink, {LINE_WORDS} a record, checkpoints each second"
    );
    let each = EACH / u64::from(effort.divisor);
    let rounds = effort.rounds.min(5);
    let (mut alone, mut one, mut two) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(plain(each));
        one.push(cluster(1, each));
        two.push(cluster(2, each));
    }
    let rate =
        |speeds: &[Speed]| median(&speeds.iter().map(|speed| speed.rate).collect::<Vec<_>>());
    let cost =
        |speeds: &[Speed]| median(&speeds.iter().map(|speed| speed.cost).collect::<Vec<_>>());
    for (what, speeds) in [("plain loop", &alone), ("parallelism 1", &one), ("parallelism 2", &two)]
    {
        row(&format!("{what}: million words a second"), format!("{:.2}", rate(speeds)));
        row(&format!("{what}: processor seconds a million words"), format!("{:.3}", cost(speeds)));
    }
    row("parallelism 1 of the plain loop", format!("{:.2}", rate(&one) / rate(&alone)));
    row("parallelism 2 of parallelism 1", format!("{:.2}", rate(&two) / rate(&one)));
    latency::latency(effort);
}
