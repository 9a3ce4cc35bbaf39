//! Plans that are a little smaller than another.

use super::document::{Document, FAULT, Place, default_of, is_default, number};
use crate::harness::{
    event::Milestone,
    language::{Setting, exact_duration, parse_duration},
    system::SystemSpec,
};
use std::{collections::BTreeSet, time::Duration};

/// By how much all sizes are divided at once, the boldest first.
const SCALES: [u64; 6] = [u64::MAX, 256, 64, 16, 4, 2];
/// Keys of a fault that only bound when, or whom, it strikes.
const OPTIONAL_OF_FAULTS: [&str; 5] =
    ["until", "no-later-than", "not-before", "must-strike", "nodes"];
/// Keys of a fault that say how long something takes, or how late it is.
const TIMES_OF_FAULTS: [&str; 5] = ["duration", "at", "by", "age", "every"];

/// How long before a fault a milestone may have come for the fault to hang on it.
const NEAR: Duration = Duration::from_secs(1);
/// Milestones that are tried for a fault.
const MILESTONES_TRIED: usize = 4;

/// Without the faults of these places.
pub(super) fn without_faults(document: &Document, gone: impl Iterator<Item = usize>) -> Document {
    document.without(FAULT, &gone.collect())
}

/// With one fault only, for each of them; those of the end first, as what comes late is nearer to the failure.
pub(super) fn single_faults(document: &Document) -> Vec<Document> {
    let count = document.count(FAULT);
    let only = |kept: usize| without_faults(document, (0..count).filter(|index| *index != kept));
    (0..count).rev().map(only).filter(|one| one.count(FAULT) > 0).collect()
}

/// Without one of so many parts of the faults, for each part.
pub(super) fn without_parts(document: &Document, parts: usize) -> Vec<Document> {
    let count = document.count(FAULT);
    let bounds: Vec<usize> = (0..=parts).map(|part| part * count / parts).collect();
    let ranges = bounds.windows(2).filter(|ends| ends[0] < ends[1]);
    ranges.map(|ends| without_faults(document, ends[0]..ends[1])).collect()
}

/// With all sizes divided, and with them how often what faults hang on must come before they begin.
pub(super) fn scaled(document: &Document, system: &SystemSpec) -> Vec<Document> {
    let sizes = sizes(document, system);
    let scaled = |scale: u64| {
        let divided = sizes.iter().fold(document.clone(), |document, (place, least)| {
            let size = document.get(place).and_then(number).unwrap_or(*least);
            document.with(place, Some(whole((size / scale).max(*least))))
        });
        [with_earlier_faults(&divided, scale), divided]
    };
    SCALES.into_iter().flat_map(scaled).collect()
}

fn with_earlier_faults(document: &Document, scale: u64) -> Document {
    (0..document.count(FAULT)).fold(document.clone(), |document, index| {
        let Some((place, condition)) = condition_of(&document, index) else {
            let at = time_of(&document, index, "at").map(|at| millis_of(at, scale));
            return match at {
                Some(earlier) => document.with(&place_of(index, "at"), Some(text(earlier))),
                None => document,
            };
        };
        let nth = condition.get("nth").and_then(number).unwrap_or(1);
        let earlier = with_field(&condition, "nth", whole((nth / scale).max(1)));
        document.with(&place, Some(earlier))
    })
}

/// With less at the place of a size; the least value first.
pub(super) fn with_less(document: &Document, place: &Place, least: u64) -> Vec<Document> {
    let size = document.get(place).and_then(number).unwrap_or(least);
    let values = [least, size / 16, size / 4, size / 2, size.saturating_sub(1)];
    let smaller = values.into_iter().filter(|value| (least..size).contains(value));
    smaller.map(|value| document.with(place, Some(whole(value)))).collect()
}

/// Without one of the tables of which there are several, for each, the last one first.
pub(super) fn without_tables(document: &Document) -> Vec<Document> {
    let of_name = |name: String| {
        let count = document.count(&name);
        (0..count)
            .filter(move |_| count > 1)
            .rev()
            .map(move |index| document.without(&name, &BTreeSet::from([index])))
    };
    document.several().into_iter().flat_map(of_name).collect()
}

/// With settings that are no sizes at their defaults: all of them, then each half, then one after the other.
pub(super) fn plainer(document: &Document, system: &SystemSpec) -> Vec<Document> {
    let settings = document.settings(system).into_iter();
    let other: Vec<(Place, Setting)> = settings
        .filter(|(_, setting)| setting.least.is_none())
        .filter(|(place, setting)| {
            !is_default(document.get(place).expect("it was found there"), setting)
        })
        .collect();
    let plain = |some: &[(Place, Setting)]| {
        some.iter().fold(document.clone(), |document, (place, setting)| {
            document.with(place, default_of(setting))
        })
    };
    let half = other.len() / 2;
    let mut found = vec![plain(&other), plain(&other[..half]), plain(&other[half..])];
    if other.len() > 2 {
        found.extend(other.iter().map(|one| plain(std::slice::from_ref(one))));
    }
    found
}

