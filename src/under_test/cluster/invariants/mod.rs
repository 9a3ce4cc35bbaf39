//! The promises, one file each, with a history that each accepts and one that it refuses.

pub mod c10_old_failures_dont_count;
pub mod c11_final_checkpoint_finishes;
pub mod c12_checkpoint_ends_in_time;
pub mod c13_failures_in_a_row_are_borne;
pub mod c14_savepoint_is_whole;
pub mod c15_recovery_says_why;
pub mod c16_checkpoints_keep_coming;
pub mod c17_state_follows_input;
pub mod c18_aborts_have_a_present_cause;
pub mod c19_declines_end_checkpoints;
pub mod c1_ids_grow;
pub mod c2_complete_means_all;
pub mod c3_newest_is_restored;
pub mod c4_visible_after_stored;
pub mod c5_retained_is_whole;
pub mod c6_left_objects_go;
pub mod c7_consistent_cut;
pub mod c8_one_outcome;
pub mod c9_checkpoints_keep_their_distance;
mod channels;
mod cluster_invariant;
pub mod coordination_durable;
mod coverage;
pub mod d1_acknowledged_job_kept;
pub mod d2_terminal_is_final;
pub mod d3_one_valid_master;
pub mod d4_cleanup_in_order;
pub mod d5_no_cleanup_without_end;
pub mod d6_acknowledged_job_is_known;
pub mod d7_canceled_ends_canceled;
pub mod d8_cleaned_stays_clean;
pub mod d9_cancellation_ends_in_time;
pub mod database_durable;
pub mod e1_one_attempt;
pub mod e2_no_zombie;
pub mod e3_old_attempts_are_ignored;
pub mod e4_failure_stays_in_its_region;
pub mod e5_restarts_obey_the_strategy;
pub mod e6_finished_is_not_failed;
pub mod h1_loss_once;
pub mod h2_loss_in_time;
pub mod h3_loss_names_what_stands;
pub mod h4_only_its_own_leader;
pub mod h5_ends_have_a_present_cause;
pub mod j1_no_foreign_restart;
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
pub mod m1_one_reply;
pub mod m2_bounded_in_flight;
pub mod m3_requests_end_in_time;
pub mod m4_reply_is_its_own;
pub mod m5_late_responses_harm_nobody;
pub mod m6_linearizable;
pub mod m7_answered_in_quiet;
pub mod m8_handled_is_answered;
pub mod object_store_durable;
pub mod p1_cluster_ends_with_its_job;
pub mod r1_serial_handlers;
pub mod r2_at_most_once;
pub mod r3_only_while_running;
pub mod r4_asks_end_once;
mod rest_asks;
pub mod s10_latest_manager_is_obeyed;
pub mod s1_slot_held_once;
pub mod s3_deploys_into_held_slot;
pub mod s4_no_old_round;
pub mod s6_no_old_report;
pub mod s7_no_busy_loop;
pub mod s8_workers_are_needed;
pub mod s9_no_twins;
mod stored;
#[cfg(test)]
mod testing;
#[cfg(test)]
pub(super) mod testing_jobs;
#[cfg(test)]
pub(super) mod testing_services;
mod unannounced;
mod unreachable;
pub mod w1_rest_tells_what_was;
pub mod w2_answers_are_not_old;
pub mod w3_rest_cancels_as_it_says;
pub mod w4_rest_tells_true_times;
pub mod w5_ended_is_not_told_to_go_on;
pub mod watch_complete;
pub mod x10_retention_follows_checkpoints;
pub mod x1_channel_fifo;
pub mod x2_bounded_channel;
pub mod x3_watermarks_grow;
pub mod x4_exactly_once;
pub mod x5_transactions_follow_checkpoints;
pub mod x6_held_thread_holds_one_task;
pub mod x7_group_offsets_follow_checkpoints;
pub mod x8_database_follows_checkpoints;
pub mod x9_files_follow_checkpoints;

pub use cluster_invariant::ClusterInvariant;

