//! What a running task does for checkpoints: barriers, snapshots, and what became of them.

use super::{DataEnd, Parts, StreamTask};
use crate::system::{
    dataflow::WrittenFile,
    graph::{OperatorState, StateFile, TaskState},
    ids::CheckpointId,
    protocol::Finality,
    sabotage,
    task_executor::{
        TaskError, TaskEvent,
        error::{caught, guarded},
        exchange::Event,
        task::{
            alignment::{AbortReason, Outcome},
            upload::Upload,
        },
    },
};
use bytes::Bytes;

impl StreamTask<'_> {
    /// Tells those behind what is given up, and takes the state of what is complete.
    pub(super) async fn settle(&mut self, outcome: Outcome) -> Result<(), TaskError> {
        for (checkpoint, why) in outcome.aborted {
            self.parts.writer.broadcast(Event::CancelBarrier(checkpoint)).await?;
            if why == AbortReason::Subsumed {
                let host = &self.reporter.host;
                crate::reachable!(host, "alignment-interrupted-by-a-newer", "{checkpoint:?}");
            }
            // The job master needs no word of what it gave up itself.
            if why != AbortReason::JobMaster {
                self.reporter.decline(checkpoint, why.text());
            }
        }
        match outcome.completed {
            Some(checkpoint) => self.take(checkpoint).await,
            None => Ok(()),
        }
    }

    /// Sends the barrier on, then takes the state, then lets it be written while records flow. What was emitted and
    /// has no room belongs to the state: the barrier does not wait for it.
    async fn take(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        assert!(self.taken.is_none_or(|taken| taken < checkpoint), "checkpoints come in order");
        self.taken = Some(checkpoint);
        let Parts { scope, writer, .. } = &mut *self.parts;
        writer.flush(&mut scope.outputs);
        writer.broadcast(Event::Barrier(checkpoint)).await?;
        let mut emitted = scope.outputs.snapshot();
        if !emitted.is_empty() && self.reporter.host.sabotaged(sabotage::OVERFLOW_LOST_AT_A_BARRIER)
        {
            emitted.clear();
        }
        let kept = emitted.len();
        let emitted = match emitted.is_empty() {
            true => Bytes::new(),
            false => Bytes::from(postcard::to_allocvec(&emitted).expect("plain values")),
        };
        let operators = self.snapshot(checkpoint).await?;
        let finished = matches!(self.end, DataEnd::Reached | DataEnd::Told);
        if finished {
            self.ended_at.get_or_insert(checkpoint);
            self.finishing |= self.reporter.host.sabotaged(sabotage::FINISHES_UNCONFIRMED);
        }
        self.reporter.host.announce(&TaskEvent::SnapshotTaken {
            attempt: self.reporter.attempt,
            checkpoint,
            inputs: self.inbox.counts(),
            outputs: self.parts.writer.counts(),
            kept,
            ended: finished,
        });
        let state = TaskState { finished, operators, emitted };
        self.unwritten.push_back(Upload { checkpoint, state, files: Vec::new() });
        self.upload_written()
    }

    /// Lets snapshots go whose files are all written, in their order.
    pub(super) fn upload_written(&mut self) -> Result<(), TaskError> {
        while let Some(Upload { checkpoint, state, files }) = self.unwritten.front_mut() {
            let checkpoint = *checkpoint;
            let operators = self.parts.chain.managed();
            for (place, operator) in operators.into_iter().enumerate().skip(files.len()) {
                let written = caught(|| operator.written(checkpoint))?;
                let Some(written) = written else { return Ok(()) };
                let about = |file: &WrittenFile| StateFile {
                    object: file.object.clone(),
                    length: file.length,
                    about: file.about.clone(),
                };
                state.operators[place].1.files = written.iter().map(about).collect();
                files.push(written);
            }
            let upload = self.unwritten.pop_front().expect("it was just looked at");
            if let Some(given_up) = self.uploads.push(upload) {
                self.reporter.decline(given_up, "its state could not be written in time");
                self.forget_snapshot(given_up);
            }
        }
        Ok(())
    }

    /// Nobody wants a snapshot any more.
    fn forget_snapshot(&mut self, checkpoint: CheckpointId) {
        self.unwritten.retain(|upload| upload.checkpoint != checkpoint);
        for operator in self.parts.chain.managed() {
            operator.notify_checkpoint_aborted(checkpoint);
        }
    }

    /// The state of all operators, by uid.
    async fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Vec<(String, OperatorState)>, TaskError> {
        let mut states = Vec::new();
        for operator in self.parts.chain.managed() {
            let state = guarded(operator.snapshot(checkpoint)).await?;
            states.push((operator.uid().to_string(), state));
        }
        Ok(states)
    }

    /// A source begins a checkpoint. One that `stops` it may be the last; a later one shows that it was not.
    pub(super) async fn trigger(
        &mut self,
        checkpoint: CheckpointId,
        stops: bool,
    ) -> Result<(), TaskError> {
        let outcome = self.alignment.barrier(0, checkpoint);
        if outcome.completed == Some(checkpoint) {
            self.stopped_at = stops.then_some(checkpoint);
        }
        self.settle(outcome).await
    }

    pub(super) async fn abort(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        if self.stopped_at == Some(checkpoint) {
            self.stopped_at = None;
        }
        if !self.reporter.host.sabotaged(sabotage::ABORTED_UPLOAD_GOES_ON) {
            self.uploads.abort(checkpoint);
        }
        self.forget_snapshot(checkpoint);
        if self.alignment.waits_for_newer(checkpoint)
            && self.reporter.host.sabotaged(sabotage::LATE_CANCEL_RESETS_ALIGNMENT)
        {
            self.alignment.reset();
        }
        if self.alignment.abort(checkpoint) {
            self.parts.writer.broadcast(Event::CancelBarrier(checkpoint)).await?;
        }
        Ok(())
    }

    pub(super) async fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
        finality: Finality,
    ) -> Result<(), TaskError> {
        if self.confirmed.is_none_or(|confirmed| confirmed < checkpoint) {
            self.confirmed = Some(checkpoint);
            for operator in self.parts.chain.managed() {
                guarded(operator.notify_checkpoint_complete(checkpoint)).await?;
            }
            let attempt = self.reporter.attempt;
            self.reporter.host.announce(&TaskEvent::CheckpointConfirmed { attempt, checkpoint });
        }
        self.finishing |= match finality {
            Finality::GoesOn => false,
            // A final checkpoint that this task was not part of at its end does not concern it.
            Finality::Finished => self.ended_at.is_some_and(|ended_at| ended_at <= checkpoint),
            // What it has handled since is handled once more by whoever goes on from there.
            Finality::Stopped => self.taken.is_some_and(|taken| taken >= checkpoint),
        };
        Ok(())
    }
}
