//! Each known bug that can be switched on is caught by the check that is there for it.
use crate::{
    harness::{SYSTEMS, shipped as all_shipped},
    journal::sabotage::JOURNAL_WRITTEN_AFTER_REVOKE,
};
use std::sync::Arc;
use wavetank::{
    harness::{
        check::Verdict,
        run::{Sweep, sweep},
        sabotage::is_caught_by,
        scenario::Scenario,
    },
    host::Sabotage,
    system::sabotage,
};

/// No switch takes more runs than this.
const RUNS_MAX: u64 = 3000;

/// The shipped scenarios of a system.
fn shipped(system: &str) -> Vec<Arc<Scenario>> {
    let load = |path: &std::path::PathBuf| SYSTEMS.load(path).expect("a shipped scenario");
    let paths = all_shipped();
    let loaded = paths.iter().map(load).filter(|scenario| scenario.system.name() == system);
    loaded.map(Arc::new).collect()
}

/// The verdicts of the runs that did not end as expected.
fn failures(
    scenarios: Vec<Arc<Scenario>>,
    sabotage: Option<Sabotage>,
    runs: u64,
) -> (Vec<Verdict>, u64) {
    let plan = Sweep { jobs: 2, sabotage, until_failure: true, ..Sweep::new(scenarios, 0..runs) };
    let (mut verdicts, mut executions) = (Vec::new(), 0);
    sweep(&plan, |run| {
        executions += run.outcome.sabotage_executions;
        if !run.outcome.expected {
            verdicts.push(run.outcome.verdict);
        }
    });
    (verdicts, executions)
}

fn assert_caught(system: &str, switch: Sabotage) {
    assert_caught_among(shipped(system), switch, RUNS_MAX);
}

fn assert_caught_among(scenarios: Vec<Arc<Scenario>>, switch: Sabotage, runs: u64) {
    let (verdicts, executions) = failures(scenarios, Some(switch), runs);
    assert!(executions > 0, "the line of {} never ran", switch.name());
    assert!(!verdicts.is_empty(), "{} was not caught in {runs} runs", switch.name());
    assert!(
        verdicts.iter().all(|verdict| is_caught_by(switch, verdict)),
        "{} was caught by {verdicts:?}, not {:?}",
        switch.name(),
        switch.caught_by()
    );
}

#[test]
fn a_stale_token_is_caught() {
    assert_caught("journal", sabotage::STALE_TOKEN_ACCEPTED);
}

#[test]
fn a_stale_confirmation_is_caught() {
    assert_caught("journal", sabotage::STALE_CONFIRMATION_ACCEPTED);
}

#[test]
fn a_lost_lease_treated_as_alive_is_caught() {
    assert_caught("journal", sabotage::LOST_LEASE_TREATED_AS_ALIVE);
}

#[test]
fn a_journal_written_after_the_revoke_is_caught() {
    assert_caught("journal", JOURNAL_WRITTEN_AFTER_REVOKE);
}

#[test]
fn a_call_handled_twice_is_caught() {
    assert_caught("journal", sabotage::AT_MOST_ONCE_WINDOW_OFF);
}

#[test]
fn a_job_acknowledged_before_it_is_durable_is_caught() {
    assert_caught("cluster", sabotage::JOB_ACKNOWLEDGED_BEFORE_DURABLE);
}

#[test]
fn a_checkpoint_complete_before_it_is_stored_is_caught() {
    assert_caught("cluster", sabotage::COMPLETE_BEFORE_STORED);
}

#[test]
fn a_sink_that_commits_at_the_barrier_is_caught() {
    assert_caught("cluster", sabotage::SINK_COMMITS_AT_BARRIER);
}

#[test]
fn a_barrier_that_does_not_block_is_caught() {
    assert_caught("cluster", sabotage::BARRIERS_DONT_BLOCK);
}

#[test]
fn an_idle_channel_that_lets_all_pass_is_caught() {
    assert_caught_in("click-sessions/idle", sabotage::IDLE_CHANNEL_LETS_ALL_PASS, 40);
}

#[test]
fn machines_that_are_asked_for_once_are_caught() {
    assert_caught_in("machines/provider-unheard", sabotage::MACHINES_ASKED_FOR_ONCE, 200);
}

#[test]
fn machines_that_are_given_back_once_are_caught() {
    assert_caught_in("machines/provider-unheard", sabotage::MACHINES_RELEASED_ONCE, 200);
}

#[test]
fn timers_that_are_lost_at_a_restore_are_caught() {
    assert_caught_in("click-sessions/crash", sabotage::TIMERS_LOST_AT_RESTORE, 40);
}

