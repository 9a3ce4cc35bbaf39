//! Whether, and after how long, what failed starts again.

use crate::{host::Instant, system::graph::RestartStrategy};
use std::{collections::VecDeque, time::Duration};

/// How often the delay before a restart beyond the last one is doubled at most.
const DOUBLINGS_MAX: u32 = 5;

/// What a failure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    /// Whether the strategy lets the job start again.
    pub allowed: bool,
    /// How long to wait. Beyond its restarts a job only finishes, and need not hurry to fail again.
    pub delay: Duration,
    /// The job has not failed for so long before that what was before does not count.
    pub rested: bool,
}

/// A restart strategy, and what it knows of a term's failures.
#[derive(Debug)]
pub struct Restarts {
    strategy: RestartStrategy,
    /// The shortest delay beyond the last restart.
    retry_delay: Duration,
    /// Decides on jitter; whoever fails beside others has another one.
    seed: u64,
    failures: u32,
    /// In a row that no restart was allowed after.
    beyond: u32,
    /// The growing delay after the last failure, in milliseconds and before jitter.
    grown_ms: u64,
    /// When the delay after the last failure was over.
    restarted: Option<Instant>,
    /// The last failures, as many as a rate counts and one more.
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// No failure so far.
    pub fn new(strategy: RestartStrategy, retry_delay: Duration, seed: u64) -> Self {
        Restarts {
            strategy,
            retry_delay,
            seed,
            failures: 0,
            beyond: 0,
            grown_ms: 0,
            restarted: None,
            recent: VecDeque::new(),
        }
    }

    /// Failures in this term so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The job has failed.
    pub fn on_failure(&mut self, now: Instant) -> Restart {
        let since = self.restarted.map(|restarted| now.saturating_since(restarted));
        self.failures = self.failures.saturating_add(1);
        let mut rested = false;
        let (allowed, delay) = match self.strategy {
            RestartStrategy::None => (false, self.retry_delay),
            RestartStrategy::FixedDelay { attempts, delay_ms } => {
                (self.failures <= attempts, Duration::from_millis(delay_ms))
            }
            RestartStrategy::FailureRate { failures, interval_ms, delay_ms } => {
                let within =
                    self.failures_within(now, failures, Duration::from_millis(interval_ms));
                (within <= failures as usize, Duration::from_millis(delay_ms))
            }
            RestartStrategy::ExponentialDelay { reset_ms, .. } => {
                rested = since.is_some_and(|since| since >= Duration::from_millis(reset_ms));
                if rested {
                    self.grown_ms = 0;
                }
                (true, self.exponential_delay())
            }
        };
        self.beyond = if allowed { 0 } else { (self.beyond + 1).min(DOUBLINGS_MAX) };
        let delay = match self.beyond {
            0 => delay,
            beyond => delay.max(self.retry_delay) * 2_u32.pow(beyond),
        };
        self.restarted = Some(now + delay);
        Restart { allowed, delay, rested }
    }

    /// How many failures there were lately, this one included; no more than one beyond the most are counted.
    fn failures_within(&mut self, now: Instant, most: u32, interval: Duration) -> usize {
        self.recent.push_back(now);
        while self.recent.len() > most as usize + 1 {
            self.recent.pop_front();
        }
        let recent = self.recent.iter().filter(|at| now.saturating_since(**at) <= interval);
        recent.count()
    }

    /// The next delay: the first one, or the one before times the multiplier, and a millisecond more at least
    /// if it grows at all. With its jitter it is never more than the most.
    fn exponential_delay(&mut self) -> Duration {
        let RestartStrategy::ExponentialDelay {
            initial_ms,
            max_ms,
            multiplier_percent,
            jitter_percent,
            ..
        } = self.strategy
        else {
            unreachable!("asked of one that grows")
        };
        // No pause would be none, however often it grows.
        let (first, most) = (initial_ms.max(1), max_ms.max(1));
        let grown = match self.grown_ms {
            0 => first,
            last => grown(last, multiplier_percent),
        };
        self.grown_ms = grown.min(most);
        let span = percent(self.grown_ms, jitter_percent);
        let drawn = crate::host::mix(self.seed, self.failures.into());
        let jitter = if span == 0 { 0 } else { drawn % span.saturating_mul(2).saturating_add(1) };
        let jittered = self.grown_ms.saturating_add(jitter).saturating_sub(span);
        Duration::from_millis(jittered.min(most))
    }
}

fn percent(of: u64, percent: u32) -> u64 {
    u64::try_from(u128::from(of) * u128::from(percent) / 100).unwrap_or(u64::MAX)
}

