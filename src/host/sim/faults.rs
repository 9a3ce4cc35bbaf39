//! The harness's hands on the hardware: links, streams, clocks, disks, services.

use super::{
    disk::{DiskFault, DiskFaultId, PlatterImage},
    entry::{DiskStep, Entry, LinksChange, MachineStep},
    hardware::Hardware,
    injected_error::{ServiceFault, ServiceFaultId},
    link::{LinkRule, NodeSet, RuleId},
    stamp::NodeId,
    world::World,
};
use std::task::Waker;

/// What was on a machine's disk at a moment.
#[derive(Clone)]
pub struct DiskImage(PlatterImage);

/// Links and streams.
impl World {
    /// Puts a rule on the links.
    pub fn add_rule(&self, rule: LinkRule) -> RuleId {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        let id = locked.network().add_rule(rule.clone());
        locked.note(now, &Entry::Links(LinksChange::RuleAdded { rule: id, what: &rule }));
        id
    }

    /// Lifts a rule; what it held is sent on its way.
    pub fn remove_rule(&self, id: RuleId) {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        let lifted = locked.note(now, &Entry::Links(LinksChange::RuleLifted { rule: id }));
        let _entered = self.shared().cause().enter(lifted.into());
        locked.wire(now).remove_rule(id);
    }

    /// How many frames a rule was for so far, lifted or not.
    pub fn met(&self, id: RuleId) -> u64 {
        self.shared().lock().network().met(id)
    }