#[test]
fn what_is_kept_under_names_and_lost_at_a_restore_is_caught() {
    assert_caught_in("state/swarm", sabotage::ENTRIES_LOST_AT_RESTORE, 100);
}

#[test]
fn a_snapshot_of_the_heap_that_sees_later_writes_is_caught() {
    assert_caught_in("state/copy-on-write", sabotage::SNAPSHOT_SEES_LATER_WRITES, 100);
}

#[test]
fn a_window_that_fires_again_after_a_restore_is_caught() {
    assert_caught_in("click-sessions/crash", sabotage::WINDOW_FIRES_AGAIN_AFTER_RESTORE, 40);
}

#[test]
fn an_unreadable_checkpoint_that_is_skipped_is_caught() {
    assert_caught("cluster", sabotage::UNREADABLE_CHECKPOINT_SKIPPED);
}

#[test]
fn a_recovery_that_waits_in_silence_is_caught() {
    assert_caught_in("word-count/recovery-waits", sabotage::RECOVERY_WAITS_IN_SILENCE, 20);
}

#[test]
fn a_fence_that_forgets_the_newest_is_caught() {
    let name = "word-count/pointer-fenced-then-master-lost";
    assert_caught_in(name, sabotage::FENCE_FORGETS_THE_NEWEST, 40);
}

#[test]
fn a_removal_that_blocks_storing_is_caught() {
    assert_caught_in("word-count/removals-fail", sabotage::REMOVAL_BLOCKS_STORING, 20);
}

#[test]
fn checkpoints_that_are_not_begun_again_are_caught() {
    let name = "word-count/first-checkpoint-after-a-restore";
    assert_caught_in(name, sabotage::CHECKPOINTS_NOT_BEGUN_AGAIN, 20);
}

#[test]
fn an_old_round_of_offers_that_is_applied_is_caught() {
    assert_caught("cluster", sabotage::OLD_OFFER_ROUND_APPLIED);
}

#[test]
fn a_slot_handed_out_twice_is_caught() {
    assert_caught_in("word-count/slot-requests-late", sabotage::SLOT_HANDED_OUT_TWICE, 50);
}

#[test]
fn a_deployment_of_an_old_master_is_caught() {
    assert_caught("cluster", sabotage::OLD_MASTER_DEPLOYS);
}

/// A switch that is caught where its trigger is, in so many runs at most.
fn assert_caught_in(name: &str, switch: Sabotage, runs: u64) {
    let named = |scenario: &Arc<Scenario>| scenario.name == name;
    let scenarios: Vec<_> = shipped("cluster").into_iter().filter(named).collect();
    assert_eq!(scenarios.len(), 1, "{name}");
    assert_caught_among(scenarios, switch, runs);
}

#[test]
fn a_finished_task_that_is_taken_for_lost_is_caught() {
    assert_caught_in("regressions/finished-called-failed", sabotage::UNTOLD_END_TAKEN_FOR_LOSS, 60);
}

#[test]
fn a_watch_that_is_not_told_of_removals_is_caught() {
    assert_caught("journal", sabotage::WATCH_LEAVES_OUT_REMOVALS);
    assert_caught_in("word-count/leader-flaps", sabotage::WATCH_LEAVES_OUT_REMOVALS, 20);
}

#[test]
fn an_end_of_one_job_that_ends_tasks_of_another_is_caught() {
    let switch = sabotage::ONE_JOB_TAKES_OTHERS_ALONG;
    assert_caught_in("word-count/crash-loop-beside", switch, 20);
}

#[test]
fn a_job_that_keeps_slots_in_which_a_part_of_it_runs_is_caught() {
    let switch = sabotage::RUNNING_PART_KEEPS_ITS_SLOTS;
    assert_caught_in("slots/regions-in-turn", switch, 60);
}

#[test]
fn a_cancellation_that_is_not_durable_is_caught() {
    assert_caught_in("word-count/canceled", sabotage::CANCELLATION_NOT_DURABLE, 20);
}

#[test]
fn an_ended_job_that_is_taken_on_again_is_caught() {
    assert_caught_in("word-count/submitted-again", sabotage::ENDED_JOB_TAKEN_ON_AGAIN, 20);
}

#[test]
fn a_stale_confirmation_of_a_cluster_is_caught() {
    assert_caught_in("word-count/late-confirmation", sabotage::STALE_CONFIRMATION_ACCEPTED, 60);
}

