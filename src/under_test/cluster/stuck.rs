//! Why a run that does not converge may be no bug.

use super::{
    model::Model,
    nodes::{failures, least_to_write},
    settings::WordCountSpec,
};
use crate::{
    harness::system::StuckRun,
    system::{ids::JobId, protocol::JobStatus},
};
use std::time::Duration;

/// What is known of the job of a run, to explain why it is stuck.
pub struct JobOfRun {
    /// The drawn settings.
    pub spec: WordCountSpec,
    /// The plan seed.
    pub seed: u64,
    /// The job.
    pub job: JobId,
    /// The least latency of a link.
    pub latency: Duration,
}

impl JobOfRun {
    /// The reasons for which the run may be stuck without a bug; a line each.
    pub fn reasons(&self, model: &Model, stuck: &StuckRun) -> Vec<String> {
        let spec = &self.spec;
        let mut reasons = Vec::new();
        let (slots, parallelism) =
            (spec.task_executors.one() * spec.slots.one(), spec.parallelism.one());
        if slots < parallelism {
            reasons.push(format!(
                "no bug: the job needs {parallelism} slots, and the cluster has {slots}"
            ));
        }
        let failed = |status| status == JobStatus::Failed;
        if model.terminal_status(self.job).is_some_and(failed) {
            let restarts = spec.restarts.one();
            reasons
                .push(format!("maybe no bug: the job may restart {restarts} times (`restarts`)"));
        }
        let ran = stuck.ran;
        let seconds = |time: Duration| time.as_secs();
        let written = least_to_write(spec, self.latency);
        // An earlier goal does not wait for the end of the work.
        if stuck.goal == "job" && written >= ran {
            let written = seconds(written);
            let ran = seconds(ran);
            reasons.push(format!(
                "no bug: to write the input alone takes {written}s; the run had {ran}s"
            ));
        }
        let attempts = self.attempts();
        let handled = self.least_to_handle() * attempts;
        let waits = ["job", "checkpoint", "leftovers"].contains(&stuck.goal);
        if waits && handled >= ran {
            let (handled, ran) = (seconds(handled), seconds(ran));
            let times =
                if attempts > 1 { format!(" in {attempts} attempts") } else { String::new() };
            let sure = if attempts > 1 { "maybe no bug" } else { "no bug" };
            reasons.push(format!(
                "{sure}: to handle the words alone takes {handled}s{times}; the run had {ran}s"
            ));
        }
        reasons
    }

    /// How often the job begins, if no checkpoint is complete before its functions fail.
    fn attempts(&self) -> u32 {
        let fails = self.spec.fail_at.is_some() || self.spec.panic_at.is_some();
        if fails { 1 + self.spec.fail_times.one().min(self.spec.restarts.one()) } else { 1 }
    }

    /// What the busiest subtask needs at least for its share of the records.
    fn least_to_handle(&self) -> Duration {
        let spec = &self.spec;
        let lines = spec.lines.one() / spec.parallelism.one();
        let words = lines.saturating_mul(spec.line_words.one());
        let plain = spec.service_time.one();
        let slow = match failures(spec, self.seed).slow {
            Some(slow) if slow.counts => (plain + slow.by).saturating_mul(words),
            Some(slow) => (plain + slow.by).saturating_mul(lines),
            None => Duration::ZERO,
        };
        slow.max(plain.saturating_mul(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::language::{DurationRange, NumberRange, Settings};

    fn reasons(spec: WordCountSpec, goal: &'static str) -> Vec<String> {
        let stuck = StuckRun { goal, ran: Duration::from_secs(100) };
        let (job, latency) = (JobId(1), Duration::from_millis(1));
        let run = JobOfRun { spec: Settings::draw(&spec, 1), seed: 1, job, latency };
        run.reasons(&Model::default(), &stuck)
    }

    fn slow() -> WordCountSpec {
        WordCountSpec {
            parallelism: NumberRange::only(1),
            lines: NumberRange::only(1483),
            line_words: NumberRange::only(3),
            service_time: DurationRange::only(Duration::from_micros(1600)),
            slow_subtask: Some(DurationRange::only(Duration::from_micros(19_200))),
            fail_at: Some(NumberRange::only(700)),
            fail_times: NumberRange::only(3),
            ..WordCountSpec::default()
        }
    }

    #[test]
    fn more_work_than_time_is_told_of_a_slow_subtask_and_of_each_goal_that_waits_for_it() {
        for goal in ["job", "checkpoint"] {
            let told = reasons(slow(), goal).join(" ");
            assert!(
                told.contains("maybe no bug: to handle the words alone takes"),
                "{goal}: {told}"
            );
        }
        assert_eq!(reasons(slow(), "leaders"), Vec::<String>::new());
        let quick = WordCountSpec { slow_subtask: None, ..slow() };
        assert_eq!(reasons(quick, "job"), Vec::<String>::new());
    }
}
