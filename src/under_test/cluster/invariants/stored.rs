//! What the keys of jobs say, as the invariants read them from the coordination server's log.

pub use crate::system::store::StoredPart;
use crate::{
    system::{
        ids::{CheckpointId, JobId},
        leadership::{ElectionPart, parse_election_key},
        protocol::component_job,
        service::coordination::{Change, CoordinationEvent},
        store::{StoreKey, pointer_prefix},
    },
    under_test::cluster::Model,
};
use std::collections::BTreeMap;

/// What is kept of a job under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// A part of what the stores keep.
    Stored(StoredPart),
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
    if let Some(StoreKey { job, part }) = StoreKey::parse(key) {
        return Some((job, Kept::Stored(part)));
    }
    match parse_election_key(key)? {
        (component, ElectionPart::Latch) => Some((component_job(component)?, Kept::Latch)),
        _ => None,
    }
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
    let keys = model.keys.range(pointer_prefix(job)..).map_while(|(key, _)| StoreKey::parse(key));
    // By number: keys need not sort as ids do.
    let ids = keys.take_while(|key| key.job == job).filter_map(|key| match key.part {
        StoredPart::Pointer(id) => Some(id),
        _ => None,
    });
    ids.max_by_key(|id| id.0)
}

/// The job of any key of one.
pub fn job_of_key(key: &str) -> Option<JobId> {
    let of_store = || StoreKey::parse(key).map(|key| key.job);
    parse_election_key(key).map_or_else(of_store, |(component, _)| component_job(component))
}

/// The job of an object, or of a producer, by its name.
pub fn job_of_name(name: &str) -> Option<JobId> {
    name.split('/').next()?.parse().ok()
}
