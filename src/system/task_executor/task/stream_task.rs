//! A running task: one thing at a time of its mailbox, its timers and its input.
//!
//! The chain is called for a batch at a time and never waits. What it could not finish, since a buffer was full, a sink
//! wants to write or much was done, stays a value: the rest of a buffer, timers that are due, what was emitted. Between
//! two batches the task does what has to be waited for, and hears its mail.

mod checkpoints;

use super::{
    alignment::{AbortReason, Alignment, Outcome},
    mailbox::{Mail, Mailbox},
    meter::Activity,
    report::Reporter,
    sinks::Sinks,
    upload::{Upload, Uploads},
    valve::{Told, WatermarkValve},
};
use crate::{
    host::WallTime,
    system::{
        dataflow::{ChainHead, Fetched, Records, Scope, Timestamp, WatermarkStatus},
        ids::CheckpointId,
        protocol::Volume,
        sabotage,
        task_executor::{
            ChannelError, TaskError, TaskEvent, WireError,
            error::{caught, guarded},
            exchange::{Buffer, Content, Event, Inbox, RecordWriter},
        },
    },
};
use futures::{FutureExt, pin_mut, select_biased};
use std::{
    collections::{BTreeSet, VecDeque},
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

/// What a task does next.
enum Next {
    Mail(Mail),
    ReaderGone(TaskError),
    Flush,
    /// There is room again for what was emitted.
    Room,
    /// Something is left that can be gone on with.
    GoOn,
    /// A timer of the time of day is due.
    Timer,
    /// Operators have work of their own.
    Tend,
    Input(usize, Buffer),
    Source(Fetched),
}

/// How far the end of a task's own data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DataEnd {
    /// There may be more.
    NotYet,
    /// No more comes; timers of event time fire.
    Coming,
    /// The operators have heard of it; what they emitted may wait still.
    Reached,
    /// The readers have heard of it, behind all records.
    Told,
}

/// The parts of an attempt; dropped as one, the writer releasing the partitions.
pub struct Parts {
    pub chain: Box<dyn ChainHead>,
    pub scope: Scope,
    pub writer: RecordWriter,
    /// Operators that were opened, or are being opened.
    pub opened: usize,
}

/// What a running task works with and knows of itself.
pub struct StreamTask<'a> {
    reporter: &'a Reporter,
    mailbox: &'a Mailbox,
    parts: &'a mut Parts,
    inbox: &'a Inbox,
    uploads: &'a Uploads,
    alignment: Alignment,
    valve: WatermarkValve,
    /// What was taken from the inputs.
    read: Volume,
    /// The rest of a buffer, and the channel from which it came.
    left: Option<(usize, Records)>,
    /// Something in the chain wants to go on.
    is_unfinished: bool,
    /// Channels on which no record comes any more.
    data_ended: BTreeSet<usize>,
    end: DataEnd,
    /// The newest checkpoint whose state was taken.
    taken: Option<CheckpointId>,
    /// The first checkpoint that was taken behind the end of the data.
    ended_at: Option<CheckpointId>,
    confirmed: Option<CheckpointId>,
    /// Told to finish; it does when its inputs have.
    finishing: bool,
    /// The checkpoint behind which a source reads nothing, since its job may have been stopped with it.
    stopped_at: Option<CheckpointId>,
    sinks: Sinks,
    /// Snapshots of which some files are still being written.
    unwritten: VecDeque<Upload>,
}

/// The time of day as operators see it.
fn time_of_day(wall: WallTime) -> Timestamp {
    Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX))
}

impl<'a> StreamTask<'a> {
    pub fn new(
        reporter: &'a Reporter,
        mailbox: &'a Mailbox,
        parts: &'a mut Parts,
        inbox: &'a Inbox,
        uploads: &'a Uploads,
        restored: Option<CheckpointId>,
    ) -> Self {
        // A source aligns the triggers of its one channel, the job master.
        let alignment = Alignment::new(inbox.len().max(1), restored);
        let first = inbox.first_gate();
        let is_alone =
            first < inbox.len() && reporter.host.sabotaged(sabotage::FIRST_GATE_ALONE_ALIGNS);
        StreamTask {
            reporter,
            mailbox,
            parts,
            inbox,
            uploads,
            alignment: if is_alone { alignment.of_first(first) } else { alignment },
            valve: WatermarkValve::new(inbox.len(), reporter.host.switches()),
            read: Volume::default(),
            left: None,
            is_unfinished: false,
            data_ended: BTreeSet::new(),
            end: DataEnd::NotYet,
            taken: restored,
            ended_at: None,
            confirmed: restored
                .filter(|_| !reporter.host.sabotaged(sabotage::TOLD_OF_WHAT_IT_BEGAN_FROM)),
            finishing: false,
            stopped_at: None,
            sinks: Sinks::default(),
            unwritten: VecDeque::new(),
        }
    }

