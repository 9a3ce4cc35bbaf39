//! Journal runs: how many a second, and whether they leave memory behind.

use crate::child::{Child, memory_kb};
use crate::journal::under_test::SYSTEMS;
use crate::measure::{Effort, median, ratio, row, seconds};
use std::{cell::Cell, path::Path, sync::Arc, time::Duration};
use wavetank::harness::{
    run::{RunConfig, run_on_fresh_thread},
    scenario::{Scenario, discover},
};

/// The argument that makes this program the child of [`memory`].
pub const MEMORY_CHILD: &str = "memory-child";

const CHEAP: &str = r#"
description = "one contender, one client, three lines"
[cluster]
journals = 1
clients = 1
[workload]
lines = 3
pause = "10ms"
"#;

/// Prints the resident memory after a tenth of the runs and after all of them.
pub fn memory_child(effort: Effort) {
    let scenario = Arc::new(SYSTEMS.parse(CHEAP, Path::new("bench/cheap.toml")).expect("valid"));
    let runs = u64::from(10_000 / effort.divisor);
    for seed in 1..=runs {
        let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(seed));
        assert!(outcome.expected, "seed {seed}: {:?}", outcome.verdict);
        if seed == runs / 10 || seed == runs {
            println!("{seed} {}", memory_kb("VmRSS"));
        }
    }
}

/// Runs in a process of its own, so that no other part is seen.
pub fn memory(_: Effort) {
    println!("memory: resident after journal runs; aim: at most 1.2 times");
    let mut sizes: Vec<(String, f64)> = Vec::new();
    Child::start(MEMORY_CHILD).each_line(|line| {
        let (runs, kb) = line.split_once(' ').expect("two numbers");
        sizes.push((runs.to_string(), kb.parse().expect("a number")));
    });
    for (runs, kb) in &sizes {
        row(&format!("after {runs} runs"), format!("{:.1} MB", kb / 1e3));
    }
    row("last / first", format!("{:.2}", sizes[1].1 / sizes[0].1));
}

/// Every scenario of the journal, on one core.
pub fn journal(effort: Effort) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/journal/scenarios/journal");
    let files = discover(&folder).expect("the scenarios are there");
    let scenarios: Vec<Arc<Scenario>> =
        files.iter().map(|file| Arc::new(SYSTEMS.load(file).expect("valid"))).collect();
    let seeds = u64::from((20 / effort.divisor).max(2));
    println!("journal: {} scenarios, {seeds} seeds each, one run at a time", scenarios.len());
    let simulated = Cell::new(Duration::ZERO);
    let round = || {
        let sum = std::sync::Mutex::new(Duration::ZERO);
        let took = seconds(|| {
            for scenario in &scenarios {
                for seed in 0..seeds {
                    let outcome = run_on_fresh_thread(scenario, &RunConfig::new(seed));
                    *sum.lock().expect("no panic") += outcome.simulated;
                }
            }
        });
        simulated.set(sum.into_inner().expect("no panic"));
        took
    };
    let times: Vec<f64> = (0..effort.rounds).map(|_| round()).collect();
    let runs = scenarios.len() as f64 * seeds as f64;
    row("runs per wall second", format!("{:.0}", runs / median(&times)));
    let simulated = vec![simulated.get().as_secs_f64(); times.len()];
    row("simulated / wall", format!("{:.0}", ratio(&simulated, &times)));
}
