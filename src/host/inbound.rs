//! What arrives at a message socket.

use super::imp::message::Peer;
use bytes::Bytes;

/// What a message socket receives.
#[derive(Debug)]
pub enum Inbound {
    /// A frame that another node sent. It may be a repeat, out of order, or damaged.
    Frame {
        /// The sender's message socket.
        from: Peer,
        /// The bytes.
        frame: Bytes,
    },
    /// The host at `peer` runs no process that would take the frame sent with `token`.
    Unreachable {
        /// Where the frame was sent.
        peer: Peer,
        /// The token given to `send`.
        token: u64,
    },
}
