//! One end of a connection: what it has sent, what it has received, who waits for it.

use super::packet::{EndId, Packet, Payload, What};
use crate::host::{
    NodeAddress,
    sim::{clock::Nanos, stamp::NodeId},
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    task::Waker,
};

/// Bytes that were written to a stream and not yet read from it, at most.
pub const STREAM_WINDOW_BYTES: usize = 64 * 1024;

/// Segments under way in one direction at most, however small.
const SEGMENTS_MAX: usize = 1024;

pub(super) const RETRANSMIT_MIN: Nanos = 200_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting { syns: u32, port: u16, accepted: bool },
    Open,
    Broken(io::ErrorKind),
}

pub(super) struct End {
    pub node: NodeId,
    pub peer: NodeId,
    pub peer_address: NodeAddress,
    pub phase: Phase,
    pub closed: bool,
    pub reader_gone: bool,
    pub writer_gone: bool,
    pub forgetting: bool,
    /// Waits for the connection, or for room in the window.
    pub writer: Option<Waker>,
    pub reader: Option<Waker>,

    pub next_number: u64,
    pub unacknowledged: BTreeMap<u64, Payload>,
    pub written: u64,
    pub read_by_peer: u64,
    /// When the last segment will have left, by the byte rate.
    pub free_at: Nanos,
    pub retransmit_after: Nanos,
    /// Since when something waits for an answer of the peer.
    pub silent_since: Nanos,
    pub deadline: Nanos,
    /// The time of the one timer that counts.
    pub timer: Option<Nanos>,

    pub expected: u64,
    pub early: BTreeMap<u64, Payload>,
    pub inbox: VecDeque<Bytes>,
    pub finished: bool,
    pub read: u64,
    pub read_told: u64,
}

impl End {
    pub fn new(node: NodeId, peer: NodeId, peer_address: NodeAddress, phase: Phase) -> Self {
        End {
            node,
            peer,
            peer_address,
            phase,
            closed: false,
            reader_gone: false,
            writer_gone: false,
            forgetting: false,
            writer: None,
            reader: None,
            next_number: 0,
            unacknowledged: BTreeMap::new(),
            written: 0,
            read_by_peer: 0,
            free_at: 0,
            retransmit_after: RETRANSMIT_MIN,
            silent_since: 0,
            deadline: 0,
            timer: None,
            expected: 0,
            early: BTreeMap::new(),
            inbox: VecDeque::new(),
            finished: false,
            read: 0,
            read_told: 0,
        }
    }

    pub fn has_room(&self, bytes: usize) -> bool {
        let unread = self.written - self.read_by_peer;
        unread + bytes as u64 <= STREAM_WINDOW_BYTES as u64
            && self.unacknowledged.len() < SEGMENTS_MAX
    }

    pub fn packet(&self, id: EndId, what: What) -> Packet {
        Packet::new(self.node, self.peer, id ^ 1, what)
    }

    pub fn acknowledgement(&mut self, id: EndId, number: Option<u64>) -> Packet {
        self.read_told = self.read;
        self.packet(id, What::Acknowledgement { before: self.expected, number, read: self.read })
    }

    /// Whether only the kernel still knows this end.
    pub fn is_orphan(&self) -> bool {
        self.reader_gone && self.writer_gone
    }

    pub fn take_wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.reader.take().into_iter().chain(self.writer.take())
    }

    /// Whether packets reach it there.
    pub fn alive_on(&self, node: NodeId) -> bool {
        self.node == node && !matches!(self.phase, Phase::Broken(_))
    }
}
