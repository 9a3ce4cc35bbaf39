//! What jobs under test have in common that read one topic and write another: the writer, the client, and how
//! fast lines come.

use super::{course::Course, job::JobRun};
use crate::{
    harness::{
        language::{DurationRange, NumberRange},
        system::Node,
    },
    host::{Draws, millis},
    jobs::common::{
        FailureInjection, JobPlan, Topics, partition_lines, run_client_node, run_writer_node,
    },
    system::{
        connector::{LogSourceParameters, is_file_of, part_lines},
        graph::{CheckpointSettings, JobGraph, RATE_FAILURES_MAX, RestartStrategy},
        ids::JobId,
        service::database::Table,
    },
    under_test::cluster::{model::Model, roles},
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// From batch to batch of the writer, about.
const WRITER_PAUSE: Duration = Duration::from_millis(100);
/// A long text is written within this time.
const WRITING_MAX: Duration = Duration::from_secs(30);

/// Without a failure for so long a growing delay begins anew.
const RESET: Duration = Duration::from_secs(60);

/// The lines of a job, as they are written to its topic.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Of both topics, to begin with.
    pub partitions: u32,
    /// Partitions that are added to the input topic later.
    pub added: u32,
    /// The scenario's own lines; a user's text may have others.
    pub lines: u32,
    /// Lines written in a second at most.
    pub lines_per_second: u32,
}

/// The job of a seed.
pub fn job_of_seed(seed: u64) -> JobId {
    let mut draws = Draws::new(seed, "job", [0, 0]);
    JobId((u128::from(draws.next_u64()) << 64) | u128::from(draws.next_u64()))
}

/// When checkpoints of a job are taken whose settings say no more of them, as was drawn.
pub fn checkpoints(interval: DurationRange, timeout: DurationRange) -> CheckpointSettings {
    CheckpointSettings {
        interval_ms: millis(interval.one()),
        timeout_ms: millis(timeout.one()),
        ..CheckpointSettings::default()
    }
}

/// The client that submits a job.
pub fn client(run: &JobRun<'_>, plan: JobPlan) -> Node {
    let (config, wait) = (run.config.clone(), run.submitted_after);
    Node::numbered(roles::CLIENT, run.number, move |host| {
        let (config, plan) = (config.clone(), plan.clone());
        async move {
            if !wait.is_zero() {
                host.sleep(wait).await;
            }
            run_client_node(host, config, plan).await;
        }
    })
}

/// A function that fails in so many attempts at a record of a number; none without a number.
pub fn failing(at: Option<NumberRange>, times: u32) -> FailureInjection {
    let failing = |at: NumberRange| FailureInjection {
        fail_at: Some(at.low),
        times,
        ..FailureInjection::default()
    };
    at.map(failing).unwrap_or_default()
}

/// The committed records of a topic, as text, the rows of the table of that name, each as `KEY VALUE`, and the lines of
/// the files of the directory of that name.
pub fn committed_lines(model: &Model, topic: &str) -> Vec<String> {
    let of_topic = model.output.iter().filter(|((of, _), _)| of == topic);
    let records = of_topic.flat_map(|(_, records)| records);
    let records = records.map(|record| String::from_utf8_lossy(record).into_owned());
    let rows = model.tables.get(topic).into_iter().flat_map(Table::rows);
    let rows = rows.map(|row| format!("{} {}", row.key, row.value));
    let files = model.objects.iter().filter(|name| is_file_of(topic, name));
    let lines = files.filter_map(|file| model.parts.get(file)).flat_map(|part| part_lines(part));
    let lines = lines.map(|line| String::from_utf8_lossy(line).into_owned());
    records.chain(rows).chain(lines).collect()
}

/// How a job starts again after failures, as its settings say: with an interval by a rate, with a longest delay by
/// one that grows, however often, and else so many times.
pub fn restarts(
    restarts: u32,
    delay: Duration,
    rate_interval: Option<Duration>,
    delay_max: Option<Duration>,
) -> RestartStrategy {
    let delay_ms = millis(delay);
    match (rate_interval, delay_max) {
        (Some(interval), _) => RestartStrategy::FailureRate {
            failures: restarts.clamp(1, RATE_FAILURES_MAX),
            interval_ms: millis(interval),
            delay_ms,
        },
        (None, Some(max)) => RestartStrategy::exponential(delay, max, RESET),
        (None, None) => RestartStrategy::FixedDelay { attempts: restarts, delay_ms },
    }
}

