//! What plan seeds make of a swarm. These plans change only when the plan language or the scenario's
//! own bounds do: never with the code under test.

use std::{fmt::Write, path::Path};
use wavetank::{
    harness::{language::exact_duration, scenario::FaultPlan},
    under_test::{SYSTEMS, cluster::Settings},
};

/// Ten plans of the shipped swarm, in words.
fn ten_plans() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/word-count/swarm.toml");
    let scenario = SYSTEMS.load(&path).expect("it is sound");
    let mut text = String::new();
    for seed in 0..10 {
        let drawn = scenario.drawn(seed);
        let Settings { cluster, jobs } = drawn.system.settings().expect("it is a cluster");
        let parallelism: Vec<String> = jobs.iter().map(|job| job.slots().to_string()).collect();
        let latency = drawn.latency;
        let _ = writeln!(
            text,
            "seed {seed}: {} managers, {} executors of {} slots, jobs of parallelism {}, \
             latency {} to {}",
            cluster.job_managers,
            cluster.task_executors,
            cluster.slots,
            parallelism.join(" and "),
            exact_duration(latency.low),
            exact_duration(latency.high),
        );
        for fault in FaultPlan::draw(&scenario, seed).faults {
            let _ = writeln!(text, "  {fault}");
        }
    }
    text
}

#[test]
fn the_plans_of_the_swarm_are_those_that_were_reviewed() {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
        description => "What ten seeds make of the swarm.",
    }, {
        insta::assert_snapshot!("swarm-plans", ten_plans());
    });
}
