//! Connections as a state machine under the world's lock: hand-shake, segments, acknowledgements,
//! retransmission, windows, resets.
//!
//! Ends act on each other only by packets that cross the links, so a cut or a loss strikes whatever
//! it should. Nothing is drawn here: the links' keyed draws decide each packet's fate.

use super::{
    end::{End, Phase, RETRANSMIT_MIN},
    packet::{EndId, Packet, Payload, StreamAction, What},
    transit::{arrival, put, put_at},
};
use crate::host::{
    NodeAddress,
    sim::{clock::Nanos, network::Wire, stamp::NodeId},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    task::Waker,
};

/// Bytes in one segment at most; a read at this distance from the last tells the writer.
pub(super) const SEGMENT_BYTES_MAX: usize = 16 * 1024;

/// Connections that wait in one listener at most; a SYN beyond is ignored.
const BACKLOG_MAX: usize = 128;

/// SYNs sent before a connect gives up: after 1 + 2 + 4 + 8 seconds.
const SYNS_MAX: u32 = 4;

const SYN_RETRY: Nanos = 1_000_000_000;
const RETRANSMIT_MAX: Nanos = 10_000_000_000;
const SILENCE_MAX: Nanos = 60_000_000_000;

/// How long an end that is done still answers its peer.
const LINGER: Nanos = 60_000_000_000;

const EPHEMERAL_PORT_MIN: u16 = 49_152;
const BYTES_PER_SECOND_DEFAULT: u64 = 1_000_000_000;

#[derive(Default)]
pub(super) struct Listener {
    pub backlog: VecDeque<EndId>,
    pub acceptor: Option<Waker>,
}

/// All streams of a world.
pub(in crate::host) struct Streams {
    pub(super) ends: BTreeMap<EndId, End>,
    pub(super) listeners: BTreeMap<(NodeId, u16), Listener>,
    pub(super) connections: u64,
    bytes_per_second: u64,
}

impl Streams {
    pub fn new() -> Self {
        Streams {
            ends: BTreeMap::new(),
            listeners: BTreeMap::new(),
            connections: 0,
            bytes_per_second: BYTES_PER_SECOND_DEFAULT,
        }
    }

    /// How many ends are known.
    #[cfg(test)]
    pub fn ends_held(&self) -> usize {
        self.ends.len()
    }

    /// Sets how many bytes a second each direction of a stream carries.
    pub fn set_rate(&mut self, bytes_per_second: u64) {
        self.bytes_per_second = bytes_per_second;
    }

    /// Opens a listening port; 0 takes a free one.
    pub fn listen(&mut self, node: NodeId, port: u16) -> io::Result<u16> {
        let taken = |port| self.listeners.contains_key(&(node, port));
        let port = match port {
            0 => (EPHEMERAL_PORT_MIN..=u16::MAX)
                .find(|port| !taken(*port))
                .ok_or(io::ErrorKind::AddrNotAvailable)?,
            port if taken(port) => return Err(io::ErrorKind::AddrInUse.into()),
            port => port,
        };
        self.listeners.insert((node, port), Listener::default());
        Ok(port)
    }

    /// The next connection of a listener; the waker that it replaced is handed back otherwise.
    pub fn accept(
        &mut self,
        node: NodeId,
        port: u16,
        waker: &Waker,
    ) -> Result<(EndId, NodeAddress), Option<Waker>> {
        let listener = self.listeners.get_mut(&(node, port)).expect("open while it is held");
        while let Some(id) = listener.backlog.pop_front() {
            if let Some(end) = self.ends.get(&id) {
                return Ok((id, end.peer_address.clone()));
            }
        }
        Err(listener.acceptor.replace(waker.clone()))
    }
}

impl Streams {
    /// Lets happen what was due; collects who is to be woken.
    pub fn perform(&mut self, wire: &mut Wire<'_>, action: StreamAction, wakers: &mut Vec<Waker>) {
        match action {
            StreamAction::Arrive(packet) => self.packet_arrives(wire, packet, wakers),
            StreamAction::Timer { end, at, cause } => {
                wire.cause().set(cause);
                self.timer_fires(wire, end, at, wakers);
            }
            StreamAction::Forget(id) => {
                if let Some(mut end) = self.ends.remove(&id) {
                    wakers.extend(end.take_wakers());
                }
            }
            StreamAction::LetGo(held) => wakers.extend(held),
        }
    }

