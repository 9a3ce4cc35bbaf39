//! What scenario files may name is what runs can show: milestones and kinds of messages.
use crate::harness::{SYSTEMS, shipped};
use std::{collections::BTreeSet, sync::Arc};
use wavetank::{
    harness::{
        event::Milestone,
        fault::fault_kinds,
        run::{RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::Scenario,
        system::AnySystem,
    },
    host::sim::TraceLine,
};

/// Some runs of scenarios of a system, with their traces.
fn runs(system: &dyn AnySystem) -> impl Iterator<Item = RunOutcome> {
    let of = |scenario: &Scenario| {
        scenario.system.name() == system.name() && !scenario.name.starts_with("regressions/")
    };
    let load = |path: &std::path::PathBuf| SYSTEMS.load(path).expect("a shipped scenario");
    let scenarios: Vec<Scenario> = shipped().iter().map(load).filter(of).collect();
    (0..).zip(scenarios).map(|(seed, scenario)| {
        run_on_fresh_thread(&Arc::new(scenario), &RunConfig { trace: true, ..RunConfig::new(seed) })
    })
}

/// The kind of the message or packet of which a line of a trace tells.
fn message(line: &TraceLine) -> Option<&str> {
    let crosses = line.kind.starts_with("frame-") || line.kind.starts_with("packet-");
    crosses.then(|| line.says("message"))?
}

fn assert_catalogued(name: &str) {
    let system = SYSTEMS.named(name).expect("a system of ours");
    let groups = system.messages();
    let known: BTreeSet<&str> = groups.iter().flat_map(|group| group.kinds.clone()).collect();
    let (mut crossed, mut reached) = (BTreeSet::new(), BTreeSet::new());
    for run in runs(system) {
        crossed.extend(run.trace.iter().filter_map(|line| message(line)).map(str::to_string));
        reached.extend(run.milestones.into_keys());
    }
    let unknown: Vec<&String> =
        crossed.iter().filter(|kind| !known.contains(kind.as_str())).collect();
    assert_eq!(unknown, Vec::<&String>::new(), "kinds of a {name} that it does not name");
    // What the catalogue knows is not idle either.
    let idle = known.iter().filter(|kind| !crossed.contains(**kind)).count();
    assert!(idle * 3 < known.len(), "{idle} of {} kinds never crossed a link", known.len());
    let reachable = system.milestones();
    let idle: Vec<&Milestone> =
        reachable.iter().filter(|milestone| !reached.contains(milestone)).collect();
    assert!(idle.len() * 3 < reachable.len(), "never reached: {idle:?}");
}

#[test]
fn a_journal_shows_nothing_but_what_the_catalogue_knows() {
    assert_catalogued("journal");
}

#[test]
fn a_cluster_shows_nothing_but_what_the_catalogue_knows() {
    assert_catalogued("cluster");
}

#[test]
fn every_kind_of_fault_has_a_scenario() {
    let paths = shipped();
    let scenarios = paths.iter().map(|path| SYSTEMS.load(path).expect("a shipped scenario"));
    let used: BTreeSet<&str> =
        scenarios.flat_map(|scenario| scenario.faults).map(|fault| fault.kind.name()).collect();
    let known: BTreeSet<&str> = SYSTEMS
        .all()
        .iter()
        .flat_map(|system| fault_kinds(*system))
        .map(|kind| kind.name)
        .collect();
    assert_eq!(used, known);
}