/// With one thing about a fault plainer, for each fault and each thing.
pub(super) fn plainer_faults(document: &Document) -> Vec<Document> {
    let mut found = Vec::new();
    for index in 0..document.count(FAULT) {
        let fault = document.one(FAULT, index).expect("there are so many");
        let place = |key: &str| place_of(index, key);
        for key in OPTIONAL_OF_FAULTS.into_iter().filter(|key| fault.contains_key(*key)) {
            found.push(document.with(&place(key), None));
        }
        for key in TIMES_OF_FAULTS {
            for shorter in time_of(document, index, key).into_iter().flat_map(shorter) {
                found.push(document.with(&place(key), Some(text(shorter))));
            }
        }
        if fault.get("probability").is_some_and(|share| share.as_str() != Some("100%")) {
            found.push(document.with(&place("probability"), Some("100%".into())));
        }
        if let Some((place, condition)) = condition_of(document, index) {
            if condition.contains_key("after") {
                let mut at_once = condition.clone();
                at_once.remove("after");
                found.push(document.with(&place, Some(at_once.into())));
            }
            let nth = condition.get("nth").and_then(number).unwrap_or(1);
            for earlier in [1, nth / 4, nth / 2].into_iter().filter(|n| (1..nth).contains(n)) {
                let earlier = with_field(&condition, "nth", whole(earlier));
                found.push(document.with(&place, Some(earlier)));
            }
        }
    }
    found
}

/// With a fault that begins at a time hung on a milestone instead, one that was first reached shortly before it began;
/// the nearest one first. A change of the code moves times more than it moves milestones.
pub(super) fn hung_on_milestones(
    document: &Document,
    index: usize,
    began: Duration,
    reached: &[(Duration, Milestone)],
) -> Vec<Document> {
    if document.one(FAULT, index).is_none_or(|fault| !fault.contains_key("at")) {
        return Vec::new();
    }
    let before = reached.iter().rev().filter(|(at, _)| *at <= began && began - *at <= NEAR);
    let hung = before.take(MILESTONES_TRIED).map(|(at, milestone)| {
        let mut on = toml::Table::new();
        on.insert("milestone".to_string(), milestone.name().into());
        let after = millis_of(began - *at, 1);
        if !after.is_zero() {
            on.insert("after".to_string(), text(after));
        }
        let timeless = document.with(&place_of(index, "at"), None);
        timeless.with(&place_of(index, "on"), Some(on.into()))
    });
    hung.collect()
}

/// The same with an earlier `heal-at`.
pub(super) fn healed_at(document: &Document, at: Duration) -> Document {
    let place = Place { table: String::new(), index: None, key: "heal-at".to_string() };
    let now = document.get(&place).and_then(toml::Value::as_str).and_then(parse_duration);
    match now {
        Some(now) if now > at => document.with(&place, Some(text(at))),
        _ => document.clone(),
    }
}

/// Places of sizes that can be less, with the least that may stand there.
pub(super) fn sizes(document: &Document, system: &SystemSpec) -> Vec<(Place, u64)> {
    let settings = document.settings(system).into_iter();
    let size = |(place, setting): (Place, Setting)| {
        let (size, least) = (number(document.get(&place)?)?, setting.least?);
        (size > least).then_some((place, least))
    };
    settings.filter_map(size).collect()
}

/// What a fault hangs on, if it is a milestone.
fn condition_of(document: &Document, index: usize) -> Option<(Place, toml::Table)> {
    let condition = document.one(FAULT, index)?.get("on")?.as_table()?.clone();
    Some((place_of(index, "on"), condition))
}

fn time_of(document: &Document, index: usize, key: &str) -> Option<Duration> {
    document.one(FAULT, index)?.get(key)?.as_str().and_then(parse_duration)
}

/// A part of a time, in whole milliseconds.
fn millis_of(time: Duration, part: u64) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / part)
}

fn place_of(index: usize, key: &str) -> Place {
    Place { table: FAULT.to_string(), index: Some(index), key: key.to_string() }
}

fn with_field(table: &toml::Table, key: &str, value: toml::Value) -> toml::Value {
    let mut changed = table.clone();
    changed.insert(key.to_string(), value);
    changed.into()
}

/// Shorter times, to the millisecond where it has some.
fn shorter(time: Duration) -> Vec<Duration> {
    let parts = [16, 4, 2].map(|part| millis_of(time, part));
    let mut times: Vec<Duration> = parts.into_iter().filter(|time| !time.is_zero()).collect();
    times.dedup();
    times.retain(|shorter| *shorter < time);
    times
}

fn whole(number: u64) -> toml::Value {
    i64::try_from(number).map_or_else(|_| number.to_string().into(), toml::Value::Integer)
}

fn text(time: Duration) -> toml::Value {
    exact_duration(time).into()
}
