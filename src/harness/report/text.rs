//! Reports as plain text of at most 80 columns where that can be had.

use super::timeline::{leadership_timeline, state_changes};
use crate::harness::{explore::RunOutcome, fault::PlannedFault};
use std::{fmt::Write, time::Duration};

fn seconds(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

/// The plan, what became of it, the leadership timeline and the verdict of one run.
pub fn describe_run(outcome: &RunOutcome) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{}  seed {}  schedule {}",
        outcome.scenario, outcome.seed, outcome.schedule
    );
    let _ = writeln!(text, "\nplan");
    if outcome.plan.faults.is_empty() {
        let _ = writeln!(text, "  no faults");
    }
    for (index, fault) in outcome.plan.faults.iter().enumerate() {
        let _ = writeln!(text, "  {}", planned_line(outcome, index, fault));
    }
    let _ = writeln!(text, "\nleadership");
    for term in leadership_timeline(outcome) {
        let leader = &outcome.nodes[&term.leader];
        let end = match term.end {
            Some((at, how)) => format!("{how} at {}", seconds(at.time)),
            None => "leads to the end".to_string(),
        };
        let confirmed = term
            .confirmed
            .map_or("never confirmed".to_string(), |at| format!("confirmed {}", seconds(at.time)));
        let granted = seconds(term.granted.time);
        let _ = writeln!(
            text,
            "  {:<16} {:<3} {leader:<14} granted {granted:>6}, {confirmed}, {end}",
            short(&term.component),
            term.epoch
        );
    }
    let _ = writeln!(
        text,
        "\n{}, {} messages, {} simulated",
        outcome.output.describe(),
        outcome.messages,
        seconds(outcome.simulated)
    );
    let _ = writeln!(text, "digest {}", outcome.digest);
    let note = if outcome.expected { "" } else { " (not what the scenario expects)" };
    let _ = write!(text, "verdict: {}{note}", outcome.verdict);
    text
}

/// A component's name; a job's id is cut short.
fn short(component: &str) -> &str {
    component.get(..12).filter(|_| component.starts_with("job-")).unwrap_or(component)
}

fn planned_line(outcome: &RunOutcome, index: usize, fault: &PlannedFault) -> String {
    match outcome.executed.iter().find(|executed| executed.index == index) {
        Some(executed) => {
            let end = executed.ended.map_or("the end".to_string(), seconds);
            format!("{fault}\n    {} to {end}: {}", seconds(executed.began), executed.resolved)
        }
        None => format!("{fault}\n    did not come to it"),
    }
}

/// About 25 lines on a run that failed: the invariant, the two facts in conflict, the last changes
/// of state, the faults in force, the command.
pub fn failure_report(outcome: &RunOutcome, command: &str) -> String {
    let mut text = String::new();
    match outcome.violations.first() {
        Some(violation) => {
            let _ = writeln!(text, "{violation}");
            let _ = writeln!(text, "  before  {}", with_names(outcome, &violation.before));
            let _ = writeln!(text, "  now     {}", with_names(outcome, &violation.now));
        }
        None => {
            let _ = writeln!(text, "{}", outcome.verdict);
        }
    }
    let _ = writeln!(text, "\nthe last changes of state");
    for change in state_changes(outcome, 5) {
        let _ = writeln!(text, "  {change}");
    }
    let end = outcome.violations.first().map_or(outcome.simulated, |violation| violation.at.time);
    let _ = writeln!(text, "\nfaults in force");
    let in_force: Vec<_> = outcome
        .executed
        .iter()
        .filter(|executed| executed.began <= end && executed.ended.is_none_or(|ended| ended >= end))
        .collect();
    if in_force.is_empty() {
        let _ = writeln!(text, "  none");
    }
    for executed in in_force {
        let _ = writeln!(
            text,
            "  {} since {}: {}",
            executed.planned,
            seconds(executed.began),
            executed.resolved
        );
    }
    let _ = write!(text, "\nagain\n  {command}");
    text
}

/// A fact in which nodes go by their names.
fn with_names(outcome: &RunOutcome, fact: &str) -> String {
    let named = |text: String, (node, name): (_, &String)| {
        text.replace(&format!("{node:?}/"), &format!("{name}/"))
    };
    outcome.nodes.iter().fold(fact.trim_start().to_string(), named)
}
