//! Timers on the nodes' own clocks.

use super::{
    node::NodeId,
    world::{Action, Nanos, State},
};
use crate::host::Instant;
use std::task::Waker;

/// Names a timer; a key of a timer that is gone names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::host) struct TimerKey {
    slot: usize,
    generation: u64,
}

struct Timer {
    generation: u64,
    node: NodeId,
    deadline: Instant,
    waker: Waker,
}

/// The timers that wait.
#[derive(Default)]
pub(in crate::host) struct Timers {
    slots: Vec<Option<Timer>>,
    free: Vec<usize>,
    set: u64,
}

impl Timers {
    fn insert(&mut self, node: NodeId, deadline: Instant, waker: Waker) -> TimerKey {
        self.set += 1;
        let timer = Timer { generation: self.set, node, deadline, waker };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        self.slots[slot] = Some(timer);
        TimerKey { slot, generation: self.set }
    }

    fn get(&mut self, key: TimerKey) -> Option<&mut Timer> {
        self.slots[key.slot].as_mut().filter(|timer| timer.generation == key.generation)
    }

    fn remove(&mut self, key: TimerKey) -> Option<Timer> {
        self.get(key)?;
        self.free.push(key.slot);
        self.slots[key.slot].take()
    }

    fn keys_of(&self, node: NodeId) -> Vec<TimerKey> {
        let timers = self.slots.iter().enumerate();
        timers
            .filter_map(|(slot, timer)| {
                let timer = timer.as_ref().filter(|timer| timer.node == node)?;
                Some(TimerKey { slot, generation: timer.generation })
            })
            .collect()
    }
}

impl State {
    pub fn set_timer(&mut self, node: NodeId, deadline: Instant, waker: &Waker) -> TimerKey {
        let key = self.timers.insert(node, deadline, waker.clone());
        let time = self.node(node).clock.when(deadline);
        self.queue.push(time, Action::Timer(key));
        key
    }

    /// Gives a waiting timer a new waker; false when it has fired.
    pub fn renew_timer(&mut self, key: TimerKey, waker: &Waker) -> bool {
        let Some(timer) = self.timers.get(key) else { return false };
        timer.waker.clone_from(waker);
        true
    }

    pub fn cancel_timer(&mut self, key: TimerKey) -> Option<Waker> {
        self.timers.remove(key).map(|timer| timer.waker)
    }

    pub fn fire_timer(&mut self, now: Nanos, key: TimerKey, wakers: &mut Vec<Waker>) {
        let Some(timer) = self.timers.get(key) else { return };
        let (node, deadline) = (timer.node, timer.deadline);
        let clock = &self.node(node).clock;
        if clock.now(now) < deadline {
            let time = clock.when(deadline);
            self.queue.push(time, Action::Timer(key));
            return;
        }
        let timer = self.timers.remove(key).expect("the timer was just looked up");
        let words = [u64::from(node.0), deadline.0];
        self.digest.entry(now, 1, &words, || format!("{node:?} timer {deadline:?}"));
        wakers.push(timer.waker);
    }

    /// After a change of the node's clock: a timer may now be due earlier than it was queued for.
    pub fn requeue_timers(&mut self, node: NodeId) {
        for key in self.timers.keys_of(node) {
            let deadline = self.timers.get(key).expect("the key was just listed").deadline;
            let time = self.node(node).clock.when(deadline);
            self.queue.push(time, Action::Timer(key));
        }
    }

    /// Forgets the timers of a process that has ended; the wakers are dropped by the caller.
    pub fn drop_timers(&mut self, node: NodeId) -> Vec<Waker> {
        let keys = self.timers.keys_of(node);
        keys.into_iter().filter_map(|key| self.cancel_timer(key)).collect()
    }
}
