//! The promises, one file each, with a history that each accepts and one that it refuses.

pub mod blob_durable;
pub mod c10_old_failures_dont_count;
pub mod c11_final_checkpoint_finishes;
pub mod c12_checkpoint_ends_in_time;
pub mod c1_ids_grow;
pub mod c2_complete_means_all;
pub mod c3_newest_is_restored;
pub mod c4_visible_after_stored;
pub mod c5_retained_is_whole;
pub mod c7_consistent_cut;
pub mod c8_one_outcome;
mod channels;
mod clocks;
pub mod coordination_durable;
pub mod d1_acknowledged_job_kept;
pub mod d2_terminal_is_final;
pub mod d3_one_valid_master;
pub mod d4_cleanup_in_order;
pub mod d5_no_cleanup_without_end;
pub mod d6_acknowledged_job_is_known;
pub mod d7_canceled_ends_canceled;
pub mod d8_cleaned_stays_clean;
pub mod d9_cancellation_ends_in_time;
pub mod e1_one_attempt;
pub mod e2_no_zombie;
pub mod e3_old_attempts_are_ignored;
pub mod e6_finished_is_not_failed;
pub mod h1_loss_once;
pub mod h3_loss_names_what_stands;
pub mod h4_only_its_own_leader;
pub mod journal_exact;
pub mod k1_client_is_served;
pub mod l1_grants_alternate;
pub mod l2_fenced_mailbox;
pub mod l3_no_stale_write;
pub mod l4_record_is_confirmed;
pub mod l5_silent_after_stop;
pub mod l6_terms_in_sequence;
pub mod l7_lease_is_not_outbelieved;
pub mod l8_follower_without_contact_is_told;
pub mod log_durable;
pub mod no_panic;
pub mod r1_serial_handlers;
pub mod r2_at_most_once;
pub mod r3_only_while_running;
pub mod r4_asks_end_once;
pub mod s1_slot_held_once;
pub mod s3_deploys_into_held_slot;
pub mod s4_no_old_round;
pub mod s6_no_old_report;
pub mod s7_no_busy_loop;
mod stored;
#[cfg(test)]
mod testing_jobs;
mod unannounced;
pub mod x1_channel_fifo;
pub mod x2_bounded_channel;
pub mod x4_exactly_once;
pub mod x5_transactions_follow_checkpoints;

use super::{
    bounds::TimeBounds,
    history::{EventKind, EventRef, Moment},
    model::Model,
};
use std::{fmt, time::Duration};

/// What an invariant makes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The event does not concern it.
    Ignored,
    /// The event concerns it, and it holds.
    Held,
    /// It is broken: these two events are in conflict.
    Broken {
        /// The earlier event, or what was promised.
        before: String,
        /// The event that breaks it.
        now: String,
    },
}

impl Check {
    /// Broken, with the two events in conflict.
    pub fn broken(before: impl Into<String>, now: impl Into<String>) -> Self {
        Check::Broken { before: before.into(), now: now.into() }
    }

    /// The first of two that is broken; held when any of them is.
    pub fn and(self, other: Check) -> Check {
        match (self, other) {
            (broken @ Check::Broken { .. }, _) | (_, broken @ Check::Broken { .. }) => broken,
            (Check::Ignored, Check::Ignored) => Check::Ignored,
            _ => Check::Held,
        }
    }

    /// Held if it is so, else broken with the two events in conflict.
    pub fn that(holds: bool, conflict: impl FnOnce() -> (String, String)) -> Check {
        match holds {
            true => Check::Held,
            false => {
                let (before, now) = conflict();
                Check::Broken { before, now }
            }
        }
    }
}

