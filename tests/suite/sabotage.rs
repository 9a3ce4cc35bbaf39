//! Each known bug that can be switched on is caught by the check that is there for it.
use std::{path::Path, sync::Arc};
use wavetank::{
    harness::{
        check::Verdict,
        explore::{Sweep, sweep},
        sabotage::{caught_by, is_caught_by},
        scenario::{Scenario, SystemKind, discover},
    },
    host::Sabotage,
};

/// No switch takes more runs than this.
const RUNS_MAX: u64 = 3000;

/// The shipped scenarios of a system.
fn shipped(system: SystemKind) -> Vec<Arc<Scenario>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let paths = discover(&folder).expect("the scenarios can be listed");
    let load = |path: &std::path::PathBuf| Scenario::load(path).expect("a shipped scenario");
    let loaded = paths.iter().map(load).filter(|scenario| scenario.system.kind() == system);
    loaded.map(Arc::new).collect()
}

/// The verdicts of the runs that did not end as expected.
fn failures(
    scenarios: Vec<Arc<Scenario>>,
    sabotage: Option<Sabotage>,
    runs: u64,
) -> (Vec<Verdict>, u64) {
    let plan = Sweep {
        scenarios,
        seeds: 0..runs,
        jobs: 2,
        sabotage,
        until_failure: true,
        stop: Arc::default(),
    };
    let (mut verdicts, mut executions) = (Vec::new(), 0);
    sweep(&plan, |run| {
        executions += run.outcome.sabotage_executions;
        if !run.outcome.expected {
            verdicts.push(run.outcome.verdict);
        }
    });
    (verdicts, executions)
}

fn assert_caught(system: SystemKind, switch: Sabotage) {
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
        caught_by(switch)
    );
}

#[test]
fn a_stale_token_is_caught() {
    assert_caught(SystemKind::Journal, Sabotage::StaleTokenAccepted);
}

#[test]
fn a_stale_confirmation_is_caught() {
    assert_caught(SystemKind::Journal, Sabotage::StaleConfirmationAccepted);
}

#[test]
fn a_lost_lease_treated_as_alive_is_caught() {
    assert_caught(SystemKind::Journal, Sabotage::LostLeaseTreatedAsAlive);
}

#[test]
fn a_journal_written_after_the_revoke_is_caught() {
    assert_caught(SystemKind::Journal, Sabotage::JournalWrittenAfterRevoke);
}

#[test]
fn a_call_handled_twice_is_caught() {
    assert_caught(SystemKind::Journal, Sabotage::AtMostOnceWindowOff);
}

#[test]
fn a_job_acknowledged_before_it_is_durable_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::JobAcknowledgedBeforeDurable);
}

#[test]
fn a_checkpoint_complete_before_it_is_stored_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::CompleteBeforeStored);
}

#[test]
fn a_sink_that_commits_at_the_barrier_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::SinkCommitsAtBarrier);
}

#[test]
fn a_barrier_that_does_not_block_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::BarriersDontBlock);
}

#[test]
fn an_unreadable_checkpoint_that_is_skipped_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::UnreadableCheckpointSkipped);
}

#[test]
fn an_old_round_of_offers_that_is_applied_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::OldOfferRoundApplied);
}

#[test]
fn a_slot_handed_out_twice_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::SlotHandedOutTwice);
}

#[test]
fn a_deployment_of_an_old_master_is_caught() {
    assert_caught(SystemKind::WordCount, Sabotage::OldMasterDeploys);
}

/// A switch that is caught where its trigger is, in so many runs at most.
fn assert_caught_in(name: &str, switch: Sabotage, runs: u64) {
    let named = |scenario: &Arc<Scenario>| scenario.name == name;
    let scenarios: Vec<_> = shipped(SystemKind::WordCount).into_iter().filter(named).collect();
    assert_eq!(scenarios.len(), 1, "{name}");
    assert_caught_among(scenarios, switch, runs);
}

#[test]
fn a_finished_task_that_is_taken_for_lost_is_caught() {
    assert_caught_in("regressions/finished-called-failed", Sabotage::UntoldEndTakenForLoss, 60);
}

#[test]
fn a_cancellation_that_is_not_durable_is_caught() {
    assert_caught_in("word-count/canceled", Sabotage::CancellationNotDurable, 20);
}

#[test]
fn a_pointer_that_comes_after_it_was_given_up_is_caught() {
    assert_caught_in("word-count/pointer-in-doubt", Sabotage::PendingPointerNotFenced, 60);
}

#[test]
fn without_a_switch_the_same_runs_are_clean() {
    assert_eq!(failures(shipped(SystemKind::Journal), None, 300), (Vec::new(), 0));
    assert_eq!(failures(shipped(SystemKind::WordCount), None, 100), (Vec::new(), 0));
}
