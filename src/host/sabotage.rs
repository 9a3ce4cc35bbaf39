//! The switches of known bugs. Each has one call site, at the line that prevents the bug.

use serde::{Deserialize, Serialize};

macro_rules! switches {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $published:literal;)+) => {
        /// A known bug that can be shown on purpose in simulation. At most one is on in a run.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Sabotage {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl Sabotage {
            /// Every switch.
            pub const ALL: &[Sabotage] = &[$(Sabotage::$name),+];

            /// The name used on the command line and in files.
            pub fn name(self) -> &'static str {
                match self { $(Sabotage::$name => $text),+ }
            }

            /// What the switch breaks, in one line.
            pub fn description(self) -> &'static str {
                match self { $(Sabotage::$name => concat!($($doc),+).trim_ascii()),+ }
            }

            /// The published bug of this shape, or `generic`.
            pub fn published(self) -> &'static str {
                match self { $(Sabotage::$name => $published),+ }
            }
        }
    };
}

switches! {
    /// A fenced endpoint handles a message that carries another session's token.
    StaleTokenAccepted = "stale-token-accepted", "FLINK-7504";
    /// A confirmation of an older session is published as the leader record.
    StaleConfirmationAccepted = "stale-confirmation-accepted", "FLINK-11524";
    /// A leader whose lease is lost goes on as if it still held it.
    LostLeaseTreatedAsAlive = "lost-lease-treated-as-alive", "FLINK-10052";
    /// The journal is written without comparing the writer's session.
    JournalWrittenAfterRevoke = "journal-written-after-revoke", "FLINK-9494";
    /// A repeated call is handed to its handler again.
    AtMostOnceWindowOff = "at-most-once-window-off", "generic";
    /// A dispatcher acknowledges a job before its graph is durable.
    JobAcknowledgedBeforeDurable = "job-acknowledged-before-durable", "generic";
    /// A checkpoint is confirmed to the tasks before its pointer is stored.
    CompleteBeforeStored = "complete-before-stored", "generic";
    /// A completed checkpoint that can't be read at the moment is skipped in recovery.
    UnreadableCheckpointSkipped = "unreadable-checkpoint-skipped", "FLINK-22502";
    /// The answer to an older round of slot offers is applied.
    OldOfferRoundApplied = "old-offer-round-applied", "FLINK-21859";
    /// A slot that is held is handed out again.
    SlotHandedOutTwice = "slot-handed-out-twice", "generic";
    /// A deployment is accepted from a job master that no longer leads.
    OldMasterDeploys = "old-master-deploys", "generic";
    /// What an executor no longer runs is taken for lost while the word of its end is on its way.
    UntoldEndTakenForLoss = "untold-end-taken-for-loss", "generic";
    /// A cancellation is acknowledged before it is durable.
    CancellationNotDurable = "cancellation-not-durable", "generic";
    /// A checkpoint whose pointer got no answer is given up without seeing to it that it never comes.
    PendingPointerNotFenced = "pending-pointer-not-fenced", "generic";
    /// The sink commits a transaction at the barrier, before the checkpoint is complete.
    SinkCommitsAtBarrier = "sink-commits-at-barrier", "generic";
    /// A channel that delivered its barrier is read on while others have not.
    BarriersDontBlock = "barriers-dont-block", "generic";
}
