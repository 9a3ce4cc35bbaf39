//! Where records come from.

use super::{
    data::{Data, decode, encode},
    failure::{Failure, Result},
    head::{ChainHead, Fetched},
    operator::{Managed, OperatorContext, Waits, at_once, none_to_redistribute, ready},
    stage::{Downstream, Scope, Stage},
};
use crate::system::{
    graph::{OperatorState, RestoredState},
    ids::CheckpointId,
};
use bytes::Bytes;
use futures::FutureExt;
use std::collections::VecDeque;

/// What a source hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceStep<T> {
    /// Records, which its next snapshot counts as read.
    Records(Vec<T>),
    /// There is no more, ever.
    End,
}

/// Reads records from outside. Each subtask works with a clone. Only [`next`](Self::next) has to be written.
pub trait Source: Clone + Send + 'static {
    /// What it reads.
    type Out: Data;

    /// The next records. Dropped half-way it must lose nothing: it moves on only as it completes.
    ///
    /// # Errors
    /// Fails the task.
    fn next(&mut self) -> Waits<'_, SourceStep<Self::Out>>;

    /// Begins, with what [`snapshot`](Self::snapshot) gave at the checkpoint from which the task is restored.
    ///
    /// # Errors
    /// Fails the task.
    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        let _ = (context, restored);
        ready(())
    }

    /// What this subtask begins with where the job goes on with another number of subtasks, made of what
    /// [`snapshot`](Self::snapshot) gave in each former one; [`open`](Self::open) is given it. Refused by default unless
    /// nothing was kept; [`split_lists`](super::split_lists) does it for lists.
    ///
    /// # Errors
    /// Fails the task.
    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        none_to_redistribute(&states, context)
    }

    /// Whether a [`snapshot`](Self::snapshot) is of what was handled alone, so that what is `left` is read once more. Not
    /// by default.
    fn rewinds(&self) -> bool {
        false
    }

    /// What is needed to read on from here; also asked for after the end. Of the records that it handed out last,
    /// `left` are not handled yet: they are kept beside, and the source reads on behind them, unless it
    /// [rewinds](Self::rewinds). Nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(&mut self, checkpoint: CheckpointId, left: usize) -> Result<Bytes> {
        let _ = (checkpoint, left);
        Ok(Bytes::new())
    }

    /// The checkpoint is complete, and with it every earlier one.
    ///
    /// # Errors
    /// Fails the task.
    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        let _ = checkpoint;
        ready(())
    }

    /// The task ends, however it ended; may be cut short.
    ///
    /// # Errors
    /// Fails a task that would have finished.
    fn close(&mut self) -> Waits<'_, ()> {
        ready(())
    }
}

/// A source and what it has read that was not handled yet.
struct Reading<S: Source> {
    uid: String,
    source: S,
    left: VecDeque<S::Out>,
}

/// A chain that begins with a source.
pub(super) struct SourceHead<S: Source> {
    reading: Reading<S>,
    next: Box<dyn Stage<S::Out>>,
}

impl<S: Source> SourceHead<S> {
    pub fn new(uid: &str, source: S, next: Box<dyn Stage<S::Out>>) -> Self {
        let reading = Reading { uid: uid.to_string(), source, left: VecDeque::new() };
        SourceHead { reading, next }
    }
}

impl<S: Source> ChainHead for SourceHead<S> {
    fn is_source(&self) -> bool {
        true
    }

    fn fetch(&mut self) -> Waits<'_, Fetched> {
        async {
            Ok(match self.reading.source.next().await? {
                SourceStep::End => Fetched::End,
                SourceStep::Records(records) => {
                    self.reading.left.extend(records);
                    Fetched::Records
                }
            })
        }
        .boxed()
    }

    fn has_fetched(&self) -> bool {
        !self.reading.left.is_empty()
    }

    fn drain(&mut self, scope: &mut Scope) -> usize {
        let before = self.reading.left.len();
        while !scope.is_paused()
            && let Some(value) = self.reading.left.pop_front()
        {
            scope.step();
            self.next.process(value, None, scope);
        }
        before - self.reading.left.len()
    }

    fn record(&mut self, _: &[u8], scope: &mut Scope) {
        scope.fail(Failure::new("a source has no input"));
    }
}

impl<S: Source> Downstream for SourceHead<S> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.reading);
        self.next.add_managed(all);
    }
}

/// What a source keeps, and what it has read that was not handled yet.
type Kept<S> = (Bytes, VecDeque<<S as Source>::Out>);

impl<S: Source> Reading<S> {
    /// Takes over what belongs to this subtask of what all former ones had.
    fn take_over(
        &mut self,
        states: Vec<(u32, OperatorState)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        let mut own = Vec::new();
        for (former, state) in states {
            let (kept, left): Kept<S> = decode(&state.own)?;
            own.push((former, kept));
            if context.takes_over(former) {
                self.left.extend(left);
            }
        }
        self.source.redistribute(own, context)
    }
}

impl<S: Source> Managed for Reading<S> {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()> {
        async move {
            let own = match restored {
                RestoredState::Nothing => None,
                RestoredState::Same(state) => {
                    let (own, left): Kept<S> = decode(&state.own)?;
                    self.left = left;
                    Some(own)
                }
                RestoredState::Redistributed(states) => self.take_over(states, context)?,
            };
            self.source.open(context, own).await
        }
        .boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, OperatorState> {
        let taken = self.source.snapshot(checkpoint, self.left.len()).and_then(|own| {
            let own = match self.source.rewinds() {
                true => encode(&(own, VecDeque::<S::Out>::new()))?,
                false => encode(&(own, &self.left))?,
            };
            let own = Bytes::from(own);
            Ok(OperatorState { own, ..OperatorState::default() })
        });
        at_once(taken)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.source.notify_checkpoint_complete(checkpoint)
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.source.close()
    }
}
