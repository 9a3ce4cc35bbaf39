//! Each known bug that can be switched on is caught by the check that is there for it.
#![cfg(madsim)]

use std::{path::Path, sync::Arc};
use wavetank::{
    harness::{
        explore::{Sweep, sweep},
        sabotage::caught_by,
        scenario::{Scenario, discover},
    },
    host::Sabotage,
};

/// No switch takes more runs than this.
const RUNS_MAX: u64 = 3000;

fn shipped() -> Vec<Arc<Scenario>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let paths = discover(&folder).expect("the scenarios can be listed");
    paths.iter().map(|path| Arc::new(Scenario::load(path).expect("a shipped scenario"))).collect()
}

/// The verdicts of the runs that did not end as expected.
fn failures(sabotage: Option<Sabotage>, runs: u64) -> (Vec<String>, u64) {
    let plan = Sweep {
        scenarios: shipped(),
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
            verdicts.push(run.outcome.verdict.to_string());
        }
    });
    (verdicts, executions)
}

fn assert_caught(switch: Sabotage) {
    let (verdicts, executions) = failures(Some(switch), RUNS_MAX);
    assert!(executions > 0, "the line of {} never ran", switch.name());
    let wanted = caught_by(switch);
    let caught = |verdict: &String| {
        wanted
            .iter()
            .any(|check| verdict == &format!("violated:{check}") || verdict.starts_with(check))
    };
    assert!(!verdicts.is_empty(), "{} was not caught in {RUNS_MAX} runs", switch.name());
    assert!(
        verdicts.iter().all(caught),
        "{} was caught by {verdicts:?}, not {wanted:?}",
        switch.name()
    );
}

#[test]
fn a_stale_token_is_caught() {
    assert_caught(Sabotage::StaleTokenAccepted);
}

#[test]
fn a_stale_confirmation_is_caught() {
    assert_caught(Sabotage::StaleConfirmationAccepted);
}

#[test]
fn a_lost_lease_treated_as_alive_is_caught() {
    assert_caught(Sabotage::LostLeaseTreatedAsAlive);
}

#[test]
fn a_journal_written_after_the_revoke_is_caught() {
    assert_caught(Sabotage::JournalWrittenAfterRevoke);
}

#[test]
fn a_call_handled_twice_is_caught() {
    assert_caught(Sabotage::AtMostOnceWindowOff);
}

#[test]
fn without_a_switch_the_same_runs_are_clean() {
    assert_eq!(failures(None, 300), (Vec::new(), 0));
}
