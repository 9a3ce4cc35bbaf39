//! Synthetic histories for the invariants' own tests.

pub use super::super::Model;
pub use crate::{
    harness::check::{self, Check, process},
    host::{Kind, sim::Hardware},
    system::{leadership::*, rpc::*, service::coordination::*},
};

/// A history for the cluster's own model.
pub type History<I> = check::History<I, Model>;

/// What is led in these histories.
pub const COMPONENT: &str = "dispatcher";

pub const KIND: Kind = Kind::new("Test.call");

pub fn term(number: u128) -> LeaderSessionId {
    LeaderSessionId(number << 96)
}

pub fn leader(number: u128) -> LeaderInformation {
    let address = "rpc://job-manager-1:1/dispatcher".parse().expect("an address");
    LeaderInformation { session: term(number), address: LeaderAddress::Rpc(address) }
}

pub fn component() -> String {
    COMPONENT.to_string()
}

pub fn put(key: String, value: Vec<u8>) -> Change {
    Change::Put { key, value, lease: None }
}

pub fn latch(number: u128) -> Change {
    put(latch_key(COMPONENT), term(number).to_bytes())
}

pub fn record(number: u128) -> Change {
    let value = postcard::to_allocvec(&leader(number)).expect("it can be encoded");
    put(leader_key(COMPONENT), value)
}

pub fn committed(revision: u64, changes: Vec<Change>) -> CoordinationEvent {
    guarded(revision, None, changes)
}

/// A commit under the guard of a term of the component.
pub fn guarded(revision: u64, term: Option<u128>, changes: Vec<Change>) -> CoordinationEvent {
    let guard =
        |number| LeaderSession { component: component(), session: self::term(number) }.guard();
    let conditions = term.map(guard).into_iter().collect();
    CoordinationEvent::Committed { revision: Revision(revision), conditions, changes }
}
