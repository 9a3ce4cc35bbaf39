//! Query 3: who offers things of category 10 in three states. A join of two streams by key, whichever record comes
//! first; what is kept of a key grows with its auctions.

use super::{
    event::{Auction, Event, Person},
    query::{events, query},
};
use crate::{
    jobs::{common::JobArguments, job::Job},
    system::{
        connector::LogSink,
        dataflow::{CoProcess, Collector, KeyContext, Result, StreamEnv, Text},
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CATEGORY: u64 = 10;
const STATES: [&str; 3] = ["OR", "ID", "CA"];

/// An offer of somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Offer {
    name: Text,
    city: Text,
    state: Text,
    auction: u64,
}

/// What is known of a person.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Seller {
    person: Option<Person>,
    /// What they offered before they were known.
    early: Vec<u64>,
}

#[derive(Clone)]
struct Offers;

fn offer(Person { name, city, state, .. }: &Person, auction: u64) -> Offer {
    Offer { name: name.clone(), city: city.clone(), state: state.clone(), auction }
}

impl CoProcess<u64, Person, Auction> for Offers {
    type State = Seller;
    type Out = Offer;

    fn process_first(
        &mut self,
        person: Person,
        context: &mut KeyContext<'_, u64, Seller>,
        out: &mut Collector<'_, Offer>,
    ) -> Result<()> {
        let seller = context.state();
        for auction in std::mem::take(&mut seller.early) {
            out.emit(offer(&person, auction));
        }
        seller.person = Some(person);
        Ok(())
    }

    fn process_second(
        &mut self,
        auction: Auction,
        context: &mut KeyContext<'_, u64, Seller>,
        out: &mut Collector<'_, Offer>,
    ) -> Result<()> {
        let seller = context.state();
        match &seller.person {
            Some(person) => out.emit(offer(person, auction.id)),
            None => seller.early.push(auction.id),
        }
        Ok(())
    }
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    let events = events(env, arguments)?;
    let people = events.flat_map("people", |event, out| match event {
        Event::Person(person) if STATES.contains(&person.state.as_str()) => out.emit(person),
        _ => {}
    });
    let auctions = events.flat_map("auctions", |event, out| match event {
        Event::Auction(auction) if auction.category == CATEGORY => out.emit(auction),
        _ => {}
    });
    people
        .key_by(|person: &Person| person.id)
        .connect(&auctions.key_by(|auction: &Auction| auction.seller))
        .process("offers", Offers)
        .sink("sink", LogSink::encoding(&arguments.output, |offer| Ok(Bytes::from(record(offer)))));
    Ok(())
}

fn record(Offer { name, city, state, auction }: &Offer) -> String {
    format!("{name} {city} {state} {auction}")
}

fn expected(events: &[Event]) -> Vec<String> {
    let mut people = BTreeMap::new();
    for event in events {
        if let Event::Person(person) = event {
            people.insert(person.id, person);
        }
    }
    let offer = |event: &Event| match event {
        Event::Auction(auction) if auction.category == CATEGORY => {
            let person = people.get(&auction.seller)?;
            let (name, city, state) = (&person.name, &person.city, &person.state);
            let is_near = STATES.contains(&state.as_str());
            is_near.then(|| format!("{name} {city} {state} {}", auction.id))
        }
        _ => None,
    };
    events.iter().filter_map(offer).collect()
}

pub(super) fn job() -> Job {
    query("nexmark-q3", describe, expected)
        .about("Nexmark query 3: who offers things of category 10 in Oregon, Idaho and California")
        .writes("each offer as `NAME CITY STATE AUCTION`")
}
