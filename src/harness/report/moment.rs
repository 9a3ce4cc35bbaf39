//! Where a node stands at a moment of a run whose trace was kept.

use super::{bars::bars, causes::at_node, timeline::leadership_timeline};
use crate::{
    harness::run::RunOutcome,
    host::sim::{Hardware, TraceLine},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The last changes of a node's state that are told.
const CHANGES_MAX: usize = 8;
/// Messages on their way, and paths on its disk, that are told.
const LISTED_MAX: usize = 12;

/// The nodes of a name, or of a role.
pub fn nodes_like<'a>(outcome: &'a RunOutcome, name: &str) -> Vec<&'a str> {
    let names = || outcome.nodes.values().map(String::as_str);
    let exactly: Vec<&str> = names().filter(|node| *node == name).collect();
    let role =
        |node: &&str| node.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-') == name;
    if exactly.is_empty() { names().filter(role).collect() } else { exactly }
}

/// What is known of a node at a moment: its process, what it leads and what lasts there, the last changes of its state,
/// the messages to and from it that are on their way, what it did last and next, and the faults that strike it.
pub fn node_at(outcome: &RunOutcome, node: &str, until: Duration) -> Vec<String> {
    let at_moment = Moments { outcome, node, until };
    let mut lines = vec![format!("{node} at {:.3}s: {}", until.as_secs_f64(), at_moment.process())];
    let sections = [
        ("lasts", at_moment.lasting()),
        ("last changes of its state", at_moment.changes()),
        ("on their way", at_moment.on_their_way()),
        ("files that it has written", at_moment.files()),
        ("its last steps", at_moment.steps()),
        ("faults in force there", at_moment.faults()),
    ];
    for (title, told) in sections.into_iter().filter(|(_, told)| !told.is_empty()) {
        lines.push(format!("  {title}"));
        lines.extend(told.into_iter().map(|line| format!("    {line}")));
    }
    lines
}

struct Moments<'a> {
    outcome: &'a RunOutcome,
    node: &'a str,
    until: Duration,
}

fn seconds(time: Duration) -> String {
    format!("{:>9.3}s", time.as_secs_f64())
}

