//! What crosses a link between the two ends of a stream.

use crate::host::{
    Kind,
    random::mix,
    sim::{clock::Nanos, link::LinkTraversal, stamp::NodeId},
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
    Fin,
}

impl Payload {
    pub fn len(&self) -> usize {
        match self {
            Payload::Bytes(bytes) => bytes.len(),
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

    /// Its name, and a word that tells it from others of that name.
    pub fn describe(&self) -> (&'static str, u64) {
        match self {
            What::Syn { port } => ("SYN", u64::from(*port)),
            What::SynAck => ("SYN-ACK", 0),
            What::Refused => ("refused", 0),
            What::Segment { number, payload } => match payload {
                Payload::Bytes(bytes) => ("segment", mix(*number, bytes.len() as u64)),
                Payload::Fin => ("FIN", *number),
            },
            What::Acknowledgement { before, read, .. } => ("ACK", mix(*before, *read)),
            What::Probe => ("probe", 0),
            What::Reset => ("reset", 0),
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
}

impl Packet {
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
    },
    Forget(EndId),
    /// Wakers of a dead process, to be let go where no lock is held.
    LetGo(Vec<Waker>),
}
