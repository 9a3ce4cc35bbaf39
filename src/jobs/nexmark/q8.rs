//! Query 8: who has registered and offered something within the same ten seconds. A join of two streams in tumbling
//! windows.

use super::{
    event::Event,
    query::{events, query},
};
use crate::{
    jobs::{common::JobArguments, job::Job},
    system::{
        connector::LogSink,
        dataflow::{
            Collector, Result, StreamEnv, Text, WindowAssigner, WindowContext, WindowFunction,
        },
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const SIZE: Duration = Duration::from_secs(10);

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Deed {
    Registered(u64, Text),
    Offered(u64),
}

impl Deed {
    fn person(&self) -> u64 {
        match self {
            Deed::Registered(person, _) | Deed::Offered(person) => *person,
        }
    }
}

/// Somebody new who offers something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NewSeller {
    person: u64,
    name: Text,
    /// The begin of the window, in milliseconds.
    start: i64,
}

/// Those who did both.
#[derive(Clone)]
struct Both;

impl WindowFunction<u64, Vec<Deed>> for Both {
    type Out = NewSeller;

    fn process(
        &mut self,
        context: &WindowContext<'_, u64>,
        deeds: Vec<Deed>,
        out: &mut Collector<'_, NewSeller>,
    ) -> Result<()> {
        let offers = deeds.iter().any(|deed| matches!(deed, Deed::Offered(_)));
        let name = deeds.into_iter().find_map(|deed| match deed {
            Deed::Registered(_, name) => Some(name),
            Deed::Offered(_) => None,
        });
        if let (true, Some(name)) = (offers, name) {
            out.emit(NewSeller { person: *context.key, name, start: context.window.start.0 });
        }
        Ok(())
    }
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    let events = events(env, arguments)?;
    let registered = events.flat_map("people", |event, out| {
        if let Event::Person(person) = event {
            out.emit(Deed::Registered(person.id, person.name));
        }
    });
    let offered = events.flat_map("auctions", |event, out| {
        if let Event::Auction(auction) = event {
            out.emit(Deed::Offered(auction.seller));
        }
    });
    registered
        .union(offered)
        .key_by(Deed::person)
        .window(WindowAssigner::tumbling(SIZE))
        .process("new-sellers", Both)
        .sink("sink", LogSink::encoding(&arguments.output, |new| Ok(Bytes::from(record(new)))));
    Ok(())
}

fn record(NewSeller { person, name, start }: &NewSeller) -> String {
    format!("{person} {name} {start}")
}

fn expected(events: &[Event]) -> Vec<String> {
    let window = |time: i64| time.div_euclid(SIZE.as_millis() as i64) * SIZE.as_millis() as i64;
    let offered: BTreeSet<(u64, i64)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Auction(auction) => Some((auction.seller, window(auction.time))),
            _ => None,
        })
        .collect();
    let mut new = BTreeMap::new();
    for event in events {
        let Event::Person(person) = event else { continue };
        let start = window(person.time);
        if offered.contains(&(person.id, start)) {
            new.insert(person.id, format!("{} {} {start}", person.id, person.name));
        }
    }
    new.into_values().collect()
}

pub(super) fn job() -> Job {
    query("nexmark-q8", describe, expected)
        .about("Nexmark query 8: who registers and offers something within the same ten seconds")
        .writes("each of them as `PERSON NAME WINDOW_BEGIN`")
}
