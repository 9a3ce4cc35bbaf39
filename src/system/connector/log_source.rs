//! Reads the partitions of a topic up to offsets that were fixed at submission.

use crate::{
    host::Instant,
    system::{
        dataflow::{Failure, OperatorContext, Result, Source, SourceStep, Waits},
        service::log::{Log, LogBatch, LogRefusal},
    },
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// What a [`LogSource`] reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSourceParameters {
    /// The topic.
    pub topic: String,
    /// For each partition, the offset at which it ends; not read. Subtask `s` of `n` reads the
    /// partitions `s`, `s + n`, `s + 2n`, …
    pub stop: Vec<u64>,
    /// Records in one step at most.
    pub records_max: u32,
    /// After a step that took all there was, so many milliseconds pass before the next, so that few
    /// records don't make many steps.
    pub poll_ms: u64,
}

impl LogSourceParameters {
    /// All partitions up to these offsets, in steps of up to 512 records, 50 ms apart at least.
    pub fn new(topic: &str, stop: Vec<u64>) -> Self {
        LogSourceParameters { topic: topic.to_string(), stop, records_max: 512, poll_ms: 50 }
    }
}

/// How long the server keeps a read without news.
const WAIT: Duration = Duration::from_secs(1);

type Reading = BoxFuture<'static, (u32, Result<LogBatch, LogRefusal>)>;

/// The source.
pub struct LogSource {
    log: Option<Arc<dyn Log>>,
    parameters: LogSourceParameters,
    /// The next offset of each partition that this subtask reads.
    offsets: BTreeMap<u32, u64>,
    /// The partition that was read last.
    last: u32,
    /// Kept while a step is interrupted.
    reading: Option<Reading>,
    not_before: Option<Instant>,
}

impl LogSource {
    /// A source that is not open yet.
    ///
    /// # Errors
    /// When there is nothing to read from.
    pub fn new(parameters: LogSourceParameters) -> Result<Self> {
        if parameters.stop.is_empty() || parameters.records_max == 0 {
            return Err(Failure::new(
                "a log source needs a partition and steps of a record at least",
            ));
        }
        Ok(LogSource {
            log: None,
            parameters,
            offsets: BTreeMap::new(),
            last: 0,
            reading: None,
            not_before: None,
        })
    }

    fn log(&self) -> Result<Arc<dyn Log>> {
        self.log.clone().ok_or_else(|| Failure::new("the source is not open"))
    }

    fn left(&self, partition: u32) -> u64 {
        let stop = self.parameters.stop[partition as usize];
        stop.saturating_sub(self.offsets[&partition])
    }

    /// The next partition, in turns, that is not at its end.
    fn next_partition(&self) -> Option<u32> {
        let unread = |partition: &&u32| self.left(**partition) > 0;
        let after = self.offsets.range(self.last + 1..).map(|(partition, _)| partition);
        let mut turns = after.chain(self.offsets.keys());
        turns.find(unread).copied()
    }

    fn read(&self, partition: u32) -> Result<Reading> {
        let several = self.offsets.keys().filter(|other| self.left(**other) > 0).count() > 1;
        let records = self.left(partition).min(u64::from(self.parameters.records_max));
        let records = u32::try_from(records).expect("at most what a step takes");
        // Of several, none may keep the others waiting.
        let wait = if several { Duration::ZERO } else { WAIT };
        let (log, topic) = (self.log()?, self.parameters.topic.clone());
        let offset = self.offsets[&partition];
        let reading = async move {
            (partition, log.read_until_acknowledged(&topic, partition, offset, records, wait).await)
        };
        Ok(reading.boxed())
    }

    async fn step(&mut self) -> Result<SourceStep<Bytes>> {
        loop {
            if let Some(not_before) = self.not_before {
                self.log()?.host().sleep_until(not_before).await;
                self.not_before = None;
            }
            if self.reading.is_none() {
                let Some(partition) = self.next_partition() else { return Ok(SourceStep::End) };
                self.reading = Some(self.read(partition)?);
            }
            let reading = self.reading.as_mut().expect("it was just begun");
            let (partition, batch) = reading.await;
            self.reading = None;
            let batch = batch?;
            let next = self.offsets.get_mut(&partition).expect("only its own are read");
            *next = after(&self.parameters.topic, *next, &batch).map_err(Failure)?;
            self.last = partition;
            if *next >= batch.end {
                let pause = Duration::from_millis(self.parameters.poll_ms);
                self.not_before = Some(self.log()?.host().now() + pause);
            }
            if !batch.records.is_empty() {
                return Ok(SourceStep::Records(batch.records));
            }
        }
    }
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
            log: self.log.clone(),
            parameters: self.parameters.clone(),
            offsets: self.offsets.clone(),
            last: self.last,
            reading: None,
            not_before: self.not_before,
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
        let partitions = u32::try_from(self.parameters.stop.len()).unwrap_or(u32::MAX);
        let own = (context.subtask..partitions).step_by(context.parallelism as usize);
        self.offsets = own.map(|partition| (partition, 0)).collect();
        self.log = Some(context.services.log.clone());
        async move {
            let Some(kept) = restored else { return Ok(()) };
            let offsets: BTreeMap<u32, u64> = postcard::from_bytes(&kept)?;
            if !offsets.keys().eq(self.offsets.keys()) {
                return Err(Failure::new("the state is of other partitions"));
            }
            self.offsets = offsets;
            Ok(())
        }
        .boxed()
    }

    fn next(&mut self) -> Waits<'_, SourceStep<Bytes>> {
        self.step().boxed()
    }

    fn snapshot(&mut self) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_allocvec(&self.offsets)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_ends_before_what_was_read_is_refused() {
        let batch = |first, records, end| LogBatch {
            first,
            records: vec![Bytes::from_static(b"a"); records],
            end,
        };
        assert_eq!(after("t", 3, &batch(3, 2, 5)), Ok(5));
        assert_eq!(after("t", 3, &batch(3, 0, 3)), Ok(3), "nothing new");
        assert!(after("t", 3, &batch(2, 2, 5)).is_err());
        let gone = after("t", 3, &batch(3, 0, 2)).expect_err("it was read");
        assert!(gone.contains("up to offset 3") && gone.contains("ends at 2"), "{gone}");
    }
}
