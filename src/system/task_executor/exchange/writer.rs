//! The producer's side of a task's partitions: buffers under construction, and when they are sent.

use super::{
    environment::ShuffleEnvironment,
    limits::RECORD_BYTES_MAX,
    subpartition::{ProducerSignal, Queued, Subpartition},
    wire::{BufferBuilder, Event},
};
use crate::{
    host::{Host, Sleep},
    system::{
        graph::{
            KeyGroupRange, PARALLELISM_MAX, Partitioner, ResultPartitionDeployment, key_group,
        },
        ids::{ExecutionAttemptId, ResultPartitionId},
        task_executor::{
            KeySelector, OperatorRegistry, Record, TaskError, TaskEvent, event::ChannelCount,
            operator::caught,
        },
    },
};
use std::{sync::Arc, time::Duration};

enum ChannelSelector {
    Forward,
    Rebalance { next: usize },
    Hash { selector: KeySelector, max_parallelism: u32 },
}

struct SubpartitionWriter {
    subpartition: Arc<Subpartition>,
    index: u32,
    builder: BufferBuilder,
    next_sequence: u64,
    /// Records, those under construction included.
    emitted: u64,
}

struct ResultPartition {
    id: ResultPartitionId,
    selector: ChannelSelector,
    parts: Vec<SubpartitionWriter>,
}

/// All partitions of one task.
pub(in crate::system::task_executor) struct RecordWriter {
    host: Host,
    exchange: ShuffleEnvironment,
    results: Vec<ResultPartition>,
    signal: Arc<ProducerSignal>,
    buffer_timeout: Duration,
    /// When what is under construction is sent; runs only while there is something.
    flush: Option<Sleep>,
    release: bool,
}

impl ResultPartition {
    fn new(
        deployment: &ResultPartitionDeployment,
        id: ResultPartitionId,
        parts: Vec<Arc<Subpartition>>,
        selector: ChannelSelector,
    ) -> Self {
        debug_assert_eq!(parts.len(), deployment.subpartitions as usize);
        let part = |(index, subpartition)| SubpartitionWriter {
            subpartition,
            index,
            builder: BufferBuilder::default(),
            next_sequence: 0,
            emitted: 0,
        };
        ResultPartition { id, selector, parts: (0..).zip(parts).map(part).collect() }
    }

    /// The part that a record belongs to.
    fn target(&mut self, record: &Record) -> Result<usize, TaskError> {
        let parts = self.parts.len();
        match &mut self.selector {
            ChannelSelector::Forward => Ok(0),
            ChannelSelector::Rebalance { next } => {
                let target = *next;
                *next = (target + 1) % parts;
                Ok(target)
            }
            ChannelSelector::Hash { selector, max_parallelism } => {
                let key = caught(|| selector(record))?;
                let group = key_group(&key, *max_parallelism);
                let parts = u32::try_from(parts).expect("checked when it was made");
                Ok(KeyGroupRange::owner(group, parts, *max_parallelism) as usize)
            }
        }
    }
}

/// Refuses what would be divided by or indexed with.
fn checked(deployment: &ResultPartitionDeployment) -> Result<(), TaskError> {
    let unsound =
        |what: &str| Err(TaskError::Deployment(format!("{what} of {:?}", deployment.data_set)));
    let (parts, groups) = (deployment.subpartitions, deployment.consumer_max_parallelism);
    match &deployment.partitioner {
        _ if !(1..=PARALLELISM_MAX).contains(&parts) => unsound("the subpartitions"),
        Partitioner::Forward if parts != 1 => unsound("a forward edge with many subpartitions"),
        Partitioner::Hash { .. } if !(parts..=PARALLELISM_MAX).contains(&groups) => {
            unsound("the consumer's key groups")
        }
        _ => Ok(()),
    }
}

impl RecordWriter {
    /// Registers the partitions of an attempt; they are released when this is dropped, unless
    /// [`keep`](Self::keep) is called.
    pub fn new(
        host: &Host,
        exchange: &ShuffleEnvironment,
        registry: &OperatorRegistry,
        attempt: ExecutionAttemptId,
        produced: &[ResultPartitionDeployment],
        buffer_timeout: Duration,
    ) -> Result<Self, TaskError> {
        let mut writer = RecordWriter {
            host: host.clone(),
            exchange: exchange.clone(),
            results: Vec::new(),
            signal: Arc::default(),
            buffer_timeout,
            flush: None,
            release: true,
        };
        for deployment in produced {
            checked(deployment)?;
            let selector = match &deployment.partitioner {
                Partitioner::Forward => ChannelSelector::Forward,
                Partitioner::Rebalance => {
                    // Producers begin at different consumers.
                    let next = attempt.vertex.subtask % deployment.subpartitions;
                    ChannelSelector::Rebalance { next: next as usize }
                }
                Partitioner::Hash { selector } => {
                    let selector = registry.find_key_selector(selector)?;
                    let max_parallelism = deployment.consumer_max_parallelism;
                    ChannelSelector::Hash { selector, max_parallelism }
                }
            };
            let id = ResultPartitionId { producer: attempt, data_set: deployment.data_set };
            let partitions = &exchange.partitions;
            let parts = partitions.register(id, deployment.subpartitions, &writer.signal)?;
            writer.results.push(ResultPartition::new(deployment, id, parts, selector));
        }
        Ok(writer)
    }

