//! Callers of services: each puts one request after the other to front ends.

mod caller;
mod event;

use serde_json::Value;

pub use caller::{CallerSettings, run_caller_node};
pub use event::{Asked, CallerEvent};

/// The member of an answer that says which request it answers.
const EVENT_ID: &str = "event_id";

/// The body of an answer without that.
pub fn without_event_id(body: &[u8]) -> Value {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Value::Object(members) = &mut body {
        members.remove(EVENT_ID);
    }
    body
}
