//! What a scenario says of a cluster that counts words.

use super::bounds::TimeBounds;
use crate::{
    harness::language::{
        self, DurationRange, Mistakes, NumberRange, Reader, Setting, Share, Writer, fixed,
        maybe_count, maybe_part, maybe_time, number, part, time,
    },
    host::Draws,
    system::protocol::JobStatus,
};

crate::settings! {
    /// A cluster that runs a word count; the coordination, blob and log servers, the writer of the
    /// input topic and the client that submits the job come on top.
    #[derive(Clone, Debug, PartialEq)]
    WordCountSpec {
        cluster {
            "job-managers" job_managers: NumberRange = number(1, 16, 3), "Job managers, of which one leads.";
            "task-executors" task_executors: NumberRange = number(1, 64, 4), "Task executors.";
            "slots" slots: NumberRange = number(1, 64, 2), "Slots of each task executor.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
            "heartbeat" heartbeat: DurationRange = time("10ms", "10m", "1s"), "From beat to beat; a peer is lost after five of them.";
        }
        workload {
            "parallelism" parallelism: NumberRange = number(1, 128, 4), "Subtasks of every operator, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 10_000_000, 2_000), "Lines in the input topic in the end.";
            "line-words" line_words: NumberRange = number(1, 1_000, 1), "Words in each line.";
            "words" words: NumberRange = number(1, 1_000_000, 100), "The words are drawn from so many.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120), "Lines written to the input topic in a second at most: the links' latency comes on top.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "concurrent-checkpoints" concurrent_checkpoints: NumberRange = number(1, 16, 1), "Checkpoints under way at once at most.";
            "retained-checkpoints" retained_checkpoints: NumberRange = number(1, 16, 1), "Completed checkpoints that are kept.";
            "service-time" service_time: DurationRange = time("0ms", "1m", "0ms"), "What handling one record takes.";
            "buffer-timeout" buffer_timeout: DurationRange = time("1ms", "1m", "100ms"), "How long a record may wait in a buffer.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "no-restarts" no_restarts: Share = part("0%"), "How many of the runs allow their job no restart, whatever `restarts` says.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "cancel-after" cancel_after: Option<DurationRange> = maybe_time("0s", "60m"), "When the job is canceled, after its submission; never when absent.";
            "fail-at" fail_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a subtask's function fails, counted in each attempt from its begin; never when absent.";
            "panic-at" panic_at: Option<NumberRange> = maybe_count(10_000_000), "The same by a panic.";
            "fail-times" fail_times: NumberRange = number(1, 1_000_000, 1), "How many of the job's attempts fail in these ways.";
            "poisoned" poisoned: Option<NumberRange> = maybe_count(10_000_000), "The line, counted over the whole input, that no attempt can handle, so that the job fails for good.";
            "slow-subtask" slow_subtask: Option<DurationRange> = maybe_time("0ms", "1m"), "What each record takes more in one subtask, of those that split or those that count; both are drawn.";
            "skew" skew: Option<Share> = maybe_part(), "The share of all words that is one word.";
        }
        meanwhile {
            "checkpoint" checkpoint: DurationRange = fixed("0s", "60m", "2s"), "What a checkpoint may take beyond its time-out.";
            "failover" failover: DurationRange = fixed("3s", "60m", "4s"), "How long a checkpoint may keep a job waiting that restarts or ends.";
            "cancellation" cancellation: DurationRange = fixed("0s", "60m", "15s"), "From the acknowledgement of a cancellation to the job's result, under leaders that stay.";
        }
    }
}

/// The settings of a cluster that counts words: those declared, of which the draw of one depends on another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(pub WordCountSpec);

impl language::Settings for Settings {
    fn declared() -> Vec<Setting> {
        WordCountSpec::declared()
    }

    fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Self {
        Settings(WordCountSpec::read(file, mistakes))
    }

    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }

    fn draw(&self, seed: u64) -> Self {
        let mut spec = self.0.draw(seed);
        let mut draws = Draws::new(seed, "swarm restarts", [0, 0]);
        let share = u32::try_from(self.0.no_restarts.draw(&mut draws)).unwrap_or(0);
        if draws.chance(share) {
            spec.restarts = NumberRange::only(0);
        }
        // It is decided, also for who draws from a drawn scenario.
        spec.no_restarts = Share::only(0);
        Settings(spec)
    }
}

impl WordCountSpec {
    /// That the poisoned line may lie beyond the input, if it may.
    pub fn poisoned_beyond(&self) -> Option<String> {
        let (poisoned, lines) = (self.poisoned?, self.lines);
        (poisoned.high > lines.low).then(|| {
            let may = if lines.low < lines.high { "a seed may draw only" } else { "the input has" };
            format!(
                "`workload.poisoned`: there is no line {}; {may} {} lines",
                poisoned.high, lines.low
            )
        })
    }

    /// The ends that the job may come to, of drawn settings.
    pub fn expected_status(&self) -> &'static [JobStatus] {
        let fails = self.fail_at.is_some() || self.panic_at.is_some();
        let may_fail = fails && self.fail_times.one() > self.restarts.one();
        match (self.poisoned.is_some(), may_fail, self.cancel_after.is_some()) {
            (true, _, false) => &[JobStatus::Failed],
            (true, _, true) => &[JobStatus::Canceled, JobStatus::Failed],
            (false, false, false) => &[JobStatus::Finished],
            // It may have finished before it was canceled.
            (false, false, true) => &[JobStatus::Canceled, JobStatus::Finished],
            // An attempt that goes on near the end meets too few lines to fail.
            (false, true, false) => &[JobStatus::Failed, JobStatus::Finished],
            (false, true, true) => &[JobStatus::Canceled, JobStatus::Failed, JobStatus::Finished],
        }
    }

    /// The bounds that invariants check by, of drawn settings.
    pub fn time_bounds(&self) -> TimeBounds {
        TimeBounds {
            checkpoint_timeout: self.checkpoint_timeout.one(),
            session_timeout: self.session_timeout.one(),
            checkpoint: self.checkpoint.one(),
            failover: self.failover.one(),
            cancellation: self.cancellation.one(),
        }
    }
}
