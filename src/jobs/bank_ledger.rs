//! The bookings of bank transfers in a database: a ledger, and the accounts' balances.
//!
//! Both read and book as [`bank_transfers`](super::bank_transfers) does. `bank-ledger` writes each booking exactly once,
//! as the row `ACCOUNT`, `AMOUNT BALANCE`, and has its oracle: a booking that stood twice in the table, or was there
//! before its checkpoint and then made anew on another balance, would be told. `bank-balances` writes each balance at
//! once in the place of the account's last one. After a failure balances step back and are made up again, so its
//! oracle ([`Balances`]) looks at the end: each account has what its transfers come to.

use super::{
    bank_transfers::{Booked, Oracle, booked, bookings, check_transfer, drawn_transfer},
    common::{DATABASE_ARGUMENT, DatabaseArguments, JobOracle},
    job::Job,
};
use crate::system::{
    connector::DatabaseSink,
    dataflow::{Program, Result, StreamEnv},
    service::database::{DatabaseRow, EMBEDDED_DATABASE},
};
use serde_json::json;
use std::collections::BTreeMap;

fn ledger(env: &mut StreamEnv, arguments: &DatabaseArguments) -> Result<()> {
    let DatabaseArguments { input, output, database } = arguments;
    let row = |Booked { booking, balance }: &Booked| {
        Ok(DatabaseRow::new(booking.account.as_str(), format!("{} {balance}", booking.amount)))
    };
    booked(env, input)?.sink("ledger", DatabaseSink::exactly_once(database, output, row));
    Ok(())
}

fn balances(env: &mut StreamEnv, arguments: &DatabaseArguments) -> Result<()> {
    let DatabaseArguments { input, output, database } = arguments;
    let row = |Booked { booking, balance }: &Booked| {
        Ok(DatabaseRow::new(booking.account.as_str(), balance.to_string()))
    };
    booked(env, input)?.sink("accounts", DatabaseSink::upsert(database, output, row));
    Ok(())
}

/// What each account must have in the end.
#[derive(Debug, Default)]
pub struct Balances {
    expected: BTreeMap<String, i64>,
    found: BTreeMap<String, i64>,
}

impl JobOracle for Balances {
    fn promise(&self) -> &'static str {
        "in the end each account has what its transfers come to"
    }

    fn input(&mut self, _: u32, record: &[u8]) {
        for booking in bookings(record).into_iter().flatten() {
            *self.expected.entry(booking.account.to_string()).or_default() += booking.amount;
        }
    }

    fn output(&mut self, _: u32, record: &[u8]) -> std::result::Result<(), String> {
        let text = String::from_utf8_lossy(record);
        let read = text.split_once(' ').and_then(|(account, balance)| {
            Some((account.to_string(), balance.parse::<i64>().ok()?))
        });
        let (account, balance) = read.ok_or_else(|| format!("{text:?} is no balance"))?;
        match self.expected.contains_key(&account) {
            true => self.found.insert(account, balance),
            false => return Err(format!("nothing was moved from or to {account}")),
        };
        Ok(())
    }

    fn missing(&self) -> Option<String> {
        let found = |account: &String| self.found.get(account).copied();
        let differs = |(account, expected): &(&String, &i64)| found(account) != Some(**expected);
        let (account, expected) = self.expected.iter().find(differs)?;
        Some(match found(account) {
            Some(found) => format!("{account} has {found}, expected {expected}"),
            None => format!("{account} is not there, expected with {expected}"),
        })
    }
}

/// The jobs.
pub(super) fn jobs() -> [Job; 2] {
    let defaults = || json!({ DATABASE_ARGUMENT: EMBEDDED_DATABASE });
    let ledger =
        Job::with_oracle(Program::new("bank-ledger", 1, ledger), |_| Box::<Oracle>::default());
    let balances = Job::with_oracle(Program::new("bank-balances", 1, balances), |_| {
        Box::<Balances>::default()
    });
    let ledger = ledger
        .about("Book transfers, lines such as `ada bob 25`, in a table of a database, exactly once")
        .writes("the rows `ACCOUNT`, `AMOUNT BALANCE` to the table `--output` of the database that --arguments name");
    let balances = balances
        .about("Keep the balances of accounts, from lines such as `ada bob 25`, in a table of a database")
        .writes("the rows `ACCOUNT`, `BALANCE` to the table `--output` of the database that --arguments name");
    [ledger, balances]
        .map(|job| job.arguments(defaults()).workload(drawn_transfer).reads(check_transfer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_may_step_back_and_must_be_right_in_the_end() {
        let mut oracle = Balances::default();
        oracle.input(0, b"a b 5");
        oracle.input(1, b"b c 2");
        let seen = ["a -5", "b 5", "b 3", "b 5"];
        seen.iter().for_each(|row| assert_eq!(oracle.output(0, row.as_bytes()), Ok(())));
        assert_eq!(oracle.missing().as_deref(), Some("b has 5, expected 3"));
        assert_eq!(oracle.output(0, b"b 3"), Ok(()));
        assert_eq!(oracle.missing().as_deref(), Some("c is not there, expected with 2"));
        assert_eq!((oracle.output(0, b"c 2"), oracle.missing()), (Ok(()), None));
        assert!(oracle.output(0, b"d 1").expect_err("no transfer").contains("nothing was moved"));
        assert!(oracle.output(0, b"d").expect_err("no balance").contains("is no balance"));
    }
}
