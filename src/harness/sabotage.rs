//! Which check must catch which switch. The switches themselves live in `host`.

use crate::{harness::check::Verdict, host::Sabotage};

/// The verdicts that count as catching a switch: names of invariants, or `stuck`.
pub fn caught_by(switch: Sabotage) -> &'static [&'static str] {
    match switch {
        Sabotage::StaleTokenAccepted => &["L2"],
        Sabotage::StaleConfirmationAccepted => &["L4", "L3"],
        Sabotage::LostLeaseTreatedAsAlive => &["stuck", "L7"],
        Sabotage::JournalWrittenAfterRevoke => &["L3", "no-panic"],
        Sabotage::AtMostOnceWindowOff => &["R2"],
        Sabotage::JobAcknowledgedBeforeDurable => &["D1"],
        Sabotage::CompleteBeforeStored => &["C4", "X5"],
        Sabotage::UnreadableCheckpointSkipped => &["C3", "X4"],
        Sabotage::OldOfferRoundApplied => &["S4"],
        Sabotage::SlotHandedOutTwice => &["S1"],
        Sabotage::OldMasterDeploys => &["S3"],
        Sabotage::SinkCommitsAtBarrier => &["X5", "X4"],
        Sabotage::BarriersDontBlock => &["C7"],
        Sabotage::UntoldEndTakenForLoss => &["E6"],
        Sabotage::CancellationNotDurable => &["D7"],
        Sabotage::PendingPointerNotFenced => &["C1", "C2", "C3", "C5", "C8", "no-panic"],
    }
}

/// Whether a verdict comes from a check that is there for the switch.
pub fn is_caught_by(switch: Sabotage, verdict: &Verdict) -> bool {
    let check = match verdict {
        Verdict::Passed => return false,
        Verdict::Violated(invariant) => invariant.as_str(),
        Verdict::Stuck { .. } => verdict.name(),
    };
    caught_by(switch).contains(&check)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_is_caught_by_its_own_checks_alone() {
        let violated = |name: &str| Verdict::Violated(name.to_string());
        let stuck = Verdict::Stuck { waits_for: "a leader".to_string() };
        assert!(is_caught_by(Sabotage::StaleTokenAccepted, &violated("L2")));
        assert!(!is_caught_by(Sabotage::StaleTokenAccepted, &violated("L21")));
        assert!(!is_caught_by(Sabotage::StaleTokenAccepted, &stuck));
        assert!(is_caught_by(Sabotage::LostLeaseTreatedAsAlive, &stuck));
        assert!(!is_caught_by(Sabotage::LostLeaseTreatedAsAlive, &Verdict::Passed));
    }
}
