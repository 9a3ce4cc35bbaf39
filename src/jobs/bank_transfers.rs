//! Bank transfers: each moves an amount from one account to another, so money is neither made nor lost.
//!
//! A record of the input is `FROM TO AMOUNT`. It is booked twice, on either account, and each booking comes out with
//! the balance behind it: `ACCOUNT AMOUNT BALANCE`. An account's bookings come out in the order in which they were made.
//!
//! The two bookings of a transfer may be committed by two checkpoints: what waits for room downstream is part of the
//! earlier one's state. So the job's oracle ([`Oracle`]) holds each booking against the transfers that were made and each
//! balance against the bookings before it, at every commit, and at the end that none is missing.

use super::{
    common::{JobArguments, JobOracle},
    job::Job,
};
use crate::{
    host::Draws,
    system::{
        connector::{Input, LogSink},
        dataflow::{
            Collector, Failure, KeyContext, Process, Program, Result, Stream, StreamEnv, Text,
        },
    },
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The longest name of an account, in bytes.
const ACCOUNT_BYTES_MAX: usize = 200;
/// The largest amount of a transfer.
const AMOUNT_MAX: i64 = 1_000_000_000;
/// Accounts of the workload.
const ACCOUNTS: u64 = 12;

/// What a transfer does to an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Booking {
    pub account: Text,
    pub amount: i64,
}

/// A booking, and what the account has behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Booked {
    pub booking: Booking,
    pub balance: i64,
}

/// The bookings of a transfer; `None` if the line is none.
pub(super) fn bookings(line: &[u8]) -> Option<[Booking; 2]> {
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (from, to, amount) = (words.next()?, words.next()?, words.next()?.parse::<i64>().ok()?);
    let named = |account: &str| (1..=ACCOUNT_BYTES_MAX).contains(&account.len());
    let is_whole = words.next().is_none() && named(from) && named(to);
    let of = |account: &str, amount| Booking { account: account.into(), amount };
    (is_whole && (1..=AMOUNT_MAX).contains(&amount)).then(|| [of(from, -amount), of(to, amount)])
}

/// Keeps the balance of each account.
#[derive(Clone)]
pub(super) struct Balances;

impl Process<Text, Booking> for Balances {
    type State = i64;
    type Out = Booked;

    fn process(
        &mut self,
        booking: Booking,
        context: &mut KeyContext<'_, Text, i64>,
        out: &mut Collector<'_, Booked>,
    ) -> Result<()> {
        let balance = context.state().checked_add(booking.amount);
        let balance = balance.ok_or_else(|| Failure::new("a balance is beyond all bounds"))?;
        *context.state() = balance;
        out.emit(Booked { booking, balance });
        Ok(())
    }
}

/// The bookings of the transfers that are read.
pub(super) fn booked(env: &mut StreamEnv, input: &Input) -> Result<Stream<Booked>> {
    let bookings = env.source("transfers", input.source()?).try_flat_map(
        "bookings",
        |line: Bytes, out: &mut Collector<'_, Booking>| {
            let both = bookings(&line).ok_or_else(|| Failure::new("a line is no transfer"))?;
            both.into_iter().for_each(|booking| out.emit(booking));
            Ok(())
        },
    );
    let by_account = bookings.key_by(|booking: &Booking| booking.account.clone());
    Ok(by_account.process("balances", Balances))
}

/// Refuses a line that is no transfer.
pub(super) fn check_transfer(line: &[u8]) -> std::result::Result<(), String> {
    let none = || "it is no transfer, such as `ada bob 25`".to_string();
    bookings(line).map(drop).ok_or_else(none)
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
    booked(env, &arguments.input)?
        .sink("booked", LogSink::encoding(&arguments.output, |booked| Ok(record(booked))));
    Ok(())
}

pub(super) fn record(Booked { booking: Booking { account, amount }, balance }: &Booked) -> Bytes {
    Bytes::from(format!("{account} {amount} {balance}"))
}

fn read(record: &[u8]) -> Option<Booked> {
    let mut words = std::str::from_utf8(record).ok()?.split(' ');
    let (account, amount) = (words.next()?.into(), words.next()?.parse().ok()?);
    let balance = words.next()?.parse().ok()?;
    words.next().is_none().then_some(Booked { booking: Booking { account, amount }, balance })
}

