//! What a healed cluster must come to.

use super::{
    jobs::job::JobSetup,
    model::Model,
    settings::{ClusterSettings, Mode},
};
use crate::{
    harness::{
        check::{Goal, GoalContext},
        language::exact_duration,
    },
    jobs::common::SAVEPOINTS,
    system::{
        connector::FILES,
        graph::{JobGraph, RestartStrategy},
        ids::JobId,
        protocol::{DISPATCHER, JobStatus, RESOURCE_MANAGER, WEB_MONITOR, job_component},
        store,
    },
};
use std::time::Duration;

/// A job with so few restarts may fail for good under faults.
const RESTARTS_FEW: u32 = 3;

/// The keys of `[converge]` and what each bounds.
pub const KEYS: &[(&str, &str)] = &[
    ("leaders", "Until each kind of leader is one, published and known to all."),
    ("tasks", "Until all tasks of the job run, or it has ended."),
    (
        "checkpoint",
        "Until a checkpoint is complete that began after the faults, or the job has ended.",
    ),
    ("job", "Until the job has ended and its client knows."),
    ("rest", "Until each reader of REST is told of the jobs by the web monitor that leads."),
    (
        "cluster",
        "From the job's end until no job manager of a cluster runs any more that was there for it alone.",
    ),
    ("machines", "From the end of all jobs until no machine of a provider is held."),
    ("leftovers", "From the job's end until nothing is left of it but its result and its files."),
];

/// That the leaders are who they should be.
pub fn of_leaders() -> Goal<Model> {
    Goal::new("leaders", |model: &Model, _| {
        let all = [DISPATCHER, RESOURCE_MANAGER, WEB_MONITOR];
        all.iter().find_map(|component| elected(model, component))
    })
}

/// That a reader of REST is told of the jobs.
pub fn of_reader(number: u32) -> Goal<Model> {
    let reader = format!("reader {number} of REST");
    Goal::new("rest", move |model: &Model, look: GoalContext| {
        let told = model.told_by_rest.get(&number);
        let since = told.is_some_and(|told| *told >= look.healed.unwrap_or_default());
        (!since).then(|| format!("{reader} to be told of the jobs by the leading web monitor"))
    })
    .once()
}

/// That a cluster ends with its job.
pub fn of_end(spec: &ClusterSettings, job: JobId) -> Goal<Model> {
    let all = spec.job_managers.one() as usize;
    Goal::new("cluster", move |model: &Model, _| match all.saturating_sub(model.ended.len()) {
        0 => None,
        left => Some(format!("{left} of {all} job managers to end with their cluster")),
    })
    .since(move |model: &Model| model.results.get(&model.present(job)).map(|(_, at)| *at))
}

/// That no machine is held which nobody needs.
pub fn of_machines(jobs: Vec<JobId>) -> Goal<Model> {
    Goal::new("machines", |model: &Model, _| {
        (model.machines > 0).then(|| format!("{} machines to be given back", model.machines))
    })
    .since(move |model: &Model| {
        let ends =
            jobs.iter().map(|job| model.results.get(&model.present(*job)).map(|(_, at)| *at));
        ends.collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max())
    })
}

/// That a job gets on while no fault keeps it from it.
pub fn of_progress(job: JobId, settings: &ClusterSettings) -> Goal<Model> {
    let bound = settings.progress.one();
    Goal::meanwhile("progress", move |model: &Model, look: GoalContext| {
        let (quiet, job) = (look.quiet?, model.present(job));
        let (got_on, what) = model.progress.of(job)?;
        if let Some(turns) = model.progress.looping(job, quiet, look.now) {
            return Some(format!("the job to get on, which goes round and round: {turns}"));
        }
        let since = got_on.max(quiet);
        // Cheap, and nearly always enough.
        look.now.checked_sub(since + bound)?;
        let graph = model.graph(job);
        let allowed = bound + graph.map_or(Duration::ZERO, |graph| may_wait(&graph));
        look.now.checked_sub(since + allowed)?;
        let turns = turning(model, job, look.now);
        let (got_on, allowed) = (exact_duration(got_on), exact_duration(allowed));
        Some(format!(
            "the job to get on, as it did at {got_on} when {what}{turns} (`progress` and its settings give it {allowed})"
        ))
    })
}

