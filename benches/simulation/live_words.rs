//! A long text counted by a cluster of processes that are killed with SIGKILL one after the other, and its totals held
//! against those of a plain loop, word for word. Everything is on this machine, each role a process of its own.
//!
//! `--megabytes=N`, `--kills=N` and `--seconds=N` say how long the text is, how many processes are killed, and how long
//! the text lasts at least if none is: the source rests between its steps, so that kills fall on all of its course.
//! `--state-memory=BYTES` keeps state on disk, with so many bytes of memory for that of each subtask; `--state-inline=KEYS`
//! lets the heap write snapshots of more keys to files.

use crate::{
    live_cluster::{Client, Cluster, epochs, memory, option, role, send},
    measure::{Effort, row},
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use wavetank::{
    host::mix,
    jobs::{Job, common::JobSettings, shipped},
    system::{
        client::JobClient,
        connector::{Input, TextSourceParameters, upload_text},
        graph::{CheckpointSettings, HEAP_INLINE, RestartStrategy, StateBackend},
        ids::JobId,
        leadership::LeaderFollower,
        protocol::{JobDetails, JobStatus, job_component},
    },
};

const JOB: &str = "word-totals";
const PARALLELISM: u32 = 2;
const CHECKPOINT_INTERVAL_MS: u64 = 500;
/// The words are drawn from so many, a common one more often than a rare one.
const VOCABULARY: u32 = 100_000;
/// Words of a line.
const LINE_WORDS: u64 = 12;
/// What a job manager or a task executor may hold.
const RESIDENT_MAX_MIB: f64 = 200.0;

/// Whom a kill strikes, in turns.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// One that runs a task of the job.
    Executor,
    /// The job manager that leads the job.
    Leading,
    /// The other one.
    Standby,
}

const TURNS: [Victim; 4] = [Victim::Executor, Victim::Leading, Victim::Executor, Victim::Standby];

/// Prints what it came to.
///
/// # Panics
/// When a total is not exact, or the job does not finish.
pub fn live_words(effort: Effort) {
    let megabytes = option("megabytes", u64::from(100 / effort.divisor));
    let kills = option("kills", 10);
    let seconds = option("seconds", 6 * kills);
    println!(
        "live words: a text of {megabytes} MB counted by {JOB}, which tells each total once at the end; checkpoints every \
         {CHECKPOINT_INTERVAL_MS} ms; {kills} SIGKILLs, of executors and of leading and standby job managers"
    );
    row("state", format!("{:?}", state_backend()));
    let text = made(megabytes * 1_000_000);
    let begun = Instant::now();
    let expected = counted(&text);
    row("a plain loop over the text", format!("{:.1} s", begun.elapsed().as_secs_f64()));
    let words: u64 = expected.values().sum();
    row("words, different ones", format!("{words}, {}", expected.len()));
    let cluster = Cluster::start("live-words");
    let told = cluster.with_client(async |client| {
        Counting::begin(&client, &text, kills, seconds).await.course().await
    });
    report(&expected, &told);
}

fn report(expected: &BTreeMap<Vec<u8>, u64>, told: &Told) {
    row("kills", told.kills.join(", "));
    row("times that tasks ran anew", told.restarts);
    row("submitted -> finished", format!("{:.1} s", told.seconds));
    for (role, mib) in &told.memory {
        let aim = match role.as_str() {
            "job-manager" | "task-executor" => format!(" (aim {RESIDENT_MAX_MIB})"),
            _ => String::new(),
        };
        row(&format!("most resident memory (VmHWM): {role}"), format!("{mib:.1} MiB{aim}"));
    }
    let wrong = differences(expected, &told.totals);
    wrong.iter().take(10).for_each(|line| println!("  {line}"));
    row("words with a wrong total", wrong.len());
    assert!(wrong.is_empty(), "the totals are not exact");
}

/// Where tasks keep their state.
fn state_backend() -> StateBackend {
    match option("state-memory", 0) {
        0 => {
            let inline = option("state-inline", u64::from(HEAP_INLINE));
            StateBackend::Heap { inline: inline.try_into().expect("keys are counted in 32 bits") }
        }
        memory => StateBackend::Disk { memory },
    }
}

