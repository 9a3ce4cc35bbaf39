//! A job's last failures: those that repeat for the same reason are one, with their count.

use crate::{
    host::Instant,
    system::{graph::RestartStrategy, protocol::JobFailure},
};
use std::{collections::VecDeque, time::Duration};

/// Failures that are remembered.
const FAILURES_MAX: usize = 8;
/// Of a cause, bytes that are remembered.
const CAUSE_BYTES_MAX: usize = 1024;

/// The last failures of one term, oldest first.
#[derive(Default)]
pub(super) struct Failures {
    recent: VecDeque<JobFailure>,
    last: Option<Instant>,
    /// Failures for whatever reason since the job ran quietly for long.
    unrested: u64,
}

impl Failures {
    /// Notes one; returns how often the job has failed in a row for that reason.
    pub fn note(&mut self, cause: &str, now: Instant, restarts: RestartStrategy) -> u64 {
        let rested = match restarts {
            RestartStrategy::ExponentialDelay { reset_ms, .. } => {
                let reset = Duration::from_millis(reset_ms);
                self.last.is_some_and(|last| now.saturating_since(last) > reset)
            }
            RestartStrategy::FixedDelay { .. } | RestartStrategy::None => false,
        };
        self.last = Some(now);
        self.unrested = if rested { 1 } else { self.unrested.saturating_add(1) };
        let cause = shortened(cause);
        match self.recent.back_mut() {
            Some(last) if !rested && reason(&last.cause) == reason(cause) => last.times += 1,
            _ => {
                if self.recent.len() == FAILURES_MAX {
                    self.recent.pop_front();
                }
                self.recent.push_back(JobFailure { cause: cause.to_string(), times: 1 });
            }
        }
        self.recent.back().map_or(1, |last| last.times)
    }

    /// How often the job has failed, for whatever reason, since it ran quietly for its strategy's
    /// `reset_ms`: two causes in turn are no reason to hurry.
    pub fn unrested(&self) -> u64 {
        self.unrested
    }

    pub fn recent(&self) -> Vec<JobFailure> {
        self.recent.iter().cloned().collect()
    }
}

/// A cause without the attempt that it befell.
fn reason(cause: &str) -> &str {
    cause.split_once(" failed: ").map_or(cause, |(_, reason)| reason)
}

fn shortened(cause: &str) -> &str {
    let end = (0..=CAUSE_BYTES_MAX.min(cause.len())).rev().find(|end| cause.is_char_boundary(*end));
    &cause[..end.unwrap_or(0)]
}

/// The pause before a job starts again that has failed so many times without a rest.
pub(super) fn delay(initial_ms: u64, max_ms: u64, times: u64) -> Duration {
    let doubled = u32::try_from(times.saturating_sub(1)).unwrap_or(u32::MAX);
    let factor = 2_u64.checked_pow(doubled).unwrap_or(u64::MAX);
    // No pause would be none, however often it is doubled.
    Duration::from_millis(initial_ms.max(1).saturating_mul(factor).min(max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, run_two};

    const BACK_OFF: RestartStrategy =
        RestartStrategy::ExponentialDelay { initial_ms: 500, max_ms: 30_000, reset_ms: 60_000 };

    #[test]
    fn what_repeats_is_one_failure_with_its_count_and_the_list_is_bounded() {
        run_two(
            |_| std::future::pending(),
            async |host: Host| {
                let (mut failures, now) = (Failures::default(), host.now());
                let mut note = |cause: &str, seconds| {
                    let times = failures.note(cause, now + Duration::from_secs(seconds), BACK_OFF);
                    (times, failures.unrested())
                };
                // The pause goes by all failures, the list by those of one reason.
                assert_eq!(note("sink-0@1 failed: the server is full", 0), (1, 1));
                assert_eq!(note("sink-3@2 failed: the server is full", 1), (2, 2));
                assert_eq!(note("source-0@3 failed: lost", 2), (1, 3));
                assert_eq!(note("sink-3@4 failed: the server is full", 3), (1, 4));
                assert_eq!(note("sink-3@5 failed: the server is full", 4), (2, 5));
                let rested = note("sink-3@6 failed: the server is full", 70);
                assert_eq!(rested, (1, 1), "it ran for long");
                let cause = "ä".repeat(CAUSE_BYTES_MAX);
                for n in 0..20 {
                    assert_eq!(note(&format!("{n}{cause}"), 71), (1, 2 + n));
                }
                let recent = failures.recent();
                assert_eq!(recent.len(), FAILURES_MAX);
                assert!(recent.iter().all(|failure| failure.cause.len() <= CAUSE_BYTES_MAX));
                assert!(recent[FAILURES_MAX - 1].cause.starts_with("19"));
            },
        );
    }

    #[test]
    fn a_repeated_failure_backs_off_to_a_bound() {
        let delays = [1, 2, 3, 6, 7, 8, 100, u64::MAX].map(|times| delay(500, 30_000, times));
        let millis = [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000, 30_000];
        assert_eq!(delays, millis.map(Duration::from_millis));
        assert!(delay(0, 10, 5) > Duration::ZERO);
    }
}
