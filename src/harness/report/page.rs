//! The report of a run as a page: one file that needs nothing from outside. Its diagram has a lane for each node, the
//! events that changed its state, the messages between nodes, the faults, and what led to the failure.

use super::{bars::bars, causes::at_node, lost::Lost, timeline::leadership_timeline};
use crate::{
    harness::{event::Moment, nemesis::ExecutedFault, run::RunOutcome},
    host::sim::{EntryNumber, NodeId, TraceLine, causes, line_of},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// Entries that a page shows at most; the last ones, as the end of a run is what is looked at.
const ENTRIES_MAX: usize = 200_000;
/// What the diagram calls its kinds of entries.
const EVENT: u8 = 0;
const MESSAGE: u8 = 1;
const LOST: u8 = 2;
const OTHER: u8 = 3;

/// What stands in the page; times are microseconds.
#[derive(Serialize)]
struct Page<'a> {
    verdict: String,
    promise: &'a str,
    conflict: Vec<(&'static str, String)>,
    origin: String,
    #[serde(rename = "isFailure")]
    is_failure: bool,
    nodes: Vec<&'a str>,
    end: u64,
    /// When the promise broke.
    #[serde(rename = "brokeAt")]
    broke_at: Option<u64>,
    /// The place of the entry at which it did; -1 if none did.
    broke: i64,
    /// The place of the event with which that one is in conflict; -1 if none is.
    before: i64,
    strings: Vec<String>,
    entries: Entries,
    faults: Vec<Fault>,
    bars: Vec<PageBar>,
    /// The beginnings of kinds of messages, to choose from.
    messages: BTreeSet<String>,
    /// How often the run fails that goes other ways from its moments on.
    outlooks: Vec<PageOutlook<'a>>,
    /// Up to when the other run that stands in the page is the same.
    #[serde(rename = "partsAt")]
    parts_at: Option<u64>,
}

#[derive(Serialize)]
struct PageOutlook<'a> {
    time: u64,
    /// From 0 to 1.
    share: f64,
    /// How many of how many fail.
    failed: String,
    what: &'a str,
}

/// A row of [`Entries`].
struct Entry {
    time: u64,
    kind: u8,
    node: i64,
    peer: i64,
    sent: u64,
    text: usize,
    cause: i64,
}

/// A column for each thing that is known of an entry.
#[derive(Default, Serialize)]
struct Entries {
    time: Vec<u64>,
    kind: Vec<u8>,
    /// The lane; of a message its sender's.
    node: Vec<i64>,
    /// The lane of a message's receiver; -1 of all else.
    peer: Vec<i64>,
    /// When a message was sent; of all else its own time.
    sent: Vec<u64>,
    text: Vec<usize>,
    /// The place of the entry that led to it; -1 if none that is shown did.
    cause: Vec<i64>,
}

#[derive(Serialize)]
struct Fault {
    what: String,
    from: u64,
    to: u64,
    nodes: Vec<usize>,
}

#[derive(Serialize)]
struct PageBar {
    group: &'static str,
    node: usize,
    label: String,
    from: u64,
    to: u64,
}

/// The page of a run whose trace was kept, with the nearest run that passes if that is known; the last of `told` are
/// lines of what else is known, such as the command that shows it again.
pub fn page(outcome: &RunOutcome, lost: Option<&Lost>, told: &[(&'static str, String)]) -> String {
    let nearest = lost.and_then(|lost| lost.nearest.as_ref());
    let data = json(&Builder::new(outcome).page(lost, told));
    let passing = nearest.map(|run| Builder::new(run).page(lost, &[]));
    let passing = json(&passing);
    let title = escaped(&format!("{} in {}", outcome.verdict, outcome.scenario));
    let parts = [
        ("@TITLE@", &*title),
        ("@STYLE@", STYLE),
        ("@SCRIPT@", SCRIPT),
        ("@DATA@", &data),
        ("@PASSING@", &passing),
    ];
    let (mut page, mut rest) = (String::new(), HTML);
    // In the order of the template, so that nothing is looked for in what was put in.
    while let Some((at, (mark, text))) =
        parts.iter().filter_map(|part| Some((rest.find(part.0)?, part))).min_by_key(|(at, _)| *at)
    {
        page += &rest[..at];
        page += text;
        rest = &rest[at + mark.len()..];
    }
    page + rest
}

/// For a script of the page: no text of the run may look like a tag, which could end the script or begin another.
fn json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("it has string keys only").replace('<', "\\u003c")
}

struct Builder<'a> {
    outcome: &'a RunOutcome,
    lanes: BTreeMap<NodeId, usize>,
    by_name: BTreeMap<&'a str, usize>,
    strings: Vec<String>,
    known: BTreeMap<String, usize>,
    entries: Entries,
}

