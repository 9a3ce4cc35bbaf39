//! What happens in a run, said once: the digest folds an entry's fields, the trace tells them by name.

use super::{
    disk::{DiskFault, DiskFaultId, Unsynced},
    injected_error::ServiceFault,
    link::{DropReason, LinkRule, NodeSet, RuleId},
    stamp::NodeId,
};
use crate::host::{Event, InjectedError, Instant, Kind};
use std::{fmt::Debug, hash::Hash, io, mem::discriminant};

/// Takes the fields of an entry, one by one.
pub(in crate::host) trait Fields {
    fn node(&mut self, name: &'static str, node: NodeId);
    fn nodes(&mut self, name: &'static str, nodes: &NodeSet);
    fn number(&mut self, name: &'static str, number: u64);
    fn text(&mut self, name: &'static str, text: &str);
    /// One of a list of words; its number says as much, and is cheaper to fold.
    fn word(&mut self, name: &'static str, word: &'static str, number: u64);
    fn value(&mut self, name: &'static str, value: &(impl Debug + Hash));
    fn event(&mut self, event: &dyn Event);
    /// Which variant an entry is; its kind is its name.
    fn variant(&mut self, variant: impl Hash);
}

/// Something that happened.
#[derive(Clone, Copy)]
pub(in crate::host) enum Entry<'a> {
    /// A timer fired, by the clock of its machine.
    TimerFired { node: NodeId, deadline: Instant },
    /// Something happened to a frame.
    Frame(FrameStep, FrameRef),
    /// Something happened to a packet of a stream.
    Packet(PacketStep, PacketRef),
    /// An event was announced; so many words had been drawn by processes.
    Event { node: NodeId, incarnation: u64, draws: u64, event: &'a dyn Event },
    /// The links were changed, for frames or for streams.
    Links(LinksChange<'a>),
    /// A disk did something, or something was done to it.
    Disk(NodeId, DiskStep<'a>),
    /// Something happened to a machine or to the service on it.
    Machine(NodeId, MachineStep<'a>),
}

/// What happens to a frame.
#[derive(Clone, Copy)]
pub(in crate::host) enum FrameStep {
    Delivered,
    Lost(DropReason),
    /// A rule keeps it back.
    Held,
    /// A second copy of it is under way.
    Duplicated,
    /// A bit of it was flipped.
    Corrupted,
}

/// A frame as entries tell it.
#[derive(Clone, Copy)]
pub(in crate::host) struct FrameRef {
    pub from: NodeId,
    pub to: NodeId,
    pub message: Kind,
    /// Which frame of this kind on this link, from 0.
    pub ordinal: u64,
}

/// What happens to a packet of a stream. A second copy of one is no entry: streams drop it.
#[derive(Clone, Copy)]
pub(in crate::host) enum PacketStep {
    Delivered,
    Lost(DropReason),
    Held,
    /// Its rest is lost, and its connection breaks.
    CutShort,
    Corrupted,
}

/// A packet of a stream as entries tell it.
#[derive(Clone, Copy)]
pub(in crate::host) struct PacketRef {
    pub from: NodeId,
    pub to: NodeId,
    pub message: Kind,
    /// The end of the stream that it is for.
    pub end: u64,
    pub content: PacketContent,
}

/// What a packet says.
#[derive(Clone, Copy)]
pub(in crate::host) enum PacketContent {
    Syn { port: u16 },
    SynAck,
    Refused,
    Segment { number: u64, length: usize },
    Fin { number: u64 },
    Acknowledgement { before: u64, read: u64 },
    Probe,
    Reset,
}

/// What happens to links, and to the streams on them.
#[derive(Clone, Copy)]
pub(in crate::host) enum LinksChange<'a> {
    RuleAdded {
        rule: RuleId,
        what: &'a LinkRule,
    },
    RuleLifted {
        rule: RuleId,
    },
    /// A box on the way forgot its connections.
    Reset {
        one: &'a NodeSet,
        other: &'a NodeSet,
    },
    /// An end of a stream broke by that.
    EndReset {
        end: u64,
    },
    StreamRate {
        bytes_per_second: u64,
    },
}

/// What happens to a disk.
#[derive(Clone, Copy)]
pub(in crate::host) enum DiskStep<'a> {
    Operation(DiskOperation<'a>),
    FaultSet {
        fault: DiskFaultId,
        what: &'a DiskFault,
    },
    FaultLifted {
        fault: DiskFaultId,
    },
    AllFaultsLifted,
    Rotted {
        path: &'a str,
        offset: u64,
        mask: u8,
    },
    Replaced,
    /// What it held before is on it again.
    SetBack,
}

/// An operation of a disk that has come to its end.
#[derive(Clone, Copy)]
pub(in crate::host) struct DiskOperation<'a> {
    pub name: &'static str,
    pub path: &'a str,
    /// The new name, of a renaming.
    pub to: &'a str,
    pub offset: u64,
    pub length: u64,
    /// A hash of what was written.
    pub data: u64,
    /// What it returned, as a word.
    pub result: Result<u64, &'a io::Error>,
}

/// What happens to a machine.
#[derive(Clone, Copy)]
pub(in crate::host) enum MachineStep<'a> {
    PowerLost {
        unsynced: Unsynced,
    },
    ServiceFaultSet {
        what: &'a ServiceFault,
    },
    ServiceFaultLifted,
    ServiceError(InjectedError),
    LineEntered {
        line: &'a str,
    },
    /// From its next boot on a binary runs there that is ahead by so many versions of the protocol.
    BinaryReplaced {
        versions_ahead: u16,
    },
}

impl Entry<'_> {
    /// Its kind, as the trace names it.
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::TimerFired { .. } => "timer-fired",
            Entry::Frame(step, _) => step.kind(),
            Entry::Packet(step, _) => step.kind(),
            Entry::Event { .. } => "event",
            Entry::Links(change) => change.kind(),
            Entry::Disk(_, step) => step.kind(),
            Entry::Machine(_, step) => step.kind(),
        }
    }

    /// Its fields, all of which count in the digest.
    pub fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        match self {
            Entry::TimerFired { node, deadline } => {
                to.node("node", *node);
                to.number("deadline", deadline.0);
            }
            Entry::Frame(step, frame) => {
                frame.fields(to);
                step.fields(to);
            }
            Entry::Packet(step, packet) => {
                packet.fields(to);
                step.fields(to);
            }
            Entry::Event { node, incarnation, draws, event } => {
                to.node("node", *node);
                to.number("incarnation", *incarnation);
                to.event(*event);
                to.number("draws", *draws);
            }
            Entry::Links(change) => change.fields(to),
            Entry::Disk(node, step) => {
                to.node("node", *node);
                step.fields(to);
            }
            Entry::Machine(node, step) => {
                to.node("node", *node);
                step.fields(to);
            }
        }
    }
}

impl FrameStep {
    fn kind(&self) -> &'static str {
        match self {
            FrameStep::Delivered => "frame-delivered",
            FrameStep::Lost(_) => "frame-lost",
            FrameStep::Held => "frame-held",
            FrameStep::Duplicated => "frame-duplicated",
            FrameStep::Corrupted => "frame-corrupted",
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        if let FrameStep::Lost(why) = self {
            to.word("why", why.name(), *why as u64);
        }
    }
}

impl FrameRef {
    fn fields(&self, to: &mut impl Fields) {
        to.node("from", self.from);
        to.node("to", self.to);
        to.word("message", self.message.name(), self.message.hash());
        to.number("ordinal", self.ordinal);
    }
}

impl PacketStep {
    fn kind(&self) -> &'static str {
        match self {
            PacketStep::Delivered => "packet-delivered",
            PacketStep::Lost(_) => "packet-lost",
            PacketStep::Held => "packet-held",
            PacketStep::CutShort => "packet-cut-short",
            PacketStep::Corrupted => "packet-corrupted",
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        if let PacketStep::Lost(why) = self {
            to.word("why", why.name(), *why as u64);
        }
    }
}

impl PacketRef {
    fn fields(&self, to: &mut impl Fields) {
        to.node("from", self.from);
        to.node("to", self.to);
        to.word("message", self.message.name(), self.message.hash());
        to.number("end", self.end);
        self.content.fields(to);
    }
}

impl PacketContent {
    fn word(&self) -> (&'static str, u64) {
        match self {
            PacketContent::Syn { .. } => ("syn", 1),
            PacketContent::SynAck => ("syn-ack", 2),
            PacketContent::Refused => ("refused", 3),
            PacketContent::Segment { .. } => ("segment", 4),
            PacketContent::Fin { .. } => ("fin", 5),
            PacketContent::Acknowledgement { .. } => ("ack", 6),
            PacketContent::Probe => ("probe", 7),
            PacketContent::Reset => ("reset", 8),
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        let (word, number) = self.word();
        to.word("packet", word, number);
        match *self {
            PacketContent::Syn { port } => to.number("port", u64::from(port)),
            PacketContent::Segment { number, length } => {
                to.number("number", number);
                to.number("length", length as u64);
            }
            PacketContent::Fin { number } => to.number("number", number),
            PacketContent::Acknowledgement { before, read } => {
                to.number("before", before);
                to.number("read", read);
            }
            PacketContent::SynAck
            | PacketContent::Refused
            | PacketContent::Probe
            | PacketContent::Reset => {}
        }
    }
}

impl LinksChange<'_> {
    fn kind(&self) -> &'static str {
        match self {
            LinksChange::RuleAdded { .. } => "link-rule-added",
            LinksChange::RuleLifted { .. } => "link-rule-lifted",
            LinksChange::Reset { .. } => "connections-reset",
            LinksChange::EndReset { .. } => "stream-end-reset",
            LinksChange::StreamRate { .. } => "stream-rate-set",
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        match self {
            LinksChange::RuleAdded { rule, what } => {
                to.nodes("from", &what.from);
                to.nodes("to", &what.to);
                to.number("rule", rule.number());
                if let Some(message) = &what.kind {
                    to.text("message", message.prefix());
                }
                if let Some(nth) = what.nth {
                    to.number("nth", nth);
                }
                to.value("effect", &what.effect);
            }
            LinksChange::RuleLifted { rule } => to.number("rule", rule.number()),
            LinksChange::Reset { one, other } => {
                to.nodes("from", one);
                to.nodes("to", other);
            }
            LinksChange::EndReset { end } => to.number("end", *end),
            LinksChange::StreamRate { bytes_per_second } => {
                to.number("bytes_per_second", *bytes_per_second);
            }
        }
    }
}

impl DiskStep<'_> {
    fn kind(&self) -> &'static str {
        match self {
            DiskStep::Operation(_) => "disk-operation",
            DiskStep::FaultSet { .. } => "disk-fault-set",
            DiskStep::FaultLifted { .. } => "disk-fault-lifted",
            DiskStep::AllFaultsLifted => "disk-faults-lifted",
            DiskStep::Rotted { .. } => "disk-rotted",
            DiskStep::Replaced => "disk-replaced",
            DiskStep::SetBack => "disk-set-back",
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        match self {
            DiskStep::Operation(operation) => operation.fields(to),
            DiskStep::FaultSet { fault, what } => {
                to.number("fault", fault.0);
                to.value("on", &what.on);
                to.value("effect", &what.effect);
            }
            DiskStep::FaultLifted { fault } => to.number("fault", fault.0),
            DiskStep::Rotted { path, offset, mask } => {
                to.text("path", path);
                to.number("offset", *offset);
                to.number("mask", u64::from(*mask));
            }
            DiskStep::AllFaultsLifted | DiskStep::Replaced | DiskStep::SetBack => {}
        }
    }
}

