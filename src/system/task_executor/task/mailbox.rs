//! What a task is told from outside. Bounded, since newer words replace older ones.

use crate::system::ids::CheckpointId;
use futures::task::AtomicWaker;
use std::{
    collections::{BTreeSet, VecDeque},
    future::poll_fn,
    sync::{Mutex, MutexGuard},
    task::Poll,
};

/// Triggers that wait at most; the oldest is given up for a new one.
pub const TRIGGERS_MAX: usize = 16;

/// Aborts that wait, or are remembered, at most; the oldest is forgotten for a new one.
pub const ABORTS_MAX: usize = 64;

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mail {
    /// A checkpoint is complete; if final, it covers the end of all tasks.
    Confirm(CheckpointId, bool),
    /// A checkpoint is given up.
    Abort(CheckpointId),
    /// A source begins a checkpoint.
    Trigger(CheckpointId),
    /// A trigger that is never handled, since too many came.
    GiveUp(CheckpointId),
}

#[derive(Default)]
struct Words {
    confirmed: Option<(CheckpointId, bool)>,
    aborts: BTreeSet<CheckpointId>,
    triggers: VecDeque<CheckpointId>,
    given_up: Option<CheckpointId>,
    canceled: bool,
}

/// What waits for a task.
#[derive(Default)]
pub struct Mailbox {
    words: Mutex<Words>,
    waker: AtomicWaker,
    cancel_waker: AtomicWaker,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Words> {
        self.words.lock().expect("no panic under this lock")
    }

    /// A newer confirmation says all that an older one said.
    pub fn notify_checkpoint_complete(&self, checkpoint: CheckpointId, is_final: bool) {
        {
            let mut words = self.lock();
            let newest = words.confirmed.map_or((checkpoint, is_final), |(id, last)| {
                if id == checkpoint {
                    (id, last || is_final)
                } else if id < checkpoint {
                    (checkpoint, is_final)
                } else {
                    (id, last)
                }
            });
            words.confirmed = Some(newest);
        }
        self.waker.wake();
    }

    pub fn abort(&self, checkpoint: CheckpointId) {
        remember(&mut self.lock().aborts, checkpoint);
        self.waker.wake();
    }

    pub fn trigger(&self, checkpoint: CheckpointId) {
        {
            let mut words = self.lock();
            if words.triggers.len() == TRIGGERS_MAX {
                words.given_up = words.triggers.pop_front();
            }
            words.triggers.push_back(checkpoint);
        }
        self.waker.wake();
    }

    /// Says whether that is new.
    pub fn cancel(&self) -> bool {
        let before = std::mem::replace(&mut self.lock().canceled, true);
        self.cancel_waker.wake();
        !before
    }

    /// Whether its end was asked for.
    pub fn is_canceled(&self) -> bool {
        self.lock().canceled
    }

    /// Waits for a word: confirmations first, then aborts, so that a trigger knows of its abort.
    pub async fn next(&self) -> Mail {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            let mut words = self.lock();
            if let Some((checkpoint, is_final)) = words.confirmed.take() {
                return Poll::Ready(Mail::Confirm(checkpoint, is_final));
            }
            if let Some(checkpoint) = words.aborts.pop_first() {
                return Poll::Ready(Mail::Abort(checkpoint));
            }
            if let Some(checkpoint) = words.given_up.take() {
                return Poll::Ready(Mail::GiveUp(checkpoint));
            }
            match words.triggers.pop_front() {
                Some(checkpoint) => Poll::Ready(Mail::Trigger(checkpoint)),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Waits for the cancellation.
    pub async fn canceled(&self) {
        poll_fn(|cx| {
            self.cancel_waker.register(cx.waker());
            if self.lock().canceled { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Adds to a bounded set of checkpoints, of which the newest count.
pub fn remember(checkpoints: &mut BTreeSet<CheckpointId>, checkpoint: CheckpointId) {
    checkpoints.insert(checkpoint);
    if checkpoints.len() > ABORTS_MAX {
        checkpoints.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn all(mailbox: &Mailbox) -> Vec<Mail> {
        std::iter::from_fn(|| mailbox.next().now_or_never()).collect()
    }

    #[test]
    fn confirmations_are_newest_only_and_aborts_come_before_triggers() {
        let mailbox = Mailbox::default();
        let id = CheckpointId;
        mailbox.trigger(id(7));
        mailbox.abort(id(7));
        mailbox.notify_checkpoint_complete(id(5), false);
        mailbox.notify_checkpoint_complete(id(6), true);
        mailbox.notify_checkpoint_complete(id(6), false);
        mailbox.notify_checkpoint_complete(id(4), false);
        let expected = [Mail::Confirm(id(6), true), Mail::Abort(id(7)), Mail::Trigger(id(7))];
        assert_eq!(all(&mailbox), expected);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mailbox = Mailbox::default();
        for number in 0..1000 {
            mailbox.trigger(CheckpointId(number));
            mailbox.abort(CheckpointId(number));
        }
        let all = all(&mailbox);
        assert_eq!(all.len(), ABORTS_MAX + 1 + TRIGGERS_MAX);
        assert!(all.contains(&Mail::GiveUp(CheckpointId(1000 - 1 - TRIGGERS_MAX as u64))));
        assert_eq!(all.last(), Some(&Mail::Trigger(CheckpointId(999))));
    }
}
