//! Pipelines under test: a job of as many regions as it has subtasks side by side.

use super::{
    course::Course,
    job::{JobRun, JobSetup, JobUnderTest},
    workload::{Workload, committed_lines, failing, restarts},
};
use crate::{
    harness::{
        language::{DurationRange, NumberRange, maybe_count, maybe_time, number, time},
        system::Output,
    },
    host::millis,
    jobs::{
        common::{FailedAttempts, JobSettings, TEXT_BYTES_MAX},
        pipelines::{Oracle, pipelines, program, topics},
    },
    system::{
        connector::{Input, LogSourceParameters},
        dataflow::Program,
        graph::{CheckpointSettings, JobGraph},
        ids::JobId,
        protocol::JobStatus,
    },
    under_test::cluster::{
        invariants::x4_exactly_once::ExactlyOnce, lines::check_lines, model::Model,
    },
};
use bytes::Bytes;

crate::settings! {
    /// What a scenario says of pipelines.
    #[derive(Clone, Debug, PartialEq)]
    PipelinesSettings {
        job {
            "parallelism" parallelism: NumberRange = number(1, 128, 3).size(), "Pipelines, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 10_000_000, 1_500).size(), "Lines in the input topic in the end.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120).size(), "Lines written to the input topic in a second at most: the links' latency comes on top.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "checkpoint-min-pause" checkpoint_min_pause: DurationRange = time("0s", "60m", "0s"), "The least time from the end of a checkpoint to the next.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "restart-delay-max" restart_delay_max: Option<DurationRange> = maybe_time("1ms", "10m"), "The delay before a restart grows to this, twice as long each time, and the job starts again however often; when absent it stays what it is.";
            "failure-rate-interval" failure_rate_interval: Option<DurationRange> = maybe_time("1ms", "60m"), "The job fails for good only when there are more than `restarts` failures within this time.";
            "cancel-after" cancel_after: Option<DurationRange> = maybe_time("0s", "60m"), "When the job is canceled, after its submission; never when absent.";
            "fail-at" fail_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a pipeline's function fails, counted in each attempt from its begin; never when absent.";
            "fail-times" fail_times: NumberRange = number(1, 1_000_000, 1), "How many attempts fail in this way, each of one pipeline.";
        }
    }
}

impl PipelinesSettings {
    fn workload(&self) -> Workload {
        Workload {
            partitions: self.parallelism.one(),
            added: 0,
            lines: self.lines.one(),
            lines_per_second: self.lines_per_second.one(),
        }
    }

    fn expected_status(&self) -> &'static [JobStatus] {
        let bounded = self.restart_delay_max.is_none() || self.failure_rate_interval.is_some();
        let fails = self.fail_at.is_some() && self.fail_times.one() > self.restarts.one();
        let may_fail = fails && bounded;
        match (may_fail, self.cancel_after.is_some()) {
            (false, false) => &[JobStatus::Finished],
            (false, true) => &[JobStatus::Canceled, JobStatus::Finished],
            (true, false) => &[JobStatus::Failed, JobStatus::Finished],
            (true, true) => &[JobStatus::Canceled, JobStatus::Failed, JobStatus::Finished],
        }
    }
}

/// Pipelines: lines that a writer appends to a topic, and a client that submits the job.
pub struct Pipelines;

impl JobUnderTest for Pipelines {
    type Settings = PipelinesSettings;

    fn name(&self) -> &str {
        "pipelines"
    }

    fn program(&self, failed: &FailedAttempts) -> Program {
        program(failed)
    }

    fn slots(&self, settings: &PipelinesSettings) -> NumberRange {
        settings.parallelism
    }

    fn check_input(&self, _: &PipelinesSettings, lines: &[Bytes]) -> Result<(), String> {
        check_lines(lines, TEXT_BYTES_MAX)
    }

    fn setup(&self, settings: &PipelinesSettings, run: &JobRun<'_>) -> JobSetup {
        let (topics, workload) = (topics(run.number), settings.workload());
        let own = || (0..settings.lines.one()).map(|n: u32| Bytes::from(format!("line {n}")));
        let lines = run.input.map_or_else(|| own().collect(), |input| input.to_vec());
        let cancel_after = settings.cancel_after.map(DurationRange::one);
        let course = Course::without_stops(settings.parallelism.one());
        let (plan, nodes) =
            workload.begin(run, &topics, &lines, cancel_after, &course, |id, _, source| {
                graph(settings, id, source, &topics.output)
            });
        let id = plan.job.id;
        let output_topic = topics.output.clone();
        JobSetup {
            id,
            nodes,
            plan,
            oracle: Box::new(ExactlyOnce::new(id, topics.clone(), Box::<Oracle>::default())),
            besides: Vec::new(),
            callers: 0..0,
            input_topic: topics.input,
            expected_status: settings.expected_status().to_vec(),
            restarts: settings.restarts.one(),
            fails_on_purpose: settings.fail_at.is_some(),
            checkpoint_timeout: settings.checkpoint_timeout.one(),
            output: Box::new(move |model| output(model, &output_topic)),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

fn graph(
    settings: &PipelinesSettings,
    id: JobId,
    source: LogSourceParameters,
    output: &str,
) -> JobGraph {
    let checkpoints = CheckpointSettings {
        interval_ms: millis(settings.checkpoint_interval.one()),
        timeout_ms: millis(settings.checkpoint_timeout.one()),
        min_pause_ms: millis(settings.checkpoint_min_pause.one()),
        ..CheckpointSettings::default()
    };
    let restarts = restarts(
        settings.restarts.one(),
        settings.restart_delay.one(),
        settings.failure_rate_interval.map(DurationRange::one),
        settings.restart_delay_max.map(DurationRange::one),
    );
    let failures = failing(settings.fail_at, settings.fail_times.one());
    let settings = JobSettings {
        parallelism: settings.parallelism.one(),
        checkpoints,
        restarts,
        ..JobSettings::default()
    };
    let job = pipelines(id, Input::Log(source), output, &settings, failures);
    job.expect("the scenario's parallelism is within bounds")
}

/// What stands in the output topic.
fn output(model: &Model, topic: &str) -> Output {
    let lines = committed_lines(model, topic);
    let summary = format!("{} records numbered", lines.len());
    Output { end: vec![summary.clone()], summary, compared: None, lines }
}
