//! Services whose logic is a job: a front end takes requests over HTTP and puts each into a topic, a job reads it from
//! there and puts its response into another one, and the front end reads that and answers.
//!
//! **A request** that is accepted is named ([`EventId`]) and has an entry in the front end's [`BlockingMap`] before it
//! is written. It ends once, by whoever removes the entry: its response (the response's status), the time that it may
//! take (504), a write that the log refuses (503), or the end of its connection. So it is answered at most once, and
//! once if its front end lives and the client stays. What ended otherwise may be done all the same: a client that asks
//! again says so by an `Idempotency-Key`, which the job is given. The service's own answer has the header `event-id`.
//!
//! **A full map** lets connections wait, and with them their clients; when too many wait, or one for too long, requests
//! are answered 429 with `Retry-After`.
//!
//! **Responses** come by partition: a front end's place, its *slot*, is the partition of the response topic that it
//! reads, from the end that it had before the first request. Responses to another life of it are dropped and announced.
//! Two front ends never share a slot; if two lives of one do, each finds its own.
//!
//! **Requests** go to the partition that their path chooses, each written once by the log's numbers of records; what
//! was written in doubt is written again until the log answers, whether or not anybody still waits.
//!
//! **A job** that is a service takes [`ServiceArguments`], which give it requests and take its responses; when these can
//! be read is a setting of it ([`Delivery`]).
//!
//! To follow a request start at `front_end.rs`, then `requests.rs` writes it and `responses.rs` reads what becomes of it.
//!
//! Deliberately absent: streamed bodies, sessions, and the meaning of any path.

mod blocking_map;
mod event;
mod event_id;
mod front_end;
mod in_flight;
mod job;
mod message;
mod requests;
mod responses;

pub use blocking_map::{BlockingMap, PutError};
pub use event::{Ending, FrontEndEvent};
pub use event_id::{EventId, ParseEventIdError};
pub use front_end::{EVENT_ID_HEADER, FrontEnd, FrontEndError};
pub use job::{Delivery, ServiceArguments};
pub use message::{ServiceRequest, ServiceResponse};

use super::{dataflow::RECORD_BYTES_MAX, http::HttpLimits};
use std::time::Duration;

/// Bytes of a request as a record of its topic, with its path and key; more are answered 413. Half of what a job can hand
/// from task to task, so that a job may add as much.
pub const REQUEST_BYTES_MAX: usize = RECORD_BYTES_MAX / 2;
/// Bytes of a response's body; a longer one becomes a 500 that says so.
pub const RESPONSE_BYTES_MAX: usize = RECORD_BYTES_MAX - 256;

/// How a front end behaves. Times are read on its node's clock.
#[derive(Clone, Debug)]
pub struct FrontEndConfig {
    /// Its place: the partition of the response topic that it reads. No two front ends have the same.
    pub slot: u32,
    /// The topic into which requests go.
    pub requests: String,
    /// The topic out of which responses come; it has a partition for each front end.
    pub responses: String,
    /// The port, 0 for any free one; 8080.
    pub port: u16,
    /// Requests in flight; 1024.
    pub capacity: usize,
    /// Requests that wait for room; 1024.
    pub waiting_max: usize,
    /// How long a request waits for room before it is answered 429; 10 s.
    pub room_timeout: Duration,
    /// From when a request has room until it is answered 504; 10 s.
    pub timeout: Duration,
    /// What clients may take; the time of handlers follows from the two time-outs, and there are as many connections at
    /// least as requests may be in flight or wait for room.
    pub http: HttpLimits,
}

impl FrontEndConfig {
    /// The defaults, at a slot, between two topics.
    pub fn new(slot: u32, requests: &str, responses: &str) -> Self {
        FrontEndConfig {
            slot,
            requests: requests.to_string(),
            responses: responses.to_string(),
            port: 8080,
            capacity: 1024,
            waiting_max: 1024,
            room_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            http: HttpLimits { body_bytes: REQUEST_BYTES_MAX, ..HttpLimits::default() },
        }
    }
}
