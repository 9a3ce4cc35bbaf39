//! Faults of messages that hit fewer of them: rates as the frames that they hit, one kind instead of all.

use super::document::{Document, FAULT, Place};
use crate::{
    harness::run::RunOutcome,
    host::sim::{NodeId, TraceLine, causes, line_of},
};
use std::collections::{BTreeMap, BTreeSet};

/// Up to so many lost frames each becomes a fault of its own.
const FRAMES_MAX: usize = 24;
/// Kinds of messages that are tried in place of all.
const KINDS_MAX: usize = 8;
/// Kinds of faults that strike links and can be bound to one kind of message.
const OF_MESSAGES: [&str; 8] =
    ["loss", "delay", "reorder", "duplicate", "corrupt", "cut-short", "hold", "lose-one"];

/// Whose frame of which kind, and the number of it.
type Frame = (NodeId, NodeId, String, u64);

/// The plan with the frames that a `loss` lost before the failure, each a fault of its own, in its place. `None` where it
/// is another fault, or has lost none or too many. The trace of the run was kept.
pub(super) fn explicit(
    document: &Document,
    index: usize,
    outcome: &RunOutcome,
) -> Option<Document> {
    let fault = document.one(FAULT, index)?;
    if fault.get("kind")?.as_str()? != "loss" {
        return None;
    }
    let executed = outcome.executed.iter().find(|executed| executed.index == index)?;
    let broke = outcome.violations.first().map_or(outcome.simulated, |broken| broken.at.time);
    let (begin, end) = (nanos(executed.began), nanos(executed.ended.unwrap_or(broke).min(broke)));
    let lost = outcome
        .fates
        .iter()
        .filter(|fate| fate.fate == "loss" && (begin..=end).contains(&fate.time));
    let lost: Vec<Frame> =
        lost.map(|fate| (fate.from, fate.to, format!("{:?}", fate.kind), fate.ordinal)).collect();
    if lost.is_empty() || lost.len() > FRAMES_MAX {
        return None;
    }
    let first = first_since(outcome, begin);
    let name = fault.get("name").and_then(toml::Value::as_str).unwrap_or("loss");
    let faults = (1..).zip(&lost).map(|(number, (from, to, kind, ordinal))| {
        let base = first.get(&(*from, *to, kind.clone())).copied().unwrap_or(*ordinal);
        let nth = ordinal.saturating_sub(base.min(*ordinal)) + 1;
        let mut one = fault.clone();
        one.remove("probability");
        let words = [
            ("kind", "lose-one".to_string()),
            ("name", format!("{name}-{number}")),
            ("from", outcome.nodes[from].clone()),
            ("to", outcome.nodes[to].clone()),
            ("message", kind.clone()),
            ("nth", nth.to_string()),
        ];
        one.extend(words.map(|(key, word)| (key.to_string(), word.into())));
        one
    });
    Some(document.with_tables(FAULT, index, faults.collect()))
}

/// The number of the first frame of each link and kind that was sent from a time on.
fn first_since(outcome: &RunOutcome, begin: u64) -> BTreeMap<(NodeId, NodeId, String), u64> {
    let nodes: BTreeMap<&str, NodeId> =
        outcome.nodes.iter().map(|(node, name)| (name.as_str(), *node)).collect();
    let sent = |line: &TraceLine| {
        let cause = line.cause.and_then(|cause| line_of(&outcome.trace, cause));
        cause.map_or(0, |cause| cause.time)
    };
    let arrived = outcome.trace.iter().filter_map(|line| {
        let (from, to) = (nodes.get(line.says("from")?)?, nodes.get(line.says("to")?)?);
        let (kind, ordinal) = (line.says("message")?.to_string(), line.number("ordinal")?);
        (sent(line) >= begin).then_some(((*from, *to, kind), ordinal))
    });
    let fates = outcome.fates.iter().filter(|fate| fate.time >= begin);
    let fates = fates.map(|fate| ((fate.from, fate.to, format!("{:?}", fate.kind)), fate.ordinal));
    let mut first = BTreeMap::new();
    for (link, ordinal) in arrived.chain(fates) {
        let least = first.entry(link).or_insert(ordinal);
        *least = ordinal.min(*least);
    }
    first
}

/// With a fault of messages bound to one kind of those that led to the failure, for each such fault that is bound to
/// none and each kind. The trace of the run was kept.
pub(super) fn narrower(document: &Document, outcome: &RunOutcome) -> Vec<Document> {
    let broke = outcome.violations.first().and_then(|broken| broken.at.entry);
    let led = broke.map(|entry| causes(&outcome.trace, entry)).unwrap_or_default();
    let mut known = BTreeSet::new();
    let kinds = led.iter().filter_map(|line| line.says("message"));
    let kinds: Vec<&str> =
        kinds.filter(|kind| kind.contains('.') && known.insert(*kind)).take(KINDS_MAX).collect();
    let mut found = Vec::new();
    for index in 0..document.count(FAULT) {
        let fault = document.one(FAULT, index).expect("there are so many");
        let is_of_messages = fault
            .get("kind")
            .and_then(toml::Value::as_str)
            .is_some_and(|kind| OF_MESSAGES.contains(&kind));
        if is_of_messages && !fault.contains_key("message") {
            let key = "message".to_string();
            let place = Place { table: FAULT.to_string(), index: Some(index), key };
            found.extend(kinds.iter().map(|kind| document.with(&place, Some((*kind).into()))));
        }
    }
    found
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