    /// Runs until the task has finished. `was_finished`: it is restored from behind its end.
    pub async fn run(
        mut self,
        was_finished: bool,
        service_time: Duration,
    ) -> Result<(), TaskError> {
        if was_finished {
            // Its operators have heard of the end, and what they emitted is there again.
            self.end = DataEnd::Reached;
        } else {
            // Timers that were due when the snapshot was taken fire before any record.
            self.is_unfinished = self.taken.is_some();
        }
        while !(self.finishing && self.inputs_ended()) {
            self.settle_end().await?;
            self.flush_gathered().await?;
            self.parts.writer.hand_on(&mut self.parts.scope.outputs);
            self.reporter.meter.count(self.read, self.parts.writer.written());
            let next = self.next().await?;
            self.reporter.meter.enter(Activity::Busy);
            match next {
                Next::Mail(mail) => self.handle_mail(mail).await?,
                Next::ReaderGone(error) => return Err(error),
                Next::Flush => self.parts.writer.flush(&mut self.parts.scope.outputs),
                Next::Room => {}
                Next::Tend => self.tend().await?,
                Next::GoOn => self.go_on(service_time).await?,
                Next::Timer => {
                    self.batch(|chain, scope| chain.processing_time(scope))?;
                    self.serve(0, Duration::ZERO).await?;
                    self.flush_full().await?;
                }
                Next::Input(channel, buffer) => {
                    self.announce_received(channel, &buffer);
                    match buffer.content {
                        Content::Records { count, payload } => {
                            self.inbox.count(channel, count);
                            self.read.add(count, payload.len());
                            let records = Records::new(count, payload);
                            caught(|| self.parts.chain.look_ahead(&records))?;
                            self.left = Some((channel, records));
                            self.go_on(service_time).await?;
                        }
                        Content::Event(event) => {
                            self.handle_event(channel, event).await?;
                            self.flush_full().await?;
                            self.inbox.handled(channel);
                        }
                    }
                }
                Next::Source(Fetched::Records) => self.go_on(service_time).await?,
                Next::Source(Fetched::End) => self.end_data(),
            }
        }
        let now = self.reporter.host.now();
        self.sinks.flush_gathered(&mut *self.parts.chain, now, false).await?;
        self.parts.writer.broadcast(Event::EndOfPartition).await
    }

    fn inputs_ended(&self) -> bool {
        self.parts.chain.is_source() || self.alignment.all_ended()
    }

    /// Whether something can be gone on with before more is read.
    fn has_left(&self) -> bool {
        self.is_unfinished || self.left.is_some() || self.parts.chain.has_fetched()
    }

