//! The nodes of a cluster that counts words, and the lines that it is given.

use super::cluster::{Main, Role};
use crate::{
    harness::scenario::WordCountSpec,
    host::{Draws, NodeAddress},
    jobs::{
        journal::run_coordination_node,
        word_count::{
            ClusterConfig, INPUT_TOPIC, JobPlan, POISON, PORT, SlowSubtask, Trouble,
            partition_lines, run_blob_node, run_client_node, run_job_manager_node, run_log_node,
            run_task_executor_node, run_writer_node, troubled_word_count,
        },
    },
    system::{
        connector::{LOG_SOURCE, LogSourceParameters, spec as operator},
        graph::{CheckpointSettings, RestartStrategy},
        heartbeat::HeartbeatConfig,
        ids::JobId,
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{sync::Arc, time::Duration};

/// The port on which task executors listen for streams.
const DATA_PORT: u16 = 6122;
/// From batch to batch of the writer.
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
        let number = number.draw(&mut Draws::new(seed, "poisoned", [0, 0]));
        lines[usize::try_from(number - 1).unwrap_or(last).min(last)] = Bytes::from(POISON);
    }
    lines
}

fn drawn_lines(spec: &WordCountSpec, seed: u64) -> Vec<Bytes> {
    let mut draws = Draws::new(seed, "workload", [0, 0]);
    let mut skewed = Draws::new(seed, "skew", [0, 0]);
    let share = spec.skew.map_or(0, |skew| skew.draw(&mut skewed));
    let share = u32::try_from(share).expect("read as not negative");
    let mut word = || match share > 0 && skewed.chance(share) {
        true => "w0".to_string(),
        false => format!("w{}", draws.below(u64::from(spec.words))),
    };
    let line = |_| (0..spec.line_words).map(|_| word()).collect::<Vec<_>>().join(" ");
    (0..spec.lines).map(line).map(Bytes::from).collect()
}

/// What is wrong with the job's functions.
fn trouble(spec: &WordCountSpec, seed: u64) -> Trouble {
    let draws = |key| Draws::new(seed, "trouble", [key, 0]);
    Trouble {
        fail_at: spec.fail_at.map(|at| at.draw(&mut draws(0))),
        panic_at: spec.panic_at.map(|at| at.draw(&mut draws(1))),
        times: spec.fail_times,
        poison: spec.poisoned.is_some(),
        slow: spec.slow_subtask.map(|by| {
            let mut draws = draws(2);
            SlowSubtask {
                by: by.draw(&mut draws),
                counts: draws.chance(500_000),
                subtask: u32::try_from(draws.below(u64::from(spec.parallelism)))
                    .expect("below a subtask count"),
            }
        }),
    }
}

fn cluster_config(spec: &WordCountSpec, seed: u64) -> ClusterConfig {
    let address = |role: Role| NodeAddress::new(role.name(), PORT);
    let mut config =
        ClusterConfig::new(address(Role::Coordination), address(Role::Blobs), address(Role::Log));
    config.coordination.session_timeout = spec.session_timeout;
    let heartbeat = HeartbeatConfig {
        interval: spec.heartbeat,
        timeout: spec.heartbeat * 5,
        unreachable_threshold: Some(2),
    };
    config.job_manager.heartbeat = heartbeat;
    config.task_executor.heartbeat = heartbeat;
    config.task_executor.slots = spec.slots;
    config.task_executor.task.buffer_timeout = spec.buffer_timeout;
    let mut draws = Draws::new(seed, "service time", [0, 0]);
    config.task_executor.task.service_time = spec.service_time.draw(&mut draws);
    config
}

fn plan(spec: &WordCountSpec, seed: u64, lines: &[Vec<Bytes>]) -> JobPlan {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let checkpoints = CheckpointSettings {
        interval_ms: millis(spec.checkpoint_interval),
        timeout_ms: millis(spec.checkpoint_timeout),
        ..CheckpointSettings::default()
    };
    let restarts = RestartStrategy::FixedDelay {
        attempts: spec.restarts,
        delay_ms: millis(spec.restart_delay),
    };
    let stop = lines.iter().map(|lines| lines.len() as u64).collect();
    let source = operator("source", LOG_SOURCE, &LogSourceParameters::new(INPUT_TOPIC, stop));
    let job = troubled_word_count(
        job_of_seed(seed),
        source,
        spec.parallelism,
        checkpoints,
        restarts,
        &trouble(spec, seed),
    );
    let mut draws = Draws::new(seed, "cancel", [0, 0]);
    JobPlan {
        job: job.expect("the scenario's parallelism is within bounds"),
        inputs: spec.parallelism,
        outputs: spec.parallelism,
        cancel_after: spec.cancel_after.map(|after| after.draw(&mut draws)),
    }
}

fn node(
    main: impl Fn(crate::host::Host) -> BoxFuture<'static, ()> + Send + Sync + 'static,
) -> Main {
    Box::new(main)
}