#[test]
fn a_pointer_that_comes_after_it_was_given_up_is_caught() {
    assert_caught_in("word-count/pointer-in-doubt", sabotage::PENDING_POINTER_NOT_FENCED, 60);
}

#[test]
fn a_web_monitor_that_tells_more_than_it_knows_is_caught() {
    for (name, switch, runs) in [
        ("rest/told-under-faults", sabotage::OLD_TIMES_NOT_SHIFTED, 10),
        ("rest/told-under-faults", sabotage::ANSWERS_NOT_ASKED_ANEW, 10),
        ("rest/nobody-leads", sabotage::UNANSWERED_CANCELLATION_ACCEPTED, 20),
    ] {
        assert_caught_in(name, switch, runs);
    }
}

#[test]
fn a_database_that_is_written_to_too_early_twice_or_by_an_older_attempt_is_caught() {
    for (name, switch, runs) in [
        ("database/commit-answers-lost", sabotage::DATABASE_ROW_LEFT_OUT, 20),
        ("database/commits-late", sabotage::INDETERMINATE_COMMIT_TAKEN_FOR_REFUSED, 20),
        ("database/quiet", sabotage::DATABASE_ROWS_AT_BARRIER, 2),
        ("database/zombie", sabotage::DATABASE_WRITERS_NOT_FENCED, 60),
    ] {
        assert_caught_in(name, switch, runs);
    }
}

#[test]
fn a_file_that_is_seen_too_early_never_or_under_a_used_name_is_caught() {
    for (name, switch, runs) in [
        ("files/quiet", sabotage::FILES_RENAMED_AT_BARRIER, 2),
        ("files/renames-late", sabotage::INDETERMINATE_RENAME_TAKEN_FOR_DONE, 20),
        ("files/crash-before-rename", sabotage::PENDING_FILES_LEFT_AT_RESTORE, 20),
        ("files/crash-before-rename", sabotage::PART_NAMES_REUSED, 20),
        ("files/crash-before-rename", sabotage::RENAME_HALF_KEPT, 40),
    ] {
        assert_caught_in(name, switch, runs);
    }
}

#[test]
fn a_front_end_that_confuses_forgets_or_takes_too_many_is_caught() {
    for (name, switch, runs) in [
        ("request-reply/full-map", sabotage::CAPACITY_NOT_KEPT, 10),
        ("request-reply/crowded", sabotage::WRITTEN_BEFORE_ITS_ENTRY, 10),
        ("request-reply/quiet", sabotage::RESPONSE_PARTITION_SHARED, 2),
        ("request-reply/front-end-killed", sabotage::FOREIGN_RESPONSES_ANSWER, 40),
        ("request-reply/front-end-killed", sabotage::EVENT_IDS_REUSED, 10),
        ("request-reply/slow-responses", sabotage::UNANSWERED_ENTRIES_KEPT, 20),
    ] {
        assert_caught_in(name, switch, runs);
    }
}

#[test]
fn records_and_answers_that_a_checkpoint_would_need_are_missed() {
    for (name, switch, runs) in [
        ("request-reply/records-trimmed", sabotage::RETENTION_PAST_CHECKPOINT, 20),
        ("request-reply/records-trimmed", sabotage::NEWEST_CHECKPOINT_HELD, 40),
        ("request-reply/asked-again", sabotage::ANSWERS_BESIDE_THE_STATE, 20),
    ] {
        assert_caught_in(name, switch, runs);
    }
}

/// Each is caught in its scenario, in so many runs at most.
fn assert_all_caught(of: &[(&str, Sabotage, u64)]) {
    for (name, switch, runs) in of {
        assert_caught_in(name, *switch, *runs);
    }
}

#[test]
fn a_checkpoint_that_is_given_up_kept_or_counted_wrongly_is_caught() {
    assert_all_caught(&[
        ("word-count/pointer-answer-lost", sabotage::STANDING_POINTER_GIVEN_UP, 20),
        ("word-count/recovery-waits", sabotage::UNREADABLE_CHECKPOINT_REMOVED, 10),
        ("word-count/quiet", sabotage::IDS_COUNTED_IN_MEMORY, 2),
        ("word-count/lossy-network", sabotage::OLD_DECLINES_COUNT, 40),
        ("word-count/checkpoints-not-borne", sabotage::EXPIRED_NOT_COUNTED, 10),
        ("word-count/lossy-network", sabotage::DECLINE_HITS_THE_NEWEST, 20),
        ("word-count/canceled-in-flight", sabotage::SUBSUMED_BY_TIME, 100),
        ("word-count/failover-while-blobs-are-silent", sabotage::TOO_LONG_TOO_SOON, 20),
        ("word-count/executor-restarts", sabotage::TOLD_OF_WHAT_IT_BEGAN_FROM, 10),
        ("word-count/cancel-after-the-next-barrier", sabotage::LATE_CANCEL_RESETS_ALIGNMENT, 10),
        ("nexmark/trigger-lost", sabotage::MARKERS_MULTIPLY, 10),
        ("state/increments", sabotage::FILES_IN_USE_REMOVED, 20),
        ("word-count/blobs-down", sabotage::OBJECTS_NOT_SYNCED, 20),
    ]);
}

