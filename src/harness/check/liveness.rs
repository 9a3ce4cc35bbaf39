//! What must come to be once all faults are lifted, each within its bound.

use super::model::Model;
use crate::{
    harness::scenario::{Scenario, SystemSpec, exact_duration},
    jobs::journal,
    system::{
        ids::JobId,
        protocol::{DISPATCHER, JobStatus, RESOURCE_MANAGER, job_component},
        store,
    },
};
use std::time::Duration;

/// How far a healed cluster is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Everything has come to be.
    Converged,
    /// Something is still to come, within its bound.
    Waiting,
    /// This is overdue.
    Stuck {
        /// The key of `[converge]` that bounds it.
        goal: &'static str,
        /// What it is.
        waits_for: String,
    },
}

/// Something that must come to be.
struct Goal {
    /// The key of `[converge]` that bounds it.
    key: &'static str,
    within: Duration,
    /// Whether it is enough that it was so once.
    once: bool,
    /// From when its time counts, once all faults are lifted.
    since: Since,
    /// When it was last seen to be so.
    met: Duration,
    waits_for: fn(&Wants<'_>, &Model) -> Option<String>,
}

/// From when the time of a goal counts, at the earliest from when all faults are lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Healed,
    /// The job can't end before its input does.
    InputEnded,
    JobEnded,
}

struct Wants<'a> {
    scenario: &'a Scenario,
    clients: u32,
    job: JobId,
    /// When the last fault was lifted; `None` while faults may come.
    healed: Option<Duration>,
}

/// A job with so few restarts may fail for good under faults.
const RESTARTS_FEW: u32 = 3;

impl Wants<'_> {
    fn has_faults(&self) -> bool {
        !self.scenario.faults.is_empty() || self.scenario.swarm.is_some()
    }

    fn is_overdue(&self, goal: &Goal, since: Duration, now: Duration) -> bool {
        let overdue = |healed: Duration| now.saturating_sub(since.max(healed)) >= goal.within;
        self.healed.is_some_and(overdue)
    }
}

/// Follows a run to its convergence.
pub struct Convergence<'a> {
    wants: Wants<'a>,
    goals: Vec<Goal>,
    /// When the job was first seen to have ended.
    ended: Option<Duration>,
}

impl<'a> Convergence<'a> {
    /// For a drawn scenario with so many clients, and the job of the run.
    pub fn new(scenario: &'a Scenario, clients: u32, job: JobId) -> Self {
        let bounds = scenario.converge;
        let goal = |key, own, once, waits_for| {
            let since = match key {
                "leftovers" => Since::JobEnded,
                "job" => Since::InputEnded,
                _ => Since::Healed,
            };
            Goal { key, within: bounds.bound(own), once, since, met: Duration::ZERO, waits_for }
        };
        let goals = match &scenario.system {
            SystemSpec::Journal(_) => vec![
                goal("leaders", bounds.leaders, false, |_, model| {
                    elected(model, journal::COMPONENT)
                }),
                goal("job", bounds.job, false, |wants, model| {
                    journal_clients(model, wants.clients)
                }),
            ],
            SystemSpec::WordCount(_) => vec![
                goal("leaders", bounds.leaders, false, |_, model| {
                    elected(model, DISPATCHER).or_else(|| elected(model, RESOURCE_MANAGER))
                }),
                goal("tasks", bounds.tasks, true, all_running),
                goal("checkpoint", bounds.checkpoint, true, fresh_checkpoint),
                goal("job", bounds.job, false, job_ended),
                goal("leftovers", bounds.leftovers, false, |wants, model| {
                    nothing_left(model, wants.job)
                }),
            ],
        };
        let wants = Wants { scenario, clients, job, healed: None };
        Convergence { wants, goals, ended: None }
    }

    /// The last fault was lifted at that time; the bounds count from there.
    pub fn healed(&mut self, at: Duration) {
        self.wants.healed = Some(at);
    }

    /// How far it is at a time since the run began. What was so a moment ago has its time from then.
    pub fn look(&mut self, model: &Model, now: Duration) -> Outlook {
        let wants = &self.wants;
        if self.ended.is_none() && job_ended(wants, model).is_none() {
            self.ended = Some(now);
        }
        let ended = self.ended;
        let mut outlook = Outlook::Converged;
        self.goals.retain_mut(|goal| {
            let waits_for = (goal.waits_for)(wants, model);
            if waits_for.is_none() {
                goal.met = now;
            }
            let since = match goal.since {
                Since::Healed => wants.healed,
                Since::InputEnded => Some(model.last_input),
                Since::JobEnded => ended,
            };
            let since = since.map(|since| since.max(goal.met));
            let overdue = since.is_some_and(|since| wants.is_overdue(goal, since, now));
            match &waits_for {
                Some(what) if overdue && !matches!(outlook, Outlook::Stuck { .. }) => {
                    let Goal { key, within, .. } = goal;
                    let bound = format!("(`{key}` has {})", exact_duration(*within));
                    outlook = Outlook::Stuck { goal: key, waits_for: format!("{what} {bound}") };
                }
                Some(_) if outlook == Outlook::Converged => outlook = Outlook::Waiting,
                _ => {}
            }
            waits_for.is_some() || !goal.once || wants.healed.is_none()
        });
        outlook
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

fn all_running(wants: &Wants<'_>, model: &Model) -> Option<String> {
    if model.stored_result(wants.job).is_some() {
        return None;
    }
    match model.running.get(&wants.job) {
        None => Some("the job's tasks to be deployed".to_string()),
        Some(running) => {
            let up = u32::try_from(running.up.len()).unwrap_or(u32::MAX);
            let missing = running.tasks.saturating_sub(up);
            (missing > 0).then(|| format!("{missing} of {} tasks to run", running.tasks))
        }
    }
}

fn fresh_checkpoint(wants: &Wants<'_>, model: &Model) -> Option<String> {
    let newest = model.newest_checkpoint.get(&wants.job);
    let fresh = newest.is_some_and(|began| *began >= wants.healed.unwrap_or_default());
    (!fresh && model.stored_result(wants.job).is_none())
        .then(|| "a checkpoint that began after the faults to complete".to_string())
}

fn job_ended(wants: &Wants<'_>, model: &Model) -> Option<String> {
    let SystemSpec::WordCount(spec) = &wants.scenario.system else { return None };
    if !model.submitted.contains(&wants.job) {
        return Some("the job to be taken on".to_string());
    }
    let canceled = model.canceled.contains(&wants.job);
    let mut expected = match canceled {
        true => vec![JobStatus::Canceled],
        false => spec.expected_status().to_vec(),
    };
    // Each master counts anew.
    let of_job = model.failovers.iter().filter(|((job, _), _)| *job == wants.job);
    let failovers = of_job.map(|(_, count)| *count).max().unwrap_or(0);
    let restarts = spec.restarts.one();
    if !canceled && restarts <= RESTARTS_FEW && failovers > restarts && wants.has_faults() {
        expected.push(JobStatus::Failed);
    }
    match model.results.get(&wants.job) {
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