/// A text of so many bytes, the same each time.
fn made(bytes: u64) -> Bytes {
    let letter = |drawn: u64| b'a' + u8::try_from(drawn % 26).expect("a small number");
    let word = |rank: u32| -> Vec<u8> {
        let drawn = mix(3, u64::from(rank));
        let begin = (0..drawn % 6).map(|place| letter(mix(drawn, place)));
        begin.chain(rank.to_string().into_bytes()).collect()
    };
    let vocabulary: Vec<Vec<u8>> = (0..VOCABULARY).map(word).collect();
    let bytes = usize::try_from(bytes).expect("it fits into memory");
    let mut text = Vec::with_capacity(bytes + 32);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        let share = (mix(5, number) >> 11) as f64 / (1_u64 << 53) as f64;
        let rank = f64::from(VOCABULARY).powf(share) as usize - 1;
        text.extend_from_slice(&vocabulary[rank]);
        text.push(if number % LINE_WORDS == LINE_WORDS - 1 { b'\n' } else { b' ' });
    }
    text.truncate(bytes);
    Bytes::from(text)
}

/// What a plain loop finds.
fn counted(text: &[u8]) -> BTreeMap<Vec<u8>, u64> {
    let mut counts = hash_map();
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    for word in words {
        *counts.entry(word).or_insert(0_u64) += 1;
    }
    counts.into_iter().map(|(word, count)| (word.to_vec(), count)).collect()
}

#[expect(clippy::disallowed_types, reason = "what anybody would write")]
fn hash_map<'a>() -> std::collections::HashMap<&'a [u8], u64> {
    std::collections::HashMap::new()
}

/// A line for each word whose total is not told, or wrong, or told twice, and for each that does not stand in the text.
fn differences(expected: &BTreeMap<Vec<u8>, u64>, records: &[Bytes]) -> Vec<String> {
    let mut told = BTreeMap::<Vec<u8>, Vec<u64>>::new();
    let mut wrong = Vec::new();
    for record in records {
        let record = String::from_utf8_lossy(record);
        let parts =
            record.split_once(' ').and_then(|(word, count)| Some((word, count.parse().ok()?)));
        match parts {
            Some((word, count)) => told.entry(word.as_bytes().to_vec()).or_default().push(count),
            None => wrong.push(format!("{record:?} is no total")),
        }
    }
    for (word, count) in expected {
        let found = told.remove(word).unwrap_or_default();
        if found != [*count] {
            let word = String::from_utf8_lossy(word);
            wrong.push(format!("{word:?} stands {count} times in the text, told: {found:?}"));
        }
    }
    wrong.extend(told.keys().map(|word| format!("{word:?} does not stand in the text")));
    wrong
}

/// What a run has shown.
struct Told {
    totals: Vec<Bytes>,
    kills: Vec<String>,
    restarts: u32,
    seconds: f64,
    /// In MiB, by roles, the most of all processes and their predecessors.
    memory: BTreeMap<String, f64>,
}

/// A text that is being counted.
struct Counting<'a> {
    client: &'a Client<'a>,
    jobs: JobClient,
    job: JobId,
    output: String,
    begun: Instant,
    kills: u64,
    /// Since when all its tasks run, at least.
    runs_since: wavetank::host::Instant,
    /// From there to the next kill.
    period: Duration,
    told: Told,
}

