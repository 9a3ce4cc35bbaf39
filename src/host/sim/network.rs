//! The network between machines: names, links, and the frames that cross them.

use super::{
    cause::{Cause, CurrentCause, EntryNumber},
    clock::Nanos,
    entry::{Entry, FrameStep},
    link::{Delay, DropReason, Fate, FrameFate, LinkRule, LinkTraversal, Links, RuleId},
    message::Datagram,
    stamp::NodeId,
    stream::StreamAction,
    timeline::{Action, Timeline},
};
use crate::host::Kind;
use std::{collections::BTreeMap, sync::Arc};

/// A machine as the others see it.
struct Peer {
    name: Arc<str>,
    powered: bool,
}

/// Who is on the network, and the links between them.
pub(in crate::host) struct Network {
    peers: Vec<Peer>,
    by_name: BTreeMap<Arc<str>, NodeId>,
    links: Links,
    /// What a rule keeps back until it is lifted.
    held: BTreeMap<RuleId, Vec<Datagram>>,
}

impl Network {
    /// A network without machines; `fates` keeps the frames that do not plainly arrive.
    pub fn new(seed: u64, latency: Delay, fates: bool) -> Self {
        Network {
            peers: Vec::new(),
            by_name: BTreeMap::new(),
            links: Links::new(seed, latency, fates),
            held: BTreeMap::new(),
        }
    }

    /// From now on its links draw other words.
    pub fn branch(&mut self, number: u32) {
        self.links.branch(number);
    }

    /// Connects a machine under its name.
    ///
    /// # Panics
    /// When the name is taken.
    pub fn connect(&mut self, name: Arc<str>) -> NodeId {
        let id = NodeId(u32::try_from(self.peers.len()).expect("fewer than 2^32 nodes"));
        let taken = self.by_name.insert(name.clone(), id);
        assert!(taken.is_none(), "two nodes are named {name}");
        self.peers.push(Peer { name, powered: true });
        id
    }

    /// The machine of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(name).copied()
    }

    /// The name of a machine.
    pub fn name(&self, node: NodeId) -> &Arc<str> {
        &self.peers[node.index()].name
    }

    /// Whether the machine has power: without it, it answers nothing.
    pub fn is_powered(&self, node: NodeId) -> bool {
        self.peers[node.index()].powered
    }

    /// Gives the machine power, or takes it away.
    pub fn set_powered(&mut self, node: NodeId, powered: bool) {
        self.peers[node.index()].powered = powered;
    }

    /// Puts a rule on the links.
    pub fn add_rule(&mut self, rule: LinkRule) -> RuleId {
        self.links.add(rule)
    }

    /// How many frames a rule was for so far, lifted or not.
    pub fn met(&self, rule: RuleId) -> u64 {
        self.links.met(rule)
    }

    /// Frames sent over links.
    pub fn frames(&self) -> u64 {
        self.links.frames()
    }

    /// The frames that did not plainly arrive, if they were kept.
    pub fn take_fates(&mut self) -> Vec<FrameFate> {
        self.links.take_fates()
    }
}

/// The network at one instant, and where what it does is scheduled and noted.
pub(in crate::host) struct Wire<'a> {
    now: Nanos,
    network: &'a mut Network,
    timeline: &'a mut Timeline,
}

impl<'a> Wire<'a> {
    /// The network at `now`.
    pub fn new(now: Nanos, network: &'a mut Network, timeline: &'a mut Timeline) -> Self {
        Wire { now, network, timeline }
    }

    /// This instant.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Who is on the network.
    pub fn network(&self) -> &Network {
        self.network
    }

    /// Writes an entry under the current cause.
    pub fn note(&mut self, entry: &Entry<'_>) -> EntryNumber {
        self.timeline.note(self.now, entry)
    }

    /// Something has happened because of that.
    pub fn note_caused(&mut self, cause: Cause, entry: &Entry<'_>) -> EntryNumber {
        self.timeline.note_caused(self.now, cause, entry)
    }

    /// The current cause.
    pub fn cause(&self) -> &CurrentCause {
        self.timeline.cause()
    }