impl Workload {
    /// The lines of each partition.
    pub fn deal(&self, lines: &[Bytes]) -> Arc<Vec<Vec<Bytes>>> {
        Arc::new(partition_lines(lines, self.partitions + self.added))
    }

    /// How a job of these lines begins, and the nodes that bring them and submit it; `job` makes it of its id, a parallelism
    /// and what it reads.
    pub fn begin(
        &self,
        run: &JobRun<'_>,
        topics: &Topics,
        lines: &[Bytes],
        cancel_after: Option<Duration>,
        course: &Course,
        job: impl Fn(JobId, u32, LogSourceParameters) -> JobGraph,
    ) -> (JobPlan, Vec<Node>) {
        let dealt = self.deal(lines);
        let stop: Vec<u64> = dealt.iter().map(|lines| lines.len() as u64).collect();
        let source = || LogSourceParameters::new(&topics.input, stop.clone());
        let graph = |id, parallelism| job(id, parallelism, source());
        let plan = JobPlan {
            job: graph(job_of_seed(run.seed), course.parallelism),
            topics: topics.clone(),
            inputs: self.partitions,
            outputs: self.partitions,
            cancel_after,
            cancel_at: None,
            course: course.of(run.seed, graph),
            submission: run.submission,
        };
        let nodes = self.nodes(run, dealt, topics, plan.clone());
        (plan, nodes)
    }

    /// The writer and the client of a job.
    pub fn nodes(
        &self,
        run: &JobRun<'_>,
        dealt: Arc<Vec<Vec<Bytes>>>,
        topics: &Topics,
        plan: JobPlan,
    ) -> Vec<Node> {
        let (batch, pause) = self.pace(&dealt);
        let (config, topic) = (run.config.clone(), topics.input.clone());
        let first = self.partitions as usize;
        let writer = Node::numbered(roles::WRITER, run.before.writers + 1, move |host| {
            let (config, topic, dealt) = (config.clone(), topic.clone(), dealt.clone());
            run_writer_node(host, config, topic, dealt, first, (batch, pause))
        });
        vec![writer, client(run, plan)]
    }

    /// What it takes at least to write the scenario's own lines over links of that latency: the writer goes
    /// from partition to partition, and waits for each answer.
    pub fn least_to_write(&self, latency: Duration) -> Duration {
        let (batch, pause) = self.own_pace();
        let rounds = self.lines / (batch * self.partitions);
        (pause + latency * 2 * self.partitions) * rounds
    }

    /// Lines written to each partition at once, and the pause between, for a scenario's own lines.
    fn own_pace(&self) -> (u32, Duration) {
        let (rate, partitions) = (self.lines_per_second, self.partitions);
        let in_a_pause = u64::from(rate) * millis(WRITER_PAUSE);
        let batch = u32::try_from(in_a_pause.div_ceil(1000 * u64::from(partitions)));
        let batch = batch.expect("a rate of 32 bits");
        (batch, Duration::from_secs(1) * batch * partitions / rate)
    }

    /// Lines written to each partition at once, and the pause between: what the scenario says, or faster
    /// if a long text would else outlast the faults.
    fn pace(&self, lines: &[Vec<Bytes>]) -> (usize, Duration) {
        let longest = lines.iter().map(Vec::len).max().unwrap_or(0);
        let pauses = WRITING_MAX.as_millis() / WRITER_PAUSE.as_millis();
        let for_time = longest.div_ceil(usize::try_from(pauses).expect("few pauses"));
        let (batch, own_pause) = self.own_pace();
        // The scenario's own lines come at the scenario's rate, however long that takes.
        let own = longest * lines.len() <= self.lines as usize + lines.len();
        match own {
            true => (batch as usize, own_pause),
            false => (for_time.max(batch as usize), WRITER_PAUSE),
        }
    }
}
