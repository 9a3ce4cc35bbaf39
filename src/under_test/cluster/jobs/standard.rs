//! A job under test that has no settings of its own: one of a stranger's crate.

use super::{
    course::{Course, StateMemory, state_backend},
    job::{JobRun, JobSetup, JobUnderTest},
    workload::{Workload, checkpoints, committed_lines, restarts},
};
use crate::{
    harness::{
        language::{DurationRange, NumberRange, Share, maybe_time, number, part, time},
        system::Output,
    },
    jobs::{
        self, Job,
        common::{FailedAttempts, JobSettings, Topics},
    },
    system::{
        connector::{Input, LogSourceParameters},
        dataflow::{Program, ProgramError},
        graph::JobGraph,
        ids::JobId,
        protocol::JobStatus,
    },
    under_test::cluster::{
        invariants::{c17_state_follows_input::StateFollowsInput, x4_exactly_once::ExactlyOnce},
        model::Model,
    },
};
use bytes::Bytes;

crate::settings! {
    /// What a scenario says of a job that has no settings of its own.
    #[derive(Clone, Debug, PartialEq)]
    StandardSettings {
        job {
            "parallelism" parallelism: NumberRange = number(1, 128, 3).size(), "Subtasks of operators of which the program says nothing, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 1_000_000, 1_000).size(), "Lines in the input topic in the end.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120).size(), "Lines written to the input topic in a second at most: the links' latency comes on top.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "rescales" rescales: NumberRange = number(0, 16, 0).size(), "How often the job is stopped with a savepoint and goes on from it, each time at another parallelism, up to `parallelism`.";
            "rescale-after" rescale_after: DurationRange = time("0ms", "60m", "5s"), "From each submission to the stop.";
            "savepoint-every" savepoint_every: Option<DurationRange> = maybe_time("10ms", "60m"), "From savepoint to savepoint that its client takes while the job goes on; none when absent.";
            "state-in-memory" state_in_memory: Share = part("0%"), "How many of the runs keep all state in memory, and let it go into checkpoints with acknowledgements.";
            "state-on-disk" state_on_disk: Share = part("0%"), "How many of the others keep state by key on the disks of their task executors.";
            "state-memory" state_memory: NumberRange = number(16_384, 1_073_741_824, 65_536), "Bytes of memory for the state of each keyed operator of a subtask, where it is on disk.";
            "state-inline" state_inline: NumberRange = number(0, 1_000_000, 8_192), "Keys of each keyed operator of a subtask that go into a part of a checkpoint, where state is on the heap; of more it goes into files.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "cancel-after" cancel_after: Option<DurationRange> = maybe_time("0s", "60m"), "When the job is canceled, after its submission; never when absent.";
        }
    }
}

impl StandardSettings {
    fn workload(&self) -> Workload {
        Workload {
            partitions: self.parallelism.one(),
            added: 0,
            lines: self.lines.one(),
            lines_per_second: self.lines_per_second.one(),
        }
    }

    fn job_settings(&self) -> JobSettings {
        let checkpoints = checkpoints(self.checkpoint_interval, self.checkpoint_timeout);
        let restarts = restarts(self.restarts.one(), self.restart_delay.one(), None, None);
        let memory = StateMemory { on_disk: self.state_memory, inline: self.state_inline };
        let state_backend = state_backend(self.state_in_memory, self.state_on_disk, memory);
        JobSettings { parallelism: self.parallelism.one(), checkpoints, restarts, state_backend }
    }

    fn expected_status(&self) -> Vec<JobStatus> {
        match self.cancel_after {
            None => vec![JobStatus::Finished],
            // It may have finished before.
            Some(_) => vec![JobStatus::Canceled, JobStatus::Finished],
        }
    }
}

/// A job whose lines a writer appends to a topic, and a client that submits it.
pub struct StandardJob {
    job: Job,
    workload: jobs::Workload,
}

impl StandardJob {
    /// This job, with that workload.
    pub fn new(job: Job, workload: jobs::Workload) -> Self {
        StandardJob { job, workload }
    }

