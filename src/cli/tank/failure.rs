//! What is told of a run that failed.

use super::{CliError, Outcome, run::result_of, speech::print};
use crate::{
    harness::{explore::RunOutcome, report::failure_report, scenario::Scenario},
    host::Sabotage,
};
use std::sync::Arc;

/// Tells of a failed run of a sweep, and how to see it again.
pub fn tell(
    _scenario: &Arc<Scenario>,
    outcome: &RunOutcome,
    sabotage: Option<Sabotage>,
) -> Result<Outcome, CliError> {
    let sabotage =
        sabotage.map_or(String::new(), |switch| format!(" --sabotage {}", switch.name()));
    let again = format!("cargo run -- run {} --seed {}{sabotage}", outcome.scenario, outcome.seed);
    print(&format!("{}\n", failure_report(outcome, &again)))?;
    Ok(result_of(outcome))
}