    async fn next(&mut self) -> Result<Next, TaskError> {
        let has_left = self.has_left();
        let StreamTask {
            reporter, mailbox, parts, inbox, alignment, left, end, stopped_at, ..
        } = self;
        let Parts { chain, scope, writer, .. } = &mut **parts;
        let is_source = chain.is_source();
        let (host, meter) = (&reporter.host, &reporter.meter);
        let has_overflow = scope.outputs.has_queued();
        let may_gather = writer.sends_at_once() && !has_overflow;
        let operators = chain.managed();
        let timer = operators.iter().filter_map(|operator| operator.next_timer()).min();
        let has_work = operators.iter().any(|operator| operator.has_work());
        drop(operators);
        let has_ended = matches!(end, DataEnd::Reached | DataEnd::Told);
        // One that is due goes on when there is room, and after what is left; none behind the end.
        let wait = timer.filter(|_| !has_overflow && !has_left && !has_ended).map(|due| {
            let now = time_of_day(host.wall());
            Duration::from_millis(u64::try_from(due.0.saturating_sub(now.0)).unwrap_or(0))
        });
        let readers = writer.readers();
        if !readers.have_room() && meter.enter(Activity::BackPressured) {
            crate::reachable!(host, "task-back-pressured", "{:?}", reporter.attempt);
        }
        let mail = mailbox.next().fuse();
        let gone = readers.gone().fuse();
        let flush = writer.flush_due(&scope.outputs).fuse();
        let timer = async {
            match wait {
                Some(wait) => host.sleep(wait).await,
                None => std::future::pending().await,
            }
        }
        .fuse();
        let blocked = |channel| alignment.holds_back(channel, host);
        let channel_left = left.as_ref().map(|(channel, _)| *channel);
        // A barrier need not wait for room: what waits for it is part of the snapshot.
        let barrier = async {
            let (channel, buffer) = inbox
                .next_barrier(|channel| Some(channel) == channel_left || blocked(channel))
                .await;
            Next::Input(channel, buffer)
        }
        .fuse();
        let work = async {
            // What is to be sent at once gathers in a buffer while there is no room, until that is full.
            if !may_gather {
                readers.room_everywhere().await;
            }
            if has_overflow {
                return Ok(Next::Room);
            }
            if stopped_at.is_some() {
                // What is left was not part of the checkpoint, and is of use only if that comes to nothing.
                return std::future::pending().await;
            }
            if has_left {
                return Ok(Next::GoOn);
            }
            meter.enter(Activity::Idle);
            match (is_source, *end) {
                (true, DataEnd::NotYet) => guarded(chain.fetch()).await.map(Next::Source),
                (true, _) => std::future::pending().await,
                (false, _) => {
                    let (channel, buffer) = inbox.next(blocked).await;
                    Ok(Next::Input(channel, buffer))
                }
            }
        }
        .fuse();
        let tend = async {
            if !has_work {
                std::future::pending::<()>().await;
            }
            // Else nobody else on this thread takes a step as long as there is work: no input would come, nor any mail.
            yielded().await;
        }
        .fuse();
        pin_mut!(mail, gone, flush, timer, barrier, work, tend);
        select_biased! {
            mail = mail => Ok(Next::Mail(mail)),
            error = gone => Ok(Next::ReaderGone(error)),
            () = flush => Ok(Next::Flush),
            () = timer => Ok(Next::Timer),
            next = work => next,
            barrier = barrier => Ok(barrier),
            () = tend => Ok(Next::Tend),
        }
    }

    /// Calls the chain for a batch.
    fn batch(
        &mut self,
        call: impl FnOnce(&mut dyn ChainHead, &mut Scope),
    ) -> Result<(), TaskError> {
        let now = time_of_day(self.reporter.host.wall());
        let Parts { chain, scope, .. } = &mut *self.parts;
        scope.begin(now);
        self.is_unfinished = caught(|| {
            call(&mut **chain, scope);
            scope.end()
        })?;
        Ok(())
    }

    /// Goes on with what is left: first within the chain, then of what was read.
    async fn go_on(&mut self, service_time: Duration) -> Result<(), TaskError> {
        self.flush_full().await?;
        let mut handled = 0;
        if self.is_unfinished {
            self.batch(|chain, scope| chain.resume(scope))?;
        } else if let Some((channel, mut records)) = self.left.take() {
            let mut drained = Ok(0);
            self.batch(|chain, scope| drained = records.drain(chain, scope))?;
            let malformed = ChannelError::Wire(WireError::Malformed);
            handled = drained.map_err(|_| self.inbox.error(channel, malformed))? as usize;
            if records.is_empty() {
                self.serve(handled, service_time).await?;
                self.inbox.handled(channel);
                return self.flush_full().await;
            }
            self.left = Some((channel, records));
        } else {
            self.batch(|chain, scope| handled = chain.drain(scope))?;
        }
        self.serve(handled, service_time).await?;
        self.flush_full().await
    }

    /// Lets sinks write that have gathered enough.
    async fn flush_full(&mut self) -> Result<(), TaskError> {
        self.sinks.flush_full(&mut *self.parts.chain).await
    }