    fn packet_arrives(&mut self, wire: &mut Wire<'_>, packet: Packet, wakers: &mut Vec<Waker>) {
        let (from, to, id) = (packet.from, packet.to, packet.end);
        let Some(arrival) = arrival(wire, &packet) else { return };
        wire.cause().set(arrival.into());
        match packet.what {
            What::Syn { port } => return self.syn_arrives(wire, from, to, id, port, wakers),
            What::Refused => return self.break_end(id, io::ErrorKind::ConnectionRefused, wakers),
            What::Reset => return self.break_end(id, io::ErrorKind::ConnectionReset, wakers),
            _ => {}
        }
        let Some(end) = self.ends.get_mut(&id).filter(|end| end.alive_on(to)) else {
            let reset = Packet::new(to, from, id ^ 1, What::Reset);
            return put(wire, reset);
        };
        if matches!(end.phase, Phase::Connecting { .. }) {
            end.phase = Phase::Open;
            end.timer = None;
            wakers.extend(end.writer.take());
        }
        match packet.what {
            What::Segment { number, payload } => {
                self.segment_arrives(wire, id, number, payload, wakers)
            }
            What::Acknowledgement { before, number, read } => {
                self.acknowledged(wire, id, before, number, read, wakers);
            }
            What::Probe => {
                let answer = end.acknowledgement(id, None);
                put(wire, answer);
            }
            What::Syn { .. } | What::SynAck | What::Refused | What::Reset => {}
        }
    }

    fn syn_arrives(
        &mut self,
        wire: &mut Wire<'_>,
        from: NodeId,
        to: NodeId,
        id: EndId,
        port: u16,
        wakers: &mut Vec<Waker>,
    ) {
        let answer = |what| Packet::new(to, from, id ^ 1, what);
        if self.ends.contains_key(&id) {
            return put(wire, answer(What::SynAck));
        }
        // A SYN of a connection that has moved on is an old copy.
        let Some(client) = self.ends.get_mut(&(id ^ 1)) else { return };
        let Phase::Connecting { accepted, .. } = &mut client.phase else { return };
        let Some(listener) = self.listeners.get_mut(&(to, port)) else {
            return put(wire, answer(What::Refused));
        };
        if *accepted {
            return put(wire, answer(What::Reset));
        }
        if listener.backlog.len() >= BACKLOG_MAX {
            return;
        }
        *accepted = true;
        let offset = u16::try_from(id / 2 % 16_384).expect("below 2^14");
        let name = wire.network().name(from).to_string();
        let address = NodeAddress::new(name, EPHEMERAL_PORT_MIN + offset);
        self.ends.insert(id, End::new(to, from, address, Phase::Open));
        listener.backlog.push_back(id);
        wakers.extend(listener.acceptor.take());
        put(wire, answer(What::SynAck));
    }