impl<'a> Builder<'a> {
    fn new(outcome: &'a RunOutcome) -> Self {
        let nodes = || outcome.nodes.iter().zip(0..);
        Builder {
            outcome,
            lanes: nodes().map(|((node, _), lane)| (*node, lane)).collect(),
            by_name: nodes().map(|((_, name), lane)| (name.as_str(), lane)).collect(),
            strings: Vec::new(),
            known: BTreeMap::new(),
            entries: Entries::default(),
        }
    }

    fn page(mut self, lost: Option<&'a Lost>, told: &[(&'static str, String)]) -> Page<'a> {
        let outcome = self.outcome;
        let broken = outcome.violations.first();
        let entry = broken.and_then(|violation| violation.at.entry);
        let before = broken.and_then(|violation| violation.before_entry);
        let places = self.add_entries([entry, before]);
        let place = |entry: Option<EntryNumber>| {
            entry.and_then(|entry| places.get(&entry).copied()).unwrap_or(-1)
        };
        let (broke, before) = (place(entry), place(before));
        let end = micros(outcome.simulated);
        let mut conflict = Vec::new();
        if let Some(violation) = broken {
            conflict.push(("before", outcome.named(&violation.before)));
            conflict.push(("now", outcome.named(&violation.now)));
        }
        conflict.extend(told.iter().cloned());
        let verdict = match broken {
            Some(violation) => violation.title.to_string(),
            None => outcome.verdict.to_string(),
        };
        let messages = outcome.trace.iter().filter_map(|line| line.says("message"));
        let groups = messages.filter_map(|message| message.split_once('.'));
        Page {
            verdict,
            promise: broken.map_or("", |violation| violation.promise),
            conflict,
            origin: origin(outcome),
            is_failure: !outcome.expected,
            nodes: outcome.nodes.values().map(String::as_str).collect(),
            end,
            broke_at: broken.map(|violation| micros(violation.at.time)),
            broke,
            before,
            messages: groups.map(|(gateway, _)| format!("{gateway}.")).collect(),
            faults: self.faults(end),
            bars: self.bars(end),
            outlooks: lost.map(outlooks).unwrap_or_default(),
            parts_at: lost.and_then(Lost::same_up_to).map(micros),
            strings: self.strings,
            entries: self.entries,
        }
    }

    /// Adds the events that have words, the messages, what led to the two events in conflict and what was lost; the
    /// place of each entry that is shown.
    fn add_entries(&mut self, conflict: [Option<EntryNumber>; 2]) -> BTreeMap<EntryNumber, i64> {
        let outcome = self.outcome;
        let led = conflict.into_iter().flatten().flat_map(|entry| causes(&outcome.trace, entry));
        let led: BTreeSet<EntryNumber> = led.map(|line| line.entry).collect();
        let words: BTreeMap<EntryNumber, String> = outcome
            .history
            .iter()
            .filter_map(|(at, event)| Some((at.entry?, event.in_words()?)))
            .collect();
        let is_shown = |line: &&TraceLine| {
            words.contains_key(&line.entry) || led.contains(&line.entry) || fate_of(line).is_some()
        };
        let all = outcome.trace.iter().filter(is_shown).count();
        let shown = outcome.trace.iter().filter(is_shown).skip(all.saturating_sub(ENTRIES_MAX));
        let mut places = BTreeMap::new();
        for line in shown {
            places.insert(line.entry, self.entries.time.len() as i64);
            let lane = |name: &str| {
                let name = line.says(name)?;
                self.by_name.get(name).map(|lane| *lane as i64)
            };
            let (node, from, to) = (lane("node"), lane("from"), lane("to"));
            let cause = self.cause_of(line, &places);
            let time = line.time / 1000;
            let entry = match (from, to, fate_of(line)) {
                (Some(node), Some(peer), Some(fate)) if line.says("message").is_some() => {
                    let kind = if fate.is_empty() { MESSAGE } else { LOST };
                    let message = line.says("message").unwrap_or_default();
                    let text = self.text(format!("{message} {fate}").trim_end().to_string());
                    let sent = line.cause.and_then(|cause| line_of(&outcome.trace, cause));
                    let sent = sent.map_or(time, |cause| cause.time / 1000);
                    Entry { time, kind, node, peer, sent, text, cause }
                }
                _ => {
                    let told = words.get(&line.entry);
                    let kind = if told.is_some() { EVENT } else { OTHER };
                    let (node, text) = (node.or(to).unwrap_or(0), self.text(at_node(line, told)));
                    Entry { time, kind, node, peer: -1, sent: time, text, cause }
                }
            };
            self.push(entry);
        }
        places
    }

    /// The nearest entry that is shown of those that led to one.
    fn cause_of(&self, line: &TraceLine, places: &BTreeMap<EntryNumber, i64>) -> i64 {
        let mut cause = line.cause;
        while let Some(entry) = cause {
            if let Some(place) = places.get(&entry) {
                return *place;
            }
            cause = line_of(&self.outcome.trace, entry).and_then(|line| line.cause);
        }
        -1
    }

    fn push(&mut self, entry: Entry) {
        let all = &mut self.entries;
        all.time.push(entry.time);
        all.kind.push(entry.kind);
        all.node.push(entry.node);
        all.peer.push(entry.peer);
        all.sent.push(entry.sent);
        all.text.push(entry.text);
        all.cause.push(entry.cause);
    }

    /// The number of a text, of which each stands in the page once.
    fn text(&mut self, text: String) -> usize {
        let next = self.strings.len();
        let number = *self.known.entry(text.clone()).or_insert(next);
        if number == next {
            self.strings.push(text);
        }
        number
    }

    fn faults(&self, end: u64) -> Vec<Fault> {
        let fault = |executed: &ExecutedFault| {
            let struck = executed.resolved.iter().flat_map(|(_, nodes)| nodes);
            let lanes: BTreeSet<usize> =
                struck.filter_map(|name| self.by_name.get(name.as_str()).copied()).collect();
            Fault {
                what: executed.what.clone(),
                from: micros(executed.began),
                to: executed.ended.map_or(end, micros),
                nodes: lanes.into_iter().collect(),
            }
        };
        self.outcome.executed.iter().map(fault).collect()
    }

    fn bars(&self, end: u64) -> Vec<PageBar> {
        let ends = |at: Option<Moment>| at.map_or(end, |at| micros(at.time));
        let terms = leadership_timeline(self.outcome).into_iter().map(|term| PageBar {
            group: "leader",
            node: self.lanes[&term.leader],
            label: format!("leads {}, term {}", term.component, term.epoch),
            from: micros(term.granted.time),
            to: ends(term.end.map(|(at, _)| at)),
        });
        let of_system = bars(self.outcome).into_iter().map(|bar| PageBar {
            group: bar.group,
            node: self.lanes[&bar.began.process.0],
            label: bar.label,
            from: micros(bar.began.time),
            to: ends(bar.ended),
        });
        terms.chain(of_system).collect()
    }
}