use super::{Model, TimeBounds};
use crate::harness::check::{Check, Clocks, Invariant, Mark};

/// The invariants of the foundation, by bounds: elections, remote calls and the coordination service. A system
/// that stands on it has them for its own model, which holds the cluster's, and names the keys that only the
/// leader of a component may write.
pub fn of_foundation<M: AsRef<Model>>(
    bounds: &TimeBounds,
    own_keys: &'static [(&'static str, &'static str)],
) -> Vec<Box<dyn Invariant<M>>> {
    vec![
        Box::new(l1_grants_alternate::GrantsAlternate::default()),
        Box::new(l2_fenced_mailbox::FencedMailbox::default()),
        Box::new(l3_no_stale_write::NoStaleWrite::with_keys(own_keys)),
        Box::new(l4_record_is_confirmed::RecordIsConfirmed::default()),
        Box::new(l5_silent_after_stop::SilentAfterStop::default()),
        Box::new(l6_terms_in_sequence::TermsInSequence::default()),
        Box::new(l7_lease_is_not_outbelieved::LeaseIsNotOutbelieved::new(bounds.clone())),
        Box::new(l8_follower_without_contact_is_told::FollowerWithoutContactIsTold::new(
            bounds.clone(),
        )),
        Box::new(r1_serial_handlers::SerialHandlers::default()),
        Box::new(r2_at_most_once::AtMostOnce::default()),
        Box::new(r3_only_while_running::OnlyWhileRunning::default()),
        Box::new(r4_asks_end_once::AsksEndOnce::default()),
        Box::new(coordination_durable::CoordinationDurable::default()),
        Box::new(watch_complete::WatchComplete::default()),
    ]
}

