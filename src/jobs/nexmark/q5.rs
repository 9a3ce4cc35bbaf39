//! Query 5: which auctions had the most bids, every two seconds, in the ten seconds before. Sliding windows by key, and
//! windows over what those come to.

use super::{
    event::{Bid, Event},
    query::{bids, query},
};
use crate::{
    jobs::{common::JobArguments, job::Job},
    system::{
        connector::LogSink,
        dataflow::{
            Aggregate, Collector, Result, StreamEnv, WindowAssigner, WindowContext, WindowFunction,
        },
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

const SIZE: Duration = Duration::from_secs(10);
const SLIDE: Duration = Duration::from_secs(2);

/// How many bids an auction had in a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Count {
    /// The end of the window, in milliseconds.
    end: i64,
    auction: u64,
    bids: u64,
}

#[derive(Clone)]
struct CountBids;

impl Aggregate<Bid> for CountBids {
    type Accumulator = u64;
    type Out = u64;

    fn add(&self, bids: &mut u64, _: Bid) -> Result<()> {
        *bids += 1;
        Ok(())
    }

    fn merge(&self, bids: &mut u64, more: u64) -> Result<()> {
        *bids += more;
        Ok(())
    }

    fn result(&self, bids: u64) -> Result<u64> {
        Ok(bids)
    }
}

/// Says of which auction and window a count is.
#[derive(Clone)]
struct Counted;

impl WindowFunction<u64, u64> for Counted {
    type Out = Count;

    fn process(
        &mut self,
        context: &WindowContext<'_, u64>,
        bids: u64,
        out: &mut Collector<'_, Count>,
    ) -> Result<()> {
        out.emit(Count { end: context.window.end.0, auction: *context.key, bids });
        Ok(())
    }
}

/// The auctions that no other one has more bids than.
#[derive(Clone)]
struct Hottest;

impl WindowFunction<i64, Vec<Count>> for Hottest {
    type Out = Count;

    fn process(
        &mut self,
        _: &WindowContext<'_, i64>,
        counts: Vec<Count>,
        out: &mut Collector<'_, Count>,
    ) -> Result<()> {
        let most = counts.iter().map(|count| count.bids).max();
        let hottest = counts.into_iter().filter(|count| Some(count.bids) == most);
        hottest.for_each(|count| out.emit(count));
        Ok(())
    }
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    bids(env, arguments)?
        .key_by(|bid: &Bid| bid.auction)
        .window(WindowAssigner::sliding(SIZE, SLIDE))
        .aggregate_with("counts", CountBids, Counted)
        .key_by(|count: &Count| count.end)
        // The counts of one window have one time, its last instant.
        .window(WindowAssigner::tumbling(SLIDE))
        .process("hottest", Hottest)
        .sink("sink", LogSink::encoding(&arguments.output, |count| Ok(Bytes::from(record(count)))));
    Ok(())
}

fn record(Count { end, auction, bids }: &Count) -> String {
    format!("{end} {auction} {bids}")
}

fn expected(events: &[Event]) -> Vec<String> {
    let (size, slide) = (SIZE.as_millis() as i64, SLIDE.as_millis() as i64);
    let mut windows = BTreeMap::<i64, BTreeMap<u64, u64>>::new();
    for event in events {
        let Event::Bid(Bid { auction, time, .. }) = event else { continue };
        // A bid is in each window that ends behind it, and has begun by then.
        let first_end = (time.div_euclid(slide) + 1) * slide;
        for end in (first_end..=time + size).step_by(slide as usize) {
            *windows.entry(end).or_default().entry(*auction).or_default() += 1;
        }
    }
    let hottest = |(end, counts): (&i64, &BTreeMap<u64, u64>)| {
        let most = counts.values().max().copied().unwrap_or_default();
        let of_most = counts.iter().filter(|(_, bids)| **bids == most);
        of_most.map(|(auction, bids)| format!("{end} {auction} {bids}")).collect::<Vec<_>>()
    };
    windows.iter().flat_map(hottest).collect()
}

pub(super) fn job() -> Job {
    query("nexmark-q5", describe, expected)
        .about("Nexmark query 5: the auctions with the most bids of ten seconds, every two")
        .writes("each of them as `WINDOW_END AUCTION BIDS`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bid_is_in_five_windows_and_the_hottest_may_be_several() {
        let bid = |auction, time| Event::Bid(Bid { auction, bidder: 1, price: 1, time });
        let found = expected(&[bid(1, 0), bid(2, 9_999), bid(2, 10_000)]);
        let ends = |auction: &str| {
            let of = found.iter().filter(|line| line.split(' ').nth(1) == Some(auction));
            of.map(|line| line.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(ends("1"), ["2000 1 1", "4000 1 1", "6000 1 1", "8000 1 1", "10000 1 1"]);
        let of_2 = ["10000 2 1", "12000 2 2", "14000 2 2", "16000 2 2", "18000 2 2", "20000 2 1"];
        assert_eq!(ends("2"), of_2);
    }
}
