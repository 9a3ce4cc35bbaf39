//! Which channels wait for the barriers of the others.

use super::mailbox::remember;
use crate::{
    host::Host,
    system::{ids::CheckpointId, sabotage},
};
use std::collections::BTreeSet;

/// What follows from something that a channel delivered, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// These are given up, and those behind must know.
    pub aborted: Vec<(CheckpointId, AbortReason)>,
    /// Its barriers have all come: the state is taken now.
    pub completed: Option<CheckpointId>,
}

/// Why a checkpoint is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortReason {
    /// A newer one has begun.
    Subsumed,
    /// A cancel marker came.
    Marker,
    /// The job master gave it up before its first barrier came.
    JobMaster,
}

impl AbortReason {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            AbortReason::Subsumed => "subsumed",
            AbortReason::Marker => "canceled upstream",
            AbortReason::JobMaster => "aborted by the job master",
        }
    }
}

/// The alignment of a task's channels.
pub struct Alignment {
    channels: usize,
    /// The first ones, whose barriers are waited for: all.
    aligned: usize,
    /// The newest checkpoint that was begun, ended or skipped; older ones mean nothing any more.
    newest: Option<CheckpointId>,
    /// Whether `newest` still waits for barriers.
    pending: bool,
    /// Those that delivered the barrier of `newest`.
    delivered: BTreeSet<usize>,
    /// Those that deliver nothing any more.
    ended: BTreeSet<usize>,
    /// Newer checkpoints that the job master has given up.
    aborted: BTreeSet<CheckpointId>,
}

impl Alignment {
    /// Nothing is pending; checkpoints up to `restored` mean nothing.
    pub fn new(channels: usize, restored: Option<CheckpointId>) -> Self {
        Alignment {
            channels,
            aligned: channels,
            newest: restored,
            pending: false,
            delivered: BTreeSet::new(),
            ended: BTreeSet::new(),
            aborted: BTreeSet::new(),
        }
    }

    /// The same that waits for the barriers of the first channels only.
    pub fn of_first(self, aligned: usize) -> Self {
        Alignment { aligned, ..self }
    }

    /// Whether what the channel brings has to wait.
    pub fn holds_back(&self, channel: usize, host: &Host) -> bool {
        self.is_blocked(channel) && !host.sabotaged(sabotage::BARRIERS_DONT_BLOCK)
    }

    /// Whether the channel waits for the barriers of others.
    fn is_blocked(&self, channel: usize) -> bool {
        self.pending && self.delivered.contains(&channel)
    }

    /// Whether every channel has come to its end.
    pub fn all_ended(&self) -> bool {
        self.ended.len() == self.channels
    }

    /// A channel delivered a barrier.
    pub fn barrier(&mut self, channel: usize, checkpoint: CheckpointId) -> Outcome {
        let mut outcome = Outcome::default();
        if self.newest.is_none_or(|newest| newest < checkpoint) {
            outcome = self.begin(checkpoint);
        }
        if self.pending && self.newest == Some(checkpoint) {
            self.delivered.insert(channel);
            outcome.completed = self.complete();
        }
        outcome
    }

    /// A channel delivered a cancel marker.
    pub fn cancel(&mut self, checkpoint: CheckpointId) -> Outcome {
        let is_newer = self.newest.is_none_or(|newest| newest < checkpoint);
        let is_pending = self.pending && self.newest == Some(checkpoint);
        if !(is_newer || is_pending) {
            return Outcome::default();
        }
        let mut outcome = if is_newer { self.begin(checkpoint) } else { Outcome::default() };
        if self.pending {
            outcome.aborted.push((checkpoint, AbortReason::Marker));
        }
        self.pending = false;
        outcome
    }

    /// A channel delivered its end, which stands for every barrier to come.
    pub fn end_of_partition(&mut self, channel: usize) -> Outcome {
        self.ended.insert(channel);
        let completed = if self.pending { self.complete() } else { None };
        Outcome { aborted: Vec::new(), completed }
    }

    /// The job master has given the checkpoint up; whether those behind must know now.
    ///
    /// If its first barrier is yet to come, they are told then: told now, they would take no part in
    /// an older one that is still pending.
    pub fn abort(&mut self, checkpoint: CheckpointId) -> bool {
        if self.newest.is_none_or(|newest| newest < checkpoint) {
            remember(&mut self.aborted, checkpoint);
            return false;
        }
        let was_pending = self.pending && self.newest == Some(checkpoint);
        self.pending &= !was_pending;
        was_pending
    }

    /// Whether barriers of a newer checkpoint are waited for.
    pub fn waits_for_newer(&self, checkpoint: CheckpointId) -> bool {
        self.pending && self.newest.is_some_and(|newest| checkpoint < newest)
    }

    /// Waits for no barriers any more.
    pub fn reset(&mut self) {
        self.pending = false;
    }

    /// Makes a checkpoint the newest, pending unless it was given up.
    fn begin(&mut self, checkpoint: CheckpointId) -> Outcome {
        let mut outcome = Outcome::default();
        if let Some(older) = self.newest.filter(|_| self.pending) {
            outcome.aborted.push((older, AbortReason::Subsumed));
        }
        let is_aborted = self.aborted.contains(&checkpoint);
        self.aborted = self.aborted.split_off(&CheckpointId(checkpoint.0.saturating_add(1)));
        self.newest = Some(checkpoint);
        self.pending = !is_aborted;
        self.delivered.clear();
        if is_aborted {
            outcome.aborted.push((checkpoint, AbortReason::JobMaster));
        }
        outcome
    }

