//! Who is still there: beats between endpoints, and notice of those that stay away.
//!
//! One side asks: a [`HeartbeatManagerSender`] requests a beat of every target that it monitors, once
//! an interval. The other side answers: a [`HeartbeatManager`] beats back and monitors the asker by
//! its requests. Either side gives a target up when no beat came for the time-out, or, sooner, when
//! several calls in a row found nobody there; where a connection to the target is watched that has broken, one call
//! is enough.
//!
//! A manager is a value in the state of an endpoint and is driven on its main thread; the endpoint is
//! its [`HeartbeatListener`]. Both ends of a connection monitor each other under one
//! [`HeartbeatSession`], that of their registration: a beat of an earlier session is ignored, and a
//! notice says which session it ends. What a manager has under way belongs, like every continuation,
//! to the fencing token under which it began; after a change of the token make a new manager.
//!
//! Deliberately absent: what to do about a loss, and retries. The next interval is the retry.

mod event;
mod manager;
mod monitor;
mod outbox;
mod sender;
mod target;

pub use event::HeartbeatEvent;
pub use manager::{HeartbeatListener, HeartbeatManager};
pub use monitor::{HeartbeatMonitor, MonitorState};
pub use sender::HeartbeatManagerSender;
pub use target::HeartbeatTarget;

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

/// When beats are sent and when their absence is a loss. Times are read on the node's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeartbeatConfig {
    /// How often a sender asks each of its targets; 10 s.
    pub interval: Duration,
    /// How long a target may be silent; 50 s.
    pub timeout: Duration,
    /// After how many calls in a row that found the recipient unreachable a target is given up
    /// without waiting for the time-out; `None` never does, 2 by default.
    pub unreachable_threshold: Option<u32>,
}

impl Default for HeartbeatConfig {
    fn default() -> Self {
        HeartbeatConfig {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(50),
            unreachable_threshold: Some(2),
        }
    }
}

/// One connection of two resources, known to both: its registration's identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeartbeatSession(pub u128);

impl fmt::Debug for HeartbeatSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A heartbeat, or the request for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat<P> {
    /// The resource that sends it.
    pub origin: String,
    /// The connection that it is about.
    pub session: HeartbeatSession,
    /// What the resource has to say.
    pub payload: P,
}