/// That task executors end what nobody wants while no fault keeps them from it.
pub fn of_reconciliation(settings: &ClusterSettings) -> Goal<Model> {
    // The loss of a peer is five of them.
    let allowed = settings.reconciliation.one() + 10 * settings.heartbeat.one();
    Goal::meanwhile("reconciliation", move |model: &Model, look: GoalContext| {
        let quiet = look.quiet?;
        if let Some((slot, since)) = model.reconciliation.asked_in_vain(quiet, allowed) {
            let (since, allowed) = (exact_duration(since), exact_duration(allowed));
            return Some(format!(
                "the resource manager to know that {slot} is held since {since}, for which it asks \
                 (`reconciliation` gives it {allowed})"
            ));
        }
        let (stray, since) = model.reconciliation.overdue(quiet, allowed, look.now)?;
        let (since, allowed) = (exact_duration(since), exact_duration(allowed));
        Some(format!(
            "{stray}, wanted by nobody since {since}, to end (`reconciliation` gives it {allowed})"
        ))
    })
}

/// How long a job's settings let it wait for its next checkpoint.
fn may_wait(graph: &JobGraph) -> Duration {
    let checkpoints = &graph.checkpoints;
    let delay = match graph.restarts {
        RestartStrategy::None => 0,
        RestartStrategy::FixedDelay { delay_ms, .. }
        | RestartStrategy::FailureRate { delay_ms, .. } => delay_ms,
        RestartStrategy::ExponentialDelay { max_ms, .. } => max_ms,
    };
    let times = [checkpoints.interval_ms, checkpoints.min_pause_ms, checkpoints.timeout_ms, delay];
    Duration::from_millis(times.iter().fold(0, |sum, ms| sum.saturating_add(*ms)))
}

/// What a job does over and over, if it does.
fn turning(model: &Model, job: JobId, now: Duration) -> String {
    let turns = model.progress.turning(job, now);
    turns.map_or(String::new(), |turns| format!("; since it got on: {turns}"))
}

/// The goals of a job.
pub fn of_job(setup: &JobSetup, has_faults: bool, mode: Mode) -> Vec<Goal<Model>> {
    let job = setup.id;
    let ends = EndOfJob {
        job,
        expected: setup.expected_status.clone(),
        restarts: setup.restarts,
        has_faults,
        is_submitted: mode == Mode::Session,
    };
    let (ended, topic) = (ends.clone(), setup.input_topic.clone());
    let callers = setup.callers.clone();
    vec![
        Goal::new("tasks", move |model: &Model, look| {
            all_running(model, model.present(job), look.now)
        })
        .once(),
        Goal::new("checkpoint", move |model: &Model, look| {
            fresh_checkpoint(model, model.present(job), look)
        })
        .once(),
        // The job can't end before its input does. Who asks for the same again and again doesn't get on.
        Goal::new("job", move |model, look| ends.waits_for(model, look.now)).since(
            move |model: &Model| {
                Some(match callers.is_empty() {
                    true => model.last_input.get(&topic).copied().unwrap_or_default(),
                    false => model.last_got_on(callers.clone()),
                })
            },
        ),
        Goal::new("leftovers", move |model: &Model, _| {
            model.course(job).find_map(|job| nothing_left(model, job))
        })
        .since(move |model: &Model| match ended.waits_for(model, Duration::ZERO) {
            Some(_) => None,
            None => model.results.get(&model.present(job)).map(|(_, at)| *at),
        }),
    ]
}