    /// Lets sinks write what they have gathered, unless more can be handled first without a wait.
    async fn flush_gathered(&mut self) -> Result<(), TaskError> {
        if !self.sinks.are_gathering(&mut *self.parts.chain) {
            return Ok(());
        }
        let (alignment, host) = (&self.alignment, &self.reporter.host);
        let is_there =
            self.has_left() || self.inbox.has_next(|channel| alignment.holds_back(channel, host));
        let has_more = is_there && self.parts.writer.readers().have_room();
        self.sinks.flush_gathered(&mut *self.parts.chain, host.now(), has_more).await
    }

    /// Lets pass what functions took, while nothing else of the task goes on, and then the service time of records,
    /// while buffers are sent when they are due.
    async fn serve(&mut self, records: usize, service_time: Duration) -> Result<(), TaskError> {
        let records = u32::try_from(records).unwrap_or(u32::MAX);
        let time = service_time.saturating_mul(records);
        let Parts { scope, writer, .. } = &mut *self.parts;
        let held = scope.take_debt();
        if !held.is_zero() {
            writer.hand_on(&mut scope.outputs);
            self.reporter.host.hold_thread(held).await;
        }
        self.tend().await?;
        if time.is_zero() {
            return Ok(());
        }
        let Parts { scope, writer, .. } = &mut *self.parts;
        writer.hand_on(&mut scope.outputs);
        let served = self.reporter.host.sleep(time).fuse();
        pin_mut!(served);
        loop {
            {
                let flush = writer.flush_due(&scope.outputs).fuse();
                pin_mut!(flush);
                select_biased! {
                    () = served => return Ok(()),
                    () = flush => {}
                }
            }
            writer.flush(&mut scope.outputs);
        }
    }

    /// Lets operators do what they have to do beside records, and wait for their disks.
    async fn tend(&mut self) -> Result<(), TaskError> {
        for operator in self.parts.chain.managed() {
            if let Some(tended) = operator.tend() {
                guarded(tended).await?;
            }
        }
        self.upload_written()
    }

    fn announce_received(&self, channel: usize, buffer: &Buffer) {
        let (partition, subpartition) = self.inbox.id(channel);
        let records = match &buffer.content {
            Content::Records { count, .. } => *count,
            Content::Event(_) => 0,
        };
        let (sequence, hash) = (buffer.sequence, buffer.hash);
        let received =
            TaskEvent::BufferReceived { partition, subpartition, sequence, records, hash };
        self.reporter.host.announce(&received);
    }

    async fn handle_event(&mut self, channel: usize, event: Event) -> Result<(), TaskError> {
        let outcome = match event {
            Event::Barrier(checkpoint) => {
                let (partition, subpartition) = self.inbox.id(channel);
                let attempt = self.reporter.attempt;
                let received =
                    TaskEvent::BarrierReceived { attempt, partition, subpartition, checkpoint };
                self.reporter.host.announce(&received);
                self.alignment.barrier(channel, checkpoint)
            }
            Event::CancelBarrier(checkpoint) => {
                let mut outcome = self.alignment.cancel(checkpoint);
                if outcome == Outcome::default()
                    && self.reporter.host.sabotaged(sabotage::MARKERS_MULTIPLY)
                {
                    outcome.aborted.push((checkpoint, AbortReason::Marker));
                }
                outcome
            }
            Event::Watermark(watermark) => {
                self.advance(channel, watermark).await?;
                Outcome::default()
            }
            Event::WatermarkStatus(status) => {
                let (partition, subpartition) = self.inbox.id(channel);
                let attempt = self.reporter.attempt;
                self.reporter.host.announce(&TaskEvent::WatermarkStatusReceived {
                    attempt,
                    partition,
                    subpartition,
                    status,
                });
                let told = self.valve.status(channel, status);
                self.tell(told).await?;
                Outcome::default()
            }
            Event::EndOfData => {
                self.advance(channel, Timestamp::MAX).await?;
                self.data_ended.insert(channel);
                Outcome::default()
            }
            Event::EndOfPartition => {
                self.data_ended.insert(channel);
                self.alignment.end_of_partition(channel)
            }
        };
        self.settle(outcome).await?;
        if self.data_ended.len() == self.inbox.len() && self.end == DataEnd::NotYet {
            self.end_data();
        }
        Ok(())
    }