/// What must be committed: each booking of each transfer once, with the balance of the bookings before it.
#[derive(Debug, Default)]
pub struct Oracle {
    /// Bookings that were not committed yet, and how many of each.
    open: BTreeMap<Booking, u64>,
    balances: BTreeMap<Text, i64>,
}

impl JobOracle for Oracle {
    fn promise(&self) -> &'static str {
        "each side of each transfer is booked once, on the balance that its account has"
    }

    fn input(&mut self, _: u32, record: &[u8]) {
        for booking in bookings(record).into_iter().flatten() {
            *self.open.entry(booking).or_default() += 1;
        }
    }

    fn output(&mut self, _: u32, record: &[u8]) -> std::result::Result<(), String> {
        let Some(Booked { booking, balance }) = read(record) else {
            return Err(format!("{:?} is no booking", String::from_utf8_lossy(record)));
        };
        let Booking { account, amount } = &booking;
        match self.open.get_mut(&booking) {
            Some(open) if *open > 0 => *open -= 1,
            _ => {
                return Err(format!(
                    "{amount} is booked on {account} more often than it was moved"
                ));
            }
        }
        let known = self.balances.entry(account.clone()).or_default();
        *known += amount;
        match *known == balance {
            true => Ok(()),
            false => Err(format!("{account} has {balance} behind {amount}, expected {known}")),
        }
    }

    fn missing(&self) -> Option<String> {
        // Once none is open the accounts have as much together as before: each transfer adds nothing to the whole.
        let (Booking { account, amount }, open) = self.open.iter().find(|(_, open)| **open > 0)?;
        Some(format!("{amount} is to be booked on {account}, {open} times"))
    }
}

/// A transfer between two accounts that are drawn; they may be the same.
pub(super) fn drawn_transfer(_: u64, draws: &mut Draws) -> Bytes {
    let (from, to) = (draws.below(ACCOUNTS), draws.below(ACCOUNTS));
    Bytes::from(format!("a{from} a{to} {}", draws.between(1, 500)))
}

/// The job.
pub(super) fn job() -> Job {
    Job::with_oracle(Program::new("bank-transfers", 1, describe), |_| Box::<Oracle>::default())
        .about("Book transfers, lines such as `ada bob 25`, on the accounts of both sides")
        .writes("each booking with the balance behind it, as `ACCOUNT AMOUNT BALANCE`")
        .workload(drawn_transfer)
        .reads(check_transfer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved() -> Oracle {
        let mut oracle = Oracle::default();
        oracle.input(0, b"a b 5");
        oracle.input(1, b"b a 2");
        oracle
    }

    fn follow(oracle: &mut Oracle, records: &[&str]) -> std::result::Result<(), String> {
        records.iter().try_for_each(|record| oracle.output(0, record.as_bytes()))
    }

    #[test]
    fn both_sides_are_booked_in_any_order_and_each_on_its_balance() {
        let mut oracle = moved();
        assert_eq!(follow(&mut oracle, &["b 5 5", "a 2 2", "a -5 -3"]), Ok(()));
        assert!(oracle.missing().expect("one is open").contains("-2 is to be booked on b"));
        assert_eq!(follow(&mut oracle, &["b -2 3"]), Ok(()));
        assert_eq!(oracle.missing(), None);
    }

    #[test]
    fn a_booking_without_its_transfer_or_on_another_balance_is_refused() {
        let refused = |records: &[&str]| follow(&mut moved(), records).expect_err("it is wrong");
        assert!(refused(&["a -5 -5", "a -5 -10"]).contains("more often than it was moved"));
        assert!(refused(&["c 5 5"]).contains("more often"));
        assert!(refused(&["a -5 -3"]).contains("a has -3 behind -5, expected -5"));
        assert!(refused(&["a -5"]).contains("is no booking"));
    }

    #[test]
    fn what_is_no_transfer_is_refused() {
        assert_eq!(bookings(b"a b 5").map(|both| both.map(|of| of.amount)), Some([-5, 5]));
        for line in ["a b", "a b 0", "a b -5", "a b 5 c", "a  5", "a b 1000000001", ""] {
            assert_eq!(bookings(line.as_bytes()), None, "{line}");
        }
    }
}
