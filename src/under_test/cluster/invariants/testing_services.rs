//! Synthetic histories of services.

pub use super::testing::*;
pub use crate::under_test::cluster::callers::{Asked, CallerEvent};
use crate::{
    host::sim::ProcessEnd,
    system::{
        request_reply::{Ending, EventId, FrontEndEvent, ServiceRequest},
        service::log::{GroupOffset, LogEvent},
    },
};
use bytes::Bytes;
use serde_json::json;
use std::time::Duration;

/// The life of the front end at slot 0.
pub const LIFE: u64 = 7;
const REQUESTS: &str = "requests";
pub const RESPONSES: &str = "responses";

fn id(number: u64) -> EventId {
    EventId { slot: 0, incarnation: LIFE, number }
}

/// Who reads the requests.
pub const GROUP: &str = "service";

pub fn timed_out(number: u64) -> FrontEndEvent {
    FrontEndEvent::RequestEnded { id: id(number), how: Ending::TimedOut, in_flight: 0 }
}

pub fn turned_away() -> FrontEndEvent {
    FrontEndEvent::TurnedAway { waiting: 3 }
}

pub fn unanswered(call: u64) -> CallerEvent {
    CallerEvent::Unanswered { call, attempt: 1, is_indeterminate: true }
}

/// The group has read a partition up to there.
pub fn handled(partition: u32, offset: u64) -> LogEvent {
    let (group, topic) = (GROUP.to_string(), REQUESTS.to_string());
    LogEvent::OffsetsCommitted { offsets: vec![GroupOffset { group, topic, partition, offset }] }
}

/// A front end with room for so many, whose requests wait three seconds.
pub fn began(capacity: usize) -> FrontEndEvent {
    begun(capacity, 0)
}

/// One that reads from an offset on.
pub fn began_at(first: u64) -> FrontEndEvent {
    begun(2, first)
}

fn begun(capacity: usize, offset: u64) -> FrontEndEvent {
    FrontEndEvent::Began {
        slot: 0,
        incarnation: LIFE,
        offset,
        requests: REQUESTS.to_string(),
        responses: RESPONSES.to_string(),
        capacity,
        timeout: Duration::from_secs(3),
    }
}

pub fn accepted(number: u64) -> FrontEndEvent {
    counted(number, 1)
}

pub fn counted(number: u64, in_flight: usize) -> FrontEndEvent {
    FrontEndEvent::RequestAccepted { id: id(number), in_flight }
}

/// Answered, one being left.
pub fn ended(number: u64) -> FrontEndEvent {
    FrontEndEvent::RequestEnded { id: id(number), how: Ending::Answered, in_flight: 1 }
}

pub fn late(number: u64) -> FrontEndEvent {
    FrontEndEvent::LateResponse { id: id(number) }
}

pub fn foreign(number: u64, incarnation: u64) -> FrontEndEvent {
    FrontEndEvent::ForeignResponse { id: EventId { incarnation, ..id(number) } }
}

pub fn dead() -> Hardware {
    Hardware::Ended(ProcessEnd::Killed)
}

fn body_of(call: u64) -> Bytes {
    Bytes::from(json!({ "call": call }).to_string())
}

fn request(number: u64, call: u64) -> ServiceRequest {
    let (path, query) = ("/".to_string(), Vec::new());
    ServiceRequest { id: id(number), key: None, path, query, body: body_of(call) }
}

/// The body of the response to a request.
pub fn response(number: u64) -> Bytes {
    request(number, 0).response(200, json!({})).body
}

/// That of an account.
pub fn balance(number: u64, balance: i64) -> Bytes {
    request(number, 0).response(200, json!({ "balance": balance })).body
}

fn appended(topic: &str, partition: u32, offset: u64, record: Bytes) -> LogEvent {
    LogEvent::Appended {
        topic: topic.to_string(),
        partition,
        offset,
        producer: "p".to_string(),
        records: vec![record],
    }
}

/// The request of a number, which is that of a call, is the first record of a partition.
pub fn requested(partition: u32, number: u64, call: u64) -> LogEvent {
    let record = request(number, call).encode().expect("it can be encoded");
    appended(REQUESTS, partition, 0, record)
}

fn response_at(partition: u32, offset: u64, id: EventId) -> LogEvent {
    let record = ServiceRequest { id, ..request(0, 0) }.response(200, json!({})).encode();
    appended(RESPONSES, partition, offset, record.expect("it can be encoded"))
}

/// The response to a request is the first record of a partition.
pub fn responded(partition: u32, number: u64) -> LogEvent {
    response_at(partition, 0, id(number))
}

/// The response to a request is the second record of the partition.
pub fn responded_next(partition: u32, number: u64) -> LogEvent {
    response_at(partition, 1, id(number))
}

/// The first one is to a request of another life.
pub fn responded_of(partition: u32, number: u64, incarnation: u64) -> LogEvent {
    response_at(partition, 0, EventId { incarnation, ..id(number) })
}

/// Caller 1 asks the front end at slot 0.
pub fn asking(call: u64) -> CallerEvent {
    let asked = Asked { path: "/".to_string(), key: None, body: body_of(call) };
    CallerEvent::Asking { caller: 1, call, attempt: 1, slot: 0, asked }
}

pub fn booking(call: u64, add: i64) -> CallerEvent {
    let body = Bytes::from(json!({ "add": add }).to_string());
    let asked = Asked { path: "/accounts/a".to_string(), key: None, body };
    CallerEvent::Asking { caller: 1, call, attempt: 1, slot: 0, asked }
}

/// By the service: the body says whom.
pub fn answered(call: u64, status: u16, body: &[u8]) -> CallerEvent {
    let told: serde_json::Value = serde_json::from_slice(body).expect("it is JSON");
    let id = told["event_id"].as_str().and_then(|id| id.parse().ok());
    CallerEvent::Answered { call, attempt: 1, status, id, body: Bytes::copy_from_slice(body) }
}

pub fn answered_by_front_end(call: u64, status: u16) -> CallerEvent {
    CallerEvent::Answered { call, attempt: 1, status, id: None, body: Bytes::new() }
}