#[test]
fn a_job_that_is_deployed_ended_or_removed_wrongly_is_caught() {
    assert_all_caught(&[
        ("word-count/coordination-slow", sabotage::LATE_DRAW_BLOCKS_TRIGGERS, 20),
        ("word-count/coordination-slow", sabotage::DEPLOYED_WHILE_STORING, 60),
        ("word-count/coordination-slow", sabotage::OUTDATED_PLAN_DEPLOYED, 200),
        ("word-count/canceled", sabotage::REMOVED_BEFORE_THE_END, 10),
        ("word-count/executor-away-for-a-while", sabotage::ONLY_ANOTHER_LEADER_FOLLOWED, 10),
        ("word-count/end-cut-short", sabotage::FAILURE_IGNORED_AT_THE_END, 40),
        ("pipelines/end-of-data", sabotage::FINAL_RESTART_IN_PARTS, 20),
        ("word-count/quiet", sabotage::FINISHES_UNCONFIRMED, 2),
        ("word-count/master-cut-off", sabotage::UNANSWERED_LEASE_KEPT, 20),
        ("word-count/executor-restarts", sabotage::PARTITIONS_NOT_RELEASED, 10),
        ("word-count/executor-restarts", sabotage::RESTART_DELAY_IN_MINUTES, 20),
        ("word-totals/steady", sabotage::ENDED_CHANNEL_HOLDS_BACK, 10),
        ("nexmark/quiet", sabotage::FIRST_GATE_ALONE_ALIGNS, 10),
    ]);
}

#[test]
fn a_savepoint_that_does_not_count_or_is_lost_is_caught() {
    assert_all_caught(&[
        ("savepoints/rescales", sabotage::SAVEPOINTS_LEFT_OUT, 10),
        ("savepoints/rescales", sabotage::STOP_ENDS_THE_DATA, 10),
        ("savepoints/stop-given-up", sabotage::FAILED_STOP_ENDS_CHECKPOINTS, 10),
        ("savepoints/records-wait", sabotage::WAITING_LOST_AT_A_RESCALE, 60),
        ("savepoints/executor-lost-while-stopping", sabotage::RESTORED_BEFORE_THE_STOP, 60),
        ("savepoints/executor-lost-while-stopping", sabotage::SAVEPOINT_LOST_WITH_A_FAILURE, 60),
    ]);
}

#[test]
fn a_sink_that_forgets_or_mistakes_what_waits_is_caught() {
    assert_all_caught(&[
        ("word-count/quiet", sabotage::SNAPSHOT_WITHOUT_FLUSH, 2),
        ("click-sessions/quiet", sabotage::COMMIT_WANTS_A_TRANSACTION, 20),
        ("word-count/executor-power-cut", sabotage::RESTORED_ABORTED_FIRST, 60),
        ("word-count/commit-after-the-next", sabotage::LATE_COMMIT_HITS_THE_NEXT, 100),
        ("files/crash-before-rename", sabotage::COMMITTED_BY_ID, 10),
        ("files/rename-answers-lost", sabotage::RENAMED_BEFORE_IS_REFUSED, 10),
        ("word-count/lossy-network", sabotage::SEND_ERROR_CLEARED, 60),
    ]);
}

#[test]
fn what_is_written_removed_or_kept_wrongly_in_every_run_is_caught() {
    let quiet = |switch| ("word-count/quiet", switch, 2);
    assert_all_caught(
        &[
            sabotage::STOP_WITHOUT_A_REVOKE,
            sabotage::RECORD_WRITTEN_FOR_EVER,
            sabotage::RECORD_WRITTEN_UNGUARDED,
            sabotage::RESULT_KEPT_AFTER_THE_GRAPH,
            sabotage::OBJECTS_GO_BEFORE_POINTERS,
            sabotage::POINTERS_NOT_GUARDED,
            sabotage::POINTERS_GO_BEFORE_RESULT,
            sabotage::ELECTION_KEYS_LEFT,
            sabotage::REMOVAL_NOT_GUARDED,
            sabotage::UNUSED_JOB_FOLLOWED,
            sabotage::ENDED_JOB_KEEPS_EXECUTORS,
        ]
        .map(quiet),
    );
}

