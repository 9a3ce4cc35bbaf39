//! Packets on their way from one end of a stream to the other.

use super::packet::{Packet, StreamAction};
use crate::host::sim::{
    cause::EntryNumber,
    clock::Nanos,
    entry::{Entry, PacketStep},
    link::{DropReason, Fate},
    network::Wire,
};

/// Sends a packet off now.
pub(super) fn put(wire: &mut Wire<'_>, packet: Packet) {
    let now = wire.now();
    put_at(wire, now, packet);
}

/// Sends a packet off at `leaves`.
pub(super) fn put_at(wire: &mut Wire<'_>, leaves: Nanos, mut packet: Packet) {
    packet.cause = wire.cause().get();
    if packet.from == packet.to {
        return wire.schedule(leaves, StreamAction::Arrive(packet));
    }
    match wire.fate(&packet.traversal(leaves)) {
        Fate::Lost(why) => {
            note(wire, &packet, PacketStep::Lost(why));
        }
        // Retransmission stands in for the keeping of what is held.
        Fate::Held(_) => {
            note(wire, &packet, PacketStep::Held);
        }
        Fate::CutShort { delay, keep } => {
            note(wire, &packet, PacketStep::CutShort);
            // What carries no data is just lost. Whoever reads the beginning breaks the connection.
            if let Some(beginning) = packet.beginning(keep) {
                wire.schedule(leaves + delay, StreamAction::Arrive(beginning));
            }
        }
        Fate::Delivered { corrupt: Some(_), .. } => {
            note(wire, &packet, PacketStep::Corrupted);
        }
        Fate::Delivered { delay, copy, corrupt: None } => {
            if let Some(copy) = copy {
                wire.schedule(leaves + copy, StreamAction::Arrive(packet.clone()));
            }
            wire.schedule(leaves + delay, StreamAction::Arrive(packet));
        }
    }
}

/// The entry of the arrival of a packet that has crossed its link, if it reaches the machine.
pub(super) fn arrival(wire: &mut Wire<'_>, packet: &Packet) -> Option<EntryNumber> {
    let (from, to) = (packet.from, packet.to);
    let lost = if !wire.network().is_powered(to) {
        Some(DropReason::NoPower)
    } else if from != to && wire.is_cut(from, to, packet.what.kind()) {
        Some(DropReason::CutUnderWay)
    } else {
        None
    };
    let step = lost.map_or(PacketStep::Delivered, PacketStep::Lost);
    let entry = note(wire, packet, step);
    lost.is_none().then_some(entry)
}

/// Whatever happens to a packet has the cause under which it was sent.
fn note(wire: &mut Wire<'_>, packet: &Packet, step: PacketStep) -> EntryNumber {
    wire.note_caused(packet.cause, &Entry::Packet(step, packet.told()))
}
