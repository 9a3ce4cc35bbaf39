//! The ends of a chain: records to other tasks, by channel.

use super::{
    data::{Data, decode_record, encode_into},
    failure::Failure,
    operator::Managed,
    stage::{Downstream, Scope, Stage},
    time::{Timestamp, WatermarkStatus},
};
use crate::system::graph::{KeyGroupRange, key_group};
use serde::Serialize;
use std::marker::PhantomData;

/// Where the records of an edge go among its channels.
pub(super) trait Route<T>: Send {
    /// Sends a record.
    fn send(&mut self, output: usize, value: &T, time: Option<Timestamp>, scope: &mut Scope);

    /// Whether a record goes to one channel, so that it can be sent to another one instead.
    fn sends_one_copy(&self) -> bool {
        true
    }
}

/// The end of a chain on an edge.
pub(super) struct Port<T, R> {
    output: usize,
    route: R,
    of: PhantomData<fn(T)>,
}

impl<T, R> Port<T, R> {
    /// The end on the output of that number.
    pub fn new(output: usize, route: R) -> Self {
        Port { output, route, of: PhantomData }
    }
}

impl<T: Data, R: Route<T>> Downstream for Port<T, R> {
    fn send_again(&mut self, output: usize, record: &[u8], scope: &mut Scope) {
        if output != self.output {
            return;
        }
        if !self.route.sends_one_copy() {
            return scope.fail(Failure::new(
                "what waited for the subtasks behind it was for all of them: start at the parallelism that the state \
                 is of, or from a savepoint that was taken while less waited",
            ));
        }
        match decode_record::<T>(record) {
            Ok((value, time)) => self.route.send(self.output, &value, time, scope),
            Err(failure) => scope.fail(failure),
        }
    }

    fn watermark(&mut self, watermark: Timestamp, scope: &mut Scope) {
        scope.send_watermark(self.output, watermark);
    }

    fn watermark_status(&mut self, status: WatermarkStatus, scope: &mut Scope) {
        scope.send_status(self.output, status);
    }

    fn add_managed<'a>(&'a mut self, _: &mut Vec<&'a mut dyn Managed>) {}
}

impl<T: Data, R: Route<T>> Stage<T> for Port<T, R> {
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

    fn sends_one_copy(&self) -> bool {
        false
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::dataflow::data::encode_record;

    type Value = (String, u64);

    fn scope() -> Scope {
        let mut scope = Scope::new(&[3, 3]);
        scope.begin(Timestamp(0));
        scope
    }

    /// The channels of output 1 that something waits for.
    fn channels(scope: &mut Scope) -> Vec<usize> {
        (0..3).filter(|channel| scope.outputs.is_building(1, *channel)).collect()
    }

    #[test]
    fn a_record_that_a_former_subtask_had_emitted_goes_to_the_channel_of_its_key_now() {
        for number in 0..50 {
            let value: Value = (format!("w{number}"), number);
            let route = || ByKey::new(|value: &Value| value.0.clone(), 3, 128);
            let (mut new, mut again) = (scope(), scope());
            Port::new(1, route()).process(value.clone(), None, &mut new);
            let mut record = Vec::new();
            encode_record(&value, None, &mut record).expect("plain values");
            let mut port = Port::<Value, _>::new(1, route());
            port.send_again(0, &record, &mut again);
            assert_eq!(channels(&mut again), [0; 0], "it is of another output");
            port.send_again(1, &record, &mut again);
            assert_eq!(channels(&mut again), channels(&mut new));
            assert_eq!((new.end(), again.end()), (Ok(false), Ok(false)));
        }
    }

    #[test]
    fn what_is_no_record_of_the_stream_and_what_was_for_all_fails_the_task() {
        let mut scope_of_junk = scope();
        Port::<Value, _>::new(1, Rebalance::new(0)).send_again(1, &[9], &mut scope_of_junk);
        assert!(scope_of_junk.end().is_err());
        let mut scope_of_all = scope();
        let mut record = Vec::new();
        encode_record(&("a".to_string(), 1_u64), None, &mut record).expect("plain values");
        Port::<Value, _>::new(1, Broadcast).send_again(1, &record, &mut scope_of_all);
        assert!(scope_of_all.end().is_err());
    }
}
