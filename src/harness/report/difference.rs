//! Two runs whose traces were kept, from the first entry that differs.

use super::{causes::words, timeline::state_changes};
use crate::{
    harness::{
        event::Milestone,
        language::wrap,
        run::{RunOutcome, without_numbers},
    },
    host::sim::TraceLine,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Changes of state that only one of them has of which so many are told.
const CHANGES_MAX: usize = 6;

/// How two runs differ; `None` when they are the same. Of each so many entries are told behind the last that is the same.
pub fn difference(first: &RunOutcome, second: &RunOutcome, entries: usize) -> Option<Vec<String>> {
    let longest = first.trace.len().max(second.trace.len());
    let parts = (0..longest).find(|at| first.trace.get(*at) != second.trace.get(*at))?;
    let runs = [("A", first), ("B", second)];
    let mut lines: Vec<String> = runs
        .iter()
        .map(|(name, run)| {
            let what = format!("{} in {}, seed {}", run.verdict, run.scenario, run.recipe());
            wrap(&format!("{name}  "), &what)
        })
        .collect();
    let same = parts.checked_sub(1).and_then(|last| first.trace.get(last));
    lines.push(match same {
        Some(last) => format!("the same for {parts} entries, up to {}", at(last)),
        None => "they differ from their first entry on".to_string(),
    });
    if let Some(last) = same {
        lines.push(wrap("     ", &told(first, last)));
    }
    for (name, run) in runs {
        lines.push(String::new());
        let behind = run.trace.get(parts..).unwrap_or_default();
        lines.extend(
            behind.iter().take(entries).map(|line| wrap(&format!("{name}  "), &told(run, line))),
        );
        if behind.is_empty() {
            lines.push(format!("{name}  it has ended"));
        }
    }
    for (one, other) in [(runs[0], runs[1]), (runs[1], runs[0])] {
        let changes = only_in(one.1, other.1);
        let more = changes.len().saturating_sub(CHANGES_MAX);
        if !changes.is_empty() {
            lines.push(format!("\nchanges of state in {} alone", one.0));
        }
        lines.extend(changes.into_iter().take(CHANGES_MAX).map(|change| wrap("  ", &change)));
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    for (one, other) in [(runs[0], runs[1]), (runs[1], runs[0])] {
        let reached =
            |run: &RunOutcome| run.milestones.keys().copied().collect::<BTreeSet<Milestone>>();
        let alone: Vec<&str> =
            reached(one.1).difference(&reached(other.1)).map(|m| m.name()).collect();
        if !alone.is_empty() {
            lines.push(wrap(&format!("milestones of {} alone  ", one.0), &alone.join(" ")));
        }
    }
    Some(lines)
}

fn at(line: &TraceLine) -> String {
    format!("{:.3}s", Duration::from_nanos(line.time).as_secs_f64())
}

fn told(run: &RunOutcome, line: &TraceLine) -> String {
    let event = run.history.iter().find(|(at, _)| at.entry == Some(line.entry));
    let event = event.and_then(|(_, event)| event.in_words());
    format!("{:>9}  {}", at(line), words(line, event.as_ref()))
}

/// The changes of one run that the other has not as often, whenever they come.
fn only_in(one: &RunOutcome, other: &RunOutcome) -> Vec<String> {
    // Ids and numbers differ in any case.
    let what = |change: &String| {
        without_numbers(change.split_once("s  ").map_or(change.as_str(), |(_, what)| what))
    };
    let mut there: BTreeMap<String, usize> = BTreeMap::new();
    for change in state_changes(other) {
        *there.entry(what(&change)).or_default() += 1;
    }
    let mut changes = state_changes(one);
    changes.retain(|change| match there.get_mut(&what(change)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    changes
}
