//! A running task: one thing at a time of its mailbox, its timers and its input.

use super::{
    alignment::{AbortReason, Alignment, Outcome},
    mailbox::{Mail, Mailbox},
    report::Reporter,
    upload::{Upload, Uploads},
};
use crate::system::{
    graph::TaskState,
    ids::CheckpointId,
    sabotage,
    task_executor::{
        ChannelError, Record, SourceStep, TaskError, TaskEvent,
        exchange::{Buffer, Content, Event, Inbox, RecordWriter, records},
        operator::OperatorChain,
    },
};
use futures::{FutureExt, pin_mut, select_biased};
use std::{collections::BTreeSet, time::Duration};

/// What a task does next.
enum Next {
    Mail(Mail),
    ReaderGone(TaskError),
    Flush,
    Input(usize, Buffer),
    Source(SourceStep),
}

/// What a running task works with and knows of itself.
pub struct StreamTask<'a> {
    reporter: &'a Reporter,
    mailbox: &'a Mailbox,
    chain: &'a mut OperatorChain,
    writer: &'a mut RecordWriter,
    inbox: &'a Inbox,
    uploads: &'a Uploads,
    alignment: Alignment,
    /// Channels on which no record comes any more.
    data_ended: BTreeSet<usize>,
    /// The end of the task's own data is behind it.
    ended: bool,
    /// The newest checkpoint whose state was taken.
    taken: Option<CheckpointId>,
    /// The first checkpoint that was taken behind the end of the data.
    ended_at: Option<CheckpointId>,
    confirmed: Option<CheckpointId>,
    /// Told to finish; it does when its inputs have.
    finishing: bool,
}

impl<'a> StreamTask<'a> {
    pub fn new(
        reporter: &'a Reporter,
        mailbox: &'a Mailbox,
        chain: &'a mut OperatorChain,
        writer: &'a mut RecordWriter,
        inbox: &'a Inbox,
        uploads: &'a Uploads,
        restored: Option<CheckpointId>,
    ) -> Self {
        StreamTask {
            reporter,
            mailbox,
            chain,
            writer,
            inbox,
            uploads,
            // A source aligns the triggers of its one channel, the job master.
            alignment: Alignment::new(inbox.len().max(1), restored),
            data_ended: BTreeSet::new(),
            ended: false,
            taken: restored,
            ended_at: None,
            confirmed: restored,
            finishing: false,
        }
    }

    /// Runs until the task has finished. `was_finished`: it is restored from behind its end.
    pub async fn run(
        mut self,
        was_finished: bool,
        service_time: Duration,
    ) -> Result<(), TaskError> {
        if was_finished && self.chain.has_source() {
            self.end_data(true).await?;
        }
        while !(self.finishing && self.inputs_ended()) {
            match self.next().await? {
                Next::Mail(mail) => self.handle_mail(mail).await?,
                Next::ReaderGone(error) => return Err(error),
                Next::Flush => self.writer.flush(),
                Next::Input(channel, buffer) => {
                    let records = self.handle_buffer(channel, buffer, was_finished).await?;
                    self.serve(records, service_time).await;
                    self.inbox.handled(channel);
                }
                Next::Source(SourceStep::Records(records)) => {
                    let count = records.len();
                    self.chain.process(records, self.writer).await?;
                    self.serve(count, service_time).await;
                }
                Next::Source(SourceStep::End) => self.end_data(false).await?,
            }
        }
        self.writer.broadcast(Event::EndOfPartition).await
    }

    fn inputs_ended(&self) -> bool {
        self.chain.has_source() || self.alignment.all_ended()
    }

    async fn next(&mut self) -> Result<Next, TaskError> {
        let StreamTask { reporter, mailbox, chain, writer, inbox, alignment, .. } = self;
        let (has_source, ended) = (chain.has_source(), self.ended);
        let readers = writer.readers();
        let mail = mailbox.next().fuse();
        let gone = readers.gone().fuse();
        let flush = writer.flush_due().fuse();
        let blocked = |channel| {
            alignment.is_blocked(channel) && !reporter.host.sabotaged(sabotage::BARRIERS_DONT_BLOCK)
        };
        let input = async {
            readers.room_everywhere().await;
            let (channel, buffer) = inbox.next(blocked).await;
            Next::Input(channel, buffer)
        }
        .fuse();
        let source = async {
            if !has_source || ended {
                std::future::pending::<()>().await;
            }
            readers.room_everywhere().await;
            chain.next().await.map(Next::Source)
        }
        .fuse();
        pin_mut!(mail, gone, flush, input, source);
        select_biased! {
            mail = mail => Ok(Next::Mail(mail)),
            error = gone => Ok(Next::ReaderGone(error)),
            () = flush => Ok(Next::Flush),
            next = input => Ok(next),
            next = source => next,
        }
    }

    /// Lets the service time of records pass, while buffers are sent when they are due.
    async fn serve(&mut self, records: usize, service_time: Duration) {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        let time = service_time.saturating_mul(records);
        if time.is_zero() {
            return;
        }
        let served = self.reporter.host.sleep(time).fuse();
        pin_mut!(served);
        loop {
            {
                let flush = self.writer.flush_due().fuse();
                pin_mut!(flush);
                select_biased! {
                    () = served => return,
                    () = flush => {}
                }
            }
            self.writer.flush();
        }
    }

