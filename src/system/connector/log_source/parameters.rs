//! What a log source reads.

use crate::system::dataflow::{Failure, Result};
use serde::{Deserialize, Serialize};

/// What a [`LogSource`](super::LogSource) reads. Subtask `s` of `n` reads the partitions `s`, `s + n`, `s + 2n`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSourceParameters {
    /// The topic.
    pub topic: String,
    /// For each partition that there is at submission, the first offset that is read.
    pub start: Vec<u64>,
    /// For each of them, the offset at which it ends; not read. `None`: it has no end, and partitions that are added
    /// are read from their begin.
    pub stop: Option<Vec<u64>>,
    /// Under which name it is kept how far was read, once a checkpoint is complete; `None`: under none. It is for
    /// others who go on there, and to look at; the job itself goes on from its checkpoint.
    pub group: Option<String>,
    /// Records in one step at most.
    pub records_max: u32,
    /// After a step that took all there was, so many milliseconds pass before the next, so that few
    /// records don't make many steps.
    pub poll_ms: u64,
    /// From look to look at which partitions there are, in milliseconds, where there is no end.
    pub discovery_ms: u64,
}

impl LogSourceParameters {
    /// All partitions from their begin up to these offsets, in steps of up to 512 records, 50 ms apart at least.
    pub fn new(topic: &str, stop: Vec<u64>) -> Self {
        let start = vec![0; stop.len()];
        LogSourceParameters { stop: Some(stop), ..LogSourceParameters::unbounded(topic, start) }
    }

    /// These partitions from these offsets on, without end, and every one that is added; it is looked for them each
    /// second.
    pub fn unbounded(topic: &str, start: Vec<u64>) -> Self {
        LogSourceParameters {
            topic: topic.to_string(),
            start,
            stop: None,
            group: None,
            records_max: 512,
            poll_ms: 50,
            discovery_ms: 1_000,
        }
    }

    /// The same, which tells a group how far it has read.
    #[must_use]
    pub fn in_group(self, group: &str) -> Self {
        LogSourceParameters { group: Some(group.to_string()), ..self }
    }

    /// Whether it ends.
    pub fn is_bounded(&self) -> bool {
        self.stop.is_some()
    }

    /// Where a partition ends.
    pub(super) fn stop(&self, partition: u32) -> u64 {
        match &self.stop {
            Some(stop) => stop[partition as usize],
            None => u64::MAX,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let LogSourceParameters { start, stop, records_max, discovery_ms, .. } = self;
        if start.is_empty() || *records_max == 0 {
            return Err(Failure::new(
                "a log source needs a partition and steps of a record at least",
            ));
        }
        match stop {
            Some(stop) if stop.len() != start.len() => {
                Err(Failure::new("a log source ends in each partition, or in none"))
            }
            None if *discovery_ms == 0 => {
                Err(Failure::new("a log source needs a time from look to look for partitions"))
            }
            _ => Ok(()),
        }
    }
}
