//! What a task is told from outside. Bounded, since newer words replace older ones.

use crate::system::{ids::CheckpointId, protocol::Finality};
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
    /// A checkpoint is complete.
    Confirm(CheckpointId, Finality),
    /// A checkpoint is given up.
    Abort(CheckpointId),
    /// A source begins a checkpoint; whether it stops with it.
    Trigger(CheckpointId, bool),
    /// A source ends its data.
    Drain,
    /// A trigger that is never handled, since too many came.
    GiveUp(CheckpointId),
}

#[derive(Default)]
struct Words {
    confirmed: Option<(CheckpointId, Finality)>,
    aborts: BTreeSet<CheckpointId>,
    triggers: VecDeque<(CheckpointId, bool)>,
    drained: bool,
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
    pub fn notify_checkpoint_complete(&self, checkpoint: CheckpointId, finality: Finality) {
        {
            let mut words = self.lock();
            words.confirmed = words.confirmed.max(Some((checkpoint, finality)));
        }
        self.waker.wake();
    }

    pub fn abort(&self, checkpoint: CheckpointId) {
        remember(&mut self.lock().aborts, checkpoint);
        self.waker.wake();
    }

    pub fn trigger(&self, checkpoint: CheckpointId, stops: bool) {
        {
            let mut words = self.lock();
            if words.triggers.len() == TRIGGERS_MAX {
                words.given_up = words.triggers.pop_front().map(|(checkpoint, _)| checkpoint);
            }
            words.triggers.push_back((checkpoint, stops));
        }
        self.waker.wake();
    }

    pub fn drain(&self) {
        self.lock().drained = true;
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
            if let Some((checkpoint, finality)) = words.confirmed.take() {
                return Poll::Ready(Mail::Confirm(checkpoint, finality));
            }
            if let Some(checkpoint) = words.aborts.pop_first() {
                return Poll::Ready(Mail::Abort(checkpoint));
            }
            if let Some(checkpoint) = words.given_up.take() {
                return Poll::Ready(Mail::GiveUp(checkpoint));
            }
            if std::mem::take(&mut words.drained) {
                return Poll::Ready(Mail::Drain);
            }
            match words.triggers.pop_front() {
                Some((checkpoint, stops)) => Poll::Ready(Mail::Trigger(checkpoint, stops)),
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
        mailbox.trigger(id(7), true);
        mailbox.abort(id(7));
        mailbox.notify_checkpoint_complete(id(5), Finality::GoesOn);
        mailbox.notify_checkpoint_complete(id(6), Finality::Finished);
        mailbox.notify_checkpoint_complete(id(6), Finality::GoesOn);
        mailbox.notify_checkpoint_complete(id(4), Finality::Stopped);
        let confirmed = Mail::Confirm(id(6), Finality::Finished);
        let expected = [confirmed, Mail::Abort(id(7)), Mail::Trigger(id(7), true)];
        assert_eq!(all(&mailbox), expected);
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mailbox = Mailbox::default();
        for number in 0..1000 {
            mailbox.trigger(CheckpointId(number), false);
            mailbox.abort(CheckpointId(number));
        }
        let all = all(&mailbox);
        assert_eq!(all.len(), ABORTS_MAX + 1 + TRIGGERS_MAX);
        assert!(all.contains(&Mail::GiveUp(CheckpointId(1000 - 1 - TRIGGERS_MAX as u64))));
        assert_eq!(all.last(), Some(&Mail::Trigger(CheckpointId(999), false)));
    }
}