impl DiskOperation<'_> {
    fn fields(&self, to: &mut impl Fields) {
        to.text("operation", self.name);
        to.text("path", self.path);
        if !self.to.is_empty() {
            to.text("to", self.to);
        }
        to.number("offset", self.offset);
        to.number("length", self.length);
        to.number("data", self.data);
        to.variant(discriminant(&self.result));
        match self.result {
            Ok(output) => to.number("output", output),
            Err(error) => to.value("error", &OsError(error)),
        }
    }
}

/// An error of a disk: it is told in the system's words.
struct OsError<'a>(&'a io::Error);

impl Hash for OsError<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0.kind() as u64, self.0.raw_os_error()).hash(state);
    }
}

impl Debug for OsError<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl MachineStep<'_> {
    fn kind(&self) -> &'static str {
        match self {
            MachineStep::PowerLost { .. } => "power-lost",
            MachineStep::ServiceFaultSet { .. } => "service-fault-set",
            MachineStep::ServiceFaultLifted => "service-fault-lifted",
            MachineStep::ServiceError(_) => "service-error-injected",
            MachineStep::LineEntered { .. } => "line-entered",
            MachineStep::BinaryReplaced { .. } => "binary-replaced",
        }
    }

    fn fields(&self, to: &mut impl Fields) {
        to.variant(discriminant(self));
        match self {
            MachineStep::PowerLost { unsynced } => to.value("unsynced", unsynced),
            MachineStep::ServiceFaultSet { what } => to.value("effect", *what),
            MachineStep::ServiceError(error) => to.value("error", error),
            MachineStep::LineEntered { line } => to.text("line", line),
            MachineStep::BinaryReplaced { versions_ahead } => {
                to.number("versions-ahead", u64::from(*versions_ahead));
            }
            MachineStep::ServiceFaultLifted => {}
        }
    }
}
