//! How often a plan fails.

use std::fmt;

/// Under how many schedules a plan fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Those under which it failed in the same way.
    pub failed: u64,
    /// Those that were tried.
    pub schedules: u64,
}

impl Rate {
    /// Whether it is no less than half of another.
    pub fn is_half_of(self, whole: Rate) -> bool {
        2 * self.failed * whole.schedules >= whole.failed * self.schedules
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} schedules", self.failed, self.schedules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_may_fail_half_as_often_and_no_less() {
        let rate = |failed| Rate { failed, schedules: 20 };
        assert!(rate(8).is_half_of(rate(16)));
        assert!(!rate(7).is_half_of(rate(16)));
        assert!(rate(20).is_half_of(rate(1)));
        assert!(rate(0).is_half_of(rate(0)));
    }
}