/// A promise that is judged at every event.
pub trait Invariant: Send {
    /// Its code and its name, such as `L3 no-stale-write`; a name alone where there is no code.
    fn title(&self) -> &'static str;
    /// The first word of the title, by which scenarios name it: `L3`.
    fn name(&self) -> &'static str {
        self.title().split(' ').next().expect("a text has a first part")
    }
    /// What is promised, in a line.
    fn promise(&self) -> &'static str;
    /// The kinds of events that it looks at; it is spared the others.
    fn event_kinds(&self) -> &'static [EventKind];
    /// Judges an event; `model` is the state before it.
    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check;
    /// Judges the whole run at its end.
    fn finish(&mut self, at: Duration) -> Check {
        let _ = at;
        Check::Ignored
    }
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// Its code and its name.
    pub title: &'static str,
    /// What it promises.
    pub promise: &'static str,
    /// When and where.
    pub at: Moment,
    /// The earlier event, or what was promised.
    pub before: String,
    /// The event that broke it.
    pub now: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3}s: {}", self.title, self.at.time.as_secs_f64(), self.promise)
    }
}

/// The invariants of the ground floor, by bounds. A component under test adds its own oracle.
pub fn all(bounds: TimeBounds) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(l1_grants_alternate::GrantsAlternate::default()),
        Box::new(l2_fenced_mailbox::FencedMailbox::default()),
        Box::new(l3_no_stale_write::NoStaleWrite),
        Box::new(l4_record_is_confirmed::RecordIsConfirmed::default()),
        Box::new(l5_silent_after_stop::SilentAfterStop::default()),
        Box::new(l6_terms_in_sequence::TermsInSequence::default()),
        Box::new(l7_lease_is_not_outbelieved::LeaseIsNotOutbelieved::default()),
        Box::new(l8_follower_without_contact_is_told::FollowerWithoutContactIsTold::new(bounds)),
        Box::new(r1_serial_handlers::SerialHandlers::default()),
        Box::new(r2_at_most_once::AtMostOnce::default()),
        Box::new(r3_only_while_running::OnlyWhileRunning::default()),
        Box::new(r4_asks_end_once::AsksEndOnce::default()),
        Box::new(coordination_durable::CoordinationDurable::default()),
        Box::new(no_panic::NoPanic),
    ]
}

/// The invariants of a cluster that runs jobs, by bounds.
pub fn of_jobs(bounds: TimeBounds) -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(blob_durable::BlobDurable::default()),
        Box::new(c1_ids_grow::IdsGrow::default()),
        Box::new(c10_old_failures_dont_count::OldFailuresDontCount::default()),
        Box::new(c11_final_checkpoint_finishes::FinalCheckpointFinishes::default()),
        Box::new(c12_checkpoint_ends_in_time::CheckpointEndsInTime::new(bounds)),
        Box::new(c2_complete_means_all::CompleteMeansAll::default()),
        Box::new(c3_newest_is_restored::NewestIsRestored::default()),
        Box::new(c4_visible_after_stored::VisibleAfterStored::default()),
        Box::new(c5_retained_is_whole::RetainedIsWhole::default()),
        Box::new(c7_consistent_cut::ConsistentCut::default()),
        Box::new(c8_one_outcome::OneOutcome::default()),
        Box::new(d1_acknowledged_job_kept::AcknowledgedJobKept::default()),
        Box::new(d2_terminal_is_final::TerminalIsFinal),
        Box::new(d3_one_valid_master::OneValidMaster::default()),
        Box::new(d4_cleanup_in_order::CleanupInOrder::default()),
        Box::new(d5_no_cleanup_without_end::NoCleanupWithoutEnd),
        Box::new(d6_acknowledged_job_is_known::AcknowledgedJobIsKnown::default()),
        Box::new(d7_canceled_ends_canceled::CanceledEndsCanceled::default()),
        Box::new(d8_cleaned_stays_clean::CleanedStaysClean::default()),
        Box::new(d9_cancellation_ends_in_time::CancellationEndsInTime::new(bounds)),
        Box::new(e1_one_attempt::OneAttempt::default()),
        Box::new(e2_no_zombie::NoZombie::default()),
        Box::new(e3_old_attempts_are_ignored::OldAttemptsAreIgnored::default()),
        Box::new(e6_finished_is_not_failed::FinishedIsNotFailed::default()),
        Box::new(h1_loss_once::LossOnce::default()),
        Box::new(h3_loss_names_what_stands::LossNamesWhatStands::default()),
        Box::new(h4_only_its_own_leader::OnlyItsOwnLeader),
        Box::new(k1_client_is_served::ClientIsServed),
        Box::new(log_durable::LogDurable::default()),
        Box::new(s1_slot_held_once::SlotHeldOnce::default()),
        Box::new(s3_deploys_into_held_slot::DeploysIntoHeldSlot::default()),
        Box::new(s4_no_old_round::NoOldRound::default()),
        Box::new(s6_no_old_report::NoOldReport::default()),
        Box::new(s7_no_busy_loop::NoBusyLoop::default()),
        Box::new(x1_channel_fifo::ChannelFifo::default()),
        Box::new(x2_bounded_channel::BoundedChannel::default()),
        Box::new(x5_transactions_follow_checkpoints::TransactionsFollowCheckpoints::default()),
    ]
}

