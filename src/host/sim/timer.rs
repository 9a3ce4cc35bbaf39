//! Timers on the nodes' own clocks.

use super::{cause::Cause, stamp::NodeId};
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
    /// The cause under which it was set.
    cause: Cause,
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
    /// Keeps a waker until its deadline.
    pub fn set(&mut self, node: NodeId, deadline: Instant, cause: Cause, waker: Waker) -> TimerKey {
        self.set += 1;
        let timer = Timer { generation: self.set, node, deadline, cause, waker };
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

    /// Gives a waiting timer a new waker; false when it has fired.
    pub fn renew(&mut self, key: TimerKey, waker: &Waker) -> bool {
        let slot = self.slots[key.slot].as_mut();
        let Some(timer) = slot.filter(|timer| timer.generation == key.generation) else {
            return false;
        };
        timer.waker.clone_from(waker);
        true
    }

    /// Takes a timer out, if it still waits: the cause under which it was set, and who waits for it.
    pub fn remove(&mut self, key: TimerKey) -> Option<(Cause, Waker)> {
        self.deadline(key)?;
        self.free.push(key.slot);
        self.slots[key.slot].take().map(|timer| (timer.cause, timer.waker))
    }

    /// On which machine's clock a timer waits, and for what.
    pub fn deadline(&self, key: TimerKey) -> Option<(NodeId, Instant)> {
        let slot = self.slots[key.slot].as_ref();
        let timer = slot.filter(|timer| timer.generation == key.generation)?;
        Some((timer.node, timer.deadline))
    }

    /// The timers that wait on a machine's clock.
    pub fn on(&self, node: NodeId) -> impl Iterator<Item = (TimerKey, Instant)> {
        let timers = self.slots.iter().enumerate();
        timers.filter_map(move |(slot, timer)| {
            let timer = timer.as_ref().filter(|timer| timer.node == node)?;
            Some((TimerKey { slot, generation: timer.generation }, timer.deadline))
        })
    }

    /// Forgets the timers of a process that has ended; the wakers are dropped by the caller.
    #[must_use = "the wakers are dropped outside the lock"]
    pub fn remove_all(&mut self, node: NodeId) -> Vec<Waker> {
        let keys: Vec<_> = self.on(node).map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).map(|(_, waker)| waker).collect()
    }
}
