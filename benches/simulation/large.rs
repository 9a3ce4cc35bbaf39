//! A cluster as large as they come: a thousand task executors, a hundred jobs.

use crate::measure::{Effort, median, ratio, row, seconds};
use std::{path::Path, sync::Arc};
use wavetank::{
    harness::run::{RunConfig, run_on_fresh_thread},
    under_test::SYSTEMS,
};

/// Every job takes ten of the thousand slots, so that each executor works. The dispatcher dies, and executors do.
fn scenario() -> String {
    let shipped = include_str!("../../scenarios/pipelines/many-jobs.toml");
    [
        ("task-executors = 8", "task-executors = 1000"),
        ("slots = 5", "slots = 1"),
        ("count = 30", "count = 100"),
        ("parallelism = 1", "parallelism = 10"),
    ]
    .into_iter()
    .fold(shipped.to_string(), |text, (shipped, large)| {
        assert!(text.contains(shipped), "the shipped scenario has {shipped:?}");
        text.replace(shipped, large)
    })
}

/// One run after the other, each of another seed.
pub fn large(effort: Effort) {
    let scenario = SYSTEMS.parse(&scenario(), Path::new("bench/large.toml")).expect("valid");
    let scenario = Arc::new(scenario);
    println!("large: 1,000 task executors and 100 jobs of 10 tasks side by side; failovers");
    let (mut times, mut spans) = (Vec::new(), Vec::new());
    for seed in 0..effort.rounds.min(5) as u64 {
        let simulated = std::sync::Mutex::new(0.0);
        times.push(seconds(|| {
            let outcome = run_on_fresh_thread(&scenario, &RunConfig::new(seed));
            assert!(outcome.expected, "seed {seed}: {:?}", outcome.verdict);
            *simulated.lock().expect("no panic") = outcome.simulated.as_secs_f64();
        }));
        spans.push(simulated.into_inner().expect("no panic"));
    }
    row("simulated seconds", format!("{:.1}", median(&spans)));
    row("wall seconds", format!("{:.1}", median(&times)));
    row("simulated / wall", format!("{:.1}", ratio(&spans, &times)));
}
