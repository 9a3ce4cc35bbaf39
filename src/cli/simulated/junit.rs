//! What a sweep came to, as CI servers read it.

use crate::harness::run::{FailedRun, FailureGroup, ScenarioTally, SweepSummary};
use std::fmt::Write;

/// Seeds of a failure that are told.
const SEEDS_MAX: usize = 20;

/// A test suite with a test case for each scenario, and of one that failed for each way in which it did. `scenarios` are
/// the names of those that were swept, in the sweep's order.
pub fn junit(summary: &SweepSummary, scenarios: &[&str], wall_seconds: f64) -> String {
    let cases: Vec<(usize, String)> = summary
        .tallies
        .iter()
        .flat_map(|(name, tally)| of_scenario(summary, scenarios, name, tally))
        .collect();
    let failed: usize = cases.iter().map(|(failures, _)| failures).sum();
    let text: String = cases.iter().map(|(_, case)| case.as_str()).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites><testsuite name=\"wavetank\" tests=\"{}\" failures=\"{failed}\" \
         time=\"{wall_seconds:.3}\">\n{text}</testsuite></testsuites>\n",
        cases.len()
    )
}

/// The test cases of a scenario, each with how many failures it is.
fn of_scenario(
    summary: &SweepSummary,
    scenarios: &[&str],
    name: &str,
    tally: &ScenarioTally,
) -> Vec<(usize, String)> {
    let is_here = |run: &&FailedRun| scenarios.get(run.scenario) == Some(&name);
    let head = |what: &str| {
        let (class, what) = (escaped(name), escaped(what));
        let seconds = tally.simulated.as_secs_f64();
        format!("  <testcase classname=\"{class}\" name=\"{what}\" time=\"{seconds:.3}\"")
    };
    let failure = |group: &FailureGroup| {
        let runs: Vec<&FailedRun> = group.runs.values().filter(is_here).collect();
        let mut again = String::new();
        for run in runs.iter().take(SEEDS_MAX) {
            let _ = writeln!(again, "cargo run -- run {name} --seed {}", run.recipe);
        }
        let kind = group.kind();
        let message = escaped(&format!("{kind}: {} of {} runs", runs.len(), tally.runs));
        let (head, again) = (head(&kind), escaped(&again));
        let case = format!(
            "{head}>\n    <failure message=\"{message}\">{again}</failure>\n  </testcase>\n"
        );
        (!runs.is_empty()).then_some((1, case))
    };
    let failures: Vec<_> = summary.failures.values().filter_map(failure).collect();
    match failures.is_empty() {
        true => vec![(0, format!("{}/>\n", head(&format!("{} runs", tally.runs))))],
        false => failures,
    }
}

fn escaped(text: &str) -> String {
    let plain = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    plain.replace('"', "&quot;").replace(|c: char| c.is_control() && c != '\n', " ")
}
