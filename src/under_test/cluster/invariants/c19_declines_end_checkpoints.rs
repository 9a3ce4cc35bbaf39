//! C19: a checkpoint that a present attempt of its plan has declined ends as its master hears of it, and
//! not when its time is over. A decline is the word of the task; that a master heard one is its main thread's. Which one
//! it heard is not announced: it is known where as many were heard as were said, and all of them by one process. One
//! that is lost on its way leaves the rest of the run unjudged.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{
        Kind,
        sim::{Hardware, NodeId},
    },
    system::{
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId},
        job_manager::JobEvent,
        rpc::{EndpointId, RpcEvent},
        task_executor::TaskEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

const DECLINE: Kind = Kind::new("JobMasterGateway.decline_checkpoint");

type Process = (NodeId, u64);

/// Remembers which declines are on their way, and what they should end.
#[derive(Default)]
pub struct DeclinesEndCheckpoints {
    epochs: BTreeMap<(Process, ExecutionVertexId, JobId), u64>,
    /// The plan of each checkpoint that has no outcome.
    open: BTreeMap<(Process, JobId, CheckpointId), Vec<ExecutionAttemptId>>,
    /// Since the last moment at which all were heard.
    said: Vec<(ExecutionAttemptId, CheckpointId, Moment)>,
    heard: usize,
    hearers: BTreeSet<Process>,
    /// The main threads that hear one now.
    hearing: BTreeSet<(Process, EndpointId)>,
}

impl ClusterInvariant for DeclinesEndCheckpoints {
    fn title(&self) -> &'static str {
        "C19 declines-end-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint ends as its master hears that a present attempt takes no part in it"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rpc, EventKind::Job, EventKind::Task, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { endpoint, kind, .. }) if *kind == DECLINE => {
                self.hearing.insert((at.process, *endpoint));
            }
            EventRef::Rpc(RpcEvent::HandlerEnded { endpoint })
                if !self.hearing.is_empty() && self.hearing.remove(&(at.process, *endpoint)) =>
            {
                return self.hear(at);
            }
            EventRef::Task(TaskEvent::CheckpointDeclined { attempt, checkpoint, .. }) => {
                self.said.push((*attempt, *checkpoint, at));
            }
            EventRef::Job(event) => self.observe_master(at, event),
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.hearing.retain(|(process, _)| *process != at.process);
                self.epochs.retain(|(process, ..), _| *process != at.process);
                self.open.retain(|(process, ..), _| *process != at.process);
            }
            _ => {}
        }
        Check::Ignored
    }
}

impl DeclinesEndCheckpoints {
    fn observe_master(&mut self, at: Moment, event: &JobEvent) {
        match event {
            JobEvent::CheckpointTriggered { job, checkpoint, plan, .. } => {
                self.open.insert((at.process, *job, *checkpoint), plan.clone());
            }
            JobEvent::CheckpointCompleted { job, checkpoint, .. }
            | JobEvent::CheckpointAborted { job, checkpoint, .. } => {
                self.open.remove(&(at.process, *job, *checkpoint));
            }
            JobEvent::Scheduled { job, epoch, vertices, .. } => {
                let epochs = vertices.iter().map(|vertex| ((at.process, *vertex, *job), *epoch));
                self.epochs.extend(epochs);
            }
            _ => {}
        }
    }

    /// A decline was handled; judges those that were said once each of them was.
    fn hear(&mut self, at: Moment) -> Check {
        self.heard += 1;
        self.hearers.insert(at.process);
        if self.heard < self.said.len() {
            return Check::Ignored;
        }
        let by_one = self.hearers.len() == 1;
        let said = std::mem::take(&mut self.said);
        self.heard = 0;
        self.hearers.clear();
        if !by_one {
            return Check::Ignored;
        }
        let ignored = said.into_iter().find(|(attempt, checkpoint, _)| {
            let present = (at.process, attempt.vertex, attempt.job);
            let open = self.open.get(&(at.process, attempt.job, *checkpoint));
            open.is_some_and(|plan| plan.contains(attempt))
                && self.epochs.get(&present) == Some(&attempt.epoch)
        });
        ignored.map_or(Check::Passed, |(attempt, checkpoint, since)| {
            let before = format!("{since}: {attempt:?} declines {checkpoint:?}");
            Check::broken(before, format!("{at}: its master has heard it, and goes on with it"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, DeclinesEndCheckpoints};

    type Declines = History<DeclinesEndCheckpoints>;

    fn declines(epoch: u64, id: u64) -> TaskEvent {
        let (attempt, checkpoint) = (attempt(0, epoch), CheckpointId(id));
        TaskEvent::CheckpointDeclined { attempt, checkpoint, reason: String::new() }
    }

    fn hears() -> RpcEvent {
        called("JobMasterGateway.decline_checkpoint")
    }

    fn has_heard() -> RpcEvent {
        RpcEvent::HandlerEnded { endpoint: EndpointId(1) }
    }

    /// A checkpoint is under way, and its only attempt declines it.
    fn declined() -> Declines {
        History::new()
            .holds(process(1, 1), scheduled(1, 4, None))
            .holds(process(1, 1), triggered(3, &[attempt(0, 4)]))
            .holds(process(2, 1), declines(4, 3))
    }

    #[test]
    fn a_checkpoint_that_outlives_its_decline_is_refused() {
        declined().holds(process(1, 1), hears()).breaks(process(1, 1), has_heard());
        let ends = declined().holds(process(1, 1), hears()).holds(process(1, 1), aborted(3));
        ends.holds(process(1, 1), has_heard());
    }

    #[test]
    fn what_is_still_on_its_way_ends_nothing() {
        let other = declined().holds(process(2, 1), declines(4, 2));
        other.holds(process(1, 1), hears()).holds(process(1, 1), has_heard());
        let newer = declined().holds(process(1, 1), scheduled(1, 5, None));
        newer.holds(process(1, 1), hears()).holds(process(1, 1), has_heard());
        declined().holds(process(3, 1), hears()).holds(process(3, 1), has_heard());
    }
}
