//! The standard scenario: simulated over wall time on one core, and what the checks take of it.

use crate::measure::{Effort, interleave, median, row, seconds};
use std::{path::Path, sync::Arc, time::Duration};
use wavetank::{
    harness::{
        run::{RunConfig, RunOutcome, run},
        scenario::Scenario,
    },
    under_test::SYSTEMS,
};

/// Runs some seeds; simulated seconds, messages and events judged come out beside the wall time.
fn round(scenario: &Arc<Scenario>, seeds: u64, checks: bool, sums: &mut Sums) -> f64 {
    let mut wall = 0.0;
    *sums = Sums::default();
    for seed in 0..seeds {
        let config = RunConfig { checks, ..RunConfig::new(seed) };
        let mut outcome: Option<RunOutcome> = None;
        wall += seconds(|| outcome = Some(run(scenario, &config)));
        sums.add(&outcome.expect("the run has ended"), seed);
    }
    wall
}

#[derive(Default)]
struct Sums {
    simulated: Duration,
    messages: u64,
    judged: u64,
}

impl Sums {
    fn add(&mut self, outcome: &RunOutcome, seed: u64) {
        assert!(outcome.expected, "seed {seed}: {:?}", outcome.verdict);
        self.simulated += outcome.simulated;
        self.messages += outcome.messages;
        self.judged += outcome.evaluations.values().sum::<u64>();
    }
}

/// Prints the standard figure.
pub fn standard(effort: Effort) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/standard.toml");
    let scenario = Arc::new(SYSTEMS.load(&file).expect("valid"));
    let seeds = u64::from((10 / effort.divisor).max(2));
    println!("standard: {seeds} seeds, one run at a time; aim: 300, better 1000, times real time");
    let (mut with, mut without) = (Sums::default(), Sums::default());
    let [checked, unchecked] = interleave(
        effort.rounds,
        [&mut || round(&scenario, seeds, true, &mut with), &mut || {
            round(&scenario, seeds, false, &mut without)
        }],
    );
    let (checked, unchecked) = (median(&checked), median(&unchecked));
    let simulated = with.simulated.as_secs_f64();
    row("simulated / wall, all checks on", format!("{:.0}", simulated / checked));
    row("simulated / wall, no checks", format!("{:.0}", simulated / unchecked));
    row("share of the checks", format!("{:.0} %", (1.0 - unchecked / checked) * 100.0));
    row("messages a simulated second", format!("{:.0}", with.messages as f64 / simulated));
    row("judgements a simulated second", format!("{:.0}", with.judged as f64 / simulated));
}
