//! Which check must catch which switch. The switches themselves live in `host`.

use crate::host::Sabotage;

/// The verdicts that count as catching a switch: names of invariants, or `stuck`.
pub fn caught_by(switch: Sabotage) -> &'static [&'static str] {
    match switch {
        Sabotage::StaleTokenAccepted => &["L2"],
        Sabotage::StaleConfirmationAccepted => &["L4", "L3"],
        Sabotage::LostLeaseTreatedAsAlive => &["stuck"],
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
    }
}
