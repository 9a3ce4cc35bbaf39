//! How a call fails.

use super::ids::FencingToken;
use serde::{Deserialize, Serialize};

/// Why an ask has no value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum RpcError {
    /// No answer within the asker's time-out; the call may or may not have been handled.
    #[error("no answer in time")]
    Timeout,
    /// Nobody takes messages at that address; a copy of the call may still have been handled.
    #[error("the recipient is unreachable")]
    RecipientUnreachable,
    /// The service has no endpoint of that name.
    #[error("no endpoint is named {0:?}")]
    NoSuchEndpoint(String),
    /// The endpoint has not started yet, has stopped, or is full.
    #[error("the endpoint does not take calls: {0}")]
    NotRunning(String),
    /// The endpoint is stopping and no longer knows what it knew; nothing was done.
    #[error("the endpoint is going away")]
    GoingAway,
    /// The call does not carry the endpoint's fencing token.
    #[error("fencing token {found:?} where {expected:?} holds")]
    Fencing {
        /// The endpoint's token; `None` when it has none at the moment.
        expected: Option<FencingToken>,
        /// The call's token.
        found: Option<FencingToken>,
    },
    /// The endpoint speaks another protocol or version.
    #[error("incompatible endpoint: {0}")]
    Incompatible(String),
    /// The endpoint's own error.
    #[error("{0}")]
    Application(String),
    /// The handler dropped its reply.
    #[error("the handler gave no answer")]
    NoReply,
    /// The call is older than the window in which repeats are recognised; it may be one.
    #[error("the call is too old to be told from a repeat")]
    TooOld,
    /// The call or its answer is above the size limit, in bytes.
    #[error("a message of {0} bytes is too large")]
    TooLarge(usize),
    /// The message was damaged on its way or cannot be decoded.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// This process's own service has stopped.
    #[error("the RPC service has stopped")]
    ServiceStopped,
    /// The endpoint met with an error of its own; the call may or may not have been handled.
    #[error("internal error")]
    Internal,
}

impl RpcError {
    /// Whether the call may have been handled all the same.
    pub fn is_maybe(&self) -> bool {
        matches!(
            self,
            RpcError::Timeout
                | RpcError::RecipientUnreachable
                | RpcError::NoReply
                | RpcError::ServiceStopped
                | RpcError::TooOld
                | RpcError::TooLarge(_)
                | RpcError::Internal
        )
    }

    /// A short name for events, the same for all errors of a kind.
    pub fn name(&self) -> &'static str {
        match self {
            RpcError::Timeout => "timeout",
            RpcError::RecipientUnreachable => "unreachable",
            RpcError::NoSuchEndpoint(_) => "no such endpoint",
            RpcError::NotRunning(_) => "not running",
            RpcError::GoingAway => "going away",
            RpcError::Fencing { .. } => "fenced",
            RpcError::Incompatible(_) => "incompatible",
            RpcError::Application(_) => "application error",
            RpcError::NoReply => "no reply",
            RpcError::TooOld => "too old",
            RpcError::TooLarge(_) => "too large",
            RpcError::Malformed(_) => "malformed",
            RpcError::ServiceStopped => "service stopped",
            RpcError::Internal => "internal error",
        }
    }
}