    fn complete(&mut self) -> Option<CheckpointId> {
        debug_assert!(self.pending, "only what is pending is completed");
        let all = (0..self.aligned)
            .all(|channel| self.delivered.contains(&channel) || self.ended.contains(&channel));
        self.pending = !all;
        self.newest.filter(|_| all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: CheckpointId = CheckpointId(1);
    const TWO: CheckpointId = CheckpointId(2);
    const THREE: CheckpointId = CheckpointId(3);

    fn completed(checkpoint: CheckpointId) -> Outcome {
        Outcome { completed: Some(checkpoint), ..Outcome::default() }
    }

    fn aborted(of: &[(CheckpointId, AbortReason)]) -> Outcome {
        Outcome { aborted: of.to_vec(), completed: None }
    }

    fn nothing() -> Outcome {
        Outcome::default()
    }

    fn blocked(alignment: &Alignment) -> Vec<usize> {
        (0..alignment.channels).filter(|channel| alignment.is_blocked(*channel)).collect()
    }

    #[test]
    fn a_single_channel_never_blocks() {
        let mut alignment = Alignment::new(1, None);
        assert_eq!(alignment.barrier(0, ONE), completed(ONE));
        assert_eq!(alignment.barrier(0, TWO), completed(TWO));
        assert!(blocked(&alignment).is_empty());
    }

    #[test]
    fn those_that_delivered_wait_for_the_others() {
        let mut alignment = Alignment::new(3, None);
        assert_eq!(alignment.barrier(1, ONE), nothing());
        assert_eq!(alignment.barrier(0, ONE), nothing());
        assert_eq!(blocked(&alignment), [0, 1]);
        assert_eq!(alignment.barrier(2, ONE), completed(ONE));
        assert!(blocked(&alignment).is_empty());
        assert_eq!(alignment.barrier(2, TWO), nothing());
        assert_eq!(blocked(&alignment), [2]);
    }

    #[test]
    fn a_newer_barrier_replaces_what_is_pending_and_an_older_one_means_nothing() {
        let mut alignment = Alignment::new(2, None);
        alignment.barrier(0, ONE);
        assert_eq!(alignment.barrier(1, TWO), aborted(&[(ONE, AbortReason::Subsumed)]));
        assert_eq!(blocked(&alignment), [1]);
        assert_eq!(alignment.barrier(0, ONE), nothing());
        assert_eq!(alignment.barrier(0, TWO), completed(TWO));
        assert_eq!(alignment.barrier(0, ONE), nothing());
        assert_eq!(alignment.cancel(ONE), nothing(), "the marker of a replaced one");
        assert!(!alignment.abort(ONE));
    }

    #[test]
    fn a_newer_barrier_on_a_lone_rest_completes_at_once() {
        let mut alignment = Alignment::new(2, None);
        alignment.end_of_partition(1);
        assert_eq!(alignment.barrier(0, ONE), completed(ONE));
    }

    #[test]
    fn a_marker_ends_its_checkpoint_once_whenever_it_comes() {
        let mut alignment = Alignment::new(3, None);
        alignment.barrier(0, ONE);
        assert_eq!(alignment.cancel(ONE), aborted(&[(ONE, AbortReason::Marker)]));
        assert!(blocked(&alignment).is_empty());
        assert_eq!(alignment.cancel(ONE), nothing());
        assert_eq!(alignment.barrier(1, ONE), nothing(), "a barrier of what is over");
        assert_eq!(
            alignment.cancel(TWO),
            aborted(&[(TWO, AbortReason::Marker)]),
            "before any barrier"
        );
        assert_eq!(alignment.barrier(1, TWO), nothing());
        assert!(blocked(&alignment).is_empty());
        alignment.barrier(0, THREE);
        assert_eq!(blocked(&alignment), [0]);
    }

    #[test]
    fn a_newer_marker_ends_an_older_alignment_too() {
        let mut alignment = Alignment::new(2, None);
        alignment.barrier(0, ONE);
        assert_eq!(
            alignment.cancel(TWO),
            aborted(&[(ONE, AbortReason::Subsumed), (TWO, AbortReason::Marker)])
        );
        assert!(blocked(&alignment).is_empty());
    }

    #[test]
    fn an_end_counts_as_a_barrier() {
        let mut alignment = Alignment::new(3, None);
        alignment.barrier(0, ONE);
        assert_eq!(alignment.end_of_partition(1), nothing());
        assert_eq!(alignment.end_of_partition(2), completed(ONE));
        assert_eq!(alignment.barrier(0, TWO), completed(TWO));
        assert!(!alignment.all_ended());
        assert_eq!(alignment.end_of_partition(0), nothing());
        assert!(alignment.all_ended());
    }

    #[test]
    fn an_abort_ends_what_is_pending_or_skips_what_is_to_come() {
        let mut alignment = Alignment::new(2, None);
        alignment.barrier(0, ONE);
        assert!(alignment.abort(ONE));
        assert!(blocked(&alignment).is_empty());
        assert!(!alignment.abort(ONE));
        assert_eq!(alignment.barrier(1, ONE), nothing());
        assert!(!alignment.abort(TWO));
        assert_eq!(alignment.barrier(0, TWO), aborted(&[(TWO, AbortReason::JobMaster)]));
        assert!(blocked(&alignment).is_empty());
        assert_eq!(alignment.barrier(1, TWO), nothing());
        assert_eq!(alignment.cancel(TWO), nothing());
        assert_eq!(alignment.barrier(1, THREE), nothing());
        assert_eq!(alignment.barrier(0, THREE), completed(THREE));
    }

    #[test]
    fn barriers_up_to_the_restored_checkpoint_mean_nothing() {
        let mut alignment = Alignment::new(1, Some(TWO));
        assert_eq!(alignment.barrier(0, TWO), nothing());
        assert_eq!(alignment.barrier(0, THREE), completed(THREE));
    }
}
