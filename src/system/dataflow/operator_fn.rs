//! Operators that know where they run, and keep something of their own.

use super::{
    data::Data,
    failure::Result,
    operator::{Managed, OperatorContext, Waits, at_once, none_to_redistribute, own_state, ready},
    stage::{Collector, Downstream, Scope, Stage},
    time::Timestamp,
};
use crate::system::{
    graph::{OperatorState, RestoredState},
    ids::CheckpointId,
};
use bytes::Bytes;
use futures::FutureExt;
use std::marker::PhantomData;

/// A function of records without keys that knows where it runs, and may keep something of its own. Each subtask works
/// with a clone. Only [`process`](Self::process) has to be written.
pub trait Operator<T>: Clone + Send + 'static {
    /// What it emits.
    type Out: Data;

    /// Handles a record.
    ///
    /// # Errors
    /// Fails the task.
    fn process(&mut self, value: T, out: &mut Collector<'_, Self::Out>) -> Result<()>;

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

    /// No record comes any more; what is held back is emitted now. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn finish(&mut self, out: &mut Collector<'_, Self::Out>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// What it keeps. Nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        let _ = checkpoint;
        ready(Bytes::new())
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

struct Kept<T, O> {
    uid: String,
    operator: O,
    of: PhantomData<fn(T)>,
}

/// The stage of an [`Operator`].
pub(super) struct OperatorStage<T, O: Operator<T>> {
    kept: Kept<T, O>,
    next: Box<dyn Stage<O::Out>>,
}

impl<T, O: Operator<T>> OperatorStage<T, O> {
    pub fn new(uid: &str, operator: O, next: Box<dyn Stage<O::Out>>) -> Self {
        let kept = Kept { uid: uid.to_string(), operator, of: PhantomData };
        OperatorStage { kept, next }
    }
}

impl<T: Data, O: Operator<T>> Downstream for OperatorStage<T, O> {
    fn for_each_reader(&mut self, call: &mut dyn FnMut(&mut dyn Downstream)) {
        call(&mut *self.next);
    }

    fn finish(&mut self, scope: &mut Scope) {
        let mut out = Collector::new(&mut *self.next, None, scope);
        let called = self.kept.operator.finish(&mut out);
        scope.note(called);
        self.next.finish(scope);
    }

    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.kept);
        self.next.add_managed(all);
    }
}

impl<T: Data, O: Operator<T>> Stage<T> for OperatorStage<T, O> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        let mut out = Collector::new(&mut *self.next, time, scope);
        let called = self.kept.operator.process(value, &mut out);
        scope.note(called);
    }
}

impl<T: Data, O: Operator<T>> Managed for Kept<T, O> {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()> {
        match own_state(restored, context, |states, context| {
            self.operator.redistribute(states, context)
        }) {
            Ok(own) => self.operator.open(context, own),
            Err(failure) => at_once(Err(failure)),
        }
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, OperatorState> {
        async move {
            let own = self.operator.snapshot(checkpoint).await?;
            Ok(OperatorState { own, ..OperatorState::default() })
        }
        .boxed()
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.operator.notify_checkpoint_complete(checkpoint)
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.operator.close()
    }
}
