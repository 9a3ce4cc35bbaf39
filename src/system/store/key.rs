//! The keys of what is kept of jobs: each is written and parsed here alone.

use crate::system::ids::{CheckpointId, JobId};
use std::fmt;

/// Below it all graphs stand.
pub(super) const GRAPHS: &str = "/jobs/graph";
/// Below it all results stand.
pub(super) const RESULTS: &str = "/jobs/result";
/// Below it all cancellations stand.
pub(super) const CANCELLATIONS: &str = "/jobs/cancellation";
const OUTCOMES: &str = "/jobs/outcome";
const CHECKPOINTS: &str = "/jobs/checkpoint";

/// What is kept of a job under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredPart {
    /// Its graph.
    Graph,
    /// Its result.
    Result,
    /// There once a user's wish to end it is durable.
    Cancellation,
    /// What the program came to whose job it is.
    Outcome,
    /// There once its final checkpoint is complete.
    Final,
    /// The pointer to a completed checkpoint.
    Pointer(CheckpointId),
    /// What each pointer and each fence writes, so that a late try to add a pointer is refused.
    Tail,
    /// The counter of its checkpoints and epochs.
    Counter,
}

/// A key of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKey {
    /// The job.
    pub job: JobId,
    /// What the key is.
    pub part: StoredPart,
}

impl StoreKey {
    /// Reads a key; nothing of a key that is no job's.
    pub fn parse(key: &str) -> Option<Self> {
        let (folder, rest) = key.strip_prefix("/jobs/")?.split_once('/')?;
        let (job, part) = match folder {
            "graph" => (rest, StoredPart::Graph),
            "result" => (rest, StoredPart::Result),
            "cancellation" => (rest, StoredPart::Cancellation),
            "outcome" => (rest, StoredPart::Outcome),
            "checkpoint" => {
                let (job, rest) = rest.split_once('/')?;
                (job, StoredPart::of_checkpoints(rest)?)
            }
            _ => return None,
        };
        Some(StoreKey { job: job.parse().ok()?, part })
    }
}

impl StoredPart {
    fn of_checkpoints(name: &str) -> Option<Self> {
        Some(match name {
            "final" => StoredPart::Final,
            "tail" => StoredPart::Tail,
            "counter" => StoredPart::Counter,
            // By number: an id need not be padded.
            pointer => {
                StoredPart::Pointer(CheckpointId(pointer.strip_prefix("pointer/")?.parse().ok()?))
            }
        })
    }

    /// Whether it belongs to the job's checkpoints, which its master alone adds to.
    pub fn is_of_checkpoints(self) -> bool {
        match self {
            StoredPart::Graph
            | StoredPart::Result
            | StoredPart::Cancellation
            | StoredPart::Outcome => false,
            StoredPart::Final | StoredPart::Pointer(_) | StoredPart::Tail | StoredPart::Counter => {
                true
            }
        }
    }
}

/// Pointers sort as their ids do.
impl fmt::Display for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreKey { job, part } = self;
        match part {
            StoredPart::Graph => write!(f, "{GRAPHS}/{job}"),
            StoredPart::Result => write!(f, "{RESULTS}/{job}"),
            StoredPart::Cancellation => write!(f, "{CANCELLATIONS}/{job}"),
            StoredPart::Outcome => write!(f, "{OUTCOMES}/{job}"),
            StoredPart::Final => write!(f, "{CHECKPOINTS}/{job}/final"),
            StoredPart::Tail => write!(f, "{CHECKPOINTS}/{job}/tail"),
            StoredPart::Counter => write!(f, "{CHECKPOINTS}/{job}/counter"),
            StoredPart::Pointer(id) => write!(f, "{}{:020}", pointer_prefix(*job), id.0),
        }
    }
}

fn key(job: JobId, part: StoredPart) -> String {
    StoreKey { job, part }.to_string()
}

/// The key of a job's graph.
pub fn graph_key(job: JobId) -> String {
    key(job, StoredPart::Graph)
}

/// The key of a job's result.
pub fn result_key(job: JobId) -> String {
    key(job, StoredPart::Result)
}

/// The key that is there once a user's wish to end a job is durable.
pub fn cancellation_key(job: JobId) -> String {
    key(job, StoredPart::Cancellation)
}

/// The key of what the program came to whose job it is.
pub fn outcome_key(job: JobId) -> String {
    key(job, StoredPart::Outcome)
}

/// The key that is there once a job's final checkpoint is complete.
pub fn final_key(job: JobId) -> String {
    key(job, StoredPart::Final)
}

/// The key of a checkpoint's pointer.
pub fn pointer_key(job: JobId, checkpoint: CheckpointId) -> String {
    key(job, StoredPart::Pointer(checkpoint))
}

/// The key that each pointer and each fence writes, so that a late try to add a pointer is refused.
pub fn tail_key(job: JobId) -> String {
    key(job, StoredPart::Tail)
}

/// The key of a job's checkpoint counter.
pub fn counter_key(job: JobId) -> String {
    key(job, StoredPart::Counter)
}

/// The prefix of all that a job's checkpoints leave.
pub fn checkpoint_prefix(job: JobId) -> String {
    format!("{CHECKPOINTS}/{job}/")
}

/// The prefix of a job's checkpoint pointers.
pub fn pointer_prefix(job: JobId) -> String {
    format!("{CHECKPOINTS}/{job}/pointer/")
}

/// The prefix of all objects of a job.
pub fn object_prefix(job: JobId) -> String {
    format!("{job}/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_parsed_and_nothing_else_is(job: u128, id: u64, which in 0..8_usize, junk in "[a-z/]{0,8}") {
            let job = JobId(job);
            let parts = [
                StoredPart::Graph, StoredPart::Result, StoredPart::Cancellation, StoredPart::Final,
                StoredPart::Pointer(CheckpointId(id)), StoredPart::Tail, StoredPart::Counter,
                StoredPart::Outcome,
            ];
            let own = StoreKey { job, part: parts[which] };
            let written = own.to_string();
            prop_assert_eq!(StoreKey::parse(&written), Some(own));
            prop_assert_eq!(written.starts_with(&checkpoint_prefix(job)), own.part.is_of_checkpoints());
            let other = format!("{written}/{junk}");
            prop_assert_eq!(StoreKey::parse(&other), None);
        }
    }

    #[test]
    fn keys_of_pointers_sort_as_their_ids() {
        let keys = [0, 9, 10, 99, u64::MAX].map(|id| pointer_key(JobId(1), CheckpointId(id)));
        assert!(keys.is_sorted());
        let unpadded = format!("{}7", pointer_prefix(JobId(1)));
        let part = StoreKey::parse(&unpadded).map(|key| key.part);
        assert_eq!(part, Some(StoredPart::Pointer(CheckpointId(7))));
    }
}
