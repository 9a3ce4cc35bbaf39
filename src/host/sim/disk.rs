//! PLACEHOLDER
use super::node::{Node, NodeId};
pub(in crate::host) struct DiskState;
impl DiskState {
    pub fn new(_seed: u64, _node: NodeId) -> Self {
        DiskState
    }
    pub fn power_cut(&mut self) {}
    pub fn process_ended(&mut self) {}
}
/// d
#[derive(Clone)]
pub struct Disk(Node);
impl Disk {
    pub(super) fn new(node: Node) -> Self {
        Disk(node)
    }
}
/// f
pub struct File;
