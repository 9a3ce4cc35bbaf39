//! The nodes of a cluster that counts words, and the lines that it is given.

use super::{roles, settings::WordCountSpec};
use crate::{
    harness::{
        language::DurationRange,
        system::{Node, Role},
    },
    host::{Draws, NodeAddress},
    jobs::word_count::{
        FailedAttempts, FailureInjection, INPUT_TOPIC, JobPlan, POISON, SlowSubtask,
        operator_library_with_failures, partition_lines, run_client_node, run_writer_node,
        word_count_with_failures,
    },
    system::{
        cluster::{
            ClusterConfig, PORT, run_blob_node, run_coordination_node, run_job_manager_node,
            run_log_node, run_task_executor_node,
        },
        connector::{LOG_SOURCE, LogSourceParameters, spec as operator},
        graph::{CheckpointSettings, RestartStrategy},
        heartbeat::HeartbeatConfig,
        ids::JobId,
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// The port on which task executors listen for streams.
const DATA_PORT: u16 = 6122;
/// From batch to batch of the writer, about.
const WRITER_PAUSE: Duration = Duration::from_millis(100);
/// A long text is written within this time.
const WRITING_MAX: Duration = Duration::from_secs(30);

/// The job of a run.
pub fn job_of_seed(seed: u64) -> JobId {
    let mut draws = Draws::new(seed, "job", [0, 0]);
    JobId((u128::from(draws.next_u64()) << 64) | u128::from(draws.next_u64()))
}

/// The lines that are counted: drawn, or a user's text.
pub fn word_count_lines(
    spec: &WordCountSpec,
    seed: u64,
    input: Option<&Arc<Vec<Bytes>>>,
) -> Vec<Bytes> {
    let mut lines = input.map_or_else(|| drawn_lines(spec, seed), |input| input.to_vec());
    if let (Some(number), Some(last)) = (spec.poisoned, lines.len().checked_sub(1)) {
        lines[usize::try_from(number.low - 1).unwrap_or(last).min(last)] = Bytes::from(POISON);
    }
    lines
}

fn drawn_lines(spec: &WordCountSpec, seed: u64) -> Vec<Bytes> {
    let mut draws = Draws::new(seed, "workload", [0, 0]);
    let share = spec.skew.map_or(0, |skew| skew.low);
    let share = u32::try_from(share).expect("read as not negative");
    let mut skewed = Draws::new(seed, "skew", [0, 0]);
    let mut word = || match share > 0 && skewed.chance(share) {
        true => "w0".to_string(),
        false => format!("w{}", draws.below(u64::from(spec.words.one()))),
    };
    let line = |_| (0..spec.line_words.one()).map(|_| word()).collect::<Vec<_>>().join(" ");
    (0..spec.lines.one()).map(line).map(Bytes::from).collect()
}

/// What is wrong with the job's functions.
pub fn failures(spec: &WordCountSpec, seed: u64) -> FailureInjection {
    FailureInjection {
        fail_at: spec.fail_at.map(|at| at.low),
        panic_at: spec.panic_at.map(|at| at.low),
        times: spec.fail_times.one(),
        poison: spec.poisoned.is_some(),
        slow: spec.slow_subtask.map(|by| {
            let mut draws = Draws::new(seed, "failures", [2, 0]);
            let counts = draws.chance(500_000);
            let subtask = draws.below(u64::from(spec.parallelism.one()));
            let subtask = u32::try_from(subtask).expect("below a subtask count");
            SlowSubtask { by: by.one(), counts, subtask }
        }),
    }
}

fn cluster_config(spec: &WordCountSpec) -> ClusterConfig {
    let address = |role: Role| NodeAddress::new(role.name().to_string(), PORT);
    let mut config = ClusterConfig::new(
        address(roles::COORDINATION),
        address(roles::BLOBS),
        address(roles::LOG),
    );
    config.coordination.session_timeout = spec.session_timeout.one();
    let heartbeat = HeartbeatConfig {
        interval: spec.heartbeat.one(),
        timeout: spec.heartbeat.one() * 5,
        unreachable_threshold: Some(2),
    };
    config.job_manager.heartbeat = heartbeat;
    config.task_executor.heartbeat = heartbeat;
    config.task_executor.slots = spec.slots.one();
    config.task_executor.task.buffer_timeout = spec.buffer_timeout.one();
    config.task_executor.task.service_time = spec.service_time.one();
    config
}

fn plan(spec: &WordCountSpec, seed: u64, lines: &[Vec<Bytes>]) -> JobPlan {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let checkpoints = CheckpointSettings {
        interval_ms: millis(spec.checkpoint_interval.one()),
        timeout_ms: millis(spec.checkpoint_timeout.one()),
        max_concurrent: spec.concurrent_checkpoints.one(),
        retained: spec.retained_checkpoints.one(),
        ..CheckpointSettings::default()
    };
    let restarts = RestartStrategy::FixedDelay {
        attempts: spec.restarts.one(),
        delay_ms: millis(spec.restart_delay.one()),
    };
    let stop = lines.iter().map(|lines| lines.len() as u64).collect();
    let source = operator("source", LOG_SOURCE, &LogSourceParameters::new(INPUT_TOPIC, stop));
    let job = word_count_with_failures(
        job_of_seed(seed),
        source,
        spec.parallelism.one(),
        checkpoints,
        restarts,
        &failures(spec, seed),
    );
    JobPlan {
        job: job.expect("the scenario's parallelism is within bounds"),
        inputs: spec.parallelism.one(),
        outputs: spec.parallelism.one(),
        cancel_after: spec.cancel_after.map(DurationRange::one),
    }
}

/// The nodes of a cluster that counts the words of these lines.
pub fn word_count_nodes(spec: &WordCountSpec, seed: u64, lines: &[Bytes]) -> Vec<Node> {
    let config = cluster_config(spec);
    let lines = Arc::new(partition_lines(lines, spec.parallelism.one()));
    let plan = plan(spec, seed, &lines);
    let library = operator_library_with_failures(FailedAttempts::default());
    let mut nodes = vec![
        Node::one(roles::COORDINATION, |host| run_coordination_node(host, PORT)),
        Node::one(roles::BLOBS, |host| run_blob_node(host, PORT)),
        Node::one(roles::LOG, |host| run_log_node(host, PORT)),
    ];
    for number in 1..=spec.job_managers.one() {
        let (config, library) = (config.clone(), library.clone());
        let main = move |host| run_job_manager_node(host, PORT, config.clone(), library.clone());
        nodes.push(Node::numbered(roles::JOB_MANAGER, number, main));
    }
    for number in 1..=spec.task_executors.one() {
        let (config, library) = (config.clone(), library.clone());
        let main = move |host| {
            run_task_executor_node(host, PORT, DATA_PORT, config.clone(), library.clone())
        };
        nodes.push(Node::numbered(roles::TASK_EXECUTOR, number, main));
    }
    let ((batch, pause), writer) = (pace(spec, &lines), config.clone());
    let written = lines.clone();
    nodes.push(Node::one(roles::WRITER, move |host| {
        run_writer_node(host, writer.clone(), written.clone(), batch, pause)
    }));
    nodes.push(Node::numbered(roles::CLIENT, 1, move |host| {
        run_client_node(host, config.clone(), plan.clone())
    }));
    nodes
}

/// What it takes at least to write a scenario's own lines over links of that latency: the writer goes
/// from partition to partition, and waits for each answer.
pub fn least_to_write(spec: &WordCountSpec, latency: Duration) -> Duration {
    let (batch, pause) = own_pace(spec);
    let rounds = spec.lines.one() / (batch * spec.parallelism.one());
    (pause + latency * 2 * spec.parallelism.one()) * rounds
}

/// Lines written to each partition at once, and the pause between, for a scenario's own lines.
fn own_pace(spec: &WordCountSpec) -> (u32, Duration) {
    let (rate, partitions) = (spec.lines_per_second.one(), spec.parallelism.one());
    let in_a_pause = u64::from(rate) * WRITER_PAUSE.as_millis() as u64;
    let batch = u32::try_from(in_a_pause.div_ceil(1000 * u64::from(partitions)));
    let batch = batch.expect("a rate of 32 bits");
    (batch, Duration::from_secs(1) * batch * partitions / rate)
}

/// Lines written to each partition at once, and the pause between: what the scenario says, or faster
/// if a long text would else outlast the faults.
fn pace(spec: &WordCountSpec, lines: &[Vec<Bytes>]) -> (usize, Duration) {
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0);
    let pauses = WRITING_MAX.as_millis() / WRITER_PAUSE.as_millis();
    let for_time = longest.div_ceil(usize::try_from(pauses).expect("few pauses"));
    let (batch, own_pause) = own_pace(spec);
    // The scenario's own lines come at the scenario's rate, however long that takes.
    let own = longest * lines.len() <= spec.lines.one() as usize + lines.len();
    match own {
        true => (batch as usize, own_pause),
        false => (for_time.max(batch as usize), WRITER_PAUSE),
    }
}
