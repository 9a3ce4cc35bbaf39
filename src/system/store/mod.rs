//! What outlives job managers: job graphs, job results, checkpoint pointers, checkpoint ids. All of it
//! lies on the coordination service, and every write is guarded by the term of its writer.
//!
//! Keys: `/jobs/graph/<job>` a [`JobGraph`](super::graph::JobGraph); `/jobs/result/<job>` a
//! [`StoredResult`]; `/jobs/checkpoint/<job>/pointer/<id, 20 digits>` a [`CheckpointPointer`];
//! `/jobs/checkpoint/<job>/tail` what became of the newest pointer, added or fenced;
//! `/jobs/checkpoint/<job>/final` the id of the final checkpoint; `/jobs/checkpoint/<job>/counter` the
//! next checkpoint id; `/jobs/cancellation/<job>` that a user wants the job to end;
//! `/jobs/outcome/<job>` what the program came to whose job it is, an
//! [`ApplicationStatus`](super::protocol::ApplicationStatus). A dispatcher writes graphs, results, cancellations and
//! outcomes and removes all but results and outcomes; the job's master writes the rest.
//!
//! A cancellation and a final checkpoint exclude each other: each is written only while the other is
//! absent, so how a job must end is decided at one instant.
//!
//! Deliberately absent: assuming. A write whose answer is missing is repeated until its outcome is
//! known or its writer's term is over.

mod checkpoints;
mod jobs;
mod key;

pub use checkpoints::{
    CheckpointIdCounter, CheckpointPointer, CompletedCheckpoint, CompletedCheckpointStore, Settled,
    StoredCheckpoints,
};
pub use jobs::{
    Cancellation, JobStore, StoredJobs, StoredResult, cancellation_requested, until_canceled,
    until_ended,
};
pub use key::{
    StoreKey, StoredPart, cancellation_key, checkpoint_prefix, counter_key, final_key, graph_key,
    object_prefix, outcome_key, pointer_key, pointer_prefix, result_key, tail_key,
};

use super::service::coordination::{
    Coordination, CoordinationError, KeyPattern, Range, Refusal, Transaction,
};

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The writer's term is over. A write that got no answer before may have been done.
    #[error("the term of the writer is over")]
    NotLeader,
    /// A user wants the job to end, and that came first.
    #[error("the job is to be canceled")]
    Canceled,
    /// What is there does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// It is larger than what may be kept; nothing was done.
    #[error("it is too large to be kept")]
    TooLarge,
    /// There is no room for it; nothing was done.
    #[error("the store is full")]
    Full,
    /// What is there can't be understood.
    #[error("{key} is corrupt: {what}")]
    Corrupt {
        /// Where it lies.
        key: String,
        /// What is wrong.
        what: String,
    },
}

/// How a write ended whose outcome is known.
enum Written {
    Done,
    /// A condition behind the guard does not hold.
    Refused {
        /// Its place in the transaction.
        index: u64,
        /// Whether an earlier try may have been done.
        after_maybe: bool,
    },
}

/// Makes a transaction whose first condition is the writer's guard, until the outcome is known. Where there is no
/// room it waits for some.
async fn write_until_acknowledged(
    client: &dyn Coordination,
    transaction: &Transaction,
) -> Result<Written, StoreError> {
    loop {
        match write_if_there_is_room(client, transaction).await {
            Err(StoreError::Full) => client.host().sleep(client.retry_delay()).await,
            written => return written,
        }
    }
}

/// The same, but where there is no room, and no earlier try may have been done, it is an error.
async fn write_if_there_is_room(
    client: &dyn Coordination,
    transaction: &Transaction,
) -> Result<Written, StoreError> {
    let mut after_maybe = false;
    loop {
        match client.transact(transaction.clone()).await {
            Ok(_) => {
                crate::sometimes!(client.host(), "write-succeeds-after-lost-answer", after_maybe);
                return Ok(Written::Done);
            }
            Err(CoordinationError::Refused(Refusal::Condition { index: 0 })) => {
                return Err(StoreError::NotLeader);
            }
            Err(CoordinationError::Refused(Refusal::TooLarge)) => return Err(StoreError::TooLarge),
            Err(CoordinationError::Refused(Refusal::Full)) if !after_maybe => {
                return Err(StoreError::Full);
            }
            Err(CoordinationError::Refused(refusal)) if refusal.is_lasting() => {
                return Ok(Written::Refused { index: place(&refusal), after_maybe });
            }
            Err(CoordinationError::Indeterminate(_)) => after_maybe = true,
            Err(CoordinationError::Refused(_) | CoordinationError::NotDone(_)) => {}
        }
        client.host().sleep(client.retry_delay()).await;
    }
}

/// The place of the condition that does not hold; beyond all of them for other refusals.
fn place(refusal: &Refusal) -> u64 {
    match refusal {
        Refusal::Condition { index } => *index,
        _ => u64::MAX,
    }
}

/// Reads one key, until the service answers.
async fn read_key_until_acknowledged(client: &dyn Coordination, key: &str) -> Range {
    read_until_acknowledged(client, &KeyPattern::Exact(key.to_string())).await
}

/// Reads keys, until the service answers.
async fn read_until_acknowledged(client: &dyn Coordination, keys: &KeyPattern) -> Range {
    loop {
        match client.read(keys).await {
            Ok(range) => return range,
            Err(_) => client.host().sleep(client.retry_delay()).await,
        }
    }
}

fn decode<T: serde::de::DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(value)
        .map_err(|error| StoreError::Corrupt { key: key.to_string(), what: error.to_string() })
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("stored values can be encoded")
}
