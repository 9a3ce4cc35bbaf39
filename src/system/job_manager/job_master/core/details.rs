//! What is told of a job to whoever asks.

use super::{JobMasterCore, pending::PendingCheckpoint};
use crate::{
    host::{Instant, millis},
    system::{
        graph::JobEdge,
        ids::{CheckpointId, ExecutionVertexId, JobVertexId},
        protocol::{
            CheckpointDetails, CheckpointEnd, CheckpointsDetails, ExecutionState, JobDetails,
            SubtaskDetails, SubtaskMetrics, VertexDetails,
        },
        store::CompletedCheckpoint,
    },
};
use std::collections::VecDeque;

/// Checkpoints that have ended and are told of.
const ENDED_TOLD: usize = 10;
/// Of the reason why a checkpoint failed, characters that are told.
const REASON_CHARS_MAX: usize = 256;

fn count(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// How far a checkpoint came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub since: Instant,
    acknowledged: u32,
    subtasks: u32,
    state_bytes: u64,
}

impl Progress {
    pub fn of(pending: &PendingCheckpoint) -> Self {
        let (acknowledged, subtasks, state_bytes) = pending.progress();
        let (acknowledged, subtasks) = (count(acknowledged), count(subtasks));
        Progress { since: pending.since, acknowledged, subtasks, state_bytes }
    }

    fn told(self, id: CheckpointId, now: Instant, ended: Option<&Ended>) -> CheckpointDetails {
        let until = ended.map_or(now, |ended| ended.at);
        CheckpointDetails {
            id,
            end: ended.map(|ended| ended.end.clone()),
            age_ms: millis(now.saturating_since(self.since)),
            duration_ms: millis(until.saturating_since(self.since)),
            subtasks: self.subtasks,
            acknowledged: self.acknowledged,
            state_bytes: self.state_bytes,
        }
    }
}

#[derive(Debug)]
struct Ended {
    id: CheckpointId,
    progress: Progress,
    at: Instant,
    end: CheckpointEnd,
}

/// What became of a term's checkpoints.
#[derive(Debug, Default)]
pub(super) struct CheckpointHistory {
    restored: Option<CheckpointId>,
    completed: u64,
    failed: u64,
    /// The last ones, oldest first.
    ended: VecDeque<Ended>,
}

impl CheckpointHistory {
    /// The term begins from that one.
    pub fn restored(newest: Option<&CompletedCheckpoint>) -> Self {
        let restored = newest.map(|checkpoint| checkpoint.id);
        CheckpointHistory { restored, ..CheckpointHistory::default() }
    }

    pub fn completed(&mut self, now: Instant, id: CheckpointId, last: bool, progress: Progress) {
        self.completed += 1;
        self.note(Ended { id, progress, at: now, end: CheckpointEnd::Completed(last) });
    }

    pub fn failed(&mut self, now: Instant, id: CheckpointId, why: &str, progress: Progress) {
        self.failed += 1;
        let end = CheckpointEnd::Failed(why.chars().take(REASON_CHARS_MAX).collect());
        self.note(Ended { id, progress, at: now, end });
    }

    fn note(&mut self, ended: Ended) {
        if self.ended.len() == ENDED_TOLD {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }
}

impl JobMasterCore {
    /// How far the job is.
    pub fn details(&self, now: Instant) -> JobDetails {
        let age = |(status, since)| (status, millis(now.saturating_since(since)));
        let vertices = (0..self.job.vertices.len()).map(|vertex| self.vertex_details(now, vertex));
        JobDetails {
            job: self.id(),
            name: self.job.name.clone(),
            status: self.status,
            statuses: self.statuses.iter().copied().map(age).collect(),
            vertices: vertices.collect(),
            checkpoints: self.checkpoints_details(now),
            cause: self.cause.clone(),
            failures: self.failures.recent(now),
            waits: self.waits(now),
        }
    }

    fn vertex_details(&self, now: Instant, vertex: usize) -> VertexDetails {
        let (id, known) = (JobVertexId(count(vertex)), &self.job.vertices[vertex]);
        let subtasks =
            (0..known.parallelism).map(|subtask| ExecutionVertexId { vertex: id, subtask });
        let subtask = |of: ExecutionVertexId| match self.executions.get(&of) {
            Some(execution) => SubtaskDetails {
                epoch: Some(execution.attempt.epoch),
                state: execution.state.state(),
                age_ms: millis(now.saturating_since(execution.since)),
                executor: Some(execution.resource.clone()),
                metrics: execution.metrics,
            },
            None => SubtaskDetails {
                epoch: None,
                state: ExecutionState::Created,
                age_ms: millis(now.saturating_since(self.regions[self.region_of[&of]].since)),
                executor: None,
                metrics: SubtaskMetrics::default(),
            },
        };
        let input = |edge: &JobEdge| (edge.producer, edge.partitioner.to_string());
        VertexDetails {
            id,
            name: known.name.clone(),
            parallelism: known.parallelism,
            max_parallelism: known.max_parallelism,
            inputs: known.inputs.iter().map(input).collect(),
            subtasks: subtasks.map(subtask).collect(),
        }
    }

    fn checkpoints_details(&self, now: Instant) -> CheckpointsDetails {
        let history = &self.checkpoints.history;
        let pending = self.checkpoints.pending.values();
        let under_way = (pending.map(|pending| (pending.id, Progress::of(pending))))
            .chain(self.checkpoints.storing.as_ref().map(|s| (s.id(), s.progress())));
        let mut recent: Vec<CheckpointDetails> =
            under_way.map(|(id, progress)| progress.told(id, now, None)).collect();
        let ended =
            history.ended.iter().map(|ended| ended.progress.told(ended.id, now, Some(ended)));
        recent.extend(ended);
        recent.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.id));
        CheckpointsDetails {
            restored: history.restored,
            newest: self.checkpoints.newest(),
            completed: history.completed,
            failed: history.failed,
            recent,
        }
    }
}
