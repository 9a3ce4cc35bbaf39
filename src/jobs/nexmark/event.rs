//! What happens in the auction house.

use crate::{host::Draws, system::dataflow::Text};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, str::SplitWhitespace, time::Duration};

/// How much earlier than the latest event of its partition one may be.
pub const OUT_OF_ORDER_MAX: Duration = Duration::from_millis(500);
/// The latest time, far beyond any date.
const TIME_MAX: i64 = 1 << 53;
/// From event to event of the workload, in milliseconds.
const STEP_MS: u64 = 50;
/// Of so many events the first is a person's, the next ones auctions, the rest bids.
const GROUP: u64 = 10;
const AUCTIONS_OF_GROUP: u64 = 3;
const CITIES: &[(&str, &str)] =
    &[("Portland", "OR"), ("Boise", "ID"), ("Fresno", "CA"), ("Seattle", "WA"), ("Albany", "NY")];
const CATEGORIES: u64 = 4;

/// Somebody has registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Who; nobody registers twice.
    pub id: u64,
    /// As they are called, a word.
    pub name: Text,
    /// Where they live, a word.
    pub city: Text,
    /// Its state.
    pub state: Text,
    /// When, in milliseconds.
    pub time: i64,
}

/// Something is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auction {
    /// Which; none is opened twice.
    pub id: u64,
    /// Who offers it.
    pub seller: u64,
    /// What kind of thing it is.
    pub category: u64,
    /// When, in milliseconds.
    pub time: i64,
}

/// Somebody bids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// For what.
    pub auction: u64,
    /// Who.
    pub bidder: u64,
    /// How much, in cents of a dollar.
    pub price: u64,
    /// When, in milliseconds.
    pub time: i64,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// `person ID NAME CITY STATE TIME`.
    Person(Person),
    /// `auction ID SELLER CATEGORY TIME`.
    Auction(Auction),
    /// `bid AUCTION BIDDER PRICE TIME`.
    Bid(Bid),
}

impl Event {
    /// Reads one; `None` if the line is none.
    pub fn parse(line: &[u8]) -> Option<Event> {
        fn number<N: std::str::FromStr>(words: &mut SplitWhitespace<'_>) -> Option<N> {
            words.next()?.parse().ok()
        }
        let words = &mut std::str::from_utf8(line).ok()?.split_whitespace();
        let event = match words.next()? {
            "person" => Event::Person(Person {
                id: number(words)?,
                name: words.next()?.into(),
                city: words.next()?.into(),
                state: words.next()?.into(),
                time: number(words)?,
            }),
            "auction" => Event::Auction(Auction {
                id: number(words)?,
                seller: number(words)?,
                category: number(words)?,
                time: number(words)?,
            }),
            "bid" => Event::Bid(Bid {
                auction: number(words)?,
                bidder: number(words)?,
                price: number(words)?,
                time: number(words)?,
            }),
            _ => return None,
        };
        (words.next().is_none() && (0..=TIME_MAX).contains(&event.time())).then_some(event)
    }

    /// When it happens, in milliseconds.
    pub fn time(&self) -> i64 {
        match self {
            Event::Person(person) => person.time,
            Event::Auction(auction) => auction.time,
            Event::Bid(bid) => bid.time,
        }
    }
}

/// Whether no event is later than is waited for, and nobody registers twice.
pub fn check_order(lines: &[Bytes]) -> Result<(), String> {
    let waited = i64::try_from(OUT_OF_ORDER_MAX.as_millis()).expect("it is short");
    let (mut latest, mut people) = (0, BTreeSet::new());
    for (number, line) in (1..).zip(lines) {
        let Some(event) = Event::parse(line) else { continue };
        if event.time() <= latest - waited {
            return Err(format!("line {number} is {waited} ms or more before an earlier one"));
        }
        latest = latest.max(event.time());
        match event {
            Event::Person(person) if !people.insert(person.id) => {
                return Err(format!("line {number}: person {} has registered", person.id));
            }
            _ => {}
        }
    }
    Ok(())
}

/// One that was made lately, of so many.
fn recent(draws: &mut Draws, count: u64, among: u64) -> u64 {
    count.saturating_sub(1 + draws.below(among))
}

/// The event of a number: ten to half a second, each earlier than its turn by up to what is waited for.
pub fn drawn(number: u64, draws: &mut Draws) -> Bytes {
    let out_of_order = u64::try_from(OUT_OF_ORDER_MAX.as_millis()).expect("it is short");
    let time = (number * STEP_MS).saturating_sub(draws.between(0, out_of_order - STEP_MS));
    let (group, place) = (number / GROUP, number % GROUP);
    let people = group + 1;
    let auction_of = |group, place| group * AUCTIONS_OF_GROUP + place - 1;
    let text = match place {
        0 => {
            let (city, state) =
                CITIES[usize::try_from(draws.below(CITIES.len() as u64)).expect("few")];
            format!("person {group} p{group} {city} {state} {time}")
        }
        1..=AUCTIONS_OF_GROUP => {
            let (seller, category) = (recent(draws, people, 4), 10 + draws.below(CATEGORIES));
            format!("auction {} {seller} {category} {time}", auction_of(group, place))
        }
        _ => {
            let auctions = auction_of(group, AUCTIONS_OF_GROUP) + 1;
            let (auction, bidder) = (recent(draws, auctions, 8), recent(draws, people, 20));
            format!("bid {auction} {bidder} {} {time}", draws.between(100, 99_999))
        }
    };
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_events_are_events_and_none_is_later_than_is_waited_for() {
        let mut draws = Draws::new(7, "workload", [0, 0]);
        let lines: Vec<Bytes> = (0..2_000).map(|number| drawn(number, &mut draws)).collect();
        let (mut latest, mut bids) = (0, 0);
        for line in &lines {
            let event = Event::parse(line).expect("an event");
            assert!(event.time() > latest - 500, "{event:?} behind {latest}");
            latest = latest.max(event.time());
            bids += u64::from(matches!(event, Event::Bid(_)));
        }
        assert_eq!(bids, 1_200);
        assert_eq!(check_order(&lines), Ok(()));
    }

    #[test]
    fn a_text_whose_answers_would_not_be_exact_is_refused_with_its_line() {
        let refused = |lines: &[&'static str]| {
            let lines: Vec<Bytes> = lines.iter().map(|line| Bytes::from(*line)).collect();
            check_order(&lines).expect_err("it is refused")
        };
        assert!(refused(&["bid 1 1 1 900", "bid 1 1 1 400"]).starts_with("line 2 is 500 ms"));
        let twice = ["person 1 a b OR 1", "bid 1 1 1 2", "person 1 a b CA 3"];
        assert!(refused(&twice).contains("line 3: person 1 has registered"));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let bid = Event::Bid(Bid { auction: 5, bidder: 1, price: 200, time: 1_500 });
        assert_eq!(Event::parse(b"bid 5 1 200 1500"), Some(bid));
        for line in ["", "bid 5 1 200", "bid 5 1 200 15 1", "bid x 1 2 3", "sale 1", "bid 5 1 2 -1"]
        {
            assert_eq!(Event::parse(line.as_bytes()), None, "{line}");
        }
    }
}
