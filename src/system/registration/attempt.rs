//! What a registration tries next, and after how long: decided apart from the calls themselves.

use super::config::RegistrationConfig;
use std::time::Duration;

/// What the last step came to, if it was not the last of all: the leader accepts it, or rejects it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a way to the leader.
    Connected,
    /// There is none, or it is gone.
    Failed,
    /// A call got no answer in time.
    TimedOut,
    /// The leader says: not now.
    Refused,
    /// The pause is over.
    Waited,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Find a way to the leader.
    Connect,
    /// Ask it, and wait for the answer for so long.
    Call(Duration),
    /// Pause.
    Wait(Duration),
}

/// One registration, one step at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    config: RegistrationConfig,
    timeout: Duration,
    connected: bool,
    /// Calls so far.
    tries: u32,
}

impl Registration {
    /// Nothing is tried yet; the first step is to connect.
    pub fn new(config: RegistrationConfig) -> Self {
        Registration { timeout: config.timeout, config, connected: false, tries: 0 }
    }

    /// Calls so far.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// What follows. A time-out is tried again at once and given twice the time; a refusal has a pause and
    /// begins anew with the shortest time; without a way to the leader one is looked for after a pause.
    pub fn on(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Connected => self.connected = true,
            Outcome::Failed => {
                self.connected = false;
                return Step::Wait(self.config.error_delay);
            }
            Outcome::Refused => {
                self.timeout = self.config.timeout;
                return Step::Wait(self.config.refused_delay);
            }
            Outcome::TimedOut => {
                self.timeout = (self.timeout * 2).min(self.config.timeout_max);
            }
            Outcome::Waited => {}
        }
        if !self.connected {
            return Step::Connect;
        }
        self.tries = self.tries.saturating_add(1);
        Step::Call(self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcomes that a step can have.
    fn outcomes(of: Step) -> &'static [Outcome] {
        match of {
            Step::Connect => &[Outcome::Connected, Outcome::Failed],
            Step::Call(_) => &[Outcome::Refused, Outcome::TimedOut, Outcome::Failed],
            Step::Wait(_) => &[Outcome::Waited],
        }
    }

    type Course = [(Step, Outcome)];

    /// Follows every course of a registration to a depth, and tells of each.
    fn all_courses(
        registration: &Registration,
        course: &mut Vec<(Step, Outcome)>,
        step: Step,
        depth: usize,
        see: &mut dyn FnMut(&Course, Step),
    ) {
        see(course, step);
        if depth == 0 {
            return;
        }
        for outcome in outcomes(step) {
            let mut registration = registration.clone();
            let next = registration.on(*outcome);
            course.push((step, *outcome));
            all_courses(&registration, course, next, depth - 1, see);
            course.pop();
        }
    }

    #[test]
    fn every_course_keeps_to_its_pauses_and_times() {
        let config = RegistrationConfig {
            timeout: Duration::from_millis(100),
            timeout_max: Duration::from_millis(350),
            error_delay: Duration::from_millis(11),
            refused_delay: Duration::from_millis(22),
        };
        let mut seen = 0;
        let mut see = |course: &Course, next: Step| {
            seen += 1;
            let Some((last, outcome)) = course.last() else { return };
            let expected = match (last, outcome) {
                (_, Outcome::Failed) => Some(Step::Wait(config.error_delay)),
                (_, Outcome::Refused) => Some(Step::Wait(config.refused_delay)),
                (Step::Call(before), Outcome::TimedOut) => {
                    Some(Step::Call((*before * 2).min(config.timeout_max)))
                }
                _ => None,
            };
            assert!(expected.is_none_or(|expected| expected == next), "{course:?}: {next:?}");
            // After a refusal the time is the shortest again, and the way is still there.
            let refused = course.len() >= 2 && course[course.len() - 2].1 == Outcome::Refused;
            assert!(!refused || next == Step::Call(config.timeout), "{course:?}: {next:?}");
            let failed = course.len() >= 2 && course[course.len() - 2].1 == Outcome::Failed;
            assert!(!failed || next == Step::Connect, "{course:?}: {next:?}");
        };
        all_courses(&Registration::new(config), &mut Vec::new(), Step::Connect, 11, &mut see);
        assert!(seen > 2_000, "{seen} steps were seen");
    }

    #[test]
    fn only_calls_are_tries() {
        let mut registration = Registration::new(RegistrationConfig::default());
        for outcome in [Outcome::Failed, Outcome::Waited, Outcome::Failed, Outcome::Waited] {
            registration.on(outcome);
        }
        assert_eq!(registration.tries(), 0);
        registration.on(Outcome::Connected);
        registration.on(Outcome::TimedOut);
        assert_eq!(registration.tries(), 2);
    }
}