impl<'a> Counting<'a> {
    async fn begin(client: &'a Client<'a>, text: &Bytes, kills: u64, seconds: u64) -> Self {
        let jobs = shipped();
        let program = jobs.get(JOB).expect("it is shipped");
        let job = JobId(client.host.random_u128());
        let output = program.output_topic(job);
        let name = Job::text_name(job);
        let uploaded = upload_text(&*client.services.objects, &name, text).await;
        let source = paced(uploaded.expect("there is room"), text, seconds);
        let topic = client.services.log.create_topic_until_acknowledged(&output, PARALLELISM);
        topic.await.expect("a new topic");
        let settings = JobSettings {
            parallelism: PARALLELISM,
            checkpoints: CheckpointSettings {
                interval_ms: CHECKPOINT_INTERVAL_MS,
                ..CheckpointSettings::default()
            },
            restarts: RestartStrategy::FixedDelay { attempts: u32::MAX, delay_ms: 0 },
            state_backend: state_backend(),
        };
        let graph =
            program.graph(job, &Input::Text(source), &output, &Default::default(), &settings);
        let jobs = JobClient::new(&client.service, &client.services.coordination);
        let begun = Instant::now();
        jobs.submit(&graph.expect("a sound job")).await.expect("it is taken on");
        let told = Told {
            totals: Vec::new(),
            kills: Vec::new(),
            restarts: 0,
            seconds: 0.0,
            memory: BTreeMap::new(),
        };
        let period = Duration::from_secs_f64(seconds as f64 / (kills + 1) as f64);
        let runs_since = client.host.now();
        Counting { client, jobs, job, output, begun, kills, runs_since, period, told }
    }

    async fn course(mut self) -> Told {
        let leader =
            LeaderFollower::new(&self.client.services.coordination, &job_component(self.job));
        let mut details = self.client.until_running(self.job, None).await;
        for number in 0..self.kills {
            self.client.host.sleep_until(self.runs_since + self.period).await;
            self.note_memory();
            let victim = TURNS[number as usize % TURNS.len()];
            details = self.kill(victim, &leader, &details).await;
        }
        let result = self.jobs.result(self.job).await.expect("the cluster knows it");
        self.told.seconds = self.begun.elapsed().as_secs_f64();
        assert_eq!(result.status, JobStatus::Finished, "{result:?}");
        self.note_memory();
        let log = &self.client.services.log;
        let totals = log.read_all_until_acknowledged(&self.output).await.expect("it is there");
        self.told.totals = totals.into_iter().flatten().collect();
        self.told
    }

    /// Kills one, and waits until all tasks run and the cluster is whole.
    async fn kill(
        &mut self,
        victim: Victim,
        leader: &LeaderFollower,
        before: &JobDetails,
    ) -> JobDetails {
        let (name, process) = self.victim(victim, leader, before).await;
        let at = self.begun.elapsed().as_secs_f64();
        self.told.kills.push(format!("{name} ({victim:?}) at {at:.1} s"));
        send("-KILL", process);
        self.client.until_ended(process).await;
        // A standby is no loss for the job.
        let old = Some(before).filter(|_| !matches!(victim, Victim::Standby));
        let details = self.client.until_running(self.job, old).await;
        self.runs_since = self.client.host.now();
        self.client.until_whole(&name, process).await;
        self.told.restarts += u32::from(epochs(&details).max() > epochs(before).max());
        details
    }

    async fn victim(
        &self,
        victim: Victim,
        leader: &LeaderFollower,
        details: &JobDetails,
    ) -> (String, u64) {
        let processes = self.client.cluster.processes();
        if let Victim::Executor = victim {
            let subtasks = details.vertices.iter().flat_map(|vertex| &vertex.subtasks);
            let executor = subtasks.filter_map(|subtask| subtask.executor.as_ref()).next_back();
            let name = executor.expect("its tasks run").to_string();
            let process = processes[&name];
            return (name, process);
        }
        let leading = self.client.leading(leader).await;
        let is_standby =
            |(name, _): &(String, u64)| name.starts_with("job-manager") && *name != leading.0;
        match victim {
            Victim::Standby => processes.into_iter().find(is_standby).expect("there are two"),
            _ => leading,
        }
    }

    /// Notes the most that each process has held so far.
    fn note_memory(&mut self) {
        for (name, process) in self.client.cluster.processes() {
            if let Some(mib) = memory(process, "VmHWM") {
                let most = self.told.memory.entry(role(&name).to_string()).or_default();
                *most = most.max(mib);
            }
        }
    }
}

/// The same text, so that it lasts for so long at least.
fn paced(source: TextSourceParameters, text: &[u8], seconds: u64) -> TextSourceParameters {
    let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    let steps = lines / u64::from(PARALLELISM) / u64::from(source.lines_max) + 1;
    TextSourceParameters { pause_ms: seconds * 1000 / steps, ..source }
}
