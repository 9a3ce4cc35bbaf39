//! The operators of one task, each handing on to the next.

use super::{
    api::{Operator, OperatorContext, Source, SourceStep},
    error::{TaskError, guarded},
    output::{Output, OutputQueue},
    record::Record,
};
use crate::system::{
    graph::{OperatorState, TaskState},
    ids::CheckpointId,
    task_executor::exchange::RecordWriter,
};
use futures::{FutureExt, future::BoxFuture, pin_mut};
use std::{
    future::{Future, poll_fn},
    task::Poll,
};

struct Chained {
    operator: Box<dyn Operator>,
    context: OperatorContext,
    queue: OutputQueue,
    output: Output,
}

/// A source, if the task has no inputs, and the operators behind it.
pub(in crate::system::task_executor) struct OperatorChain {
    source: Option<(Box<dyn Source>, OperatorContext)>,
    operators: Vec<Chained>,
    /// Those from this place on were opened, the source being the place before the first.
    opened_from: Option<usize>,
}

impl OperatorChain {
    pub fn new(source: Option<(Box<dyn Source>, OperatorContext)>) -> Self {
        OperatorChain { source, operators: Vec::new(), opened_from: None }
    }

    /// Puts an operator behind all others.
    pub fn add(&mut self, operator: Box<dyn Operator>, context: OperatorContext) {
        let queue = OutputQueue::default();
        let output = Output::new(queue.clone());
        self.operators.push(Chained { operator, context, queue, output });
    }

    pub fn has_source(&self) -> bool {
        self.source.is_some()
    }

    /// Opens the last first, so that nothing is emitted to what is not open.
    pub async fn open(&mut self, restored: Option<TaskState>) -> Result<(), TaskError> {
        let states = restored.map_or_else(Vec::new, |state| state.operators);
        let state_of = |context: &OperatorContext| -> Result<Option<OperatorState>, TaskError> {
            let state = states.iter().find(|(uid, _)| *uid == context.uid);
            let state = state.map(|(_, state)| state.clone());
            state.iter().try_for_each(|state| context.keyed.restore(&state.keyed))?;
            Ok(state)
        };
        for (place, chained) in self.operators.iter_mut().enumerate().rev() {
            let state = state_of(&chained.context)?;
            self.opened_from = Some(place + 1);
            guarded(chained.operator.open(chained.context.clone(), state)).await?;
        }
        if let Some((source, context)) = &mut self.source {
            let state = state_of(context)?;
            self.opened_from = Some(0);
            guarded(source.open(context.clone(), state)).await?;
        }
        Ok(())
    }

    /// The source's next step; may be dropped half-way.
    pub async fn next(&mut self) -> Result<SourceStep, TaskError> {
        match &mut self.source {
            Some((source, _)) => guarded(source.next()).await,
            None => std::future::pending().await,
        }
    }

    /// Takes records through the chain.
    pub async fn process(
        &mut self,
        records: Vec<Record>,
        writer: &mut RecordWriter,
    ) -> Result<(), TaskError> {
        push(&mut self.operators, writer, records).await
    }

    /// Tells each operator, the head first, that no more records come.
    pub async fn finish(&mut self, writer: &mut RecordWriter) -> Result<(), TaskError> {
        let mut left = &mut self.operators[..];
        while let Some((head, rest)) = left.split_first_mut() {
            let call = guarded(head.operator.finish(&mut head.output));
            drive(call, &head.queue, rest, writer).await?;
            hand_on(&head.queue, rest, writer).await?;
            left = rest;
        }
        Ok(())
    }

    /// The state of all, by uid.
    pub async fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Vec<(String, OperatorState)>, TaskError> {
        let mut states = Vec::with_capacity(self.operators.len() + 1);
        if let Some((source, context)) = &mut self.source {
            let own = guarded(source.snapshot(checkpoint)).await?.own;
            let state = OperatorState { own, keyed: context.keyed.snapshot() };
            states.push((context.uid.clone(), state));
        }
        for chained in &mut self.operators {
            debug_assert!(chained.queue.is_empty(), "no record is between two operators");
            let own = guarded(chained.operator.snapshot(checkpoint)).await?.own;
            let state = OperatorState { own, keyed: chained.context.keyed.snapshot() };
            states.push((chained.context.uid.clone(), state));
        }
        Ok(states)
    }

    /// Tells all that a checkpoint is complete.
    pub async fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<(), TaskError> {
        if let Some((source, _)) = &mut self.source {
            guarded(source.notify_checkpoint_complete(checkpoint)).await?;
        }
        for chained in &mut self.operators {
            guarded(chained.operator.notify_checkpoint_complete(checkpoint)).await?;
        }
        Ok(())
    }

    /// Closes what was opened, all of it; the first error is returned.
    pub async fn close(&mut self) -> Result<(), TaskError> {
        let Some(from) = self.opened_from.take() else { return Ok(()) };
        let mut result = Ok(());
        if let Some((source, _)) = self.source.as_mut().filter(|_| from == 0) {
            result = guarded(source.close()).await;
        }
        for chained in self.operators.iter_mut().skip(from.saturating_sub(1)) {
            let closed = guarded(chained.operator.close()).await;
            result = result.and(closed);
        }
        result
    }
}

/// Takes records through these operators and then to other tasks. One box for each batch and level.
fn push<'a>(
    operators: &'a mut [Chained],
    writer: &'a mut RecordWriter,
    records: Vec<Record>,
) -> BoxFuture<'a, Result<(), TaskError>> {
    async move {
        let Some((head, rest)) = operators.split_first_mut() else {
            for record in &records {
                writer.emit(record).await?;
            }
            return Ok(());
        };
        for record in records {
            let call = guarded(head.operator.process(record, &mut head.output));
            drive(call, &head.queue, rest, writer).await?;
        }
        hand_on(&head.queue, rest, writer).await
    }
    .boxed()
}

/// Runs a call into an operator. While it waits, what it emitted is handed on, outside of its future.
async fn drive(
    call: impl Future<Output = Result<(), TaskError>>,
    queue: &OutputQueue,
    rest: &mut [Chained],
    writer: &mut RecordWriter,
) -> Result<(), TaskError> {
    pin_mut!(call);
    loop {
        let step = poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if queue.is_empty() => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        });
        match step.await {
            Some(result) => return result,
            None => hand_on(queue, rest, writer).await?,
        }
    }
}

async fn hand_on(
    queue: &OutputQueue,
    rest: &mut [Chained],
    writer: &mut RecordWriter,
) -> Result<(), TaskError> {
    if queue.is_empty() {
        return Ok(());
    }
    push(rest, writer, queue.take()).await
}
