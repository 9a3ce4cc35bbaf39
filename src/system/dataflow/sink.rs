//! Where records go in the end.

use super::{
    data::Data,
    failure::Result,
    operator::{Managed, OperatorContext, Waits, at_once, none_to_redistribute, own_state, ready},
    stage::{Downstream, Scope, Stage},
    time::Timestamp,
};
use crate::system::{
    graph::{OperatorState, RestoredState},
    ids::CheckpointId,
};
use bytes::Bytes;
use futures::FutureExt;
use std::marker::PhantomData;

/// Takes records out of the cluster. Each subtask works with a clone. Only [`write`](Self::write) has to be written.
pub trait Sink<T>: Clone + Send + 'static {
    /// Takes a record; what has to be waited for is gathered here, and done by [`flush`](Self::flush).
    ///
    /// # Errors
    /// Fails the task.
    fn write(&mut self, value: T, time: Option<Timestamp>) -> Result<()>;

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

    /// Whether so much is gathered that it is to be flushed before more comes. Never by default.
    fn is_full(&self) -> bool {
        false
    }

    /// Whether what is gathered is to be flushed when no more has come yet. Only when it is full by default.
    fn wants_flush(&self) -> bool {
        self.is_full()
    }

    /// Hands on what is gathered. Does nothing by default.
    ///
    /// # Errors
    /// Fails the task.
    fn flush(&mut self) -> Waits<'_, ()> {
        ready(())
    }

    /// Makes everything up to here durable, and tells what is needed to go on from here. Flushes by default.
    ///
    /// # Errors
    /// Fails the task.
    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        let _ = checkpoint;
        async { self.flush().await.map(|()| Bytes::new()) }.boxed()
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

struct Writing<T, S> {
    uid: String,
    sink: S,
    of: PhantomData<fn(T)>,
}

/// The stage of a sink.
pub(super) struct SinkStage<T, S> {
    writing: Writing<T, S>,
}

impl<T, S> SinkStage<T, S> {
    pub fn new(uid: &str, sink: S) -> Self {
        SinkStage { writing: Writing { uid: uid.to_string(), sink, of: PhantomData } }
    }
}

impl<T: Data, S: Sink<T>> Stage<T> for SinkStage<T, S> {
    fn process(&mut self, value: T, time: Option<Timestamp>, scope: &mut Scope) {
        let written = self.writing.sink.write(value, time);
        scope.note(written);
        if self.writing.sink.is_full() {
            scope.pause();
        }
    }
}

impl<T: Data, S: Sink<T>> Downstream for SinkStage<T, S> {
    fn add_managed<'a>(&'a mut self, all: &mut Vec<&'a mut dyn Managed>) {
        all.push(&mut self.writing);
    }
}

impl<T: Data, S: Sink<T>> Managed for Writing<T, S> {
    fn uid(&self) -> &str {
        &self.uid
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: RestoredState,
    ) -> Waits<'a, ()> {
        match own_state(restored, context, |states, context| {
            self.sink.redistribute(states, context)
        }) {
            Ok(own) => self.sink.open(context, own),
            Err(failure) => at_once(Err(failure)),
        }
    }

    fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    fn wants_flush(&self) -> bool {
        self.sink.wants_flush()
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        self.sink.flush()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, OperatorState> {
        async move {
            let own = self.sink.snapshot(checkpoint).await?;
            Ok(OperatorState { own, ..OperatorState::default() })
        }
        .boxed()
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.sink.notify_checkpoint_complete(checkpoint)
    }

    fn close(&mut self) -> Waits<'_, ()> {
        self.sink.close()
    }
}
