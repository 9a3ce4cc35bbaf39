//! A job's last failures: those that repeat for the same reason are one, with their count.

use crate::{
    host::{Instant, millis},
    system::{protocol::JobFailure, reason::shortened},
};
use std::collections::VecDeque;

/// Failures that are remembered.
const FAILURES_MAX: usize = 8;

/// The last failures of one term, oldest first.
#[derive(Default)]
pub(super) struct Failures {
    recent: VecDeque<Failure>,
}

struct Failure {
    cause: String,
    times: u64,
    last: Instant,
}

impl Failures {
    /// Notes one, after a rest or not; returns how often the job has failed in a row for that reason.
    pub fn note(&mut self, now: Instant, cause: &str, rested: bool) -> u64 {
        let cause = shortened(cause);
        match self.recent.back_mut() {
            Some(last) if !rested && reason(&last.cause) == reason(cause) => {
                (last.times, last.last) = (last.times + 1, now);
            }
            _ => {
                if self.recent.len() == FAILURES_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back(Failure { cause: cause.to_string(), times: 1, last: now });
            }
        }
        self.recent.back().map_or(1, |last| last.times)
    }

    pub fn recent(&self, now: Instant) -> Vec<JobFailure> {
        let told = |failure: &Failure| JobFailure {
            cause: failure.cause.clone(),
            times: failure.times,
            age_ms: millis(now.saturating_since(failure.last)),
        };
        self.recent.iter().map(told).collect()
    }
}

/// A cause without the attempt that it befell.
fn reason(cause: &str) -> &str {
    cause.split_once(" failed: ").map_or(cause, |(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::reason::REASON_BYTES_MAX;

    #[test]
    fn what_repeats_is_one_failure_with_its_count_and_the_list_is_bounded() {
        let mut failures = Failures::default();
        assert_eq!(failures.note(Instant::ORIGIN, "sink-0@1 failed: the server is full", false), 1);
        assert_eq!(failures.note(Instant::ORIGIN, "sink-3@2 failed: the server is full", false), 2);
        assert_eq!(failures.note(Instant::ORIGIN, "source-0@3 failed: lost", false), 1);
        assert_eq!(failures.note(Instant::ORIGIN, "sink-3@4 failed: the server is full", false), 1);
        assert_eq!(failures.note(Instant::ORIGIN, "sink-3@5 failed: the server is full", false), 2);
        assert_eq!(
            failures.note(Instant::ORIGIN, "sink-3@6 failed: the server is full", true),
            1,
            "it ran for long"
        );
        let cause = "ä".repeat(REASON_BYTES_MAX);
        for n in 0..20 {
            assert_eq!(failures.note(Instant::ORIGIN, &format!("{n}{cause}"), false), 1);
        }
        let recent = failures.recent(Instant::ORIGIN);
        assert_eq!(recent.len(), FAILURES_MAX);
        assert!(recent.iter().all(|failure| failure.cause.len() <= REASON_BYTES_MAX));
        assert!(recent[FAILURES_MAX - 1].cause.starts_with("19"));
    }
}