/// The nodes of a cluster that counts the words of these lines.
pub fn word_count_nodes(spec: &WordCountSpec, seed: u64, lines: &[Bytes]) -> Vec<(Role, Main)> {
    let config = cluster_config(spec, seed);
    let lines = Arc::new(partition_lines(lines, spec.parallelism));
    let plan = plan(spec, seed, &lines);
    let mut nodes = vec![
        (Role::Coordination, node(|host| run_coordination_node(host, PORT).boxed())),
        (Role::Blobs, node(|host| run_blob_node(host, PORT).boxed())),
        (Role::Log, node(|host| run_log_node(host, PORT).boxed())),
    ];
    for number in 1..=spec.job_managers {
        let config = config.clone();
        let main = node(move |host| run_job_manager_node(host, PORT, config.clone()).boxed());
        nodes.push((Role::JobManager(number), main));
    }
    for number in 1..=spec.task_executors {
        let config = config.clone();
        let main =
            node(move |host| run_task_executor_node(host, PORT, DATA_PORT, config.clone()).boxed());
        nodes.push((Role::TaskExecutor(number), main));
    }
    let (batch, writer) = (batch_size(spec, &lines), config.clone());
    let written = lines.clone();
    let main = node(move |host| {
        run_writer_node(host, writer.clone(), written.clone(), batch, WRITER_PAUSE).boxed()
    });
    nodes.push((Role::Writer, main));
    let main = node(move |host| run_client_node(host, config.clone(), plan.clone()).boxed());
    nodes.push((Role::Client(1), main));
    nodes
}

/// Lines written to each partition at once: what the scenario says, or more if a long text would else
/// outlast the faults.
fn batch_size(spec: &WordCountSpec, lines: &[Vec<Bytes>]) -> usize {
    let longest = lines.iter().map(Vec::len).max().unwrap_or(0);
    let pauses = WRITING_MAX.as_millis() / WRITER_PAUSE.as_millis();
    let for_time = longest.div_ceil(usize::try_from(pauses).expect("few pauses"));
    let each = u64::from(spec.lines_per_second) * WRITER_PAUSE.as_millis() as u64;
    let for_rate = each.div_ceil(1000 * u64::from(spec.parallelism));
    // The scenario's own lines come at the scenario's rate, however long that takes.
    let own = longest * lines.len() <= spec.lines as usize + lines.len();
    let for_rate = usize::try_from(for_rate).expect("few lines");
    if own { for_rate } else { for_rate.max(for_time) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{
        check::Milestone,
        explore::{RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::{Scenario, Subject},
    };
    use std::path::Path;

    fn scenario(workload: &str) -> Arc<Scenario> {
        let text = format!(
            "subject = \"word-count\"\ndescription = \"test\"\n[workload]\nlines = 1000\n{workload}"
        );
        Arc::new(Scenario::parse(&text, Path::new("scenarios/test.toml")).expect("it is sound"))
    }

    fn run(workload: &str) -> RunOutcome {
        let outcome = run_on_fresh_thread(&scenario(workload), &RunConfig::new(1));
        assert!(outcome.expected, "{}", outcome.verdict);
        outcome
    }

    fn times(outcome: &RunOutcome, milestone: Milestone) -> u64 {
        outcome.milestones.get(&milestone).copied().unwrap_or(0)
    }

    #[test]
    fn a_function_fails_in_so_many_attempts_and_no_process_ends() {
        for how in ["fail-at = 50", "panic-at = 50"] {
            let outcome = run(&format!("{how}\nfail-times = 3\nrestart-delay = \"100ms\""));
            assert_eq!(times(&outcome, Milestone::JobRestarting), 3, "{how}");
            assert_eq!(times(&outcome, Milestone::ProcessRestarted), 0, "{how}");
            assert_eq!(times(&outcome, Milestone::JobFinished), 1, "{how}");
        }
    }

    #[test]
    fn a_job_fails_for_good_when_its_functions_fail_once_too_often() {
        let outcome = run("fail-at = 5\nfail-times = 3\nrestarts = 2");
        assert_eq!(times(&outcome, Milestone::JobFinished), 0);
        let outcome = run("poisoned = 900\nrestarts = 2");
        assert_eq!(times(&outcome, Milestone::JobRestarting), 2);
        assert_eq!(times(&outcome, Milestone::JobFinished), 0);
        assert!(
            !outcome.output.describe().starts_with("0 words"),
            "what went before was committed"
        );
    }

    #[test]
    fn a_slow_subtask_holds_up_the_job() {
        let (plain, slow) = (run(""), run("slow-subtask = \"200ms\""));
        assert!(slow.simulated > plain.simulated + Duration::from_secs(10));
    }

    #[test]
    fn of_skewed_words_most_are_one_word() {
        let scenario = scenario("skew = \"90%\"");
        let Subject::WordCount(spec) = &scenario.subject else { unreachable!("it counts words") };
        let lines = word_count_lines(spec, 1, None);
        let share = lines.iter().filter(|line| line[..] == b"w0"[..]).count();
        assert!((870..=930).contains(&share), "{share} of 1000");
    }
}
