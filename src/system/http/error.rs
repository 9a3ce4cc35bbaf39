//! Why a request of a client has no answer.

use crate::host::NodeAddress;
use std::{io, time::Duration};

/// A request without an answer. Whatever status a server answers with is an answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request can't be written: its path, or this header.
    #[error("this can't be sent: {0}")]
    Unsendable(String),
    /// There was no connection.
    #[error("no connection to {to}: {error}")]
    Connect {
        /// Where to.
        to: NodeAddress,
        /// What the host says: refused, timed out.
        error: io::Error,
    },
    /// The time for all of it was over.
    #[error("no answer of {to} within {after:?}")]
    Timeout {
        /// Whose answer.
        to: NodeAddress,
        /// The limit.
        after: Duration,
        /// Whether bytes of the request had been sent.
        sent: bool,
    },
    /// The connection was closed or broken before the answer was whole.
    #[error("the connection to {to} ended before its answer did")]
    Closed {
        /// Whose answer.
        to: NodeAddress,
        /// Whether bytes of the request had been sent.
        sent: bool,
    },
    /// What was answered is no HTTP/1.1.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The answer goes beyond a limit.
    #[error("the answer's {0} is too large")]
    TooLarge(&'static str),
}

impl HttpError {
    /// Whether the request may have been handled. If not, nobody has or will.
    pub fn is_indeterminate(&self) -> bool {
        match self {
            HttpError::Unsendable(_) | HttpError::Connect { .. } => false,
            HttpError::Timeout { sent, .. } | HttpError::Closed { sent, .. } => *sent,
            HttpError::Malformed(_) | HttpError::TooLarge(_) => true,
        }
    }
}
