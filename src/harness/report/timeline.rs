//! Timelines out of a run's history.

use super::plain::plain;
use crate::{
    harness::{
        event::{HISTORY_BYTES_MAX, Leadership, Moment, end_name},
        run::RunOutcome,
    },
    host::sim::{Hardware, NodeId},
};
use std::{collections::BTreeMap, time::Duration};

/// One term of a component: who led, from when, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The component.
    pub component: String,
    /// Counts the component's terms from 1, in the order of their grants.
    pub epoch: u64,
    /// The leading node.
    pub leader: NodeId,
    /// When it was granted.
    pub granted: Moment,
    /// When the leader confirmed it.
    pub confirmed: Option<Moment>,
    /// When and how it ended.
    pub end: Option<(Moment, &'static str)>,
}

/// The terms of a run, as the contenders saw them.
pub fn leadership_timeline(outcome: &RunOutcome) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for (at, kept) in &outcome.history {
        if let Some(Hardware::Ended(end)) = kept.get() {
            open.retain(|_, index| {
                let term = &mut terms[*index];
                let died = term.granted.process == at.process;
                if died {
                    term.end = Some((*at, end_name(end)));
                }
                !died
            });
        }
        match kept.leadership() {
            Some(Leadership::Granted { component, term }) => {
                open.insert(term, terms.len());
                let earlier = terms.iter().filter(|term| term.component == component).count();
                terms.push(Term {
                    component,
                    epoch: earlier as u64 + 1,
                    leader: at.process.0,
                    granted: *at,
                    confirmed: None,
                    end: None,
                });
            }
            Some(Leadership::Confirmed { term }) => {
                if let Some(index) = open.get(&term) {
                    terms[*index].confirmed.get_or_insert(*at);
                }
            }
            Some(Leadership::Revoked { term }) => {
                if let Some(index) = open.remove(&term) {
                    terms[index].end = Some((*at, "revoked"));
                }
            }
            None => {}
        }
    }
    terms
}

/// What led to the end of a run: every change of the cluster's state, the faults, and what broke.
pub fn history(outcome: &RunOutcome) -> Vec<String> {
    let until = outcome.violations.first().map_or(Duration::MAX, |violation| violation.at.time);
    let line = |at: Duration, text: &str| format!("{:>9.3}s  {text}", at.as_secs_f64());
    let changes = outcome.history.iter().filter(|(at, _)| at.time <= until);
    let changes = changes.filter_map(|(at, kept)| {
        let name = outcome.nodes.get(&at.process.0).map_or("?", String::as_str);
        Some((at.time, line(at.time, &format!("{name}: {}", plain(&kept.in_words()?)))))
    });
    let mut lines: Vec<(Duration, String)> = changes.collect();
    if outcome.history_cut > 0 {
        let most = HISTORY_BYTES_MAX >> 20;
        let cut = format!(
            "the first {} changes are not kept: a history holds {most} MiB",
            outcome.history_cut
        );
        lines.insert(0, (Duration::ZERO, line(Duration::ZERO, &cut)));
    }
    for fault in &outcome.executed {
        let whom = fault.describe_resolved();
        let text = format!("-- fault begins: {} {whom}", fault.what);
        lines.push((fault.began, line(fault.began, text.trim_end())));
        if let Some(ended) = fault.ended.filter(|ended| *ended <= until) {
            lines.push((ended, line(ended, &format!("-- fault lifted: {}", fault.what))));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let broken = outcome.violations.iter().filter(|violation| violation.at.time == until);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    lines.extend(broken.map(|violation| line(until, &format!("** broken: {violation}"))));
    lines
}

/// All changes of the cluster's state, in words.
pub fn state_changes(outcome: &RunOutcome) -> Vec<String> {
    last_changes(outcome, usize::MAX, Duration::MAX)
}

/// The changes of the cluster's state up to a time, in words.
pub fn changes_until(outcome: &RunOutcome, until: Duration) -> Vec<String> {
    last_changes(outcome, usize::MAX, until)
}

/// The last `count` changes of the cluster's state up to a time, in words.
pub fn last_changes(outcome: &RunOutcome, count: usize, until: Duration) -> Vec<String> {
    let before = outcome.history.iter().rev().filter(|(at, _)| at.time <= until);
    let changes = before.filter_map(|(at, kept)| {
        let name = outcome.nodes.get(&at.process.0).map_or("?", String::as_str);
        let text = plain(&kept.in_words()?);
        Some(format!("{:>9.3}s  {name}: {text}", at.time.as_secs_f64()))
    });
    let mut last: Vec<String> = changes.take(count).collect();
    last.reverse();
    last
}