    /// Draws the fate of a packet of a stream.
    pub fn fate(&mut self, packet: &LinkTraversal) -> Fate {
        self.network.links.fate(self.now, packet).1
    }

    /// Whether nothing of a kind passes from one machine to the other.
    pub fn is_cut(&self, from: NodeId, to: NodeId, kind: Kind) -> bool {
        self.network.links.is_cut(from, to, kind)
    }

    /// Lets a stream go on at `time`.
    pub fn schedule(&mut self, time: Nanos, action: StreamAction) {
        self.timeline.schedule(time, Action::Stream(action));
    }

    /// Whatever happens to a frame has the cause under which it was sent.
    fn note_datagram(&mut self, step: FrameStep, datagram: &Datagram) -> EntryNumber {
        self.note_caused(datagram.cause, &Entry::Frame(step, datagram.told()))
    }

    /// A frame within one machine is delivered in order and never touches a link.
    pub fn send(&mut self, mut datagram: Datagram) {
        datagram.cause = self.cause().get();
        if datagram.from == datagram.to {
            self.timeline.schedule(self.now, Action::Arrive(Box::new(datagram)));
        } else {
            self.transmit(datagram);
        }
    }

    /// Puts a frame on its link.
    fn transmit(&mut self, mut datagram: Datagram) {
        let traversal = datagram.traversal(self.now);
        let (ordinal, fate) = self.network.links.fate(self.now, &traversal);
        datagram.ordinal = ordinal;
        match fate {
            Fate::Lost(why) => {
                self.note_datagram(FrameStep::Lost(why), &datagram);
            }
            Fate::CutShort { .. } => {
                self.note_datagram(FrameStep::Lost(DropReason::CutShort), &datagram);
            }
            Fate::Held(rule) => {
                self.note_datagram(FrameStep::Held, &datagram);
                self.network.held.entry(rule).or_default().push(datagram);
            }
            Fate::Delivered { delay, copy, corrupt } => {
                if let Some(delay) = copy {
                    self.note_datagram(FrameStep::Duplicated, &datagram);
                    self.timeline
                        .schedule(self.now + delay, Action::Arrive(Box::new(datagram.clone())));
                }
                let datagram = match corrupt {
                    Some(place) => {
                        self.note_datagram(FrameStep::Corrupted, &datagram);
                        datagram.damaged(place)
                    }
                    None => datagram,
                };
                self.timeline.schedule(self.now + delay, Action::Arrive(Box::new(datagram)));
            }
        }
    }

    /// The entry of the arrival of a frame that has crossed its link, if it reaches the machine.
    pub fn arrival(&mut self, datagram: &Datagram) -> Option<EntryNumber> {
        let (from, to) = (datagram.from, datagram.to);
        if !self.network.is_powered(to) {
            self.note_datagram(FrameStep::Lost(DropReason::NoPower), datagram);
            return None;
        }
        if from != to && self.is_cut(from, to, datagram.kind) {
            self.note_datagram(FrameStep::Lost(DropReason::CutUnderWay), datagram);
            return None;
        }
        Some(self.note_datagram(FrameStep::Delivered, datagram))
    }

    /// The machine's inbox has no room for a frame.
    pub fn drop_full(&mut self, datagram: &Datagram) {
        self.note_datagram(FrameStep::Lost(DropReason::InboxFull), datagram);
    }

    /// Lifts a rule; what it held is sent on its way.
    pub fn remove_rule(&mut self, rule: RuleId) {
        self.network.links.remove(rule);
        for datagram in self.network.held.remove(&rule).unwrap_or_default() {
            self.transmit(datagram);
        }
    }

    /// Loses the frames under way between these machines: what a connection carried goes with it.
    pub fn lose_datagrams(&mut self, between: impl Fn(NodeId, NodeId) -> bool) {
        let lost = self
            .timeline
            .recall(|datagram| datagram.from != datagram.to && between(datagram.from, datagram.to));
        for datagram in lost {
            self.note_datagram(FrameStep::Lost(DropReason::Reset), &datagram);
            let traversal = datagram.traversal(self.now);
            let (ordinal, why) = (datagram.ordinal, DropReason::Reset.name());
            self.network.links.note(self.now, &traversal, ordinal, why);
        }
    }
}