fn grown(delay_ms: u64, multiplier_percent: u32) -> u64 {
    if multiplier_percent <= 100 {
        return delay_ms;
    }
    percent(delay_ms, multiplier_percent).max(delay_ms.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_millis(200);

    fn at(millis: u64) -> Instant {
        Instant::ORIGIN + Duration::from_millis(millis)
    }

    /// What failures at these milliseconds come to: the delay in milliseconds where a restart is allowed.
    fn delays(strategy: RestartStrategy, failures: &[u64]) -> Vec<Option<u64>> {
        let mut restarts = Restarts::new(strategy, RETRY, 7);
        let outcome = |millis: &u64| {
            let restart = restarts.on_failure(at(*millis));
            restart.allowed.then(|| u64::try_from(restart.delay.as_millis()).unwrap())
        };
        failures.iter().map(outcome).collect()
    }

    fn exponential(multiplier_percent: u32, jitter_percent: u32) -> RestartStrategy {
        RestartStrategy::ExponentialDelay {
            initial_ms: 500,
            max_ms: 30_000,
            reset_ms: 60_000,
            multiplier_percent,
            jitter_percent,
        }
    }

    #[test]
    fn none_and_a_fixed_number() {
        assert_eq!(delays(RestartStrategy::None, &[0, 1]), [None, None]);
        let fixed = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 70 };
        assert_eq!(delays(fixed, &[0, 90_000, 90_001]), [Some(70), Some(70), None]);
    }

    #[test]
    fn a_rate_counts_what_lies_within_its_interval() {
        let rate = RestartStrategy::FailureRate { failures: 2, interval_ms: 100, delay_ms: 5 };
        assert_eq!(delays(rate, &[0, 50, 101, 152]), [Some(5); 4], "never more than two of them");
        assert_eq!(delays(rate, &[0, 50, 100]), [Some(5), Some(5), None]);
        let after = delays(rate, &[0, 1, 2, 3, 4, 300]);
        assert_eq!(after[2..], [None, None, None, Some(5)], "a quiet while makes up for it");
    }

    #[test]
    fn a_delay_grows_to_its_most_and_begins_anew_after_a_rest() {
        let grown = delays(exponential(200, 0), &(0..9).collect::<Vec<_>>());
        let expected = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000];
        assert_eq!(grown, expected.map(Some));
        assert_eq!(delays(exponential(150, 0), &[0, 1, 2]), [500, 750, 1_125].map(Some));
        assert_eq!(delays(exponential(100, 0), &[0, 1, 2]), [500; 3].map(Some));
        assert_eq!(delays(exponential(101, 0), &[0, 1, 2]), [500, 505, 510].map(Some));
        // A rest begins when the delay is over.
        let rested = delays(exponential(200, 0), &[0, 60_499, 121_499, 121_500]);
        assert_eq!(rested, [500, 1_000, 500, 1_000].map(Some));
        let mut many = Restarts::new(exponential(200, 0), RETRY, 7);
        many.grown_ms = u64::MAX;
        assert_eq!(many.on_failure(at(1)).delay, Duration::from_secs(30));
    }

    #[test]
    fn the_shortest_delay_grows_too() {
        let shortest = |multiplier_percent| RestartStrategy::ExponentialDelay {
            initial_ms: 0,
            max_ms: 5,
            reset_ms: 60_000,
            multiplier_percent,
            jitter_percent: 0,
        };
        assert_eq!(delays(shortest(150), &[0; 6]), [1, 2, 3, 4, 5, 5].map(Some));
        assert_eq!(delays(shortest(100), &[0; 3]), [1; 3].map(Some));
    }

    #[test]
    fn a_delay_longer_than_the_rest_is_no_rest() {
        let slow = RestartStrategy::ExponentialDelay {
            initial_ms: 4_000,
            max_ms: 60_000,
            reset_ms: 1_000,
            multiplier_percent: 200,
            jitter_percent: 0,
        };
        // It fails again as soon as it has begun again.
        assert_eq!(delays(slow, &[0, 4_010, 12_020]), [4_000, 8_000, 16_000].map(Some));
        assert_eq!(delays(slow, &[0, 5_000]), [4_000, 4_000].map(Some));
    }

    #[test]
    fn jitter_keeps_to_its_part_and_differs_from_job_to_job() {
        let mut found = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let delay = Restarts::new(exponential(200, 10), RETRY, seed).on_failure(at(0)).delay;
            assert!((450..=550).contains(&delay.as_millis()), "{delay:?}");
            found.insert(delay);
        }
        assert!(found.len() > 50, "{}", found.len());
        let all = delays(exponential(200, 100), &(0..50).collect::<Vec<_>>());
        assert!(all.iter().all(|delay| delay.is_some_and(|delay| delay <= 30_000)));
    }

    #[test]
    fn beyond_the_last_restart_the_pause_doubles() {
        let mut restarts = Restarts::new(RestartStrategy::None, RETRY, 7);
        let delays: Vec<_> = (0..7).map(|n| restarts.on_failure(at(n)).delay).collect();
        let millis = [400, 800, 1_600, 3_200, 6_400, 6_400, 6_400].map(Duration::from_millis);
        assert_eq!(delays, millis);
    }
}
