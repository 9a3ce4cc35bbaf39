//! E4: a master deploys pipelined regions whole: with a subtask all that it reads from and all that read from
//! it. It deploys one anew only after a failure in that region, or one that concerns the whole job, or after it
//! ended what ran of a job that lacked slots for long. Judged on the master's word; which subtasks are connected, by the job's durable graph.

use super::{Check, ClusterInvariant};
use crate::{
    harness::{check::Clocks, event::Moment},
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId},
        job_manager::{JobEvent, JobManagerConfig},
        leadership::LeaderSessionId,
        protocol::JobStatus,
        store,
    },
    under_test::cluster::{EventKind, EventRef, Model, plain},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

type Process = (NodeId, u64);

/// What a master has deployed.
struct Deployed {
    session: LeaderSessionId,
    /// The epoch of each subtask.
    epochs: BTreeMap<ExecutionVertexId, u64>,
    /// The epochs that have a reason to begin anew.
    failed: BTreeSet<u64>,
    /// A checkpoint's failure was counted since the last one of the job.
    checkpoint_failed: bool,
    /// It knows the job's final checkpoint, also when that was removed since by who came after it.
    is_final: bool,
}

/// Remembers what masters deployed, and what has failed of it.
#[derive(Default)]
pub struct FailureStaysInItsRegion {
    masters: BTreeMap<(Process, JobId), Deployed>,
    /// What each master's checkpoints still wait for.
    pending: BTreeMap<(Process, JobId), BTreeMap<CheckpointId, BTreeSet<ExecutionAttemptId>>>,
    /// The masters in whose time there was a final checkpoint, which they may have read before they deploy anything.
    may_know_final: BTreeSet<(Process, JobId)>,
    /// Since when each master's job does not run whole.
    in_part: BTreeMap<(Process, JobId), Duration>,
    clocks: Clocks,
}

