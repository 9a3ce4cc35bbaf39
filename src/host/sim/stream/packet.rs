//! What crosses a link between the two ends of a stream.

use crate::host::{
    Kind,
    sim::{
        cause::Cause,
        clock::Nanos,
        entry::{PacketContent, PacketRef},
        link::LinkTraversal,
        stamp::NodeId,
    },
};
use bytes::Bytes;
use std::task::Waker;

const HAND_SHAKE: Kind = Kind::new("stream.hand-shake");
const SEGMENT: Kind = Kind::new("stream.segment");
const ACKNOWLEDGEMENT: Kind = Kind::new("stream.acknowledgement");
const RESET: Kind = Kind::new("stream.reset");

/// What a packet weighs on a link besides its payload.
const HEADER_BYTES: usize = 40;

/// Every kind of packet.
pub const PACKET_KINDS: &[Kind] = &[HAND_SHAKE, SEGMENT, ACKNOWLEDGEMENT, RESET];

/// One end of a connection; the other end differs in the last bit.
pub(in crate::host) type EndId = u64;

#[derive(Clone)]
pub(super) enum Payload {
    Bytes(Bytes),
    /// A beginning of what was sent: nothing after it is taken in any more.
    Beginning(Bytes),
    Fin,
}

impl Payload {
    pub fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) | Payload::Beginning(bytes) => bytes.len(),
            Payload::Fin => 0,
        }
    }
}

#[derive(Clone)]
pub(super) enum What {
    Syn { port: u16 },
    SynAck,
    Refused,
    Segment { number: u64, payload: Payload },
    Acknowledgement { before: u64, number: Option<u64>, read: u64 },
    Probe,
    Reset,
}

impl What {
    pub fn kind(&self) -> Kind {
        match self {
            What::Syn { .. } | What::SynAck => HAND_SHAKE,
            What::Segment { .. } | What::Probe => SEGMENT,
            What::Acknowledgement { .. } => ACKNOWLEDGEMENT,
            What::Refused | What::Reset => RESET,
        }
    }

    /// As entries tell it.
    fn content(&self) -> PacketContent {
        match *self {
            What::Syn { port } => PacketContent::Syn { port },
            What::SynAck => PacketContent::SynAck,
            What::Refused => PacketContent::Refused,
            What::Segment { number, ref payload } => match payload {
                Payload::Bytes(bytes) | Payload::Beginning(bytes) => {
                    PacketContent::Segment { number, length: bytes.len() }
                }
                Payload::Fin => PacketContent::Fin { number },
            },
            What::Acknowledgement { before, read, .. } => {
                PacketContent::Acknowledgement { before, read }
            }
            What::Probe => PacketContent::Probe,
            What::Reset => PacketContent::Reset,
        }
    }
}

/// What crosses a link between two ends.
#[derive(Clone)]
pub(in crate::host) struct Packet {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// The end that it is for.
    pub(super) end: EndId,
    pub(super) what: What,
    /// The cause under which it was sent.
    pub(super) cause: Cause,
}

impl Packet {
    /// One that is not sent yet.
    pub(super) fn new(from: NodeId, to: NodeId, end: EndId, what: What) -> Self {
        Packet { from, to, end, what, cause: Cause::NONE }
    }

    /// As entries tell it.
    pub(super) fn told(&self) -> PacketRef {
        let (from, to, end) = (self.from, self.to, self.end);
        PacketRef { from, to, message: self.what.kind(), end, content: self.what.content() }
    }

    /// A beginning of the data that it carries, of a drawn length; nothing when there is no part of it.
    pub(super) fn beginning(mut self, keep: u64) -> Option<Packet> {
        let What::Segment { payload, .. } = &mut self.what else { return None };
        let Payload::Bytes(bytes) = payload else { return None };
        let most = bytes.len().checked_sub(1).filter(|most| *most > 0)?;
        let keep = usize::try_from(keep % most as u64).expect("below a length");
        *payload = Payload::Beginning(bytes.slice(..=keep));
        Some(self)
    }

    /// As the links see it when it leaves at that time.
    pub(super) fn traversal(&self, leaves: Nanos) -> LinkTraversal {
        let payload = match &self.what {
            What::Segment { payload, .. } => payload.len(),
            _ => 0,
        };
        let (from, to, kind) = (self.from, self.to, self.what.kind());
        LinkTraversal { from, to, kind, leaves, bytes: HEADER_BYTES + payload }
    }
}

/// What a stream has coming.
pub(in crate::host) enum StreamAction {
    Arrive(Packet),
    Timer {
        end: EndId,
        at: Nanos,
        /// The cause under which it was set.
        cause: Cause,
    },
    Forget(EndId),
    /// Wakers of a dead process, to be let go where no lock is held.
    LetGo(Vec<Waker>),
}