    /// Leaves the partitions to their readers after this is dropped.
    pub fn keep(&mut self) {
        self.release = false;
    }

    /// What waits for the readers without borrowing the writer.
    pub(in crate::system::task_executor) fn readers(&self) -> Readers {
        Readers(self.signal.clone())
    }

    /// Adds a record to a buffer of each partition; waits for room when a buffer is full.
    pub async fn emit(&mut self, record: &Record) -> Result<(), TaskError> {
        let length = record.0.len();
        if length > RECORD_BYTES_MAX {
            return Err(TaskError::RecordTooLong(length));
        }
        for place in 0..self.results.len() {
            let target = self.results[place].target(record)?;
            if !self.results[place].parts[target].builder.has_room(length) {
                self.results[place].parts[target].subpartition.room(false).await?;
                self.send(place, target, false);
            }
            let part = &mut self.results[place].parts[target];
            part.builder.append(&record.0);
            part.emitted += 1;
            if self.flush.is_none() {
                self.flush = Some(self.host.sleep(self.buffer_timeout));
            }
        }
        Ok(())
    }

    /// Puts what is under construction into the queue, which has room.
    fn send(&mut self, place: usize, target: usize, before_event: bool) {
        let partition = self.results[place].id;
        let part = &mut self.results[place].parts[target];
        let (sequence, records) = (part.next_sequence, part.builder.records());
        let (frame, hash) = part.builder.finish(sequence);
        part.next_sequence += 1;
        part.subpartition.push(Queued { frame, is_event: false, is_last: false }, before_event);
        let subpartition = part.index;
        let sent = TaskEvent::BufferSent { partition, subpartition, sequence, records, hash };
        self.host.announce(&sent);
    }

    /// Puts an event into every subpartition, behind all records so far.
    pub async fn broadcast(&mut self, event: Event) -> Result<(), TaskError> {
        for place in 0..self.results.len() {
            for target in 0..self.results[place].parts.len() {
                self.results[place].parts[target].subpartition.room(true).await?;
                if !self.results[place].parts[target].builder.is_empty() {
                    self.send(place, target, true);
                }
                self.send_event(place, target, event);
            }
        }
        Ok(())
    }

    fn send_event(&mut self, place: usize, target: usize, event: Event) {
        let partition = self.results[place].id;
        let part = &mut self.results[place].parts[target];
        let sequence = part.next_sequence;
        let (frame, hash) = event.encode(sequence);
        part.next_sequence += 1;
        let is_last = event == Event::EndOfPartition;
        part.subpartition.push(Queued { frame, is_event: true, is_last }, false);
        let subpartition = part.index;
        let sent = TaskEvent::BufferSent { partition, subpartition, sequence, records: 0, hash };
        self.host.announce(&sent);
    }

    /// Waits until what is under construction is due; for ever while there is nothing.
    pub async fn flush_due(&mut self) {
        match &mut self.flush {
            Some(due) => due.await,
            None => std::future::pending().await,
        }
    }

    /// Sends what is under construction, where there is room. The rest grows until the next time.
    pub fn flush(&mut self) {
        self.flush = None;
        let mut left = false;
        for place in 0..self.results.len() {
            for target in 0..self.results[place].parts.len() {
                let part = &self.results[place].parts[target];
                match (part.builder.is_empty(), part.subpartition.has_room(false)) {
                    (true, _) => {}
                    (false, true) => self.send(place, target, false),
                    (false, false) => left = true,
                }
            }
        }
        if left {
            self.flush = Some(self.host.sleep(self.buffer_timeout));
        }
    }

    /// Records emitted to each subpartition.
    pub fn counts(&self) -> Vec<ChannelCount> {
        let counts = self.results.iter().flat_map(|result| {
            result.parts.iter().map(|part| (result.id, part.index, part.emitted))
        });
        counts.collect()
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        if self.release {
            // Only what this one registered: another attempt of that name may hold the rest.
            let own = |id: &ResultPartitionId| self.results.iter().any(|result| result.id == *id);
            self.exchange.partitions.release(own);
        }
    }
}

/// The readers of a task's partitions, as the task waits for them.
pub(in crate::system::task_executor) struct Readers(Arc<ProducerSignal>);

impl Readers {
    /// Waits until a reader has gone away before its end.
    pub async fn gone(&self) -> TaskError {
        self.0.reader_gone().await
    }

    /// Waits until every subpartition has room for a data buffer.
    pub async fn room_everywhere(&self) {
        self.0.room_everywhere().await;
    }
}
