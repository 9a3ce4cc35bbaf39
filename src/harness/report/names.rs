//! Nodes by their names.

use crate::harness::run::RunOutcome;

/// An event in which nodes go by their names.
pub fn with_names(outcome: &RunOutcome, event: &str) -> String {
    let named = |text: String, (node, name): (_, &String)| {
        text.replace(&format!("{node:?}/"), &format!("{name}/"))
    };
    outcome.nodes.iter().fold(event.trim_start().to_string(), named)
}
