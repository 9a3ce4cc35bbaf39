//! Reads the partitions of a topic: up to offsets that were fixed at submission, or without end, also those that are
//! added later.

mod event;
mod offsets;
mod parameters;
#[cfg(test)]
mod tests;

pub use event::SourceEvent;
pub use offsets::StartingOffsets;
pub use parameters::LogSourceParameters;

use crate::{
    host::Instant,
    system::{
        dataflow::{Failure, OperatorContext, Result, Source, SourceStep, Waits, ready},
        ids::CheckpointId,
        sabotage,
        service::log::{LogBatch, LogRefusal},
        store::object_prefix,
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    time::Duration,
};

/// How long the server keeps a read without news.
const WAIT: Duration = Duration::from_secs(1);
/// From step to step at least where several partitions are read in turns and there is no more.
const PAUSE_OF_SEVERAL: Duration = Duration::from_millis(5);
/// Checkpoints of which it is not known yet whether they are complete, and what was read by then.
const PENDING_MAX: usize = 64;

/// What is waited for; kept while a step is interrupted.
enum Asked {
    Read(BoxFuture<'static, (u32, Result<LogBatch, LogRefusal>)>),
    Ends(BoxFuture<'static, Result<Vec<u64>, LogRefusal>>),
    /// That these partitions are kept, which are read from their begin then.
    Hold(BoxFuture<'static, Result<Held, LogRefusal>>),
}

/// From where partitions are held.
type Held = Vec<(u32, u64)>;

/// The source.
pub struct LogSource {
    context: Option<OperatorContext>,
    parameters: LogSourceParameters,
    /// The next offset of each partition that this subtask reads.
    offsets: BTreeMap<u32, u64>,
    /// The partition that was read last.
    last: u32,
    asked: Option<Asked>,
    not_before: Option<Instant>,
    /// When it is asked again which partitions there are; never of a bounded source.
    discovery: Option<Instant>,
    /// Where checkpoints go on that are not known to be complete, of the oldest first.
    pending: BTreeMap<CheckpointId, BTreeMap<u32, u64>>,
    /// Where the last checkpoints go on that are known to be complete, of the oldest first: as many as the job keeps.
    completed: VecDeque<BTreeMap<u32, u64>>,
}

impl LogSource {
    /// A source that is not open yet.
    ///
    /// # Errors
    /// When there is nothing to read from.
    pub fn new(parameters: LogSourceParameters) -> Result<Self> {
        parameters.check()?;
        Ok(LogSource {
            context: None,
            parameters,
            offsets: BTreeMap::new(),
            last: 0,
            asked: None,
            not_before: None,
            discovery: None,
            pending: BTreeMap::new(),
            completed: VecDeque::new(),
        })
    }

    fn context(&self) -> Result<&OperatorContext> {
        self.context.as_ref().ok_or_else(|| Failure::new("the source is not open"))
    }

    /// Where a partition is to be read next.
    fn offset(&self, partition: u32) -> u64 {
        self.offsets[&partition]
    }

    fn left(&self, partition: u32) -> u64 {
        self.parameters.stop(partition).saturating_sub(self.offset(partition))
    }

    /// The next partition, in turns, that is not at its end.
    fn next_partition(&self) -> Option<u32> {
        let unread = |partition: &&u32| self.left(**partition) > 0;
        let after = self.offsets.range(self.last + 1..).map(|(partition, _)| partition);
        let mut turns = after.chain(self.offsets.keys());
        turns.find(unread).copied()
    }

    /// Whether more than one partition is not at its end.
    fn has_several(&self) -> bool {
        self.offsets.keys().filter(|other| self.left(**other) > 0).count() > 1
    }

    fn read(&self, partition: u32) -> Result<Asked> {
        let records = self.left(partition).min(u64::from(self.parameters.records_max));
        let records = u32::try_from(records).expect("at most what a step takes");
        // Of several, none may keep the others waiting.
        let wait = if self.has_several() { Duration::ZERO } else { WAIT };
        let (log, topic) = (self.context()?.services.log.clone(), self.parameters.topic.clone());
        let offset = self.offset(partition);
        let reading = async move {
            (partition, log.read_until_acknowledged(&topic, partition, offset, records, wait).await)
        };
        Ok(Asked::Read(reading.boxed()))
    }

    /// What is to be asked now; `None` when there is no more, ever.
    async fn ask(&mut self) -> Result<Option<Asked>> {
        let context = self.context()?;
        let (host, log) = (context.host.clone(), context.services.log.clone());
        loop {
            if self.discovery.is_some_and(|due| host.now() >= due) {
                let topic = self.parameters.topic.clone();
                let ends = async move { log.end_offsets_until_acknowledged(&topic).await };
                return Ok(Some(Asked::Ends(ends.boxed())));
            }
            let until = match self.not_before.filter(|until| host.now() < *until) {
                Some(until) => self.discovery.map_or(until, |due| due.min(until)),
                None => {
                    self.not_before = None;
                    match (self.next_partition(), self.discovery) {
                        (Some(partition), _) => return self.read(partition).map(Some),
                        // It has no partition yet.
                        (None, Some(due)) => due,
                        (None, None) => return Ok(None),
                    }
                }
            };
            host.sleep_until(until).await;
        }
    }

    async fn step(&mut self) -> Result<SourceStep<Bytes>> {
        loop {
            if self.asked.is_none() {
                let Some(asked) = self.ask().await? else { return Ok(SourceStep::End) };
                self.asked = Some(asked);
            }
            let records = match self.asked.as_mut().expect("it was just asked") {
                Asked::Read(reading) => {
                    let (partition, batch) = reading.await;
                    self.asked = None;
                    let batch = batch.map_err(|refusal| self.refused(&refusal))?;
                    self.take(partition, batch)?
                }
                Asked::Ends(ends) => {
                    let ends = ends.await;
                    self.asked = self.discover(ends?.len())?;
                    continue;
                }
                Asked::Hold(hold) => {
                    let held = hold.await;
                    self.asked = None;
                    self.begin_new(held.map_err(|refusal| self.refused(&refusal))?)?;
                    continue;
                }
            };
            if !records.is_empty() {
                return Ok(SourceStep::Records(records));
            }
        }
    }

    fn take(&mut self, partition: u32, batch: LogBatch) -> Result<Vec<Bytes>> {
        let now = self.context()?.host.now();
        let next = self.offsets.get_mut(&partition).expect("only its own are read");
        *next = after(&self.parameters.topic, *next, &batch).map_err(Failure)?;
        self.last = partition;
        let at_end = *next >= batch.end;
        if at_end {
            let pause = Duration::from_millis(self.parameters.poll_ms);
            // The server is not asked to wait where there are others, so that it would be asked on and on.
            let least = if self.has_several() { PAUSE_OF_SEVERAL } else { Duration::ZERO };
            self.not_before = Some(now + pause.max(least));
        }
        Ok(batch.records)
    }

    /// There are so many partitions: those of this subtask that are new are held first, and then read from their begin.
    fn discover(&mut self, partitions: usize) -> Result<Option<Asked>> {
        let context = self.context()?;
        let host = &context.host;
        let due = host.now() + Duration::from_millis(self.parameters.discovery_ms);
        let own = own_partitions(context, partitions);
        let new: Vec<u32> = own.filter(|own| !self.offsets.contains_key(own)).collect();
        let ignored = host.sabotaged(sabotage::NEW_PARTITIONS_NOT_READ);
        let hold = (!new.is_empty() && !ignored).then(|| {
            let begins = new.into_iter().map(|partition| (partition, 0));
            Asked::Hold(self.hold(context, begins.collect()).boxed())
        });
        self.discovery = Some(due);
        Ok(hold)
    }

    /// Reads partitions that were found, which are held now.
    fn begin_new(&mut self, held: Held) -> Result<()> {
        let OperatorContext { host, attempt, .. } = self.context()?;
        for (partition, _) in &held {
            let (attempt, topic) = (*attempt, self.parameters.topic.clone());
            let partition = *partition;
            host.announce(&SourceEvent::PartitionDiscovered { attempt, topic, partition });
        }
        self.begin(held)
    }

    /// Reads partitions from where they are held: that is where every attempt begins that has no checkpoint.
    fn begin(&mut self, held: Held) -> Result<()> {
        let OperatorContext { host, attempt, .. } = self.context()?;
        let topic = &self.parameters.topic;
        for (partition, to) in &held {
            let (from, partition, to) = (self.parameters.start(*partition), *partition, *to);
            if from < to {
                tracing::warn!(
                    topic,
                    partition,
                    from,
                    to,
                    "records were removed before they were read"
                );
                let (attempt, topic) = (*attempt, topic.clone());
                host.announce(&SourceEvent::RecordsMissed { attempt, topic, partition, from, to });
            }
        }
        self.offsets.extend(held);
        Ok(())
    }

    /// A refusal with what it was of.
    fn refused(&self, refusal: &LogRefusal) -> Failure {
        Failure(format!("the topic {}: {refusal}", self.parameters.topic))
    }

    /// Lets the log keep what lies at these offsets and behind; what lies before them is needed no longer. The job's end
    /// lets go.
    fn hold(
        &self,
        context: &OperatorContext,
        offsets: Vec<(u32, u64)>,
    ) -> impl Future<Output = Result<Held, LogRefusal>> + Send + use<> {
        let OperatorContext { attempt, uid, subtask, services, .. } = context;
        let owner = format!("{}{uid}-{subtask}", object_prefix(attempt.job));
        let (log, topic) = (services.log.clone(), self.parameters.topic.clone());
        async move { log.hold_offsets_until_acknowledged(&owner, &topic, offsets).await }
    }

    /// What was handled, with `left` records of the last step not: a restored source reads these once more.
    fn handled(&self, left: usize) -> BTreeMap<u32, u64> {
        let mut handled = self.offsets.clone();
        if left > 0 {
            let last = handled.get_mut(&self.last).expect("what is left was read of one of them");
            *last = last.checked_sub(left as u64).expect("what is left was read");
        }
        handled
    }

    /// Keeps what the log is told once the checkpoint is complete.
    fn take_offsets(&mut self, checkpoint: CheckpointId, next: BTreeMap<u32, u64>) -> Result<()> {
        let OperatorContext { host, attempt, .. } = self.context()?;
        host.announce(&SourceEvent::OffsetsTaken {
            attempt: *attempt,
            checkpoint,
            topic: self.parameters.topic.clone(),
            next: next.clone().into_iter().collect(),
            group: self.parameters.group.clone(),
        });
        if host.sabotaged(sabotage::OFFSETS_COMMITTED_AT_BARRIER) {
            self.commit(next.clone());
        }
        self.pending.insert(checkpoint, next);
        if self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
        Ok(())
    }

    /// Holds what the oldest of the checkpoints needs that may be restored, once so many are known. Nobody waits for it:
    /// the next checkpoint says more.
    fn complete(&mut self, next: BTreeMap<u32, u64>) {
        let Some(context) = self.context.clone() else { return };
        self.completed.push_back(next);
        let mut retained = context.retained.max(1) as usize;
        if retained > 1 && context.host.sabotaged(sabotage::NEWEST_CHECKPOINT_HELD) {
            retained = 1;
        }
        while self.completed.len() > retained {
            self.completed.pop_front();
        }
        if self.completed.len() == retained {
            let hold = self.hold(&context, self.completed[0].clone().into_iter().collect());
            context.host.spawn(async move {
                if let Err(refusal) = hold.await {
                    tracing::debug!(%refusal, "what is needed no longer is kept");
                }
            });
        }
    }

    /// Notes for the group what was handled. Nobody waits for it: the next checkpoint says more.
    fn commit(&self, handled: BTreeMap<u32, u64>) {
        let (Some(context), Some(group)) = (&self.context, self.parameters.group.clone()) else {
            return;
        };
        let (log, topic) = (context.services.log.clone(), self.parameters.topic.clone());
        context.host.spawn(async move {
            let offsets = handled.into_iter().collect();
            if let Err(error) = log.commit_offsets(&group, &topic, offsets).await {
                tracing::debug!(%error, group, topic, "offsets are not committed");
            }
        });
    }
}

/// The partitions of a subtask: `s`, `s + n`, `s + 2n`, … of `n` subtasks.
fn own_partitions(
    context: &OperatorContext,
    partitions: usize,
) -> impl Iterator<Item = u32> + use<> {
    let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    (context.subtask..partitions).step_by(context.parallelism as usize)
}

/// The next offset after a batch that was asked for from `next` on.
fn after(topic: &str, next: u64, batch: &LogBatch) -> Result<u64, String> {
    if batch.first != next {
        return Err(format!("read from {next} on, got {}", batch.first));
    }
    // Only a log server whose disk was set back in time ends before what was read.
    if batch.end < next {
        return Err(format!(
            "{topic} was read up to offset {next}, but the log server says that it ends at {}: what \
             it held is gone",
            batch.end
        ));
    }
    Ok(next + batch.records.len() as u64)
}

/// A clone reads anew.
impl Clone for LogSource {
    fn clone(&self) -> Self {
        LogSource {
            context: self.context.clone(),
            parameters: self.parameters.clone(),
            offsets: self.offsets.clone(),
            last: self.last,
            asked: None,
            not_before: self.not_before,
            discovery: self.discovery,
            pending: self.pending.clone(),
            completed: self.completed.clone(),
        }
    }
}

impl Source for LogSource {
    type Out = Bytes;

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        let own = own_partitions(context, self.parameters.partitions());
        self.offsets = own.map(|partition| (partition, self.parameters.start(partition))).collect();
        self.discovery = (!self.parameters.is_bounded()).then(|| context.host.now());
        self.context = Some(context.clone());
        async move {
            let Some(kept) = restored else {
                let offsets = self.offsets.clone().into_iter().collect();
                let held = self.hold(context, offsets).await;
                return self.begin(held.map_err(|refusal| self.refused(&refusal))?);
            };
            let kept: BTreeMap<u32, u64> = postcard::from_bytes(&kept)?;
            let of_subtask = |partition: &u32| partition % context.parallelism == context.subtask;
            let has_all = self.offsets.keys().all(|partition| kept.contains_key(partition));
            let may_have_more = !self.parameters.is_bounded() || kept.len() == self.offsets.len();
            if !has_all || !may_have_more || !kept.keys().all(of_subtask) {
                return Err(Failure::new("the state is of other partitions"));
            }
            if context.savepoint.is_some() {
                // The job of the savepoint has let go of what it held.
                let wanted = kept.clone().into_iter().collect();
                let held = self.hold(context, wanted).await;
                let held = held.map_err(|refusal| self.refused(&refusal))?;
                if let Some((partition, at)) = held.into_iter().find(|(of, at)| *at > kept[of]) {
                    return Err(Failure(format!(
                        "{}/{partition}: the savepoint goes on at record {}, and retention has removed all before {at}",
                        self.parameters.topic, kept[&partition]
                    )));
                }
            }
            self.completed.push_back(kept.clone());
            self.offsets = kept;
            Ok(())
        }
        .boxed()
    }

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        self.step().boxed()
    }

    fn rewinds(&self) -> bool {
        true
    }

    fn snapshot(&mut self, checkpoint: CheckpointId, left: usize) -> Result<Bytes> {
        let next = self.handled(left);
        let kept = Bytes::from(postcard::to_allocvec(&next)?);
        self.take_offsets(checkpoint, next)?;
        Ok(kept)
    }

    /// Partitions are dealt out anew, by their numbers.
    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        let mut own = BTreeMap::<u32, u64>::new();
        for (_, state) in states {
            let kept: BTreeMap<u32, u64> = postcard::from_bytes(&state)?;
            own.extend(kept.into_iter().filter(|(partition, _)| context.takes_over(*partition)));
        }
        Ok(Some(Bytes::from(postcard::to_allocvec(&own)?)))
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        let later = self.pending.split_off(&CheckpointId(checkpoint.0 + 1));
        if let Some((_, next)) = std::mem::replace(&mut self.pending, later).pop_last() {
            self.commit(next.clone());
            self.complete(next);
        }
        ready(())
    }
}