    /// Handles a buffer; returns how many records it held.
    async fn handle_buffer(
        &mut self,
        channel: usize,
        buffer: Buffer,
        was_finished: bool,
    ) -> Result<usize, TaskError> {
        let Buffer { sequence, hash, content } = buffer;
        let (partition, subpartition) = self.inbox.id(channel);
        let count = match &content {
            Content::Records { count, .. } => *count,
            Content::Event(_) => 0,
        };
        let received =
            TaskEvent::BufferReceived { partition, subpartition, sequence, records: count, hash };
        self.reporter.host.announce(&received);
        match content {
            Content::Records { count, payload } => {
                let records: Vec<Record> = records(count, payload)
                    .map_err(|error| self.inbox.error(channel, ChannelError::Wire(error)))?;
                self.inbox.count(channel, count);
                self.chain.process(records, self.writer).await?;
            }
            Content::Event(event) => self.handle_event(channel, event, was_finished).await?,
        }
        Ok(count as usize)
    }

    async fn handle_event(
        &mut self,
        channel: usize,
        event: Event,
        was_finished: bool,
    ) -> Result<(), TaskError> {
        let outcome = match event {
            Event::Barrier(checkpoint) => {
                let (partition, subpartition) = self.inbox.id(channel);
                let attempt = self.reporter.attempt;
                let received =
                    TaskEvent::BarrierReceived { attempt, partition, subpartition, checkpoint };
                self.reporter.host.announce(&received);
                self.alignment.barrier(channel, checkpoint)
            }
            Event::CancelBarrier(checkpoint) => self.alignment.cancel(checkpoint),
            Event::EndOfData => {
                self.data_ended.insert(channel);
                Outcome::default()
            }
            Event::EndOfPartition => {
                self.data_ended.insert(channel);
                self.alignment.end_of_partition(channel)
            }
        };
        self.settle(outcome).await?;
        if self.data_ended.len() == self.inbox.len() && !self.ended {
            self.end_data(was_finished).await?;
        }
        Ok(())
    }

    /// The task's data is over; the operators hear of it unless they had before they were restored.
    async fn end_data(&mut self, was_finished: bool) -> Result<(), TaskError> {
        assert!(!self.ended, "the data ends once");
        if !was_finished {
            self.chain.finish(self.writer).await?;
        }
        self.ended = true;
        self.writer.broadcast(Event::EndOfData).await
    }

    async fn handle_mail(&mut self, mail: Mail) -> Result<(), TaskError> {
        match mail {
            Mail::Confirm(checkpoint, is_final) => {
                self.notify_checkpoint_complete(checkpoint, is_final).await
            }
            Mail::Abort(checkpoint) => self.abort(checkpoint).await,
            Mail::Trigger(checkpoint) if self.chain.has_source() => {
                let outcome = self.alignment.barrier(0, checkpoint);
                self.settle(outcome).await
            }
            Mail::GiveUp(checkpoint) if self.chain.has_source() => {
                self.reporter.decline(checkpoint, "too many triggers wait");
                Ok(())
            }
            Mail::Trigger(_) | Mail::GiveUp(_) => Ok(()),
        }
    }

    /// Tells those behind what is given up, and takes the state of what is complete.
    async fn settle(&mut self, outcome: Outcome) -> Result<(), TaskError> {
        for (checkpoint, why) in outcome.aborted {
            self.writer.broadcast(Event::CancelBarrier(checkpoint)).await?;
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

    /// Sends the barrier on, then takes the state, then lets it be written while records flow.
    async fn take(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        assert!(self.taken.is_none_or(|taken| taken < checkpoint), "checkpoints come in order");
        self.taken = Some(checkpoint);
        self.writer.broadcast(Event::Barrier(checkpoint)).await?;
        let operators = self.chain.snapshot(checkpoint).await?;
        let finished = self.ended;
        if finished {
            self.ended_at.get_or_insert(checkpoint);
        }
        self.reporter.host.announce(&TaskEvent::SnapshotTaken {
            attempt: self.reporter.attempt,
            checkpoint,
            inputs: self.inbox.counts(),
            outputs: self.writer.counts(),
            ended: finished,
        });
        let state = TaskState { finished, operators };
        if let Some(given_up) = self.uploads.push(Upload { checkpoint, state }) {
            self.reporter.decline(given_up, "its state could not be written in time");
        }
        Ok(())
    }

    async fn abort(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.uploads.abort(checkpoint);
        if self.alignment.abort(checkpoint) {
            self.writer.broadcast(Event::CancelBarrier(checkpoint)).await?;
        }
        Ok(())
    }

    async fn notify_checkpoint_complete(
        &mut self,
        checkpoint: CheckpointId,
        is_final: bool,
    ) -> Result<(), TaskError> {
        if self.confirmed.is_none_or(|confirmed| confirmed < checkpoint) {
            self.confirmed = Some(checkpoint);
            self.chain.notify_checkpoint_complete(checkpoint).await?;
            let attempt = self.reporter.attempt;
            self.reporter.host.announce(&TaskEvent::CheckpointConfirmed { attempt, checkpoint });
        }
        // A final checkpoint that this task was not part of at its end does not concern it.
        let covered = self.ended_at.is_some_and(|ended_at| ended_at <= checkpoint);
        self.finishing |= is_final && covered;
        Ok(())
    }
}
