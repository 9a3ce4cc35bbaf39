//! X5: a job's transaction is committed only when a checkpoint that covers it is durable, and then it is
//! never aborted, and committed before the job is kept as finished. A checkpoint covers what attempts of
//! its plan prepared for it or for an older one; each region has an epoch of its own. Judged on the services' logs; which checkpoint a
//! transaction was prepared for is the word of the sink.
//!
//! A job that fails or is canceled may leave a covered transaction, which then goes with the job.

use super::{
    Check, ClusterInvariant,
    coverage::{Coverage, is_finished},
    stored::{Kept, StoredPart, job_of_name, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        connector::SinkEvent,
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        protocol::JobStatus,
        service::log::{LogEvent, TransactionId},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Remembers for which checkpoint each transaction waits, and what the durable ones cover.
#[derive(Default)]
pub struct TransactionsFollowCheckpoints {
    prepared: BTreeMap<TransactionId, CheckpointId>,
    coverage: Coverage,
}

impl ClusterInvariant for TransactionsFollowCheckpoints {
    fn title(&self) -> &'static str {
        "X5 transactions-follow-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "a transaction is committed if, and only if, a durable checkpoint covers it"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Log, EventKind::Sink, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Sink(SinkEvent::Prepared { checkpoint, transaction, .. }) => {
                self.prepared.insert(transaction.clone(), *checkpoint);
                Check::Ignored
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, plan, .. }) => {
                self.coverage.triggered(*job, *checkpoint, plan);
                Check::Ignored
            }
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    self.coverage.moved(&moved);
                    if let (Kept::Stored(StoredPart::Result), Some(result)) =
                        (moved.kept, moved.after)
                    {
                        check = check.and(self.end(at, moved.job, is_finished(result)));
                    }
                }
                check
            }
            EventRef::Log(LogEvent::TransactionCommitted { transaction, .. }) => {
                self.committed(at, transaction)
            }
            EventRef::Log(LogEvent::TransactionAborted { transaction }) => {
                self.aborted(at, transaction, model)
            }
            // What is no longer open was ended, one way or the other, before it could be announced.
            EventRef::Log(LogEvent::Recovered { unended, .. }) => {
                self.prepared.retain(|transaction, _| unended.contains(transaction));
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl TransactionsFollowCheckpoints {
    /// The newest durable checkpoint that covers a transaction that waits for this one.
    fn cover(&self, transaction: &TransactionId, waits: CheckpointId) -> Option<CheckpointId> {
        let job = job_of_name(&transaction.producer)?;
        self.coverage.of(job, transaction.generation, waits)
    }

    fn committed(&mut self, at: Moment, transaction: &TransactionId) -> Check {
        if job_of_name(&transaction.producer).is_none() {
            return Check::Ignored;
        }
        let waits = self.prepared.remove(transaction);
        let covered = waits.and_then(|waits| self.cover(transaction, waits));
        Check::that(covered.is_some(), || {
            let before = format!("it waits for {waits:?}, and no durable checkpoint covers it");
            (before, format!("{at}: {transaction:?} is committed"))
        })
    }

    fn aborted(&mut self, at: Moment, transaction: &TransactionId, model: &Model) -> Check {
        let Some(waits) = self.prepared.remove(transaction) else { return Check::Ignored };
        let job = job_of_name(&transaction.producer);
        let status = job.and_then(|job| model.terminal_status(job));
        if status.is_some_and(|status| status != JobStatus::Finished) {
            return Check::Ignored;
        }
        match self.cover(transaction, waits) {
            None => Check::Passed,
            Some(cover) => Check::broken(
                format!("it waited for {waits:?}, and {cover:?} is durable"),
                format!("{at}: {transaction:?} is aborted"),
            ),
        }
    }

    fn end(&self, at: Moment, job: JobId, finished: bool) -> Check {
        let mut of_job =
            self.prepared.iter().filter(|(left, _)| job_of_name(&left.producer) == Some(job));
        let left = of_job.find(|(left, waits)| finished && self.cover(left, **waits).is_some());
        Check::that(left.is_none(), || {
            let before = format!("{left:?} is covered by a durable checkpoint and not committed");
            (before, format!("{at}: {job:?} is kept as finished"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, TransactionsFollowCheckpoints};

    fn prepared(generation: u64, number: u64, checkpoint: u64) -> SinkEvent {
        SinkEvent::Prepared {
            attempt: attempt(1, generation),
            checkpoint: CheckpointId(checkpoint),
            transaction: transaction(generation, number),
        }
    }

    fn done(generation: u64, number: u64) -> LogEvent {
        let transaction = transaction(generation, number);
        LogEvent::TransactionCommitted { transaction, writes: vec![] }
    }

    fn undone(generation: u64, number: u64) -> LogEvent {
        LogEvent::TransactionAborted { transaction: transaction(generation, number) }
    }

    /// Checkpoint 4 is durable, with all that was prepared for 3 and 4 in epoch 1.
    fn durable() -> History<TransactionsFollowCheckpoints> {
        History::new()
            .holds(process(1, 1), triggered(3, &[attempt(1, 1)]))
            .holds(process(3, 1), prepared(1, 1, 3))
            .holds(process(1, 1), triggered(4, &[attempt(1, 1)]))
            .holds(process(3, 1), prepared(1, 2, 4))
            .holds(process(0, 1), committed(1, vec![pointer(4)]))
            .holds(process(1, 1), triggered(5, &[attempt(1, 1)]))
            .holds(process(3, 1), prepared(1, 3, 5))
    }

    fn ended(status: JobStatus) -> CoordinationEvent {
        committed(9, vec![result(true, status)])
    }

    #[test]
    fn what_is_covered_may_be_committed_and_the_rest_aborted() {
        durable()
            .holds(process(6, 1), done(1, 1))
            .holds(process(6, 1), done(1, 2))
            .holds(process(6, 1), undone(1, 3))
            .holds(process(0, 1), ended(JobStatus::Finished));
    }

    #[test]
    fn a_canceled_job_may_leave_what_is_covered() {
        durable()
            .holds(process(0, 1), ended(JobStatus::Canceled))
            .holds(process(6, 1), undone(1, 2));
    }

    #[test]
    fn what_ended_unannounced_is_not_judged() {
        let found = LogEvent::Recovered {
            ends: vec![],
            unended: vec![],
            closed: vec![],
            records: vec![],
            committed: vec![],
            starts: vec![],
            held: vec![],
        };
        durable().holds(process(6, 2), found).holds(process(0, 1), ended(JobStatus::Finished));
    }

    #[test]
    fn a_commit_too_early_or_of_another_epoch_is_refused() {
        durable().breaks(process(6, 1), done(1, 3));
        durable().breaks(process(6, 1), done(1, 7));
        durable().holds(process(3, 1), prepared(2, 1, 3)).breaks(process(6, 1), done(2, 1));
    }

    #[test]
    fn an_abort_of_what_is_covered_is_refused() {
        durable().breaks(process(6, 1), undone(1, 1));
        durable().breaks(process(6, 1), undone(1, 2));
    }

    #[test]
    fn a_finished_job_that_leaves_what_is_covered_is_refused() {
        durable()
            .holds(process(6, 1), done(1, 1))
            .breaks(process(0, 1), ended(JobStatus::Finished));
    }
}
