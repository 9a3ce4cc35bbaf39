//! The ends of a chain: records to other tasks, by channel.

use super::{
    data::{Data, encode_into},
    operator::Managed,
    stage::{Downstream, Scope, Stage},
    time::{Timestamp, WatermarkStatus},
};
use crate::system::graph::{KeyGroupRange, key_group};
use serde::Serialize;

/// Where the records of an edge go among its channels.
pub(super) trait Route<T>: Send {
    /// Sends a record.
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope);
}

/// The end of a chain on an edge.
pub(super) struct Port<R> {
    output: usize,
    route: R,
}

impl<R> Port<R> {
    /// The end on the output of that number.
    pub fn new(output: usize, route: R) -> Self {
        Port { output, route }
    }
}

impl<R: Send> Downstream for Port<R> {
    fn watermark(&mut self, watermark: Timestamp, scope: &mut Scope) {
        scope.send_watermark(self.output, watermark);
    }

    fn watermark_status(&mut self, status: WatermarkStatus, scope: &mut Scope) {
        scope.send_status(self.output, status);
    }

    fn add_managed<'a>(&'a mut self, _: &mut Vec<&'a mut dyn Managed>) {}
}

impl<T: Data, R: Route<T>> Stage<T> for Port<R> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        self.route.send(self.output, &value, time, scope);
    }
}

/// To the one channel there is.
pub(super) struct Forward;

impl<T: Serialize> Route<T> for Forward {
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope) {
        scope.send(output, value, time, 0);
    }
}

/// To one channel after the other.
pub(super) struct Rebalance {
    next: usize,
}

impl Rebalance {
    /// Begins with this channel, so that producers begin with different ones.
    pub fn new(first: usize) -> Self {
        Rebalance { next: first }
    }
}

impl<T: Serialize> Route<T> for Rebalance {
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope) {
        let channels = scope.outputs.channels(output);
        scope.send(output, value, time, self.next % channels);
        self.next = (self.next + 1) % channels;
    }
}

/// To every channel.
pub(super) struct Broadcast;

impl<T: Serialize> Route<T> for Broadcast {
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope) {
        for channel in 0..scope.outputs.channels(output) {
            scope.send(output, value, time, channel);
        }
    }
}

/// To the channel whose subtask owns the record's key.
pub(super) struct ByKey<F> {
    key: F,
    max_parallelism: u32,
    /// The channel of each key group.
    owners: Vec<u16>,
    scratch: Vec<u8>,
}

impl<F> ByKey<F> {
    /// To consumers with so many key groups.
    pub fn new(key: F, channels: u32, max_parallelism: u32) -> Self {
        let owner = |group| KeyGroupRange::owner(group, channels, max_parallelism);
        let owner = |group| u16::try_from(owner(group)).expect("a bounded parallelism");
        let owners = (0..max_parallelism).map(owner).collect();
        ByKey { key, max_parallelism, owners, scratch: Vec::new() }
    }
}

impl<T: Serialize, K: Serialize, F: Fn(&T) -> K + Send> Route<T> for ByKey<F> {
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope) {
        // All keys are of the one subtask there is.
        if scope.outputs.channels(output) == 1 {
            return scope.send(output, value, time, 0);
        }
        self.scratch.clear();
        if let Err(failure) = encode_into(&(self.key)(value), &mut self.scratch) {
            return scope.fail(failure);
        }
        let group = key_group(&self.scratch, self.max_parallelism);
        scope.send(output, value, time, usize::from(self.owners[group as usize]));
    }
}
