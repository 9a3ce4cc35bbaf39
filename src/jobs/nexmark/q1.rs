//! Query 1: what the bids are in euros. A function of each record, without state.

use super::{
    event::{Bid, Event},
    query::{bids, query},
};
use crate::{
    jobs::{common::JobArguments, job::Job},
    system::{
        connector::LogSink,
        dataflow::{Result, StreamEnv},
    },
};
use bytes::Bytes;

/// Thousandths of a euro that a dollar is worth.
const EURO_MILLS: u64 = 908;

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    bids(env, arguments)?
        .map("in-euros", |bid: Bid| Bid { price: in_euros(bid.price), ..bid })
        .sink("sink", LogSink::encoding(&arguments.output, |bid| Ok(Bytes::from(record(bid)))));
    Ok(())
}

fn in_euros(price: u64) -> u64 {
    // A price may be as large as a number can be.
    price / 1000 * EURO_MILLS + price % 1000 * EURO_MILLS / 1000
}

fn record(Bid { auction, bidder, price, time }: &Bid) -> String {
    format!("{auction} {bidder} {price} {time}")
}

fn expected(events: &[Event]) -> Vec<String> {
    let bid = |event: &Event| match event {
        Event::Bid(Bid { auction, bidder, price, time }) => {
            let euros = u128::from(*price) * u128::from(EURO_MILLS) / 1000;
            Some(format!("{auction} {bidder} {euros} {time}"))
        }
        _ => None,
    };
    events.iter().filter_map(bid).collect()
}

pub(super) fn job() -> Job {
    query("nexmark-q1", describe, expected)
        .about("Nexmark query 1: bids in euros")
        .writes("each bid as `AUCTION BIDDER EUROCENTS TIME`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_rounded_down_and_never_too_large() {
        assert_eq!([0, 1, 999, 1000, 12_345].map(in_euros), [0, 0, 907, 908, 11_209]);
        assert!(in_euros(u64::MAX) < u64::MAX);
    }
}