#[cfg(test)]
pub(super) mod testing {
    //! Synthetic histories for the invariants' own tests.

    use super::*;
    use crate::host::{Event, sim::NodeId};

    pub use crate::{
        host::{Kind, sim::Hardware},
        jobs::journal,
        system::{event::RpcEvent, leadership::*, rpc::*, service::coordination::*},
    };

    pub const KIND: Kind = Kind::new("Test.call");

    /// A process of a node; nodes count from 0.
    pub fn process(node: usize, incarnation: u64) -> (NodeId, u64) {
        (NodeId::for_tests(node), incarnation)
    }

    pub fn term(number: u128) -> LeaderSessionId {
        LeaderSessionId(number << 96)
    }

    pub fn leader(number: u128) -> LeaderInformation {
        let address = "rpc://journal-1:1/journal".parse().expect("an address");
        LeaderInformation { session: term(number), address }
    }

    pub fn component() -> String {
        journal::COMPONENT.to_string()
    }

    pub fn put(key: String, value: Vec<u8>) -> Change {
        Change::Put { key, value, lease: None }
    }

    pub fn latch(number: u128) -> Change {
        put(latch_key(journal::COMPONENT), term(number).to_bytes())
    }

    pub fn record(number: u128) -> Change {
        let value = postcard::to_allocvec(&leader(number)).expect("it can be encoded");
        put(leader_key(journal::COMPONENT), value)
    }

    pub fn committed(revision: u64, changes: Vec<Change>) -> CoordinationEvent {
        guarded(revision, None, changes)
    }

    /// A commit under the guard of a term of the journal.
    pub fn guarded(revision: u64, term: Option<u128>, changes: Vec<Change>) -> CoordinationEvent {
        let guard =
            |number| LeaderSession { component: component(), session: self::term(number) }.guard();
        let conditions = term.map(guard).into_iter().collect();
        CoordinationEvent::Committed { revision: Revision(revision), conditions, changes }
    }

    /// A history under construction; each event comes a second after the one before.
    pub struct History<I> {
        invariant: I,
        model: Model,
        time: Duration,
        pub last: Check,
    }

    impl<I: Invariant + Default> History<I> {
        pub fn new() -> Self {
            Self::of(I::default())
        }
    }

    impl<I: Invariant> History<I> {
        pub fn of(invariant: I) -> Self {
            let (model, time) = (Model::default(), Duration::ZERO);
            History { invariant, model, time, last: Check::Ignored }
        }

        /// An event that the invariant must accept.
        #[track_caller]
        pub fn holds(mut self, process: (NodeId, u64), event: impl Event) -> Self {
            self.observe(process, &event);
            assert!(!matches!(self.last, Check::Broken { .. }), "{:?}", self.last);
            self
        }

        /// An event that the invariant must refuse.
        #[track_caller]
        pub fn breaks(mut self, process: (NodeId, u64), event: impl Event) {
            self.observe(process, &event);
            assert!(
                matches!(self.last, Check::Broken { .. }),
                "{event:?} was accepted: {:?}",
                self.last
            );
        }

        fn observe(&mut self, process: (NodeId, u64), event: &dyn Event) {
            self.time += Duration::from_secs(1);
            let at = Moment { time: self.time, process };
            let seen = EventRef::new(event);
            self.last = self.invariant.observe(at, seen, &self.model);
            self.model.observe(at, seen);
        }

        pub fn finish(mut self, later: Duration) -> Check {
            self.invariant.finish(self.time + later)
        }
    }
}
