//! What this layer announces.

use super::ids::{EndpointId, FencingToken};
use crate::host::{Evidence, Kind};
use std::time::Duration;

/// How an ask ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskOutcome {
    /// With a value.
    Value,
    /// With an error of this name.
    Failed(&'static str),
}

/// An event of the RPC layer. All of them are self-reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RpcEvent {
    /// An endpoint was made; it does not run yet.
    EndpointCreated {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its name.
        name: String,
        /// Whether its calls must carry its token.
        fenced: bool,
    },
    /// The endpoint runs from here on.
    EndpointStarted {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The endpoint no longer runs.
    EndpointStopped {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The endpoint is gone and its name is free.
    EndpointTerminated {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// The endpoint's fencing token changed on its main thread.
    TokenChanged {
        /// The endpoint.
        endpoint: EndpointId,
        /// The token from now on.
        token: Option<FencingToken>,
    },
    /// The endpoint's main thread began with a call or a closure.
    HandlerStarted {
        /// The endpoint.
        endpoint: EndpointId,
        /// The message's kind, `closure` for closures.
        kind: Kind,
        /// The incarnation of the sender, its own for local calls.
        sender: u64,
        /// The sender's number of the call, 0 for closures.
        call: u64,
        /// The token that the message carries.
        token: Option<FencingToken>,
    },
    /// The endpoint's main thread is done with it.
    HandlerEnded {
        /// The endpoint.
        endpoint: EndpointId,
    },
    /// A call was not handed to its handler.
    CallRefused {
        /// The endpoint.
        endpoint: EndpointId,
        /// The message's kind.
        kind: Kind,
        /// Why, in the words of the error that an asker gets.
        reason: &'static str,
    },
    /// This process asked something.
    AskSent {
        /// Its number of the call.
        call: u64,
        /// The message's kind.
        kind: Kind,
        /// How long it waits for its answer, on the clock of its node.
        timeout: Duration,
    },
    /// The ask is over.
    AskResolved {
        /// The process's number of the call.
        call: u64,
        /// How it ended.
        outcome: AskOutcome,
    },
    /// A frame was thrown away on arrival.
    FrameDropped {
        /// Why.
        reason: &'static str,
    },
    /// A handler held its endpoint's main thread for longer than
    /// [`RpcConfig::handler_time_max`](super::RpcConfig::handler_time_max).
    MainThreadHeld {
        /// The endpoint.
        endpoint: EndpointId,
        /// Its name.
        name: String,
        /// The kind of the message, `closure` for closures, `on_start` and `on_stop`.
        kind: Kind,
        /// For how long, on the clock of its node.
        took: Duration,
    },
}

crate::event!(RpcEvent, |_| Evidence::SelfReport);