    fn segment_arrives(
        &mut self,
        wire: &mut Wire<'_>,
        id: EndId,
        number: u64,
        payload: Payload,
        wakers: &mut Vec<Waker>,
    ) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        if end.reader_gone && payload.len() > 0 && number >= end.expected {
            let reset = end.packet(id, What::Reset);
            put(wire, reset);
            return self.break_end(id, io::ErrorKind::ConnectionReset, wakers);
        }
        // What was cut short stays so when it is sent once more.
        if number >= end.expected {
            end.early.entry(number).or_insert(payload);
        }
        while let Some(payload) = end.early.remove(&end.expected) {
            end.expected += 1;
            match payload {
                Payload::Bytes(bytes) => end.inbox.push_back(bytes),
                Payload::Beginning(bytes) => {
                    end.inbox.push_back(bytes);
                    let reset = end.packet(id, What::Reset);
                    put(wire, reset);
                    return self.break_end(id, io::ErrorKind::ConnectionReset, wakers);
                }
                Payload::Fin => end.finished = true,
            }
            wakers.extend(end.reader.take());
        }
        let answer = end.acknowledgement(id, Some(number));
        put(wire, answer);
    }

    fn acknowledged(
        &mut self,
        wire: &mut Wire<'_>,
        id: EndId,
        before: u64,
        number: Option<u64>,
        read: u64,
        wakers: &mut Vec<Waker>,
    ) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        let waited = end.unacknowledged.len();
        end.unacknowledged = end.unacknowledged.split_off(&before);
        if let Some(number) = number {
            end.unacknowledged.remove(&number);
        }
        let progress = end.unacknowledged.len() < waited || read > end.read_by_peer;
        end.read_by_peer = end.read_by_peer.max(read);
        end.silent_since = wire.now().max(end.free_at);
        if progress {
            end.retransmit_after = RETRANSMIT_MIN;
            if end.has_room(SEGMENT_BYTES_MAX) {
                wakers.extend(end.writer.take());
            }
            if !end.unacknowledged.is_empty() || end.writer.is_some() {
                let deadline = wire.now().max(end.free_at) + RETRANSMIT_MIN;
                self.set_timer(wire, id, deadline);
            }
        }
        wakers.extend(self.retire_end(wire, id));
    }

    fn set_timer(&mut self, wire: &mut Wire<'_>, id: EndId, deadline: Nanos) {
        let end = self.ends.get_mut(&id).expect("only ends have timers");
        end.deadline = deadline;
        if end.timer.is_none_or(|timer| timer > deadline) {
            end.timer = Some(deadline);
            let cause = wire.cause().get();
            wire.schedule(deadline, StreamAction::Timer { end: id, at: deadline, cause });
        }
    }

    fn timer_fires(&mut self, wire: &mut Wire<'_>, id: EndId, at: Nanos, wakers: &mut Vec<Waker>) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        if end.timer != Some(at) {
            return;
        }
        end.timer = None;
        match end.phase {
            Phase::Broken(_) => {}
            Phase::Connecting { syns: SYNS_MAX, .. } => {
                self.break_end(id, io::ErrorKind::TimedOut, wakers);
            }
            Phase::Connecting { .. } => self.send_syn(wire, id),
            Phase::Open => {
                // What is still leaving can't have been answered.
                let deadline = end.deadline.max(end.free_at + end.retransmit_after);
                if end.unacknowledged.is_empty() && end.writer.is_none() {
                } else if wire.now() < deadline {
                    self.set_timer(wire, id, deadline);
                } else if wire.now() >= end.silent_since + SILENCE_MAX {
                    self.break_end(id, io::ErrorKind::TimedOut, wakers);
                } else {
                    self.retransmit(wire, id);
                }
            }
        }
    }

    pub(super) fn send_syn(&mut self, wire: &mut Wire<'_>, id: EndId) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        let Phase::Connecting { syns, port, .. } = &mut end.phase else { return };
        let wait = SYN_RETRY << *syns;
        *syns += 1;
        let what = What::Syn { port: *port };
        let packet = end.packet(id, what);
        put(wire, packet);
        self.set_timer(wire, id, wire.now() + wait);
    }

    fn retransmit(&mut self, wire: &mut Wire<'_>, id: EndId) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        end.retransmit_after = (end.retransmit_after * 2).min(RETRANSMIT_MAX);
        let give_up = end.silent_since + SILENCE_MAX;
        let again: Vec<(u64, Payload)> =
            end.unacknowledged.iter().map(|(number, payload)| (*number, payload.clone())).collect();
        if again.is_empty() {
            let probe = end.packet(id, What::Probe);
            put(wire, probe);
        }
        for (number, payload) in again {
            self.send_segment(wire, id, number, payload);
        }
        let end = &self.ends[&id];
        let next = wire.now().max(end.free_at) + end.retransmit_after;
        self.set_timer(wire, id, next.min(give_up.max(wire.now() + 1)));
    }

    /// Puts a segment on the line behind those that are still leaving.
    fn send_segment(&mut self, wire: &mut Wire<'_>, id: EndId, number: u64, payload: Payload) {
        let rate = u128::from(self.bytes_per_second);
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        let takes = payload.len() as u128 * 1_000_000_000 / rate;
        let takes = u64::try_from(takes).expect("a segment is small");
        end.free_at = wire.now().max(end.free_at) + takes;
        let leaves = end.free_at;
        let packet = end.packet(id, What::Segment { number, payload });
        put_at(wire, leaves, packet);
    }

    pub(super) fn enqueue(&mut self, wire: &mut Wire<'_>, id: EndId, payload: Payload) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        let number = end.next_number;
        let idle = end.unacknowledged.is_empty();
        end.next_number += 1;
        end.written += payload.len() as u64;
        end.unacknowledged.insert(number, payload.clone());
        self.send_segment(wire, id, number, payload);
        if idle {
            self.expect_answer(wire, id);
        }
    }

    /// From now on silence counts.
    pub(super) fn expect_answer(&mut self, wire: &mut Wire<'_>, id: EndId) {
        let end = self.ends.get_mut(&id).expect("it was just looked up");
        end.silent_since = wire.now().max(end.free_at);
        end.retransmit_after = RETRANSMIT_MIN;
        let deadline = end.silent_since + RETRANSMIT_MIN;
        self.set_timer(wire, id, deadline);
    }

    pub(super) fn break_end(&mut self, id: EndId, kind: io::ErrorKind, wakers: &mut Vec<Waker>) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        let refused = kind == io::ErrorKind::ConnectionRefused;
        match end.phase {
            Phase::Broken(_) => return,
            Phase::Open if refused => return,
            _ => end.phase = Phase::Broken(kind),
        }
        end.unacknowledged.clear();
        end.early.clear();
        wakers.extend(end.take_wakers());
        wakers.extend(self.drop_orphan(id));
    }

    /// Lets an end go that nobody holds and that has nothing left to send; hands over its wakers.
    pub(super) fn retire_end(&mut self, wire: &mut Wire<'_>, id: EndId) -> Vec<Waker> {
        let Some(end) = self.ends.get_mut(&id) else { return Vec::new() };
        if !matches!(end.phase, Phase::Open) {
            return self.drop_orphan(id);
        }
        if end.is_orphan() && end.unacknowledged.is_empty() && !end.forgetting {
            end.forgetting = true;
            wire.schedule(wire.now() + LINGER, StreamAction::Forget(id));
        }
        Vec::new()
    }

    /// Lets an end go that nobody holds and that sends nothing any more; hands over its wakers.
    fn drop_orphan(&mut self, id: EndId) -> Vec<Waker> {
        if !self.ends.get(&id).is_some_and(End::is_orphan) {
            return Vec::new();
        }
        let mut end = self.ends.remove(&id).expect("it was just looked up");
        end.take_wakers().collect()
    }
}