    async fn advance(&mut self, channel: usize, watermark: Timestamp) -> Result<(), TaskError> {
        let (partition, subpartition) = self.inbox.id(channel);
        let attempt = self.reporter.attempt;
        let received = TaskEvent::WatermarkReceived { attempt, partition, subpartition, watermark };
        self.reporter.host.announce(&received);
        let told = self.valve.advance(channel, watermark);
        self.tell(told).await
    }

    /// Lets the operators hear what the channels come to.
    async fn tell(&mut self, told: Told) -> Result<(), TaskError> {
        // One that is restored from behind its end has heard of it.
        if told == Told::default() || self.end != DataEnd::NotYet {
            return Ok(());
        }
        if let Some(watermark) = told.watermark {
            self.announce_watermark(watermark);
        }
        self.batch(|chain, scope| {
            if told.active {
                chain.watermark_status(WatermarkStatus::Active, scope);
            }
            if let Some(watermark) = told.watermark {
                chain.watermark(watermark, scope);
            }
            if told.idle {
                chain.watermark_status(WatermarkStatus::Idle, scope);
            }
        })?;
        self.serve(0, Duration::ZERO).await?;
        Ok(())
    }

    fn announce_watermark(&self, watermark: Timestamp) {
        let (attempt, channels) = (self.reporter.attempt, self.inbox.len());
        self.reporter.host.announce(&TaskEvent::WatermarkAdvanced { attempt, channels, watermark });
    }

    /// No record comes any more.
    fn end_data(&mut self) {
        assert_eq!(self.end, DataEnd::NotYet, "the data ends once");
        self.end = DataEnd::Coming;
    }

    /// Takes the end of the data as far as it can be taken now: the operators hear of it when nothing is left to be
    /// handled, the readers behind all that was emitted.
    async fn settle_end(&mut self) -> Result<(), TaskError> {
        if self.end == DataEnd::Coming && !self.has_left() && !self.parts.scope.outputs.has_queued()
        {
            if self.parts.chain.is_source() {
                // Those behind a source have heard of no watermark from a channel.
                self.announce_watermark(Timestamp::MAX);
                self.batch(|chain, scope| chain.watermark(Timestamp::MAX, scope))?;
            }
            if !self.is_unfinished {
                self.batch(|chain, scope| chain.finish(scope))?;
                self.end = DataEnd::Reached;
            }
            self.serve(0, Duration::ZERO).await?;
            self.flush_full().await?;
        }
        if self.end == DataEnd::Reached {
            let Parts { scope, writer, .. } = &mut *self.parts;
            writer.flush(&mut scope.outputs);
            if scope.outputs.is_empty() && self.has_ended_inputs() {
                self.end = DataEnd::Told;
                self.parts.writer.broadcast(Event::EndOfData).await?;
            }
        }
        Ok(())
    }

    /// Whether nobody before it has more.
    fn has_ended_inputs(&self) -> bool {
        self.parts.chain.is_source() || self.data_ended.len() == self.inbox.len()
    }

    async fn handle_mail(&mut self, mail: Mail) -> Result<(), TaskError> {
        match mail {
            Mail::Confirm(checkpoint, finality) => {
                self.notify_checkpoint_complete(checkpoint, finality).await
            }
            Mail::Abort(checkpoint) => self.abort(checkpoint).await,
            Mail::Trigger(checkpoint, stops) if self.parts.chain.is_source() => {
                if stops
                    && self.end == DataEnd::NotYet
                    && self.reporter.host.sabotaged(sabotage::STOP_ENDS_THE_DATA)
                {
                    self.end_data();
                    self.settle_end().await?;
                }
                self.trigger(checkpoint, stops).await
            }
            Mail::Drain if self.parts.chain.is_source() => {
                if self.end == DataEnd::NotYet {
                    self.end_data();
                }
                Ok(())
            }
            Mail::GiveUp(checkpoint) if self.parts.chain.is_source() => {
                self.reporter.decline(checkpoint, "too many triggers wait");
                Ok(())
            }
            Mail::Trigger(..) | Mail::Drain | Mail::GiveUp(_) => Ok(()),
        }
    }
}

/// Is there at the second look, which is asked for at once.
async fn yielded() {
    let mut is_second = false;
    let look = |cx: &mut Context<'_>| {
        if std::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    };
    poll_fn(look).await;
}
