//! Savepoints that users want: taken as checkpoints, and copied to where their users want them once these are complete.
//!
//! A savepoint of a job that goes on is a copy of a checkpoint like any other. One with which the job stops is the job's
//! final checkpoint: its sources read nothing behind it, so its pointer decides, at one instant, whether the job ends there
//! or goes on; and the job does not end before the copy is whole. One that drains the job is whichever checkpoint turns
//! out to be the last after the sources have ended. While a savepoint is being taken no other checkpoint begins, which
//! would take its place in the tasks.

use super::{Effect, JobMasterCore, Timer};
use crate::{
    host::Instant,
    system::{
        ids::CheckpointId,
        job_manager::event::JobEvent,
        protocol::{AfterSavepoint, JobStatus, SavepointRequest, SavepointStatus, WaitReason},
        reason::bounded,
        sabotage,
        store::CompletedCheckpoint,
    },
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Savepoints of a job that are wanted or being taken at most.
const SAVEPOINTS_MAX: usize = 16;
/// Savepoints that have come to an end of which that is remembered; of those that are whole the object store knows.
const ENDED_MAX: usize = 64;
/// The pause before the savepoint of a job that waits for it is written again.
const PUBLISH_PAUSE: Duration = Duration::from_secs(2);

/// A savepoint whose checkpoint is complete, being copied.
#[derive(Debug)]
struct Publishing {
    request: SavepointRequest,
    checkpoint: CompletedCheckpoint,
    since: Instant,
    /// Why the last try came to nothing.
    trouble: Option<String>,
}

/// The savepoints of a job during one term.
#[derive(Debug, Default)]
pub struct Savepoints {
    /// Those for which a checkpoint is to begin, in order.
    wanted: VecDeque<SavepointRequest>,
    /// That the job is to be drained, and with which savepoint it then ends.
    drain: Option<SavepointRequest>,
    /// Those whose checkpoints are pending or being stored.
    taken: BTreeMap<CheckpointId, Vec<SavepointRequest>>,
    /// By path.
    publishing: BTreeMap<String, Publishing>,
    /// Those that have come to an end, the oldest first.
    ended: VecDeque<(String, SavepointStatus)>,
}

impl Savepoints {
    fn requests(&self) -> impl Iterator<Item = &SavepointRequest> {
        let publishing = self.publishing.values().map(|publishing| &publishing.request);
        self.wanted.iter().chain(&self.drain).chain(self.taken.values().flatten()).chain(publishing)
    }

    /// How far the savepoint of a path is; `None` when nothing is known of it.
    pub fn status(&self, path: &str) -> Option<SavepointStatus> {
        if self.requests().any(|request| request.path == path) {
            return Some(SavepointStatus::InProgress);
        }
        let ended = self.ended.iter().rev().find(|(of, _)| of == path);
        ended.map(|(_, status)| status.clone())
    }

    /// Whether one is being taken, so that no other checkpoint may begin.
    pub fn is_taking(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Whether a checkpoint is taken for a savepoint.
    pub fn takes(&self, checkpoint: CheckpointId) -> bool {
        self.taken.contains_key(&checkpoint)
    }

    /// Whether its job is to be stopped with a checkpoint.
    pub fn stops_with(&self, checkpoint: CheckpointId) -> bool {
        let mut requests = self.taken.get(&checkpoint).into_iter().flatten();
        requests.any(|request| request.then == AfterSavepoint::Stop)
    }

    /// Whether a checkpoint is being copied, so that its parts must stay.
    pub fn uses(&self, checkpoint: CheckpointId) -> bool {
        self.publishing.values().any(|publishing| publishing.checkpoint.id == checkpoint)
    }

    /// The checkpoints that are being copied.
    pub fn copied(&self) -> impl Iterator<Item = &CompletedCheckpoint> {
        self.publishing.values().map(|publishing| &publishing.checkpoint)
    }

    /// Whether the job must not end yet.
    pub fn hold_the_end(&self) -> bool {
        self.publishing.values().any(|publishing| publishing.checkpoint.last)
    }

    /// What they wait for, and since when.
    pub fn waits(&self) -> impl Iterator<Item = (WaitReason, Instant)> {
        self.publishing.values().map(|publishing| {
            let (path, why) = (publishing.request.path.clone(), publishing.trouble.clone());
            (WaitReason::Savepoint { path, why }, publishing.since)
        })
    }

    fn end(&mut self, path: String, status: SavepointStatus) {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back((path, status));
    }
}

impl JobMasterCore {
    /// How far a savepoint is; `None` when nothing is known of it.
    pub fn savepoint_status(&self, path: &str) -> Option<SavepointStatus> {
        self.savepoints.status(path)
    }

    /// A user wants a savepoint that does not lie at its path yet; how far it is.
    pub fn on_savepoint(&mut self, request: SavepointRequest) -> SavepointStatus {
        if let Some(known) = self.savepoints.status(&request.path) {
            return known;
        }
        if let Some(why) = self.savepoint_refusal(request.then) {
            return SavepointStatus::Failed(why);
        }
        let (job, session) = (self.id(), self.session);
        let SavepointRequest { path, then, .. } = request.clone();
        self.announce(JobEvent::SavepointRequested { job, session, path, then });
        match then {
            AfterSavepoint::GoOn | AfterSavepoint::Stop => {
                self.savepoints.wanted.push_back(request)
            }
            AfterSavepoint::Drain => {
                self.savepoints.drain = Some(request);
                self.drain_sources();
            }
        }
        self.trigger_savepoint();
        SavepointStatus::InProgress
    }

    fn savepoint_refusal(&self, then: AfterSavepoint) -> Option<String> {
        let goes_on =
            matches!(self.status, JobStatus::Created | JobStatus::Running | JobStatus::Restarting);
        if !goes_on {
            return Some(format!("the job is {}", self.status));
        }
        if self.checkpoints.may_be_final() {
            return Some("the job has come to its end".to_string());
        }
        let mut requests = self.savepoints.requests();
        if let Some(ends) = requests.find(|request| request.then != AfterSavepoint::GoOn) {
            return Some(format!("the job is being stopped with the savepoint {}", ends.path));
        }
        // What is taken behind the end of some sources would be half of a drained job.
        if let (AfterSavepoint::Drain, Some(first)) = (then, self.savepoints.requests().next()) {
            return Some(format!("the savepoint {} is being taken first", first.path));
        }
        let full = self.savepoints.requests().count() >= SAVEPOINTS_MAX;
        full.then(|| format!("{SAVEPOINTS_MAX} savepoints of the job are being taken"))
    }

    /// Begins a checkpoint for what is wanted, as soon as one may.
    pub(super) fn trigger_savepoint(&mut self) {
        if self.wants_savepoint() && self.checkpoints.is_running() {
            self.trigger_checkpoint();
        }
    }

    /// Whether a savepoint waits for the next checkpoint.
    pub(super) fn wants_savepoint(&self) -> bool {
        !self.savepoints.wanted.is_empty()
    }

    /// The next checkpoint that begins is the savepoint that was wanted first, if one is. Whether its sources stop.
    pub(super) fn savepoint_begins(&mut self, checkpoint: CheckpointId) -> bool {
        // A word may be lost, and a source that starts again has forgotten it.
        self.drain_sources();
        let Some(request) = self.savepoints.wanted.pop_front() else { return false };
        let stops = request.then == AfterSavepoint::Stop;
        let (job, path, then) = (self.id(), request.path.clone(), request.then);
        self.announce(JobEvent::SavepointTriggered { job, checkpoint, path, then });
        self.savepoints.taken.insert(checkpoint, vec![request]);
        stops
    }

    fn drain_sources(&mut self) {
        if self.savepoints.drain.is_none() || !self.checkpoints.is_running() {
            return;
        }
        for attempt in self.source_attempts() {
            if let Some(resource) = self.resource_of(attempt) {
                self.does(Effect::Drain(resource, attempt));
            }
        }
    }

    /// With which savepoint the job ends, if that checkpoint is the last.
    pub(super) fn final_savepoint(
        &mut self,
        checkpoint: CheckpointId,
        ended: bool,
    ) -> Option<SavepointRequest> {
        let mut taken = self.savepoints.taken.get(&checkpoint).into_iter().flatten();
        if let Some(request) = taken.find(|request| request.then == AfterSavepoint::Stop) {
            return Some(request.clone());
        }
        // Another one may be the last before the savepoint is whole: then that is its copy.
        let mut publishing =
            self.savepoints.publishing.values().map(|publishing| &publishing.request);
        let drained =
            publishing.find(|request| ended && request.then == AfterSavepoint::Drain).cloned();
        let request = match drained {
            Some(request) => request,
            None => self.savepoints.drain.take_if(|_| ended)?,
        };
        self.savepoints.taken.entry(checkpoint).or_default().push(request.clone());
        Some(request)
    }

    /// A checkpoint is complete: if it is a savepoint's, it is copied.
    pub(super) fn publish_savepoint(&mut self, now: Instant, checkpoint: &CompletedCheckpoint) {
        for request in self.savepoints.taken.remove(&checkpoint.id).into_iter().flatten() {
            self.publish(now, request, checkpoint.clone());
        }
    }

    /// A savepoint with which the job ends may not be whole: an earlier term may have ended too soon.
    pub(super) fn publish_again(&mut self, now: Instant) {
        let Some(newest) = self.checkpoints.completed.last() else { return };
        if let Some(request) = newest.savepoint.clone() {
            self.publish(now, request, newest.clone());
        }
    }

    fn publish(
        &mut self,
        now: Instant,
        request: SavepointRequest,
        checkpoint: CompletedCheckpoint,
    ) {
        let path = request.path.clone();
        self.does(Effect::PublishSavepoint(request.clone(), checkpoint.clone()));
        let publishing = Publishing { request, checkpoint, since: now, trouble: None };
        self.savepoints.publishing.insert(path, publishing);
    }

    /// The savepoint is whole, or could not be written.
    pub fn on_savepoint_published(
        &mut self,
        now: Instant,
        path: &str,
        published: Result<(), String>,
    ) {
        let Some(publishing) = self.savepoints.publishing.get_mut(path) else { return };
        let ends = publishing.request.then != AfterSavepoint::GoOn;
        if let (Err(why), true) = (&published, ends) {
            // Its job has nothing left but to end, and its state would go with it.
            publishing.trouble = Some(bounded(why.clone()));
            let again = Timer::PublishSavepoint(publishing.checkpoint.id);
            return self.does(Effect::Schedule(PUBLISH_PAUSE, again));
        }
        let publishing = self.savepoints.publishing.remove(path).expect("it was just found");
        match published {
            Ok(()) => {
                let (job, checkpoint) = (self.id(), publishing.checkpoint.id);
                let path = path.to_string();
                self.savepoints.end(path.clone(), SavepointStatus::Completed);
                self.announce(JobEvent::SavepointCompleted { job, checkpoint, path });
            }
            Err(why) => self.savepoint_failed(publishing.request, &why),
        }
        let is_kept = |kept: &CompletedCheckpoint| kept.id == publishing.checkpoint.id;
        if !self.checkpoints.completed.iter().any(is_kept) {
            self.discard_checkpoint(publishing.checkpoint);
        }
        self.maybe_finish(now);
    }

    /// It is time to write a savepoint once more.
    pub(super) fn publish_due(&mut self, checkpoint: CheckpointId) {
        let all = self.savepoints.publishing.values();
        let due = all.filter(|of| of.checkpoint.id == checkpoint && of.trouble.is_some());
        let due = due.map(|of| Effect::PublishSavepoint(of.request.clone(), of.checkpoint.clone()));
        self.effects.extend(due);
    }

    /// A checkpoint has come to nothing: a savepoint with it.
    pub(super) fn savepoint_aborted(&mut self, checkpoint: CheckpointId, why: &str) {
        for request in self.savepoints.taken.remove(&checkpoint).into_iter().flatten() {
            let drains = request.then == AfterSavepoint::Drain;
            if drains && !self.switches.on(sabotage::DRAIN_FORGOTTEN_AFTER_A_FAILURE) {
                // Its sources have ended, so the next one may be the last.
                self.savepoints.drain = Some(request);
            } else {
                self.savepoint_failed(request, why);
            }
        }
    }

    /// The job has ended: what is not being written comes to nothing.
    pub(super) fn end_savepoints(&mut self, why: &str) {
        let wanted = std::mem::take(&mut self.savepoints.wanted);
        let drain = self.savepoints.drain.take();
        for request in wanted.into_iter().chain(drain) {
            self.savepoint_failed(request, why);
        }
    }

    /// What is being copied comes to nothing.
    pub(super) fn lose_savepoints(&mut self, why: &str) {
        for (_, lost) in std::mem::take(&mut self.savepoints.publishing) {
            self.savepoint_failed(lost.request, why);
        }
    }

    fn savepoint_failed(&mut self, request: SavepointRequest, why: &str) {
        let (job, why) = (self.id(), bounded(why.to_string()));
        let path = request.path;
        self.savepoints.end(path.clone(), SavepointStatus::Failed(why.clone()));
        self.announce(JobEvent::SavepointFailed { job, path, why });
    }

    /// What is taken is pending or being stored, and no more is wanted than may be.
    pub(super) fn check_savepoints(&self) {
        for checkpoint in self.savepoints.taken.keys() {
            let storing = self.checkpoints.storing.as_ref().map(super::storing::Storing::id);
            let known = self.checkpoints.pending.contains_key(checkpoint)
                || storing == Some(*checkpoint)
                || self.status == JobStatus::Suspended;
            assert!(known, "a savepoint that is taken has its checkpoint");
        }
        assert!(self.savepoints.taken.len() <= 1, "one savepoint is taken at a time");
        assert!(self.savepoints.requests().count() <= SAVEPOINTS_MAX, "savepoints are bounded");
    }
}