    /// Resets what stands between any of one set of nodes and any of another, as a box on the way
    /// does that forgets its connections and sends a RST both ways: at this instant open streams
    /// break for both ends with `ConnectionReset`, and messages under way either way are lost.
    /// Nobody is told of these: message sockets have no connections, only frames that may be lost.
    pub fn reset(&self, one: &NodeSet, other: &NodeSet) {
        let now = self.shared().now();
        let between = |from, to| {
            one.contains(from) && other.contains(to) || one.contains(to) && other.contains(from)
        };
        let _entered;
        let wakers = {
            let mut locked = self.shared().lock();
            let reset = locked.note(now, &Entry::Links(LinksChange::Reset { one, other }));
            _entered = self.shared().cause().enter(reset.into());
            let (streams, mut wire) = locked.streams(now);
            wire.lose_datagrams(between);
            streams.reset(&mut wire, between)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Sets how many bytes a second each direction of a stream carries, for segments sent from now.
    ///
    /// # Panics
    /// When the rate is zero.
    pub fn set_stream_rate(&self, bytes_per_second: u64) {
        assert!(bytes_per_second > 0, "a stream without a rate never ends");
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        locked.note(now, &Entry::Links(LinksChange::StreamRate { bytes_per_second }));
        locked.streams(now).0.set_rate(bytes_per_second);
    }
}

/// Clocks.
impl World {
    /// Makes both clocks of the machine gain (or lose) so many parts in a million from now on.
    pub fn set_drift(&self, node: NodeId, per_million: i64) {
        let now = self.shared().now();
        let incarnation = {
            let mut locked = self.shared().lock();
            locked.set_drift(now, node, per_million);
            locked.machine(node).incarnations()
        };
        self.shared().emit(node, incarnation, &Hardware::Drift { per_million });
    }

    /// Steps the machine's wall clock. The monotonic clock does not jump.
    pub fn step_wall(&self, node: NodeId, nanos: i64) {
        let incarnation = {
            let mut locked = self.shared().lock();
            let machine = locked.machine(node);
            machine.clock.step_wall(nanos);
            machine.incarnations()
        };
        self.shared().emit(node, incarnation, &Hardware::WallStepped { nanos });
    }
}

/// Disks.
impl World {
    /// Adds a fault to the machine's disk.
    pub fn set_disk_fault(&self, node: NodeId, fault: DiskFault) -> DiskFaultId {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        let id = locked.machine(node).disk.add_fault(fault.clone());
        let step = DiskStep::FaultSet { fault: id, what: &fault };
        locked.note(now, &Entry::Disk(node, step));
        id
    }

    /// How many operations of the machine's disk a fault in force has met.
    pub fn disk_met(&self, node: NodeId, fault: DiskFaultId) -> u64 {
        self.shared().lock().machine(node).disk.met(fault)
    }

    /// Lifts one fault of the machine's disk; operations that nothing else stalls go on.
    pub fn clear_disk_fault(&self, node: NodeId, fault: DiskFaultId) {
        let now = self.shared().now();
        let _entered;
        let wakers = {
            let mut locked = self.shared().lock();
            let lifted = locked.note(now, &Entry::Disk(node, DiskStep::FaultLifted { fault }));
            _entered = self.shared().cause().enter(lifted.into());
            locked.machine(node).disk.clear_fault(fault)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Lifts every fault of the machine's disk; stalled operations go on.
    pub fn clear_disk_faults(&self, node: NodeId) {
        let now = self.shared().now();
        let _entered;
        let wakers = {
            let mut locked = self.shared().lock();
            let lifted = locked.note(now, &Entry::Disk(node, DiskStep::AllFaultsLifted));
            _entered = self.shared().cause().enter(lifted.into());
            locked.machine(node).disk.clear_faults()
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// Flips the bits of `mask` in one byte of a file, in the page cache and on the platter.
    ///
    /// False when there is no such byte.
    pub fn rot(&self, node: NodeId, path: &str, offset: u64, mask: u8) -> bool {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        locked.note(now, &Entry::Disk(node, DiskStep::Rotted { path, offset, mask }));
        locked.machine(node).disk.rot(path, offset, mask)
    }

    /// The files on the machine's disk as a process sees them, by path, and their lengths.
    pub fn files(&self, node: NodeId) -> Vec<(String, u64)> {
        self.shared().lock().machine(node).disk.files()
    }

    /// Replaces the machine's disk by an empty one. Files open at that moment fail with `EIO`.
    pub fn wipe_disk(&self, node: NodeId) {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        locked.note(now, &Entry::Disk(node, DiskStep::Replaced));
        locked.machine(node).disk.wipe();
    }

    /// What a power cut would leave of the machine's disk at the least, to be put back later.
    pub fn disk_image(&self, node: NodeId) -> DiskImage {
        DiskImage(self.shared().lock().machine(node).disk.image())
    }

    /// Sets the machine's disk back to an image of it. Files open at that moment fail with `EIO`, or change
    /// under their readers.
    pub fn set_disk_back(&self, node: NodeId, image: DiskImage) {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        locked.note(now, &Entry::Disk(node, DiskStep::SetBack));
        locked.machine(node).disk.restore(image.0);
    }

    /// What a process on the machine would read of a file now; `None` when there is none.
    pub fn read_file(&self, node: NodeId, path: &str) -> Option<Vec<u8>> {
        self.shared().lock().machine(node).disk.contents(path)
    }
}

/// Binaries.
impl World {
    /// From its next boot on the machine runs a binary that is ahead by so many versions of the protocol.
    pub fn replace_binary(&self, node: NodeId, versions_ahead: u16) {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        let step = MachineStep::BinaryReplaced { versions_ahead };
        locked.note(now, &Entry::Machine(node, step));
        locked.machine(node).versions_ahead = versions_ahead;
    }

    /// By how many versions the binary is ahead that the machine's next boot runs.
    pub fn versions_ahead(&self, node: NodeId) -> u16 {
        self.shared().lock().machine(node).versions_ahead
    }
}

/// Services.
impl World {
    /// Adds a fault to the machine's service.
    pub fn set_service_fault(&self, node: NodeId, fault: ServiceFault) -> ServiceFaultId {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        let step = MachineStep::ServiceFaultSet { what: &fault };
        locked.note(now, &Entry::Machine(node, step));
        let seed = locked.seed();
        locked.machine(node).injected_errors.add(seed, node, fault)
    }

    /// How many calls a fault of the machine's service has met.
    pub fn service_met(&self, node: NodeId, fault: ServiceFaultId) -> u64 {
        self.shared().lock().machine(node).injected_errors.met(fault)
    }

    /// Lifts one fault of the machine's service.
    pub fn clear_service_fault(&self, node: NodeId, fault: ServiceFaultId) {
        self.clear_injected_errors(node, Some(fault));
    }

    /// Lifts every fault of the machine's service.
    pub fn clear_service_faults(&self, node: NodeId) {
        self.clear_injected_errors(node, None);
    }

    /// Enters a line at the machine's console, for the process that reads it with
    /// [`next_line`](crate::host::Host::next_line); false when none runs, or too many wait already.
    pub fn enter_line(&self, node: NodeId, line: &str) -> bool {
        let now = self.shared().now();
        let _entered;
        let waker = {
            let mut locked = self.shared().lock();
            let machine = locked.machine(node);
            if machine.running().is_none() || !machine.console.has_room() {
                return false;
            }
            let step = MachineStep::LineEntered { line };
            let entered = locked.note(now, &Entry::Machine(node, step));
            _entered = self.shared().cause().enter(entered.into());
            locked.machine(node).console.enter(line)
        };
        waker.into_iter().for_each(Waker::wake);
        true
    }

    fn clear_injected_errors(&self, node: NodeId, fault: Option<ServiceFaultId>) {
        let now = self.shared().now();
        let mut locked = self.shared().lock();
        if locked.machine(node).injected_errors.clear(fault) {
            locked.note(now, &Entry::Machine(node, MachineStep::ServiceFaultLifted));
        }
    }
}
