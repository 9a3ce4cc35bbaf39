//! A kept plan that shows nothing any more is stale.

use super::SYSTEMS;
use std::{path::Path, sync::Arc};
use wavetank::harness::{
    explore::Staleness,
    run::{RunConfig, run_on_fresh_thread},
};

fn missing(text: &str, runs: u64) -> Vec<String> {
    let scenario = SYSTEMS.parse(text, Path::new("regressions/test.toml")).unwrap();
    let scenario = Arc::new(scenario);
    let mut staleness = Staleness::default();
    for seed in 0..runs {
        staleness.add(&run_on_fresh_thread(&scenario, &RunConfig::new(seed)));
    }
    staleness.missing(&scenario)
}

const QUIET: &str = "description = \"test\"\nheal-at = \"20s\"\n[workload]\nlines = 5\n";

#[test]
fn a_plan_that_comes_to_its_faults_is_not_stale() {
    let fault = "[[fault]]\nkind = \"pause\"\ntarget = \"leader\"\nduration = \"1s\"\n\
                 on = { milestone = \"journal-serving\" }";
    assert_eq!(
        missing(&format!("reaches = [\"journal-acknowledged\"]\n{QUIET}{fault}"), 1),
        [""; 0]
    );
}

#[test]
fn a_fault_that_never_comes_makes_a_plan_stale() {
    let fault = "[[fault]]\nkind = \"pause\"\ntarget = \"leader\"\nduration = \"1s\"\n\
                 on = { milestone = \"journal-serving\", nth = 50 }";
    let wanted = ["journal-serving is no longer reached 50 times"];
    assert_eq!(missing(&format!("{QUIET}{fault}"), 2), wanted);
}

#[test]
fn a_milestone_that_is_never_reached_makes_a_plan_stale() {
    let wanted = ["leader-revoked is no longer reached"];
    assert_eq!(missing(&format!("reaches = [\"leader-revoked\"]\n{QUIET}"), 2), wanted);
}