fn outlooks(lost: &Lost) -> Vec<PageOutlook<'_>> {
    let told = lost.moments.iter().map(|one| PageOutlook {
        time: micros(one.at),
        share: one.failed as f64 / lost.ways as f64,
        failed: format!("{} of {}", one.failed, lost.ways),
        what: &one.what,
    });
    told.collect()
}

/// What became of a frame or a packet in words, nothing where it has come; `None` of what is none, or has not come to
/// its end.
fn fate_of(line: &TraceLine) -> Option<String> {
    match line.kind {
        "frame-delivered" | "packet-delivered" => Some(String::new()),
        "frame-lost" | "packet-lost" => {
            Some(format!("lost: {}", line.says("why").unwrap_or_default()))
        }
        "frame-corrupted" | "packet-corrupted" => Some("damaged".to_string()),
        "packet-cut-short" => Some("cut short".to_string()),
        _ => None,
    }
}

fn origin(outcome: &RunOutcome) -> String {
    let switch = outcome.sabotage.map(|switch| format!(", sabotage {}", switch.name()));
    format!(
        "{}, seed {}, schedule {}{}; digest {}; {} messages in {:.1} simulated seconds",
        outcome.scenario,
        outcome.recipe(),
        outcome.schedule,
        switch.unwrap_or_default(),
        outcome.digest,
        outcome.messages,
        outcome.simulated.as_secs_f64()
    )
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_run_ends_no_script_and_takes_no_place() {
        assert_eq!(escaped("a<b>&"), "a&lt;b&gt;&amp;");
        for mark in ["@TITLE@", "@STYLE@", "@DATA@", "@PASSING@", "@SCRIPT@"] {
            assert_eq!(HTML.matches(mark).count(), 1, "{mark}");
        }
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("http"));
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }
}
