//! What led to the end of a run, step by step back from it.

use super::plain::plain;
use crate::{
    harness::run::RunOutcome,
    host::sim::{EntryNumber, TraceLine, causes, line_of},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Steps to the event that broke a promise which a report shows.
const STEPS_MAX: usize = 10;
/// What stands between the steps that led to a failure alone and those that the nearest run that passes has as well.
const SAME: &str = "-- up to here the nearest run that passes is the same --";
/// Steps to the event with which it is in conflict.
const STEPS_BEFORE_MAX: usize = 5;

/// What led to the first broken promise, and what to the event with which the one that broke it is in conflict; nothing
/// without a trace.
pub struct Led {
    /// The steps to the event that broke it, the last one first; those behind which a run that passes parts come under a
    /// line that says so.
    pub to_it: Vec<String>,
    /// The steps to the event before that led not to the other one as well.
    pub to_before: Vec<String>,
}

/// What led to the two events that are in conflict.
pub fn what_led_to_it(outcome: &RunOutcome, parts_after: Option<EntryNumber>) -> Led {
    let broken = outcome.violations.first();
    let chain = |entry: Option<EntryNumber>| -> Vec<&TraceLine> {
        entry.map(|entry| causes(&outcome.trace, entry)).unwrap_or_default()
    };
    let led = chain(broken.and_then(|violation| violation.at.entry));
    let known: BTreeSet<EntryNumber> = led.iter().map(|line| line.entry).collect();
    let mut before = chain(broken.and_then(|violation| violation.before_entry));
    before.retain(|line| !known.contains(&line.entry));
    let shown: BTreeSet<EntryNumber> = led.iter().chain(&before).map(|line| line.entry).collect();
    let told: BTreeMap<EntryNumber, String> = outcome
        .history
        .iter()
        .filter_map(|(at, event)| Some((at.entry.filter(|entry| shown.contains(entry))?, event)))
        .filter_map(|(entry, event)| Some((entry, event.in_words()?)))
        .collect();
    let parts = led.partition_point(|line| parts_after.is_none_or(|same| line.entry > same));
    let (own, shared) = led.split_at(parts);
    let mut to_it = steps(own, &told, STEPS_MAX);
    let left = if shared.is_empty() { 0 } else { (STEPS_MAX / 2).saturating_sub(to_it.len()) };
    if left > 0 {
        to_it.push(SAME.to_string());
        to_it.extend(steps(shared, &told, left));
    }
    Led { to_it, to_before: steps(&before, &told, STEPS_BEFORE_MAX) }
}

/// An entry of a trace in a person's words.
pub fn entry_in_words(outcome: &RunOutcome, entry: EntryNumber) -> String {
    let Some(line) = line_of(&outcome.trace, entry) else { return String::new() };
    let told = outcome.history.iter().find(|(at, _)| at.entry == Some(entry));
    words(line, told.and_then(|(_, event)| event.in_words()).as_ref())
}

/// A line for each step, events in their own words where they have any; those that say the same one after the
/// other are one, at the last of their times.
fn steps(led: &[&TraceLine], told: &BTreeMap<EntryNumber, String>, most: usize) -> Vec<String> {
    let mut steps: Vec<(u64, String, usize)> = Vec::new();
    for line in led {
        let words = words(line, told.get(&line.entry));
        match steps.last_mut() {
            Some((_, last, times)) if *last == words => *times += 1,
            _ => steps.push((line.time, words, 1)),
        }
        if steps.len() > most {
            break;
        }
    }
    let told = steps.into_iter().take(most).map(|(time, words, times)| {
        let times = if times > 1 { format!("  ({times} times)") } else { String::new() };
        let at = Duration::from_nanos(time).as_secs_f64();
        format!("{at:>9.3}s  {words}{times}")
    });
    told.collect()
}

/// A line of the trace, with what it is about.
pub(super) fn words(line: &TraceLine, told: Option<&String>) -> String {
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
        "event" => plain(told.map_or(says("event"), String::as_str)),
        "disk-operation" => format!("{} of {}", says("operation"), says("path")),
        kind => kind.to_string(),
    }
}
