//! What callers announce.

use crate::{host::Evidence, system::request_reply::EventId};
use bytes::Bytes;

/// What a caller wants of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// The path.
    pub path: String,
    /// The `Idempotency-Key`, if it has one.
    pub key: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// What a caller announces; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CallerEvent {
    /// It asks, or asks again.
    Asking {
        /// The caller.
        caller: u32,
        /// Counts the calls of this process; the same call has the same number each time.
        call: u64,
        /// Which try it is, from 1.
        attempt: u32,
        /// The slot of the front end.
        slot: u32,
        /// What.
        asked: Asked,
    },
    /// It was answered.
    Answered {
        /// The call.
        call: u64,
        /// Which try it was.
        attempt: u32,
        /// The status.
        status: u16,
        /// Which request it answers, as a service's own answer says.
        id: Option<EventId>,
        /// The body.
        body: Bytes,
    },
    /// It got no answer.
    Unanswered {
        /// The call.
        call: u64,
        /// Which try it was.
        attempt: u32,
        /// Whether the request may have been handled all the same.
        is_indeterminate: bool,
    },
    /// It has nothing more to ask.
    Finished {
        /// The caller.
        caller: u32,
    },
}

crate::event!(CallerEvent, |_| Evidence::SelfReport);
