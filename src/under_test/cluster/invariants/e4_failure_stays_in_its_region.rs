//! E4: a master deploys pipelined regions whole: with a subtask all that it reads from and all that read from
//! it. It deploys one anew only after a failure in that region, or one that concerns the whole job. Judged on
//! the master's word; which subtasks are connected, by the job's durable graph.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        graph::ExecutionGraph,
        ids::{ExecutionVertexId, JobId},
        job_manager::JobEvent,
        leadership::LeaderSessionId,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Process = (NodeId, u64);

/// What a master has deployed.
struct Deployed {
    session: LeaderSessionId,
    /// The epoch of each subtask.
    epochs: BTreeMap<ExecutionVertexId, u64>,
    /// The epochs that have a reason to begin anew.
    failed: BTreeSet<u64>,
}

/// Remembers what masters deployed, and what has failed of it.
#[derive(Default)]
pub struct FailureStaysInItsRegion {
    masters: BTreeMap<(Process, JobId), Deployed>,
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
                whole.and(self.scheduled(at, (*job, *session), *epoch, vertices))
            }
            EventRef::Job(JobEvent::FailureCounted { job, session, attempt, .. }) => {
                let master = self.masters.get_mut(&(at.process, *job));
                if let Some(master) = master.filter(|master| master.session == *session) {
                    let all = master.epochs.values().copied();
                    master.failed.extend(
                        all.filter(|epoch| attempt.is_none_or(|attempt| attempt.epoch == *epoch)),
                    );
                }
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.masters.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

/// That with each subtask come all that it is connected to.
fn is_whole(at: Moment, job: JobId, vertices: &[ExecutionVertexId], model: &Model) -> Check {
    let Some(graph) = model.graph(job) else { return Check::Ignored };
    let among: BTreeSet<&ExecutionVertexId> = vertices.iter().collect();
    let graph = ExecutionGraph::new(&graph);
    let torn = |edge: &&crate::system::graph::ExecutionEdge| {
        among.contains(&edge.producer) != among.contains(&edge.consumer)
    };
    let torn = graph.edges().find(torn);
    Check::that(torn.is_none(), || {
        (format!("{torn:?} connects two subtasks"), format!("{at}: just {vertices:?} are deployed"))
    })
}

impl FailureStaysInItsRegion {
    fn scheduled(
        &mut self,
        at: Moment,
        (job, session): (JobId, LeaderSessionId),
        epoch: u64,
        vertices: &[ExecutionVertexId],
    ) -> Check {
        let fresh = || Deployed { session, epochs: BTreeMap::new(), failed: BTreeSet::new() };
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

    fn failed(of: Option<(u32, u64)>) -> JobEvent {
        let attempt = of.map(|(vertex, epoch)| attempt(vertex, epoch));
        JobEvent::FailureCounted { job: JOB, session: term(1), failures: 1, attempt }
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
            .holds(process(1, 1), failed(None))
            .holds(process(1, 1), scheduled_of(1, 3, &[1]))
            .holds(process(1, 1), scheduled_of(1, 4, &[0]));
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
        let spec = |uid: &str| OperatorSpec {
            uid: uid.to_string(),
            name: uid.to_string(),
            parameters: vec![],
        };
        let mut graph = StreamGraph::new().disable_chaining();
        let source = graph.source(spec("a"), 1);
        graph.operator(source, Partitioner::Forward, spec("b"), 1);
        let settings = CheckpointSettings::default();
        let job = graph.job_graph(JOB, "two", settings, RestartStrategy::None).expect("sound");
        put(store::graph_key(JOB), postcard::to_allocvec(&job).expect("it can be encoded"))
    }
}
