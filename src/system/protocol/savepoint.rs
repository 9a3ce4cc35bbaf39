//! What users ask of a job's state, and what became of it.

use crate::system::ids::CheckpointId;
use serde::{Deserialize, Serialize};

/// The longest path of a savepoint, in bytes.
pub const SAVEPOINT_PATH_BYTES_MAX: usize = 256;

/// A savepoint that a user wants. Its path stands for it: whoever asks for the same one again learns what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SavepointRequest {
    /// Where it is to lie in the object store: a name of objects that nothing else has. At most
    /// [`SAVEPOINT_PATH_BYTES_MAX`] long.
    pub path: String,
    /// What becomes of the job.
    pub then: AfterSavepoint,
    /// The checkpoint of which it is to be a copy, of a job that can't go on; else the next one.
    pub checkpoint: Option<CheckpointId>,
}

/// What becomes of a job of which a savepoint is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AfterSavepoint {
    /// It goes on.
    GoOn,
    /// It ends; another job can go on where it was.
    Stop,
    /// Its sources end, event time comes to its end, what waits for that is put out, and then it ends. There is nothing
    /// left to go on with.
    Drain,
}

/// How far a savepoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SavepointStatus {
    /// It is being taken.
    InProgress,
    /// It lies at its path, whole.
    Completed,
    /// It does not and will not, and why. The job goes on, unless it has ended otherwise.
    Failed(String),
}

/// Whether a job ends with a completed checkpoint. The greater one says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Finality {
    /// It goes on.
    GoesOn,
    /// Every task has taken part at the end of its data: those finish.
    Finished,
    /// A user has stopped it there: all tasks finish.
    Stopped,
}

impl Finality {
    /// Whether nothing comes behind the checkpoint.
    pub fn is_last(self) -> bool {
        self != Finality::GoesOn
    }
}
