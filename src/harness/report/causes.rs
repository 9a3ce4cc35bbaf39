//! What led to the end of a run, step by step back from it.

use crate::{
    harness::{
        language::{COLUMNS, cut},
        run::RunOutcome,
    },
    host::sim::{EntryNumber, TraceLine, causes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Steps that a report shows.
const STEPS_MAX: usize = 12;

/// What led to the first broken promise, the last step first; nothing without a trace.
pub fn what_led_to_it(outcome: &RunOutcome) -> Vec<String> {
    let entry = outcome.violations.first().and_then(|violation| violation.at.entry);
    let led = entry.map(|entry| causes(&outcome.trace, entry)).unwrap_or_default();
    let shown: BTreeSet<EntryNumber> = led.iter().map(|line| line.entry).collect();
    let told: BTreeMap<EntryNumber, String> = outcome
        .history
        .iter()
        .filter_map(|(at, event)| Some((at.entry.filter(|entry| shown.contains(entry))?, event)))
        .filter_map(|(entry, event)| Some((entry, event.in_words()?)))
        .collect();
    steps(&led, &told)
}

/// A line for each step, events in their own words where they have any; those that say the same one after the
/// other are one, at the last of their times.
fn steps(led: &[&TraceLine], told: &BTreeMap<EntryNumber, String>) -> Vec<String> {
    let mut steps: Vec<(u64, String, usize)> = Vec::new();
    for line in led {
        let words = words(line, told.get(&line.entry));
        match steps.last_mut() {
            Some((_, last, times)) if *last == words => *times += 1,
            _ => steps.push((line.time, words, 1)),
        }
        if steps.len() > STEPS_MAX {
            break;
        }
    }
    let told = steps.into_iter().take(STEPS_MAX).map(|(time, words, times)| {
        let times = if times > 1 { format!("  ({times} times)") } else { String::new() };
        let at = Duration::from_nanos(time).as_secs_f64();
        let step = format!("{at:>9.3}s  {words}");
        cut(&step, COLUMNS - 2 - times.chars().count()) + &times
    });
    told.collect()
}

fn words(line: &TraceLine, told: Option<&String>) -> String {
    let says = |field| line.says(field).unwrap_or_default();
    match line.kind {
        "frame-delivered" | "packet-delivered" => {
            format!("{} -> {}: {}", says("from"), says("to"), says("message"))
        }
        _ => {
            let what = at_node(line, told);
            line.says("node").map_or(what.clone(), |node| format!("{node}: {what}"))
        }
    }
}

/// What happened at a node, in the words that an event has for it if it has any.
pub(super) fn at_node(line: &TraceLine, told: Option<&String>) -> String {
    let says = |field| line.says(field).unwrap_or_default();
    match line.kind {
        "timer-fired" => "a timer".to_string(),
        "event" => told.map_or(says("event"), String::as_str).to_string(),
        "disk-operation" => format!("{} of {}", says("operation"), says("path")),
        kind => kind.to_string(),
    }
}
