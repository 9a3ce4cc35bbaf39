//! What a log source reads.

use crate::system::dataflow::{Failure, Result};
use serde::{Deserialize, Serialize};

/// What a [`LogSource`](super::LogSource) reads. Subtask `s` of `n` reads the partitions `s`, `s + n`, `s + 2n`, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSourceParameters {
    /// The topic.
    pub topic: String,
    /// For each partition the first offset that is read; 0 of those beyond.
    #[serde(default)]
    pub start: Vec<u64>,
    /// For each partition, the offset at which it ends; not read. `None`: it has no end, and partitions that are added
    /// are read too.
    #[serde(default)]
    pub stop: Option<Vec<u64>>,
    /// Under which name it is kept how far was read, once a checkpoint is complete; `None`: under none. It is for
    /// others who go on there, and to look at; the job itself goes on from its checkpoint.
    #[serde(default)]
    pub group: Option<String>,
    /// Records in one step at most; 512.
    #[serde(default = "records_max")]
    pub records_max: u32,
    /// After a step that took all there was, so many milliseconds pass before the next, so that few
    /// records don't make many steps; 50.
    #[serde(default = "poll_ms")]
    pub poll_ms: u64,
    /// From look to look at which partitions there are, in milliseconds, where there is no end; 1000.
    #[serde(default = "discovery_ms")]
    pub discovery_ms: u64,
}

fn records_max() -> u32 {
    512
}

fn poll_ms() -> u64 {
    50
}

fn discovery_ms() -> u64 {
    1_000
}

impl LogSourceParameters {
    /// All partitions from their begin up to these offsets.
    pub fn new(topic: &str, stop: Vec<u64>) -> Self {
        let unbounded = LogSourceParameters::unbounded(topic, Vec::new());
        LogSourceParameters { stop: Some(stop), ..unbounded }
    }

    /// These partitions from these offsets on, every other one from its begin, and all without end.
    pub fn unbounded(topic: &str, start: Vec<u64>) -> Self {
        LogSourceParameters {
            topic: topic.to_string(),
            start,
            stop: None,
            group: None,
            records_max: records_max(),
            poll_ms: poll_ms(),
            discovery_ms: discovery_ms(),
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

    /// How many partitions are known without asking.
    pub(super) fn partitions(&self) -> usize {
        self.stop.as_ref().map_or(self.start.len(), Vec::len)
    }

    /// Where a partition begins.
    pub(super) fn start(&self, partition: u32) -> u64 {
        self.start.get(partition as usize).copied().unwrap_or(0)
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
        let refused = "a log source needs a partition and steps of a record at least";
        match stop {
            _ if *records_max == 0 => Err(Failure::new(refused)),
            Some(stop) if stop.is_empty() => Err(Failure::new(refused)),
            Some(stop) if stop.len() < start.len() => {
                Err(Failure::new("a log source ends in each partition, or in none"))
            }
            None if *discovery_ms == 0 => {
                Err(Failure::new("a log source needs a time from look to look for partitions"))
            }
            _ => Ok(()),
        }
    }
}
