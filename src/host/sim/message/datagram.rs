//! A frame under way from one message socket to another.

use crate::host::{
    Kind, NodeAddress,
    sim::{cause::Cause, clock::Nanos, entry::FrameRef, link::LinkTraversal, stamp::NodeId},
};
use bytes::{Bytes, BytesMut};
use std::{fmt, sync::Arc};

/// The size of a reset on a link: little more than headers.
const RESET_BYTES: usize = 40;

/// "Nobody here takes frames."
pub const RESET: Kind = Kind::new("reset");

/// Where frames are sent: another node's message socket. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    inner: Arc<PeerInner>,
}

struct PeerInner {
    /// `None` when no node has that name.
    node: Option<NodeId>,
    address: NodeAddress,
}

impl Peer {
    pub(super) fn new(node: Option<NodeId>, address: NodeAddress) -> Self {
        Peer { inner: Arc::new(PeerInner { node, address }) }
    }

    /// The machine of that name, if there is one.
    pub(super) fn node(&self) -> Option<NodeId> {
        self.inner.node
    }

    /// The socket's address.
    pub fn address(&self) -> &NodeAddress {
        &self.inner.address
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.address)
    }
}

/// A frame under way.
#[derive(Clone)]
pub(in crate::host) struct Datagram {
    pub from: NodeId,
    pub to: NodeId,
    pub kind: Kind,
    pub ordinal: u64,
    /// The cause under which it was sent; no part of its bytes.
    pub cause: Cause,
    pub(super) sender: Peer,
    pub(super) sender_incarnation: u64,
    pub(super) receiver: Peer,
    pub(super) token: u64,
    pub(super) payload: Payload,
}

#[derive(Clone)]
pub(super) enum Payload {
    Frame(Bytes),
    /// "Nobody here takes frames", on its way back to the sender.
    Reset,
}

impl Datagram {
    /// "Nobody here takes frames", in answer to this one.
    pub fn reset(self) -> Self {
        Datagram {
            from: self.to,
            to: self.from,
            kind: RESET,
            ordinal: 0,
            cause: Cause::NONE,
            sender: self.receiver,
            sender_incarnation: self.sender_incarnation,
            receiver: self.sender,
            token: self.token,
            payload: Payload::Reset,
        }
    }

    /// Of a reset, the incarnation whose frame it answers; no other may hear of it.
    pub fn is_reset_for(&self) -> Option<u64> {
        matches!(self.payload, Payload::Reset).then_some(self.sender_incarnation)
    }

    /// As entries tell it.
    pub fn told(&self) -> FrameRef {
        FrameRef { from: self.from, to: self.to, message: self.kind, ordinal: self.ordinal }
    }

    /// As the links see it when it leaves at that time.
    pub fn traversal(&self, leaves: Nanos) -> LinkTraversal {
        let bytes = match &self.payload {
            Payload::Frame(frame) => frame.len(),
            Payload::Reset => RESET_BYTES,
        };
        LinkTraversal { from: self.from, to: self.to, kind: self.kind, leaves, bytes }
    }

    /// The same with one bit of its frame flipped.
    pub fn damaged(mut self, place: u64) -> Self {
        if let Payload::Frame(frame) = &mut self.payload
            && !frame.is_empty()
        {
            let bit = place % (frame.len() as u64 * 8);
            let mut bytes = BytesMut::from(&frame[..]);
            let at = usize::try_from(bit / 8).expect("an index below a length");
            bytes[at] ^= 1 << (bit % 8);
            *frame = bytes.freeze();
        }
        self
    }
}
