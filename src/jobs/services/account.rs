//! `account`: bookings on accounts that can't be overdrawn. `POST /accounts/NAME` with `{"add": AMOUNT}` is answered
//! 200 `{"balance": …}`, or 409 with the balance where it would be below 0; an amount of 0 asks for the balance.
//!
//! A request with an `Idempotency-Key` is done once: asked again within [`ANSWERS_KEPT`] under the same key it is
//! answered as before. What was answered is part of the account's state, so a checkpoint has both or neither.

use crate::{
    jobs::{Service, ServiceCall, ServiceModel},
    system::{
        dataflow::{
            Collector, KeyContext, OperatorContext, Process, Program, Result, StreamEnv, Timer,
            Timestamp,
        },
        request_reply::{ServiceArguments, ServiceRequest, ServiceResponse},
        sabotage,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// How long an answer is kept under its key.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(600);
/// Answers that are kept of an account at most. A booking under one more key is refused (503) and not done: none is
/// forgotten before its time, or who asks again would be booked twice.
pub const ANSWERS_MAX: usize = 10_000;
/// From look to look at which answers have been kept long enough.
const ANSWERS_LOOK: Duration = Duration::from_secs(1);
/// Before the name of an account, in a path.
const ACCOUNTS: &str = "/accounts/";

/// What is booked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Booking {
    add: i64,
}

/// What is known of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    balance: i64,
    /// By the client's key: what was answered, and until when it is kept.
    answers: BTreeMap<String, (Timestamp, Booked)>,
}

/// What a booking came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Booked {
    is_done: bool,
    /// After it.
    balance: i64,
}

impl Account {
    fn book(&mut self, add: i64) -> Booked {
        let balance = self.balance.checked_add(add).filter(|balance| *balance >= 0);
        if let Some(balance) = balance {
            self.balance = balance;
        }
        Booked { is_done: balance.is_some(), balance: self.balance }
    }

    /// Whether there is room for the answer to one more key.
    fn has_room(&self) -> bool {
        self.answers.len() < ANSWERS_MAX
    }

    /// Keeps an answer; whether it is the only one.
    fn keep(&mut self, key: String, until: Timestamp, booked: Booked) -> bool {
        self.answers.insert(key, (until, booked));
        self.answers.len() == 1
    }

    /// Forgets what was kept long enough, and says until when the next one is kept.
    fn forget(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.answers.retain(|_, (until, _)| *until > now);
        self.answers.values().map(|(until, _)| *until).min()
    }
}

/// The function.
#[derive(Clone, Debug, Default)]
struct Accounts {
    /// Under sabotage alone: where answers are kept instead.
    beside: Option<BTreeMap<String, Booked>>,
}

fn responded(request: &ServiceRequest, booked: Booked) -> ServiceResponse {
    let status = if booked.is_done { 200 } else { 409 };
    request.response(status, json!({ "balance": booked.balance }))
}

impl Process<String, ServiceRequest> for Accounts {
    type State = Account;
    type Out = ServiceResponse;

    fn open(&mut self, context: &OperatorContext) -> Result<()> {
        self.beside =
            context.host.sabotaged(sabotage::ANSWERS_BESIDE_THE_STATE).then(BTreeMap::new);
        Ok(())
    }

    fn process(
        &mut self,
        request: ServiceRequest,
        context: &mut KeyContext<'_, String, Account>,
        out: &mut Collector<'_, ServiceResponse>,
    ) -> Result<()> {
        let booking: Booking = match request.json() {
            Ok(booking) => booking,
            Err(error) => {
                out.emit(request.response(400, json!({ "errors": [error.to_string()] })));
                return Ok(());
            }
        };
        let kept = request.key.as_ref().and_then(|key| match &self.beside {
            Some(beside) => beside.get(key).copied(),
            None => context.state().answers.get(key).map(|(_, booked)| *booked),
        });
        let booked = match kept {
            Some(booked) => booked,
            None if request.key.is_some() && !context.state().has_room() => {
                let why = format!("{ANSWERS_MAX} answers are kept of this account: ask later");
                out.emit(request.response(503, json!({ "errors": [why] })));
                return Ok(());
            }
            None => {
                let booked = context.state().book(booking.add);
                if let (Some(key), Some(beside)) = (&request.key, &mut self.beside) {
                    beside.insert(key.clone(), booked);
                } else if let Some(key) = request.key.clone() {
                    let until = context.now().after(ANSWERS_KEPT);
                    // One timer looks after them all.
                    if context.state().keep(key, until, booked) {
                        context.set_timer(Timer::Processing(until))?;
                    }
                }
                booked
            }
        };
        out.emit(responded(&request, booked));
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timer,
        context: &mut KeyContext<'_, String, Account>,
        _: &mut Collector<'_, ServiceResponse>,
    ) -> Result<()> {
        let now = context.now();
        if let Some(next) = context.state().forget(now) {
            let next = next.max(now.after(ANSWERS_LOOK));
            context.set_timer(Timer::Processing(next))?;
        }
        Ok(())
    }
}

