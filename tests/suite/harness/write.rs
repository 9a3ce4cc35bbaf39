//! What is written reads back as the very same.

use super::{SYSTEMS, shipped};
use std::path::Path;
use wavetank::harness::scenario::FaultPlan;

#[test]
fn every_shipped_scenario_and_each_of_its_plans_reads_back() {
    let paths = shipped();
    assert!(paths.len() > 30, "they were found");
    for path in paths {
        let scenario = SYSTEMS.load(&path).unwrap();
        assert_eq!(SYSTEMS.parse(&scenario.to_toml(), &path).unwrap(), scenario);
        for seed in [0, 1, u64::MAX] {
            let plan = FaultPlan::draw(&scenario, seed);
            let pinned = scenario.pinned(seed, plan.faults.iter());
            let read = SYSTEMS.parse(&pinned.to_toml(), &path).unwrap();
            assert_eq!(read, pinned);
            let again = FaultPlan::draw(&read, 5);
            assert_eq!(again.faults, plan.faults, "whatever seed is asked for");
        }
    }
}

#[test]
fn a_seed_says_what_it_draws_from_ranges_and_nothing_else() {
    let text = "description = \"A test.\"\nsystem = \"cluster\"\n[cluster]\nslots = 3\n\
                task-executors = \"3..6\"\n[[job]]\nskew = \"10%..90%\"\n";
    let scenario = SYSTEMS.parse(text, Path::new("a.toml")).expect("it is sound");
    let keys = |seed| scenario.sizes(seed).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(1), ["task-executors", "skew"]);
    let executors = |seed| scenario.sizes(seed).swap_remove(0).1;
    let drawn: std::collections::BTreeSet<String> = (0..50).map(executors).collect();
    assert_eq!(drawn.into_iter().collect::<Vec<_>>(), ["3", "4", "5", "6"]);
    let plain = SYSTEMS.parse("description = \"A test.\"", Path::new("a.toml"));
    assert_eq!(plain.expect("it is sound").sizes(1), Vec::new());
}