impl Moments<'_> {
    fn is_here(&self, at: &crate::harness::event::Moment) -> bool {
        self.outcome.nodes.get(&at.process.0).is_some_and(|name| name == self.node)
    }

    fn process(&self) -> String {
        let of_it = self.outcome.history.iter().rev().filter(|(at, _)| self.is_here(at));
        let mut before = of_it.filter(|(at, _)| at.time <= self.until);
        let last = before.find_map(|(at, kept)| Some((at, kept.get::<Hardware>()?, kept)));
        match last {
            Some((at, _, kept)) => {
                let what = kept.in_words().unwrap_or_else(|| format!("{kept:?}"));
                format!("process {}, {what} since {}", at.process.1, seconds(at.time).trim())
            }
            None => "nothing is known of its process".to_string(),
        }
    }

    fn lasting(&self) -> Vec<String> {
        let until = self.until;
        let terms = leadership_timeline(self.outcome);
        let terms = terms.iter().filter(|term| {
            self.is_here(&term.granted)
                && term.granted.time <= until
                && term.end.is_none_or(|(end, _)| end.time > until)
        });
        let terms = terms.map(|term| {
            let confirmed = term.confirmed.filter(|at| at.time <= until);
            let how = if confirmed.is_some() { "confirmed" } else { "not confirmed" };
            format!(
                "leads {}, term {}, {how}, since {}",
                term.component,
                term.epoch,
                seconds(term.granted.time).trim()
            )
        });
        let bars = bars(self.outcome);
        let open = bars.iter().filter(|bar| {
            self.is_here(&bar.began)
                && bar.began.time <= until
                && bar.ended.is_none_or(|end| end.time > until)
        });
        let open = open.map(|bar| {
            // How it ends is not known yet.
            let label = bar.label.rsplit_once(": ").filter(|_| bar.ended.is_some());
            let label = label.map_or(bar.label.as_str(), |(label, _)| label);
            format!("{} {label} since {}", bar.group, seconds(bar.began.time).trim())
        });
        terms.chain(open).collect()
    }

    fn changes(&self) -> Vec<String> {
        let changes = self.outcome.history.iter().rev();
        let changes = changes.filter(|(at, _)| at.time <= self.until && self.is_here(at));
        let told = changes
            .filter_map(|(at, kept)| Some(format!("{}  {}", seconds(at.time), kept.in_words()?)));
        let mut told: Vec<String> = told.take(CHANGES_MAX).collect();
        told.reverse();
        told
    }

    /// Those lines of the trace up to the moment.
    fn before(&self) -> &[TraceLine] {
        let until = self.until;
        let end =
            self.outcome.trace.partition_point(|line| Duration::from_nanos(line.time) <= until);
        &self.outcome.trace[..end]
    }

    /// Messages that were sent before the moment and come, or are lost, behind it.
    fn on_their_way(&self) -> Vec<String> {
        let before = self.before();
        let later = &self.outcome.trace[before.len()..];
        let told = later.iter().filter_map(|line| {
            let (from, to) = (line.says("from")?, line.says("to")?);
            let message = line.says("message")?;
            let cause = line.cause?.get();
            let sent = usize::try_from(cause).ok().filter(|sent| *sent <= before.len())?;
            let sent = before.get(sent - 1)?;
            let is_here = from == self.node || to == self.node;
            let end = if line.kind.ends_with("lost") { "is lost" } else { "comes" };
            is_here.then(|| {
                let [sent, came] =
                    [sent.time, line.time].map(|at| seconds(Duration::from_nanos(at)));
                format!(
                    "{from} -> {to}: {message}, sent at {}, {end} at {}",
                    sent.trim(),
                    came.trim()
                )
            })
        });
        told.take(LISTED_MAX).collect()
    }

    /// The paths that it has written and not removed, the last ones.
    fn files(&self) -> Vec<String> {
        let mut written: BTreeMap<&str, u64> = BTreeMap::new();
        for line in self.before().iter().filter(|line| line.kind == "disk-operation") {
            let path = line.says("path").filter(|_| line.says("node") == Some(self.node));
            match (path, line.says("operation")) {
                (Some(path), Some("remove")) => drop(written.remove(path)),
                (Some(path), Some("write" | "create")) => {
                    written.insert(path, line.time);
                }
                _ => {}
            }
        }
        let mut written: Vec<(&str, u64)> = written.into_iter().collect();
        written.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
        let told = written.into_iter().take(LISTED_MAX).map(|(path, time)| {
            format!("{path}, last at {}", seconds(Duration::from_nanos(time)).trim())
        });
        told.collect()
    }

    fn steps(&self) -> Vec<String> {
        let here = |line: &&TraceLine| {
            line.says("node").or_else(|| line.says("to")) == Some(self.node)
                && line.kind != "disk-operation"
        };
        let steps = self.before().iter().rev().filter(here).take(CHANGES_MAX);
        let told = steps.map(|line| {
            let what = match line.says("message") {
                Some(message) => format!("{message} from {}", line.says("from").unwrap_or("?")),
                None => at_node(line, None),
            };
            format!("{}  {what}", seconds(Duration::from_nanos(line.time)))
        });
        let mut told: Vec<String> = told.collect();
        told.reverse();
        told
    }

    fn faults(&self) -> Vec<String> {
        let in_force = self.outcome.executed.iter().filter(|fault| {
            fault.began <= self.until && fault.ended.is_none_or(|end| end > self.until)
        });
        let told = in_force.filter_map(|fault| {
            let struck: BTreeSet<&str> =
                fault.resolved.iter().flat_map(|(_, nodes)| nodes).map(String::as_str).collect();
            let concerns = struck.is_empty() || struck.contains(self.node);
            concerns.then(|| format!("{} since {}", fault.what, seconds(fault.began).trim()))
        });
        told.collect()
    }
}