/// The account of a request; `None` when its path names none.
fn account_of(request: &ServiceRequest) -> Option<&str> {
    let name = request.path.strip_prefix(ACCOUNTS)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn describe(env: &mut StreamEnv, arguments: &ServiceArguments) -> Result<()> {
    let requests = arguments.requests(env)?;
    let nowhere = requests.flat_map("nowhere", |request: ServiceRequest, out| {
        if account_of(&request).is_none() {
            let why = format!("there is no {}: POST /accounts/NAME", request.path);
            out.emit(request.response(404, json!({ "errors": [why] })));
        }
    });
    let booked = requests
        .filter("accounts", |request: &ServiceRequest| account_of(request).is_some())
        .key_by(|request: &ServiceRequest| account_of(request).unwrap_or_default().to_string())
        .process("book", Accounts::default());
    arguments.respond(&booked.union(nowhere));
    Ok(())
}

/// An account, as whoever books on it may expect: a request under a key that was used is answered as before.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    balance: i64,
    answered: BTreeMap<String, (u16, i64)>,
}

impl ServiceModel for Expected {
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value) {
        if account_of(request).is_none() {
            let why = format!("there is no {}: POST /accounts/NAME", request.path);
            return (404, json!({ "errors": [why] }));
        }
        let kept = request.key.as_ref().and_then(|key| self.answered.get(key)).copied();
        let (status, balance) = kept.unwrap_or_else(|| {
            let body: Value = request.json().unwrap_or_default();
            let after = body["add"].as_i64().and_then(|add| self.balance.checked_add(add));
            match after.filter(|after| *after >= 0) {
                Some(after) => {
                    self.balance = after;
                    (200, after)
                }
                None => (409, self.balance),
            }
        });
        if let Some(key) = &request.key {
            self.answered.insert(key.clone(), (status, balance));
        }
        (status, json!({ "balance": balance }))
    }
}

/// Accounts of the workload.
const WORKLOAD_ACCOUNTS: u64 = 3;
/// What is booked at most, in or out.
const WORKLOAD_ADD_MAX: u64 = 20;

/// The service.
pub fn service() -> Service {
    let program = Program::new("account", 1, describe);
    Service::new(program, Expected::default())
        .about("Book on accounts that can't be overdrawn")
        .calls(|_, draws| {
            let (account, drawn) =
                (draws.below(WORKLOAD_ACCOUNTS), draws.below(2 * WORKLOAD_ADD_MAX + 1));
            let add = i64::try_from(drawn).expect("a small number") - WORKLOAD_ADD_MAX as i64;
            ServiceCall { path: format!("{ACCOUNTS}a{account}"), body: json!({ "add": add }) }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_not_overdrawn_and_does_not_overflow() {
        let mut account = Account::default();
        let booked = |is_done, balance| Booked { is_done, balance };
        assert_eq!(account.book(5), booked(true, 5));
        assert_eq!(account.book(-6), booked(false, 5));
        assert_eq!(account.book(-5), booked(true, 0));
        assert_eq!(account.book(i64::MAX), booked(true, i64::MAX));
        assert_eq!(account.book(1), booked(false, i64::MAX));
    }

    #[test]
    fn no_answer_is_forgotten_before_its_time() {
        let mut account = Account::default();
        for number in 0..ANSWERS_MAX as i64 {
            assert!(account.has_room());
            let booked = account.book(1);
            let is_first = account.keep(format!("key-{number}"), Timestamp(number), booked);
            assert_eq!(is_first, number == 0);
        }
        assert!(!account.has_room());
        assert_eq!(account.forget(Timestamp(0)), Some(Timestamp(1)));
        assert!(account.has_room() && account.answers.contains_key("key-1"));
        assert_eq!(account.forget(Timestamp(ANSWERS_MAX as i64)), None);
    }
}
