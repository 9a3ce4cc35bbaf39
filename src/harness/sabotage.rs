//! Whether the check caught a known bug that is there for it.

use crate::{harness::check::Verdict, host::Sabotage};

/// Whether a verdict comes from a check that is there for the switch.
pub fn is_caught_by(switch: Sabotage, verdict: &Verdict) -> bool {
    let check = match verdict {
        Verdict::Passed => return false,
        Verdict::Violated(invariant) => invariant.as_str(),
        Verdict::Stuck { .. } => verdict.name(),
    };
    switch.caught_by().contains(&check)
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::sabotages! {
        /// A test's.
        STALE = "stale", "generic", ["L2"];
        /// Another.
        LOST = "lost", "generic", ["stuck", "L7"];
    }

    #[test]
    fn a_switch_is_caught_by_its_own_checks_alone() {
        let violated = |name: &str| Verdict::Violated(name.to_string());
        let stuck = Verdict::Stuck { waits_for: "a leader".to_string() };
        assert_eq!(ALL, [STALE, LOST]);
        assert!(is_caught_by(STALE, &violated("L2")));
        assert!(!is_caught_by(STALE, &violated("L21")));
        assert!(!is_caught_by(STALE, &stuck));
        assert!(is_caught_by(LOST, &stuck));
        assert!(!is_caught_by(LOST, &Verdict::Passed));
    }
}
