//! After the faults a cluster must converge within the bounds of its scenario; a run that does not
//! says for what it waits, and why that may be lawful.

#![cfg(madsim)]

use std::{path::Path, sync::Arc};
use wavetank::harness::{
    explore::{RunConfig, RunOutcome, run_on_fresh_thread},
    scenario::Scenario,
};

fn run(text: &str) -> RunOutcome {
    let head = "description = \"A test.\"\nsubject = \"word-count\"\n";
    let scenario = Scenario::parse(&format!("{head}{text}"), Path::new("scenarios/test.toml"));
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    run_on_fresh_thread(&scenario, &RunConfig::new(1))
}

/// All job managers are down until the faults end.
const DOWN: &str = "faults-end = \"20s\"\n[[fault]]\nkind = \"crash\"\ntarget = \"job-managers\"\n\
                    at = \"5s\"\nlasts = \"60s\"\n[workload]\nlines = 2000\n";

#[test]
fn each_goal_has_its_own_bound() {
    for (bounds, verdict) in [
        ("leaders = \"0s\"", "waiting for a holder of the latch of dispatcher (`leaders` has 0s)"),
        ("tasks = \"200ms\"", "waiting for the job's tasks to be deployed (`tasks` has 200ms)"),
        ("checkpoint = \"1s\"", "waiting for a checkpoint that began after the faults to complete"),
        ("job = \"1s\"", "waiting for the job to end, and its client to learn of it"),
    ] {
        let outcome = run(&format!("{DOWN}[converge]\n{bounds}\n"));
        let told = outcome.verdict.to_string();
        assert!(told.contains(verdict), "{bounds}: {told}");
        assert_eq!(outcome.reasons, Vec::<String>::new(), "nothing excuses it");
    }
    let outcome = run(&format!(
        "{DOWN}[converge]\nleaders = \"15s\"\ntasks = \"25s\"\ncheckpoint = \"35s\"\n"
    ));
    assert_eq!(outcome.verdict.to_string(), "held");
}

#[test]
fn a_lawful_reason_is_told() {
    let few = "[cluster]\ntask-executors = 2\nslots = 1\n[workload]\nparallelism = 4\n";
    let outcome = run(few);
    assert_eq!(outcome.verdict.name(), "stuck");
    assert_eq!(outcome.reasons, ["lawful: the job needs 4 slots, and the cluster has 2"]);
    let slow = "faults-end = \"5s\"\n[workload]\nlines = 1000\nlines-per-second = 10\n";
    let outcome = run(slow);
    let reason = "lawful: to write the input alone takes 100s; the run had 65s";
    assert_eq!((outcome.verdict.name(), &outcome.reasons[..]), ("stuck", &[reason.into()][..]));
    let busy = "[converge]\ncheckpoint = \"10m\"\n[workload]\nlines = 600\nservice-time = \"1s\"\n";
    let outcome = run(busy);
    let reason = "lawful: to handle the words alone takes 150s; the run had 120s";
    assert_eq!((outcome.verdict.name(), &outcome.reasons[..]), ("stuck", &[reason.into()][..]));
}
