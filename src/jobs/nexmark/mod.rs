//! Queries of Nexmark, a benchmark of an auction house: people register, offer things, and bid for them.
//!
//! Each query is a job of its own that reads the same events ([`Event`]), and whose committed records are held against
//! those that a look at the whole input finds. The answers are exact as long as no event is later than what is waited
//! for and nobody registers twice: other texts are refused in simulation, and live have answers without those.

mod event;
mod q1;
mod q3;
mod q5;
mod q8;
mod query;

pub use event::{Auction, Bid, Event, Person};

use super::job::Job;

/// The queries that are shipped.
pub(super) fn jobs() -> [Job; 4] {
    [q1::job(), q3::job(), q5::job(), q8::job()]
}
