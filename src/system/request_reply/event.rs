//! What front ends say of themselves.

use super::event_id::EventId;
use crate::host::Evidence;
use std::time::Duration;

/// How a request ended at its front end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its response came, and was given.
    Answered,
    /// No response came in time: 504.
    TimedOut,
    /// The log refuses it: 503. An earlier try may come yet.
    Refused,
    /// Its connection ended before.
    Abandoned,
}

/// An event of a front end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum FrontEndEvent {
    /// It reads responses from that offset on, and accepts connections from now on.
    Began {
        /// Its place.
        slot: u32,
        /// Its life.
        incarnation: u64,
        /// The first response that it reads.
        offset: u64,
        /// The topic into which its requests go.
        requests: String,
        /// The topic out of which its responses come.
        responses: String,
        /// Requests that may be in flight.
        capacity: usize,
        /// How long each may wait for its response.
        timeout: Duration,
    },
    /// A request has a name and an entry; it is not written before.
    RequestAccepted {
        /// The request.
        id: EventId,
        /// Entries from now on.
        in_flight: usize,
    },
    /// A request waits no longer.
    RequestEnded {
        /// The request.
        id: EventId,
        /// How.
        how: Ending,
        /// Entries from now on.
        in_flight: usize,
    },
    /// A response came to a request that waits no longer.
    LateResponse {
        /// The request.
        id: EventId,
    },
    /// A response came to another life of this front end, or to another front end.
    ForeignResponse {
        /// The request.
        id: EventId,
    },
    /// Responses were removed before they were read; whoever waits for one gets none in time.
    ResponsesMissed {
        /// The first that was not read.
        from: u64,
        /// The first that is kept.
        to: u64,
    },
    /// A request was turned away, since too many wait for room.
    TurnedAway {
        /// So many wait.
        waiting: usize,
    },
}

crate::event!(FrontEndEvent, |_| Evidence::SelfReport);
