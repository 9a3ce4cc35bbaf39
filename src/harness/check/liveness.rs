//! What must come to be once all faults are lifted.

use super::model::Model;
use crate::{
    harness::scenario::{Scenario, Subject},
    jobs::journal,
    system::{
        ids::JobId,
        protocol::{DISPATCHER, JobStatus, RESOURCE_MANAGER, job_component},
        store,
    },
};

/// What a healed cluster still waits for; `None` when it has converged.
pub fn waits_for(model: &Model, scenario: &Scenario, clients: u32, job: JobId) -> Option<String> {
    match &scenario.subject {
        Subject::Journal(_) => {
            elected(model, journal::COMPONENT).or_else(|| journal_clients(model, clients))
        }
        Subject::WordCount(spec) => elected(model, DISPATCHER)
            .or_else(|| elected(model, RESOURCE_MANAGER))
            .or_else(|| job_ended(model, job, spec.expected_status()))
            .or_else(|| nothing_left(model, job)),
    }
}

/// One leader, published and known to every follower.
fn elected(model: &Model, component: &str) -> Option<String> {
    let Some(latch) = model.latch(component) else {
        return Some(format!("a holder of the latch of {component}"));
    };
    let of = model.granted.iter().filter(|((_, granted), _)| granted == component);
    let leaders: Vec<_> = of.map(|(_, session)| *session).collect();
    match leaders[..] {
        [session] if session == latch => {}
        [] => return Some(format!("a contender that believes it leads {component}")),
        [_] => {
            return Some(format!(
                "the leader of {component} to learn that another term holds the latch"
            ));
        }
        _ => {
            return Some(format!(
                "{} contenders to learn that they no longer lead {component}",
                leaders.len() - 1
            ));
        }
    }
    let Some(record) = model.record(component).filter(|record| record.session == latch) else {
        return Some(format!("the leader of {component} to publish itself"));
    };
    let followers = model.notified.values().filter(|(followed, _)| followed == component);
    let wrong = followers.filter(|(_, told)| told.as_ref() != Some(&record)).count();
    (wrong > 0).then(|| format!("{wrong} followers to learn who leads {component}"))
}

fn journal_clients(model: &Model, clients: u32) -> Option<String> {
    let unfinished: Vec<String> = (1..=clients)
        .filter(|client| !model.finished.contains(client))
        .map(|client| {
            let lines = model.acknowledged.get(&client).copied().unwrap_or(0);
            format!("client {client} to finish ({lines} lines acknowledged)")
        })
        .collect();
    (!unfinished.is_empty()).then(|| unfinished.join(", "))
}

fn job_ended(model: &Model, job: JobId, expected: &[JobStatus]) -> Option<String> {
    if !model.submitted.contains(&job) {
        return Some("the job to be taken on".to_string());
    }
    match model.results.get(&job) {
        None => Some("the job to end, and its client to learn of it".to_string()),
        Some(result) if expected.contains(&result.status) => None,
        Some(result) => {
            let cause = result.cause.as_deref().unwrap_or("no cause is known");
            Some(format!("the job to be {expected:?}; it is {} ({cause})", result.status))
        }
    }
}

/// Nothing of an ended job is left but its result.
fn nothing_left(model: &Model, job: JobId) -> Option<String> {
    if model.stored_result(job).is_none_or(|stored| stored.dirty) {
        return Some("the job's result to be marked clean".to_string());
    }
    let of_job = |key: &&String| {
        key.starts_with(&store::checkpoint_prefix(job))
            || **key == store::graph_key(job)
            || key.contains(&job_component(job))
    };
    if let Some(key) = model.keys.keys().find(of_job) {
        return Some(format!("{key} to be removed"));
    }
    let prefix = store::blob_prefix(job);
    if let Some(blob) = model.blobs.iter().find(|name| name.starts_with(&prefix)) {
        return Some(format!("the blob {blob} to be removed"));
    }
    if let Some(left) = model.transactions.iter().find(|t| t.producer.starts_with(&prefix)) {
        return Some(format!("the transaction {left:?} to end"));
    }
    let held = model.slots.iter().find(|(_, (of, _))| *of == job);
    held.map(|((process, index), _)| format!("slot {index} of {process:?} to be freed"))
}