#[test]
fn a_term_that_is_over_and_goes_on_or_ends_too_much_is_caught() {
    assert_all_caught(&[
        ("word-count/late-confirmation", sabotage::TERMS_OVERLAP, 10),
        ("word-count/late-confirmation", sabotage::RECOVERED_AFTER_THE_TERM, 10),
        ("word-count/leader-flaps", sabotage::CLEANED_UP_AT_A_STOP, 10),
        ("word-count/leader-flaps", sabotage::CONTENDER_CALLED_UNLOCKED, 40),
        ("word-count/leader-flaps", sabotage::RECORD_ERASED_AT_A_REVOKE, 10),
        ("word-count/leader-flaps", sabotage::RECOVERED_JOBS_NOT_RUN, 10),
        ("regressions/runner-left-behind", sabotage::RUNNERS_KEPT_AT_A_REVOKE, 60),
        ("word-count/coordination-suspended", sabotage::SUSPENSION_TAKEN_FOR_LOSS, 20),
        ("modes/application", sabotage::ENDED_JOB_FAILS_PROGRAM, 200),
        ("regressions/repeated-submission", sabotage::SUBMITTING_TAKEN_FOR_NEW, 20),
        ("word-count/disk-errors", sabotage::FAILED_SERVER_STAYS, 10),
        ("word-count/jobs-unread", sabotage::UNREAD_JOBS_SKIPPED, 60),
    ]);
}

#[test]
fn a_slot_or_an_attempt_that_is_taken_for_lost_or_kept_is_caught() {
    assert_all_caught(&[
        ("word-count/late-offers", sabotage::ONLY_ACTIVE_SLOTS_DEPLOYED_TO, 10),
        ("word-count/late-offers", sabotage::OLD_REPORT_OBEYED, 20),
        ("word-count/executor-restarts", sabotage::LOST_SLOTS_STILL_COUNTED, 5),
        ("word-count/canceled", sabotage::INACTIVE_SLOTS_KEPT, 20),
        ("slots/jobs-in-turn", sabotage::PENDING_REQUESTS_KEPT, 10),
        ("machines/provider-unheard", sabotage::ENDED_JOB_REMEMBERED, 10),
        ("regressions/late-deployment", sabotage::CANCELED_ATTEMPT_BEGINS, 40),
        ("jepsen/session-utopia", sabotage::SLOT_TIMER_NOT_OUTDATED, 5),
        ("word-count/until-restored", sabotage::FORMER_MASTER_OBEYED, 20),
        ("word-count/swizzled", sabotage::OLD_WORD_ENDS_THE_NEW_ATTEMPT, 60),
        ("word-count/empty-disks", sabotage::EARLIER_LIFE_NOT_ENDED, 20),
        ("word-count/rolling-restart", sabotage::UNREACHABLE_IGNORED, 5),
        ("pipelines/two-regions-at-once", sabotage::PENDING_TAKEN_FOR_MISSING, 10),
    ]);
}

#[test]
fn what_no_other_known_bug_breaks_is_caught() {
    assert_all_caught(&[
        ("word-count/leader-flaps", sabotage::TERM_ID_REUSED, 5),
        ("word-count/leader-flaps", sabotage::STOP_TOLD_TOO_EARLY, 20),
        ("word-count/quiet", sabotage::NEXT_EPOCH_USED, 2),
        ("word-count/quiet", sabotage::COMPLETE_WITHOUT_ONE_PART, 2),
        ("word-count/first-checkpoint-after-a-restore", sabotage::PAUSE_NOT_KEPT, 20),
        ("word-count/master-cut-off", sabotage::DEADLINE_TWICE_AS_LATE, 10),
        ("nexmark/quiet", sabotage::BUFFERS_OVERTAKE, 20),
        ("word-count/lossy-network", sabotage::ROOM_NOT_AWAITED, 60),
        ("word-count/lossy-network", sabotage::REPEATED_PART_COUNTS, 20),
        ("word-count/executor-restarts", sabotage::OLDER_STATE_TAKEN, 10),
    ]);
}

#[test]
fn without_a_switch_the_same_runs_are_clean() {
    assert_eq!(failures(shipped("journal"), None, 300), (Vec::new(), 0));
    assert_eq!(failures(shipped("cluster"), None, 100), (Vec::new(), 0));
}