impl ClusterInvariant for FailureStaysInItsRegion {
    fn title(&self) -> &'static str {
        "E4 failure-stays-in-its-region"
    }

    fn promise(&self) -> &'static str {
        "a failure restarts the region of what failed, whole, and no other"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::Scheduled { job, session, epoch, vertices, .. }) => {
                let whole = is_whole(at, *job, vertices, model);
                let deployed = self.scheduled(at, (*job, *session), *epoch, vertices);
                if let Some(master) = self.masters.get_mut(&(at.process, *job)) {
                    master.is_final |= model.keys.contains_key(&store::final_key(*job))
                        || self.may_know_final.contains(&(at.process, *job));
                }
                whole.and(deployed)
            }
            EventRef::Job(JobEvent::FailureCounted { job, session, attempts, all, .. }) => {
                self.failed(at, (*job, *session), attempts, *all, model)
            }
            EventRef::Job(JobEvent::StatusChanged { job, status, .. }) => {
                match status {
                    JobStatus::Created => {
                        self.in_part.insert((at.process, *job), at.time);
                        self.may_know_final.remove(&(at.process, *job));
                        if model.keys.contains_key(&store::final_key(*job)) {
                            self.may_know_final.insert((at.process, *job));
                        }
                    }
                    JobStatus::Restarting => {
                        self.in_part.entry((at.process, *job)).or_insert(at.time);
                    }
                    _ => drop(self.in_part.remove(&(at.process, *job))),
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::TasksWithdrawn { job, session, attempts }) => {
                self.withdrawn(at, (*job, *session), attempts)
            }
            EventRef::Job(JobEvent::CheckpointFailureCounted { job, session, .. }) => {
                let master = self.masters.get_mut(&(at.process, *job));
                if let Some(master) = master.filter(|master| master.session == *session) {
                    master.checkpoint_failed = true;
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, plan, .. }) => {
                let missing = plan.iter().copied().collect();
                let pending = self.pending.entry((at.process, *job)).or_default();
                pending.insert(*checkpoint, missing);
                self.takes_part(at, *job, plan)
            }
            EventRef::Job(JobEvent::CheckpointAcknowledged { checkpoint, attempt }) => {
                let pending = self.pending.entry((at.process, attempt.job)).or_default();
                if let Some(missing) = pending.get_mut(checkpoint) {
                    missing.remove(attempt);
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointCompleted { job, checkpoint, last, .. }) => {
                if let Some(pending) = self.pending.get_mut(&(at.process, *job)) {
                    pending.remove(checkpoint);
                }
                if let Some(master) = self.masters.get_mut(&(at.process, *job)) {
                    master.is_final |= *last;
                }
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointAborted { job, checkpoint, .. }) => {
                if let Some(pending) = self.pending.get_mut(&(at.process, *job)) {
                    pending.remove(checkpoint);
                }
                Check::Ignored
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.masters.retain(|(process, _), _| *process != at.process);
                    self.pending.retain(|(process, _), _| *process != at.process);
                    self.may_know_final.retain(|(process, _)| *process != at.process);
                    self.in_part.retain(|(process, _), _| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

/// That what is deployed is all that one subtask is connected to, and nothing else.
fn is_whole(at: Moment, job: JobId, vertices: &[ExecutionVertexId], model: &Model) -> Check {
    let Some(graph) = model.graph(job) else { return Check::Ignored };
    let Some(first) = vertices.first() else { return Check::Ignored };
    let region = plain::region_of(&graph, *first);
    let deployed: BTreeSet<ExecutionVertexId> = vertices.iter().copied().collect();
    Check::that(region == deployed, || {
        let before = format!("{first:?} is connected to {region:?}");
        (before, format!("{at}: just {vertices:?} are deployed"))
    })
}

impl FailureStaysInItsRegion {
    /// All may begin anew when checkpoints have failed, and when the final one is stored or, as far as its
    /// master knows, may be: every part of one is there, and nothing is known of what became of it.
    fn failed(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        attempts: &[ExecutionAttemptId],
        all: bool,
        model: &Model,
    ) -> Check {
        let pending = self.pending.get(&(at.process, job));
        let whole = pending.is_some_and(|pending| pending.values().any(BTreeSet::is_empty));
        let master = self.masters.get_mut(&(at.process, job));
        let Some(master) = master.filter(|master| master.session == session) else {
            return Check::Ignored;
        };
        let is_kept = model.keys.contains_key(&store::final_key(job));
        let may_be_final = whole || is_kept || master.is_final;
        let of_checkpoints = std::mem::take(&mut master.checkpoint_failed) && attempts.is_empty();
        let fails = |epoch: &u64| all || attempts.iter().any(|attempt| attempt.epoch == *epoch);
        master.failed.extend(master.epochs.values().copied().filter(fails));
        Check::that(!all || of_checkpoints || may_be_final, || {
            let promise = "no checkpoint has failed, and none may be the job's last".to_string();
            (promise, format!("{at}: after a failure of {attempts:?} all regions begin anew"))
        })
    }

    /// What has failed takes part in no checkpoint: it begins anew first.
    fn takes_part(&self, at: Moment, job: JobId, plan: &[ExecutionAttemptId]) -> Check {
        let Some(master) = self.masters.get(&(at.process, job)) else { return Check::Ignored };
        let failed = plan.iter().find(|attempt| master.failed.contains(&attempt.epoch));
        Check::that(failed.is_none(), || {
            let before = format!("{failed:?} has failed, and has not begun anew");
            (before, format!("{at}: it is to take part in a checkpoint"))
        })
    }

    /// What runs of a job that does not run whole may be ended, once it has been so for long.
    fn withdrawn(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        attempts: &[ExecutionAttemptId],
    ) -> Check {
        let master = self.masters.get_mut(&(at.process, job));
        if let Some(master) = master.filter(|master| master.session == session) {
            master.failed.extend(attempts.iter().map(|attempt| attempt.epoch));
        }
        let since = self.in_part.get(&(at.process, job)).copied();
        let least = self.clocks.shrunk(at.process.0, JobManagerConfig::default().slot_idle_timeout);
        let long = since.is_some_and(|since| at.time - since >= least);
        Check::that(long, || {
            let promise = format!("{job:?} does not run whole since {since:?}, for {least:?}");
            (promise, format!("{at}: its tasks {attempts:?} are ended to give slots back"))
        })
    }

    fn scheduled(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        epoch: u64,
        vertices: &[ExecutionVertexId],
    ) -> Check {
        let fresh = || Deployed {
            session,
            epochs: BTreeMap::new(),
            failed: BTreeSet::new(),
            checkpoint_failed: false,
            is_final: false,
        };
        let master = self.masters.entry((at.process, job)).or_insert_with(fresh);
        if master.session != session {
            *master = fresh();
        }
        let mut sound = None;
        for vertex in vertices {
            let before = master.epochs.insert(*vertex, epoch);
            sound = sound.or(before.filter(|before| !master.failed.contains(before)));
        }
        let present: BTreeSet<u64> = master.epochs.values().copied().collect();
        master.failed.retain(|failed| present.contains(failed));
        Check::that(sound.is_none(), || {
            let before = format!("nothing of epoch {sound:?} has failed");
            (before, format!("{at}: epoch {epoch} of {vertices:?} is deployed in its place"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, FailureStaysInItsRegion};
    use crate::system::protocol::JobStatus;
    use std::time::Duration;

    fn failed(of: Option<(u32, u64)>) -> JobEvent {
        let attempts = of.into_iter().map(|(vertex, epoch)| attempt(vertex, epoch)).collect();
        let all = of.is_none();
        JobEvent::FailureCounted {
            job: JOB,
            session: term(1),
            failures: 1,
            attempts,
            all,
            cause: String::new(),
        }
    }

    /// All begin anew after the failure of one.
    fn all_failed(vertex: u32, epoch: u64) -> JobEvent {
        let attempts = vec![attempt(vertex, epoch)];
        JobEvent::FailureCounted {
            job: JOB,
            session: term(1),
            failures: 1,
            attempts,
            all: true,
            cause: String::new(),
        }
    }

    fn checkpoint_failed() -> JobEvent {
        let (session, checkpoint) = (term(1), CheckpointId(8));
        JobEvent::CheckpointFailureCounted { job: JOB, session, checkpoint, declined: None }
    }

    /// A checkpoint of which the part of that subtask, of both, is there.
    fn acknowledged(
        history: History<FailureStaysInItsRegion>,
        of: &[u32],
    ) -> History<FailureStaysInItsRegion> {
        let (checkpoint, plan) = (CheckpointId(8), vec![attempt(0, 1), attempt(1, 2)]);
        let triggered = triggered(checkpoint.0, &plan);
        of.iter().fold(history.holds(process(1, 1), triggered), |history, of| {
            let attempt = plan[*of as usize];
            history.holds(process(1, 1), JobEvent::CheckpointAcknowledged { checkpoint, attempt })
        })
    }

    fn withdrawn(of: &[(u32, u64)]) -> JobEvent {
        let attempts = of.iter().map(|(vertex, epoch)| attempt(*vertex, *epoch)).collect();
        JobEvent::TasksWithdrawn { job: JOB, session: term(1), attempts }
    }

    fn is(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    #[test]
    fn what_is_withdrawn_begins_anew_and_only_of_a_job_that_has_long_not_run_whole() {
        let in_part = || two_regions().holds(process(1, 1), is(JobStatus::Restarting));
        in_part()
            .after(Duration::from_secs(60))
            .holds(process(1, 1), withdrawn(&[(0, 1)]))
            .holds(process(1, 1), scheduled_of(1, 3, &[0]));
        in_part()
            .after(Duration::from_secs(60))
            .holds(process(1, 1), withdrawn(&[(0, 1)]))
            .breaks(process(1, 1), scheduled_of(1, 3, &[1]));
        in_part().breaks(process(1, 1), withdrawn(&[(0, 1)]));
        in_part()
            .holds(process(1, 1), is(JobStatus::Running))
            .after(Duration::from_secs(60))
            .breaks(process(1, 1), withdrawn(&[(0, 1)]));
    }

    fn two_regions() -> History<FailureStaysInItsRegion> {
        History::new()
            .holds(process(1, 1), scheduled_of(1, 1, &[0]))
            .holds(process(1, 1), scheduled_of(1, 2, &[1]))
    }

    #[test]
    fn what_failed_and_a_failure_of_the_whole_job_are_accepted() {
        two_regions()
            .holds(process(1, 1), failed(Some((1, 2))))
            .holds(process(1, 1), scheduled_of(1, 3, &[1]));
        two_regions()
            .holds(process(1, 1), checkpoint_failed())
            .holds(process(1, 1), failed(None))
            .holds(process(1, 1), scheduled_of(1, 3, &[1]))
            .holds(process(1, 1), scheduled_of(1, 4, &[0]));
    }

    #[test]
    fn all_begin_anew_from_what_may_be_the_final_checkpoint() {
        acknowledged(two_regions(), &[0, 1]).holds(process(1, 1), all_failed(1, 2));
        two_regions()
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .holds(process(1, 1), all_failed(1, 2));
    }

    #[test]
    fn a_final_checkpoint_that_was_removed_since_is_known_to_who_began_from_it() {
        let removed = Change::Delete { key: store::final_key(JOB) };
        History::<FailureStaysInItsRegion>::new()
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .holds(process(1, 1), scheduled_of(1, 1, &[0]))
            .holds(process(0, 1), committed(3, vec![removed.clone()]))
            .holds(process(1, 1), all_failed(0, 1));
        let completed = completed_as(8, true);
        two_regions().holds(process(1, 1), completed).holds(process(1, 1), all_failed(1, 2));
        // Who was paused between its begin and its first deployment has read it all the same.
        History::<FailureStaysInItsRegion>::new()
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .holds(process(1, 1), is(JobStatus::Created))
            .holds(process(0, 1), committed(3, vec![removed.clone()]))
            .holds(process(1, 1), scheduled_of(1, 1, &[0]))
            .holds(process(1, 1), all_failed(0, 1));
        // Who began after that has no such reason.
        History::<FailureStaysInItsRegion>::new()
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .holds(process(0, 1), committed(3, vec![removed.clone()]))
            .holds(process(1, 1), is(JobStatus::Created))
            .holds(process(1, 1), scheduled_of(1, 1, &[0]))
            .breaks(process(1, 1), all_failed(0, 1));
        History::<FailureStaysInItsRegion>::new()
            .holds(process(0, 1), committed(2, vec![last_checkpoint(8)]))
            .holds(process(0, 1), committed(3, vec![removed]))
            .holds(process(1, 1), scheduled_of(1, 1, &[0]))
            .breaks(process(1, 1), all_failed(0, 1));
    }

    #[test]
    fn all_begin_anew_without_a_reason_is_refused() {
        two_regions().breaks(process(1, 1), failed(None));
        two_regions().breaks(process(1, 1), all_failed(1, 2));
        acknowledged(two_regions(), &[0]).breaks(process(1, 1), all_failed(1, 2));
        acknowledged(two_regions(), &[0, 1])
            .holds(process(1, 1), aborted(8))
            .breaks(process(1, 1), all_failed(1, 2));
        // A checkpoint's failure is a reason once.
        two_regions()
            .holds(process(1, 1), checkpoint_failed())
            .holds(process(1, 1), failed(None))
            .breaks(process(1, 1), failed(None));
    }

    #[test]
    fn what_has_failed_and_goes_on_all_the_same_is_refused() {
        let triggered = |plan: &[(u32, u64)]| {
            let plan = plan.iter().map(|(vertex, epoch)| attempt(*vertex, *epoch));
            triggered(9, &plan.collect::<Vec<_>>())
        };
        let all = || {
            acknowledged(two_regions(), &[0, 1])
                .holds(process(1, 1), all_failed(1, 2))
                .holds(process(1, 1), scheduled_of(1, 3, &[1]))
        };
        all().breaks(process(1, 1), triggered(&[(0, 1), (1, 3)]));
        all()
            .holds(process(1, 1), scheduled_of(1, 4, &[0]))
            .holds(process(1, 1), triggered(&[(0, 4), (1, 3)]));
    }

    #[test]
    fn another_term_deploys_what_it_likes() {
        two_regions()
            .holds(process(1, 1), scheduled_of(2, 3, &[0]))
            .holds(process(2, 1), scheduled_of(3, 4, &[1]));
    }

    #[test]
    fn a_region_that_has_not_failed_is_refused() {
        two_regions().breaks(process(1, 1), scheduled_of(1, 3, &[0]));
        two_regions()
            .holds(process(1, 1), failed(Some((1, 2))))
            .breaks(process(1, 1), scheduled_of(1, 3, &[0]));
        // A failure counts once.
        two_regions()
            .holds(process(1, 1), failed(Some((1, 2))))
            .holds(process(1, 1), scheduled_of(1, 3, &[1]))
            .breaks(process(1, 1), scheduled_of(1, 4, &[1]));
        // An older attempt is of no present region.
        two_regions()
            .holds(process(1, 1), failed(Some((1, 1))))
            .breaks(process(1, 1), scheduled_of(1, 3, &[1]));
    }

    #[test]
    fn a_part_of_a_region_is_refused() {
        let graph = two_connected();
        let stored = || {
            History::<FailureStaysInItsRegion>::new()
                .holds(process(0, 1), committed(1, vec![graph.clone()]))
        };
        stored().holds(process(1, 1), scheduled_of(1, 1, &[0, 1]));
        stored().breaks(process(1, 1), scheduled_of(1, 1, &[0]));
    }

    /// A graph of two vertices of one subtask each.
    fn two_connected() -> Change {
        use crate::system::graph::*;
        let spec = |uid: &str| OperatorSpec { uid: uid.to_string(), name: uid.to_string() };
        let mut graph = StreamGraph::new().disable_chaining();
        let source = graph.source(spec("a"), 1);
        graph.operator(source, Partitioner::Forward, spec("b"), 1);
        let settings = CheckpointSettings::default();
        let job = graph.job_graph(JOB, "two", settings, RestartStrategy::None).expect("sound");
        put(store::graph_key(JOB), postcard::to_allocvec(&job).expect("it can be encoded"))
    }
}