/// One leader, published and known to every follower.
pub fn elected(model: &Model, component: &str) -> Option<String> {
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

fn all_running(model: &Model, job: JobId, now: Duration) -> Option<String> {
    if model.stored_result(job).is_some() {
        return None;
    }
    match model.running.get(&job) {
        None => Some("the job's tasks to be deployed".to_string()),
        Some(running) => {
            let tasks = model.graph(job).map_or(0, |graph| graph.subtasks() as usize);
            match tasks.saturating_sub(running.up.len()) {
                0 if running.status == JobStatus::Running => None,
                0 => Some(format!(
                    "the job to be RUNNING; its tasks run, and it is {}",
                    running.status
                )),
                missing => {
                    let failed = failures(model, job) + &turning(model, job, now);
                    Some(format!("{missing} of {tasks} tasks to run{failed}"))
                }
            }
        }
    }
}

/// Why a job is not where it should be, if it has failed: what a user's own code says of itself, too.
fn failures(model: &Model, job: JobId) -> String {
    let Some(cause) = model.failed.get(&job) else { return String::new() };
    let of_job = model.failovers.iter().filter(|((of, _), _)| *of == job);
    let times: u32 = of_job.map(|(_, count)| count).sum();
    let times = if times == 1 { "once".to_string() } else { format!("{times} times") };
    format!("; it has failed {times}, at last of: {cause}")
}

fn fresh_checkpoint(model: &Model, job: JobId, look: GoalContext) -> Option<String> {
    let newest = model.newest_checkpoint.get(&job);
    let fresh = newest.is_some_and(|began| *began >= look.healed.unwrap_or_default());
    (!fresh && model.stored_result(job).is_none()).then(|| {
        let turns = turning(model, job, look.now);
        format!("a checkpoint that began after the faults to complete{turns}")
    })
}

/// How a job must end.
#[derive(Clone)]
struct EndOfJob {
    job: JobId,
    /// The ends that it may come to if it is not canceled.
    expected: Vec<JobStatus>,
    restarts: u32,
    has_faults: bool,
    /// By a client; else it is there from the start.
    is_submitted: bool,
}

impl EndOfJob {
    fn waits_for(&self, model: &Model, now: Duration) -> Option<String> {
        let EndOfJob { job, expected: ends, restarts, has_faults, is_submitted } = self;
        let job = &model.present(*job);
        if *is_submitted && !model.submitted.contains(job) {
            return Some("the job to be taken on".to_string());
        }
        let canceled = model.canceled.contains(job);
        let mut expected = match canceled {
            true => vec![JobStatus::Canceled],
            false => ends.clone(),
        };
        if !canceled && model.canceling.contains(job) {
            // It may have been, and the client's process have died before it was told.
            expected.push(JobStatus::Canceled);
        }
        // Each master counts anew.
        let of_job = model.failovers.iter().filter(|((of, _), _)| of == job);
        let failovers = of_job.map(|(_, count)| *count).max().unwrap_or(0);
        if !canceled && *restarts <= RESTARTS_FEW && failovers > *restarts && *has_faults {
            expected.push(JobStatus::Failed);
        }
        match model.results.get(job) {
            None => {
                let told = "the job to end, and its client to learn of it";
                Some(format!("{told}{}{}", failures(model, *job), turning(model, *job, now)))
            }
            Some((result, _)) if expected.contains(&result.status) => None,
            Some((result, _)) => {
                let cause = result.cause.as_deref().unwrap_or("no cause is known");
                Some(format!("the job to be {expected:?}; it is {} ({cause})", result.status))
            }
        }
    }
}

/// Nothing of an ended job is left but its result and its final files.
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
    let prefix = store::object_prefix(job);
    if let Some(object) = model.objects.iter().find(|name| name.starts_with(&prefix)) {
        return Some(format!("the object {object} to be removed"));
    }
    let is_of_nothing = |name: &&String| {
        let root = name.split('/').next().unwrap_or_default();
        ![FILES, SAVEPOINTS].contains(&root) && root.parse::<JobId>().is_err()
    };
    if let Some(object) = model.objects.iter().find(is_of_nothing) {
        return Some(format!("{object} to be removed, which is of no job and no file of one"));
    }
    if let Some(left) = model.transactions.iter().find(|t| t.producer.starts_with(&prefix)) {
        return Some(format!("the transaction {left:?} to end"));
    }
    let held = model.slots.iter().find(|(_, (of, _))| *of == job);
    held.map(|((process, index), _)| format!("slot {index} of {process:?} to be freed"))
}
