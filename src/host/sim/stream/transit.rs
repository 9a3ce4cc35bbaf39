//! Packets on their way from one end of a stream to the other.

use super::packet::{Packet, StreamAction};
use crate::host::{
    random::name_hash,
    sim::{clock::Nanos, digest::Tag, link::Fate, network::Wire},
};

/// Sends a packet off now.
pub(super) fn put(wire: &mut Wire<'_>, packet: Packet) {
    let now = wire.now();
    put_at(wire, now, packet);
}

/// Sends a packet off at `leaves`.
pub(super) fn put_at(wire: &mut Wire<'_>, leaves: Nanos, packet: Packet) {
    if packet.from == packet.to {
        return wire.schedule(leaves, StreamAction::Arrive(packet));
    }
    match wire.fate(&packet.traversal(leaves)) {
        Fate::Lost(why) => note(wire, &packet, why),
        // Retransmission stands in for the keeping of what is held.
        Fate::Held(_) => note(wire, &packet, "held"),
        Fate::Delivered { corrupt: Some(_), .. } => note(wire, &packet, "damaged"),
        Fate::Delivered { delay, copy, corrupt: None } => {
            if let Some(copy) = copy {
                wire.schedule(leaves + copy, StreamAction::Arrive(packet.clone()));
            }
            wire.schedule(leaves + delay, StreamAction::Arrive(packet));
        }
    }
}

/// Whether a packet that has crossed its link reaches the machine.
pub(super) fn reaches(wire: &mut Wire<'_>, packet: &Packet) -> bool {
    let (from, to) = (packet.from, packet.to);
    if !wire.network().is_powered(to) {
        note(wire, packet, "no power");
        return false;
    }
    if from != to && wire.is_cut(from, to, packet.what.kind()) {
        note(wire, packet, "cut under way");
        return false;
    }
    note(wire, packet, "arrived");
    true
}

fn note(wire: &mut Wire<'_>, packet: &Packet, what: &'static str) {
    let (name, word) = packet.what.describe();
    let link = packet.from.link_key(packet.to);
    let words = [link, packet.end, word, name_hash(name), name_hash(what)];
    let (from, to, end) = (packet.from, packet.to, packet.end);
    let kind = packet.what.kind();
    wire.note(Tag::Stream, &words, || format!("{from:?} -> {to:?} {kind:?} #{end} {name} {what}"));
}