/// The invariants of a cluster that runs jobs, by bounds.
pub fn of_jobs(bounds: &TimeBounds) -> Vec<Box<dyn Invariant<Model>>> {
    vec![
        Box::new(object_store_durable::ObjectStoreDurable::default()),
        Box::new(c1_ids_grow::IdsGrow::default()),
        Box::new(c10_old_failures_dont_count::OldFailuresDontCount::default()),
        Box::new(c11_final_checkpoint_finishes::FinalCheckpointFinishes::default()),
        Box::new(c12_checkpoint_ends_in_time::CheckpointEndsInTime::new(bounds.clone())),
        Box::new(c13_failures_in_a_row_are_borne::FailuresInARowAreBorne::default()),
        Box::new(c14_savepoint_is_whole::SavepointIsWhole::default()),
        Box::new(c15_recovery_says_why::RecoverySaysWhy::default()),
        Box::new(c16_checkpoints_keep_coming::CheckpointsKeepComing::new(bounds.clone())),
        Box::new(c18_aborts_have_a_present_cause::AbortsHaveAPresentCause::default()),
        Box::new(c19_declines_end_checkpoints::DeclinesEndCheckpoints::default()),
        Box::new(c2_complete_means_all::CompleteMeansAll::default()),
        Box::new(c3_newest_is_restored::NewestIsRestored::default()),
        Box::new(c4_visible_after_stored::VisibleAfterStored::default()),
        Box::new(c5_retained_is_whole::RetainedIsWhole::default()),
        Box::new(c6_left_objects_go::LeftObjectsGo::new(bounds.clone())),
        Box::new(c7_consistent_cut::ConsistentCut::default()),
        Box::new(c8_one_outcome::OneOutcome::default()),
        Box::new(c9_checkpoints_keep_their_distance::CheckpointsKeepTheirDistance::default()),
        Box::new(d1_acknowledged_job_kept::AcknowledgedJobKept::default()),
        Box::new(d2_terminal_is_final::TerminalIsFinal),
        Box::new(d3_one_valid_master::OneValidMaster::default()),
        Box::new(d4_cleanup_in_order::CleanupInOrder::default()),
        Box::new(d5_no_cleanup_without_end::NoCleanupWithoutEnd),
        Box::new(d6_acknowledged_job_is_known::AcknowledgedJobIsKnown::default()),
        Box::new(d7_canceled_ends_canceled::CanceledEndsCanceled::default()),
        Box::new(d8_cleaned_stays_clean::CleanedStaysClean::default()),
        Box::new(d9_cancellation_ends_in_time::CancellationEndsInTime::new(bounds.clone())),
        Box::new(e1_one_attempt::OneAttempt::default()),
        Box::new(e2_no_zombie::NoZombie::default()),
        Box::new(e3_old_attempts_are_ignored::OldAttemptsAreIgnored::default()),
        Box::new(e4_failure_stays_in_its_region::FailureStaysInItsRegion::default()),
        Box::new(e5_restarts_obey_the_strategy::RestartsObeyTheStrategy::default()),
        Box::new(e6_finished_is_not_failed::FinishedIsNotFailed::default()),
        Box::new(h1_loss_once::LossOnce::new(bounds.clone())),
        Box::new(h2_loss_in_time::LossInTime::new(bounds.clone())),
        Box::new(h3_loss_names_what_stands::LossNamesWhatStands::default()),
        Box::new(h4_only_its_own_leader::OnlyItsOwnLeader),
        Box::new(h5_ends_have_a_present_cause::EndsHaveAPresentCause::default()),
        Box::new(k1_client_is_served::ClientIsServed),
        Box::new(log_durable::LogDurable::default()),
        Box::new(s1_slot_held_once::SlotHeldOnce::default()),
        Box::new(s3_deploys_into_held_slot::DeploysIntoHeldSlot::default()),
        Box::new(s4_no_old_round::NoOldRound::default()),
        Box::new(s6_no_old_report::NoOldReport::default()),
        Box::new(s7_no_busy_loop::NoBusyLoop::default()),
        Box::new(s9_no_twins::NoTwins::default()),
        Box::new(w1_rest_tells_what_was::RestTellsWhatWas::new(bounds.clone())),
        Box::new(w2_answers_are_not_old::AnswersAreNotOld::default()),
        Box::new(w3_rest_cancels_as_it_says::RestCancelsAsItSays::default()),
        Box::new(w4_rest_tells_true_times::RestTellsTrueTimes::default()),
        Box::new(w5_ended_is_not_told_to_go_on::EndedIsNotToldToGoOn::new(bounds.clone())),
        Box::new(x1_channel_fifo::ChannelFifo::default()),
        Box::new(x2_bounded_channel::BoundedChannel::default()),
        Box::new(x3_watermarks_grow::WatermarksGrow::default()),
        Box::new(x5_transactions_follow_checkpoints::TransactionsFollowCheckpoints::default()),
        Box::new(x6_held_thread_holds_one_task::HeldThreadHoldsOneTask),
        Box::new(x7_group_offsets_follow_checkpoints::GroupOffsetsFollowCheckpoints::default()),
        Box::new(x10_retention_follows_checkpoints::RetentionFollowsCheckpoints::default()),
    ]
}

/// The invariants of a cluster whose jobs write to a database.
pub fn of_databases() -> Vec<Box<dyn Invariant<Model>>> {
    vec![
        Box::new(database_durable::DatabaseDurable::default()),
        Box::new(x8_database_follows_checkpoints::DatabaseFollowsCheckpoints::default()),
    ]
}

/// The invariants of a cluster whose jobs write files.
pub fn of_files() -> Vec<Box<dyn Invariant<Model>>> {
    vec![Box::new(x9_files_follow_checkpoints::FilesFollowCheckpoints::default())]
}

/// The invariants of a cluster that has services.
pub fn of_services() -> Vec<Box<dyn Invariant<Model>>> {
    vec![
        Box::new(m1_one_reply::OneReply::default()),
        Box::new(m2_bounded_in_flight::BoundedInFlight::default()),
        Box::new(m3_requests_end_in_time::RequestsEndInTime::default()),
        Box::new(m4_reply_is_its_own::ReplyIsItsOwn),
        Box::new(m5_late_responses_harm_nobody::LateResponsesHarmNobody::default()),
    ]
}
