//! Many runs, and what they have in common.

use super::{SYSTEMS, of_journal};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use wavetank::harness::{
    check::Verdict,
    run::{RunConfig, Sweep, SweepRun, SweepSummary, run_on_fresh_thread, watched_sweep},
    scenario::Scenario,
};

fn failed(seed: u64, verdict: Verdict) -> SweepRun {
    let mut outcome = run_on_fresh_thread(&of_journal("flapping"), &RunConfig::new(seed));
    (outcome.expected, outcome.verdict) = (false, verdict);
    SweepRun { scenario: 0, outcome }
}

fn stuck(waits_for: &str) -> Verdict {
    Verdict::Stuck { waits_for: waits_for.to_string() }
}

#[test]
fn failures_are_grouped_by_what_they_have_in_common() {
    let mut summary = SweepSummary::default();
    let l2 = || Verdict::Violated("L2".to_string());
    summary.add(failed(5, l2()));
    summary.add(failed(3, l2()));
    summary.add(failed(1, stuck("client 2 to finish (17 lines acknowledged)")));
    summary.add(failed(2, stuck("client 3 to finish (4 lines acknowledged)")));
    summary.add(failed(4, stuck("the job to be taken on")));
    let groups = summary.groups();
    let seen: Vec<_> = groups
        .iter()
        .map(|(_, group)| {
            (group.kind(), group.runs.values().map(|run| run.seed).collect::<Vec<_>>())
        })
        .collect();
    let client = "stuck, waiting for client # to finish (# lines acknowledged)".to_string();
    let job = "stuck, waiting for the job to be taken on".to_string();
    let l2 = "violated:L2".to_string();
    assert_eq!(seen, [(client, vec![1, 2]), (l2, vec![3, 5]), (job, vec![4])]);
    assert_eq!(groups[1].1.first.outcome.seed, 3, "whichever came first");
    assert_eq!(summary.failed_runs().len(), 5);
    let total = summary.total();
    assert_eq!((total.runs, total.passed, total.violated, total.stuck), (5, 0, 2, 3));
}

#[test]
fn only_seeds_of_the_sweep_are_under_way() {
    let scenario =
        Scenario::builder("journal/test", "A test.").build(SYSTEMS).expect("it is sound");
    let plan = Sweep::new(vec![Arc::new(scenario)], 5..8);
    let (mut ended, mut told) = (0, BTreeSet::new());
    watched_sweep(&plan, Duration::from_nanos(1), |_| ended += 1, |runs| told.extend(runs));
    assert_eq!(ended, 3);
    assert!(told.iter().all(|seed| plan.seeds.contains(seed)), "{told:?}");
}
