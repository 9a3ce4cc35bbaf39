//! What lifts a part of a fault.

use super::machines::Machines;
use crate::host::sim::{DiskFaultId, NodeId, RuleId, ServiceFaultId, World};

/// What lifts a part of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// A rule on links is removed.
    Rule(RuleId),
    /// A node that is kept down may boot.
    Up(NodeId),
    /// A process goes on.
    Resume(NodeId),
    /// A fault of a disk is lifted.
    Disk(NodeId, DiskFaultId),
    /// A fault's drift of a clock ends.
    Drift(NodeId, usize),
    /// A fault of a service is lifted.
    Service(NodeId, ServiceFaultId),
    /// A new node takes a lost one's place.
    Succeed(NodeId),
}

impl Undo {
    /// Does it.
    pub fn perform(self, world: &World, machines: &Machines) {
        match self {
            Undo::Rule(rule) => world.remove_rule(rule),
            Undo::Up(node) => machines.let_up(node),
            Undo::Resume(node) => machines.let_go_on(node),
            Undo::Disk(node, fault) => world.clear_disk_fault(node, fault),
            Undo::Drift(node, fault) => machines.end_drift(node, fault),
            Undo::Service(node, fault) => world.clear_service_fault(node, fault),
            Undo::Succeed(node) => machines.succeed(node),
        }
    }
}
