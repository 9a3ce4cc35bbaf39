//! What the keys of jobs say, as the invariants read them from the coordination server's log.

use crate::{
    system::{
        ids::{CheckpointId, JobId},
        protocol::component_job,
        service::coordination::{Change, CoordinationEvent},
        store::{CANCELLATION_PREFIX, GRAPH_PREFIX, RESULT_PREFIX},
    },
    under_test::cluster::Model,
};
use std::collections::BTreeMap;

/// What is kept of a job under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its graph.
    Graph,
    /// Its result.
    Result,
    /// The counter of its checkpoints and epochs.
    Counter,
    /// The pointer to a completed checkpoint.
    Pointer(CheckpointId),
    /// That its final checkpoint is complete.
    Final,
    /// That a user wants it to end.
    Cancellation,
    /// Who leads it.
    Latch,
}

/// A key of a job that changed.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// The job.
    pub job: JobId,
    /// What the key is.
    pub kept: Kept,
    /// Its value before, as far as was announced.
    pub before: Option<&'a [u8]>,
    /// Its value now.
    pub after: Option<&'a [u8]>,
}

/// What a key is.
pub fn kept(key: &str) -> Option<(JobId, Kept)> {
    if let Some(rest) = key.strip_prefix("/jobs/checkpoint/") {
        let (job, rest) = rest.split_once('/')?;
        let kept = match rest.strip_prefix("pointer/") {
            Some(id) => Kept::Pointer(CheckpointId(id.parse().ok()?)),
            None if rest == "counter" => Kept::Counter,
            None if rest == "final" => Kept::Final,
            None => return None,
        };
        return Some((job.parse().ok()?, kept));
    }
    if let Some(job) = key.strip_prefix(GRAPH_PREFIX) {
        return Some((job.parse().ok()?, Kept::Graph));
    }
    if let Some(job) = key.strip_prefix(RESULT_PREFIX) {
        return Some((job.parse().ok()?, Kept::Result));
    }
    if let Some(job) = key.strip_prefix(CANCELLATION_PREFIX) {
        return Some((job.parse().ok()?, Kept::Cancellation));
    }
    let component = key.strip_prefix("/election/")?.strip_suffix("/latch")?;
    Some((component_job(component)?, Kept::Latch))
}

/// The keys of jobs that an event of the coordination server changes. What was synced but not announced
/// before a crash shows as a difference in what is recovered.
pub fn moved<'a>(event: &'a CoordinationEvent, model: &'a Model) -> Vec<Moved<'a>> {
    match event {
        CoordinationEvent::Committed { changes, .. } => {
            let change = |change: &'a Change| match change {
                Change::Put { key, value, .. } => one(key, model, Some(value)),
                Change::Delete { key } => one(key, model, None),
            };
            changes.iter().filter_map(change).collect()
        }
        CoordinationEvent::LeaseEnded { removed, .. } => {
            removed.iter().filter_map(|key| one(key, model, None)).collect()
        }
        CoordinationEvent::Recovered { keys, .. } => {
            let found: BTreeMap<&str, &[u8]> =
                keys.iter().map(|(key, value, _)| (key.as_str(), value.as_slice())).collect();
            let gone = model.keys.keys().filter(|key| !found.contains_key(key.as_str()));
            let gone = gone.filter_map(|key| one(key, model, None));
            let new = found.iter().filter_map(|(key, value)| one(key, model, Some(value)));
            let new = new.filter(|moved| moved.before != moved.after);
            new.chain(gone).collect()
        }
        _ => Vec::new(),
    }
}

fn one<'a>(key: &str, model: &'a Model, after: Option<&'a [u8]>) -> Option<Moved<'a>> {
    let (job, kept) = kept(key)?;
    let before = model.keys.get(key).map(Vec::as_slice);
    Some(Moved { job, kept, before, after })
}

/// The greatest id of a job's durable pointers.
pub fn newest_pointer(model: &Model, job: JobId) -> Option<CheckpointId> {
    let prefix = crate::system::store::pointer_prefix(job);
    let pointers = model.keys.range(prefix.clone()..).map(|(key, _)| key.strip_prefix(&prefix));
    // By number: keys need not sort as ids do.
    let ids = pointers.map_while(|id| id).filter_map(|id| id.parse().ok());
    ids.max().map(CheckpointId)
}

/// The job of any key of one.
pub fn job_of_key(key: &str) -> Option<JobId> {
    if let Some(rest) = key.strip_prefix("/election/") {
        return component_job(rest.split('/').next()?);
    }
    key.strip_prefix("/jobs/")?.split('/').nth(1)?.parse().ok()
}

/// The job of an object, or of a producer, by its name.
pub fn job_of_name(name: &str) -> Option<JobId> {
    name.split('/').next()?.parse().ok()
}
