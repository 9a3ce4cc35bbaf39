//! What plan seeds make of a swarm. These plans change only when the plan language or the scenario's
//! own bounds do: never with the code under test.

use std::{fmt::Write, path::Path};
use wavetank::harness::{
    fault::FaultPlan,
    scenario::{Scenario, SystemSpec, exact_duration},
};

/// Ten plans of the shipped swarm, in words.
pub fn ten_plans() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/word-count/swarm.toml");
    let scenario = Scenario::load(&path).expect("it is sound");
    let mut text = String::new();
    for seed in 0..10 {
        let Scenario { system: SystemSpec::WordCount(spec), latency, .. } = scenario.drawn(seed)
        else {
            panic!("it counts words");
        };
        let _ = writeln!(
            text,
            "seed {seed}: {} managers, {} executors of {} slots, parallelism {}, checkpoint every {} \
             and {} at once, latency {} to {}",
            spec.job_managers,
            spec.task_executors,
            spec.slots,
            spec.parallelism,
            exact_duration(spec.checkpoint_interval.one()),
            spec.concurrent_checkpoints,
            exact_duration(latency.low),
            exact_duration(latency.high),
        );
        for fault in FaultPlan::draw(&scenario, seed).faults {
            let _ = writeln!(text, "  {fault}");
        }
    }
    text
}
