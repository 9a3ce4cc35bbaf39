//! The producer's side of a task's partitions: what the chain has emitted goes to its readers as far as they have
//! room.

use super::{
    environment::ShuffleEnvironment,
    subpartition::{ProducerSignal, Queued, Subpartition},
    wire::{Event, encode_records},
};
use crate::{
    host::{Host, Sleep},
    system::{
        dataflow::{Emitted, Outputs},
        graph::{PARALLELISM_MAX, Partitioner, ResultPartitionDeployment},
        ids::{ExecutionAttemptId, ResultPartitionId},
        protocol::Volume,
        sabotage,
        task_executor::{TaskError, TaskEvent, event::ChannelCount},
    },
};
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

struct SubpartitionWriter {
    subpartition: Arc<Subpartition>,
    index: u32,
    next_sequence: u64,
    /// Records that were sent.
    sent: u64,
}

struct ResultPartition {
    id: ResultPartitionId,
    parts: Vec<SubpartitionWriter>,
}

/// All partitions of one task.
pub(in crate::system::task_executor) struct RecordWriter {
    host: Host,
    exchange: ShuffleEnvironment,
    results: Vec<ResultPartition>,
    /// Each subpartition: its partition's place and its own.
    places: Vec<(usize, usize)>,
    signal: Arc<ProducerSignal>,
    buffer_timeout: Duration,
    /// When what is under construction is sent; runs only while there is something.
    flush: Option<Sleep>,
    written: Volume,
    release: bool,
}

impl ResultPartition {
    fn new(id: ResultPartitionId, parts: Vec<Arc<Subpartition>>) -> Self {
        let part = |(index, subpartition)| SubpartitionWriter {
            subpartition,
            index,
            next_sequence: 0,
            sent: 0,
        };
        ResultPartition { id, parts: (0..).zip(parts).map(part).collect() }
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
        Partitioner::Hash if !(parts..=PARALLELISM_MAX).contains(&groups) => {
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
        attempt: ExecutionAttemptId,
        produced: &[ResultPartitionDeployment],
        buffer_timeout: Duration,
    ) -> Result<Self, TaskError> {
        let mut writer = RecordWriter {
            host: host.clone(),
            exchange: exchange.clone(),
            results: Vec::new(),
            places: Vec::new(),
            signal: Arc::new(ProducerSignal::new(host.sabotaged(sabotage::ROOM_NOT_AWAITED))),
            buffer_timeout,
            flush: None,
            written: Volume::default(),
            release: true,
        };
        for deployment in produced {
            checked(deployment)?;
            let id = ResultPartitionId { producer: attempt, data_set: deployment.data_set };
            let partitions = &exchange.partitions;
            let parts = partitions.register(id, deployment.subpartitions, &writer.signal)?;
            let output = writer.results.len();
            writer.places.extend((0..parts.len()).map(|channel| (output, channel)));
            writer.results.push(ResultPartition::new(id, parts));
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

    /// Whether nothing waits in a buffer that is not full, but for room.
    pub fn sends_at_once(&self) -> bool {
        self.buffer_timeout.is_zero()
    }

    /// Sends what waits, as far as there is room; what is being built is sent when its time has come.
    pub fn hand_on(&mut self, outputs: &mut Outputs) {
        if self.sends_at_once() {
            self.seal(outputs);
        }
        if outputs.has_queued() {
            for place in 0..self.places.len() {
                let (output, channel) = self.places[place];
                while outputs.has_queued_for(output, channel)
                    && self.results[output].parts[channel].subpartition.has_room(false)
                    && let Some(emitted) = outputs.take(output, channel)
                {
                    self.send(output, channel, emitted);
                }
            }
        }
        if self.flush.is_none() && !self.sends_at_once() && !outputs.is_empty() {
            self.flush = Some(self.host.sleep(self.buffer_timeout));
        }
    }

    fn send(&mut self, output: usize, channel: usize, emitted: Emitted) {
        let sequence = self.results[output].parts[channel].next_sequence;
        match emitted {
            Emitted::Records(records, payload) => {
                self.written.add(records, payload.len());
                self.results[output].parts[channel].sent += u64::from(records);
                let frame = encode_records(records, &payload, sequence);
                self.push(output, channel, frame, records, (false, false));
            }
            // These take the room of records: a barrier must not wait for them.
            Emitted::Watermark(watermark) => {
                let frame = Event::Watermark(watermark).encode(sequence);
                self.push(output, channel, frame, 0, (false, false));
            }
            Emitted::Status(status) => {
                let frame = Event::WatermarkStatus(status).encode(sequence);
                self.push(output, channel, frame, 0, (false, false));
            }
        }
    }

    fn push(
        &mut self,
        output: usize,
        channel: usize,
        (frame, hash): (Bytes, u64),
        records: u32,
        (is_event, is_last): (bool, bool),
    ) {
        let partition = self.results[output].id;
        let part = &mut self.results[output].parts[channel];
        let (sequence, subpartition) = (part.next_sequence, part.index);
        part.next_sequence += 1;
        part.subpartition.push(Queued { frame, is_event, is_last });
        let sent = TaskEvent::BufferSent { partition, subpartition, sequence, records, hash };
        self.host.announce(&sent);
    }

    /// Puts an event into every subpartition, behind all that was sent so far.
    pub async fn broadcast(&mut self, event: Event) -> Result<(), TaskError> {
        for place in 0..self.places.len() {
            let (output, channel) = self.places[place];
            let part = &self.results[output].parts[channel];
            part.subpartition.room(true).await?;
            let frame = event.encode(part.next_sequence);
            let kind = (true, event == Event::EndOfPartition);
            self.push(output, channel, frame, 0, kind);
        }
        Ok(())
    }

    /// Waits until what is under construction is due, or has room if that is all it waits for; for ever while there is
    /// nothing.
    pub fn flush_due(&mut self, outputs: &Outputs) -> impl Future<Output = ()> {
        let waits_for_room = self.sends_at_once() && !outputs.is_empty();
        async move {
            match &mut self.flush {
                Some(due) => due.await,
                None if waits_for_room => self.signal.room_everywhere().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Sends what is under construction, where there is room. The rest grows until the next time.
    pub fn flush(&mut self, outputs: &mut Outputs) {
        self.flush = None;
        self.seal(outputs);
        self.hand_on(outputs);
    }

    /// Lets no more come to what is under construction, where there is room for it.
    fn seal(&self, outputs: &mut Outputs) {
        for place in 0..self.places.len() {
            let (output, channel) = self.places[place];
            let has_room = self.results[output].parts[channel].subpartition.has_room(false);
            if outputs.is_building(output, channel) && has_room {
                outputs.seal(output, channel);
            }
        }
    }

    /// Records sent to all of them, and their bytes.
    pub(in crate::system::task_executor) fn written(&self) -> Volume {
        self.written
    }

    /// Records sent to each subpartition.
    pub fn counts(&self) -> Vec<ChannelCount> {
        let counts = self
            .results
            .iter()
            .flat_map(|result| result.parts.iter().map(|part| (result.id, part.index, part.sent)));
        counts.collect()
    }
}

impl Drop for RecordWriter {
    fn drop(&mut self) {
        if self.release && !self.host.sabotaged(sabotage::PARTITIONS_NOT_RELEASED) {
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

    /// Whether every subpartition has room for a data buffer.
    pub fn have_room(&self) -> bool {
        self.0.has_room_everywhere()
    }

    /// Waits until every subpartition has room for a data buffer.
    pub async fn room_everywhere(&self) {
        self.0.room_everywhere().await;
    }
}
