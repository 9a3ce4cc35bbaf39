//! PLACEHOLDER
use super::node::{Node, NodeId};
use super::world::{Nanos, State};
use crate::host::NodeAddress;
use std::{io, task::Waker};
pub(in crate::host) struct Streams;
impl Streams {
    pub fn new(_seed: u64) -> Self {
        Streams
    }
}
pub(in crate::host) enum StreamAction {}
impl State {
    pub fn perform_stream(&mut self, _now: Nanos, action: StreamAction, _wakers: &mut Vec<Waker>) {
        match action {}
    }
    pub fn end_streams(&mut self, _now: Nanos, _node: NodeId, _silent: bool) {}
}
pub(super) fn listen(_node: &Node, _port: u16) -> io::Result<StreamListener> {
    todo!()
}
pub(super) async fn connect(_node: &Node, _to: &NodeAddress) -> io::Result<Stream> {
    todo!()
}
/// s
pub struct Stream;
/// l
pub struct StreamListener;
