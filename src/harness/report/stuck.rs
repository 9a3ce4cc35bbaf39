//! What a run did that is stuck: since it last moved, and where each node stands.

use super::causes::at_node;
use crate::{
    harness::{
        language::{COLUMNS, cut},
        run::RunOutcome,
    },
    host::sim::TraceLine,
};
use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

/// Kinds of things that are told of the time since it moved.
const KINDS_MAX: usize = 8;
/// Nodes of which the last step is told.
const NODES_MAX: usize = 16;
/// The end of a run that moves all the time and does not get on.
const WINDOW: Duration = Duration::from_secs(10);

/// What happened since the last change of state, by kind and how often; of a run that changes up to its end, in its last
/// seconds. Nothing without a trace.
pub fn since_it_moved(outcome: &RunOutcome) -> Vec<String> {
    let moved = outcome.history.iter().rev().find(|(_, event)| event.in_words().is_some());
    let moved = moved.map_or(Duration::ZERO, |(at, _)| at.time);
    let from = moved.min(outcome.simulated.saturating_sub(WINDOW));
    let mut kinds: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let since = outcome.trace.iter().filter(|line| Duration::from_nanos(line.time) > from);
    for (kind, time) in since.filter_map(|line| Some((kind_of(line)?, line.time))) {
        let counted = kinds.entry(kind).or_default();
        *counted = (counted.0 + 1, time);
    }
    let mut kinds: Vec<(String, (u64, u64))> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, (count, _))| Reverse(*count));
    let told = kinds.into_iter().take(KINDS_MAX).map(|(kind, (count, last))| {
        let last = Duration::from_nanos(last).as_secs_f64();
        cut(&format!("{count:>7} times, at last at {last:.3}s: {kind}"), COLUMNS - 2)
    });
    let lead = format!("from {:.3}s on", from.as_secs_f64());
    let told: Vec<String> = told.collect();
    if outcome.trace.is_empty() { told } else { [lead].into_iter().chain(told).collect() }
}

/// What is counted together.
fn kind_of(line: &TraceLine) -> Option<String> {
    let says = |field| line.says(field).unwrap_or_default();
    match line.kind {
        "frame-lost" | "packet-lost" => Some(format!("lost, {}: {}", says("why"), says("message"))),
        "frame-delivered" => Some(format!("{} reaches {}", says("message"), role_of(says("to")))),
        "event" => {
            let words = at_node(line, None);
            let kind = words.split(',').next().unwrap_or_default();
            // Of each message there are two of these, and the message is told.
            let is_told = ["handler ", "ask "].iter().any(|of| kind.starts_with(of));
            (!is_told).then(|| format!("{}: {kind}", role_of(says("node"))))
        }
        _ => None,
    }
}

fn role_of(node: &str) -> &str {
    node.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-')
}

/// What each node did last that was more than a timer, and when.
pub fn last_steps(outcome: &RunOutcome) -> Vec<String> {
    let mut last: BTreeMap<&str, &TraceLine> = BTreeMap::new();
    // What the harness did, such as healing at the end, is no step of theirs.
    let steps =
        outcome.trace.iter().filter(|line| line.kind != "timer-fired" && line.cause.is_some());
    for line in steps {
        let node = line.says("node").or_else(|| line.says("to"));
        if let Some(node) = node.filter(|_| !line.kind.ends_with("-lost")) {
            last.insert(node, line);
        }
    }
    let told = |outcome: &RunOutcome, line: &TraceLine| {
        let event = outcome.history.iter().rev().find(|(at, _)| at.entry == Some(line.entry));
        event.and_then(|(_, event)| event.in_words())
    };
    let lines = last.iter().take(NODES_MAX).map(|(node, line)| {
        let at = Duration::from_nanos(line.time).as_secs_f64();
        let what = match line.says("message") {
            Some(message) => format!("{message} comes from {}", line.says("from").unwrap_or("?")),
            None => at_node(line, told(outcome, line).as_ref()),
        };
        cut(&format!("{at:>9.3}s  {node}: {what}"), COLUMNS - 2)
    });
    lines.collect()
}