    fn graph(
        &self,
        settings: &JobSettings,
        id: JobId,
        source: LogSourceParameters,
        output: &str,
    ) -> JobGraph {
        let (input, more) = (Input::Log(source), serde_json::Map::new());
        described(self.job.graph(id, &input, output, &more, settings))
    }
}

impl JobUnderTest for StandardJob {
    type Settings = StandardSettings;

    fn name(&self) -> &str {
        self.job.name()
    }

    fn program(&self, _: &FailedAttempts) -> Program {
        self.job.program().clone()
    }

    fn after_draw(&self, settings: StandardSettings, seed: u64) -> StandardSettings {
        let state_in_memory = settings.state_in_memory.decided(seed, "state in memory");
        let state_on_disk = settings.state_on_disk.decided(seed, "state on disk");
        StandardSettings { state_in_memory, state_on_disk, ..settings }
    }

    fn uses_database(&self) -> bool {
        self.job.writes_to_database()
    }

    fn writes_files(&self) -> bool {
        self.job.writes_files()
    }

    /// A program may give operators another parallelism than the settings do.
    fn slots(&self, settings: &StandardSettings) -> NumberRange {
        let needed = |parallelism: u64| {
            let parallelism = u32::try_from(parallelism).expect("read as 128 at most");
            u64::from(described(self.job.required_slots(parallelism)))
        };
        let NumberRange { low, high } = settings.parallelism;
        NumberRange { low: needed(low), high: needed(high) }
    }

    fn check_input(&self, _: &StandardSettings, lines: &[Bytes]) -> Result<(), String> {
        let checked = (1..).zip(lines).map(|(number, line)| {
            self.job.check_line(line).map_err(|why| format!("line {number}: {why}"))
        });
        checked.collect::<Result<(), String>>()?;
        self.workload.check_text(lines)
    }

    fn setup(&self, settings: &StandardSettings, run: &JobRun<'_>) -> JobSetup {
        let name = self.job.name();
        let topics =
            Topics::numbered(&format!("{name}-input"), &format!("{name}-output"), run.number);
        let own = || self.workload.lines(run.seed, settings.lines.low);
        let lines = run.input.map_or_else(own, |input| input.to_vec());
        let cancel_after = settings.cancel_after.map(DurationRange::one);
        let workload = settings.workload();
        let course = Course {
            rescales: settings.rescales,
            after: settings.rescale_after,
            drain_after: None,
            savepoint_every: settings.savepoint_every,
            parallelism: settings.parallelism.one(),
        };
        let job_settings = settings.job_settings();
        let graph = |id, parallelism, source| {
            let settings = JobSettings { parallelism, ..job_settings };
            self.graph(&settings, id, source, &topics.output)
        };
        let (plan, nodes) = workload.begin(run, &topics, &lines, cancel_after, &course, graph);
        let (id, oracle) = (plan.job.id, self.workload.oracle(&lines));
        let output_topic = topics.output.clone();
        JobSetup {
            id,
            nodes,
            plan,
            besides: StateFollowsInput::of(id, &topics, &*oracle).into_iter().collect(),
            oracle: Box::new(ExactlyOnce::new(id, topics.clone(), oracle)),
            callers: 0..0,
            input_topic: topics.input,
            expected_status: settings.expected_status(),
            restarts: settings.restarts.one(),
            fails_on_purpose: false,
            checkpoint_timeout: settings.checkpoint_timeout.one(),
            output: Box::new(move |model| output(model, &output_topic)),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

/// What a program makes, which has described other jobs before ([`jobs::Jobs::check`]).
fn described<T>(made: Result<T, ProgramError>) -> T {
    made.unwrap_or_else(|error| panic!("the job can't be described: {error}"))
}

/// What stands in the output topic. In what order records come is another matter from schedule to schedule.
fn output(model: &Model, topic: &str) -> Output {
    let mut lines = committed_lines(model, topic);
    lines.sort_unstable();
    let summary = format!("{} records committed", lines.len());
    Output { end: vec![summary.clone()], summary, compared: None, lines }
}
