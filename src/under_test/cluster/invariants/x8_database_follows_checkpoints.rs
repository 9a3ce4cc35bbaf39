//! X8: of a checkpoint's rows nothing is in a database before a checkpoint that covers them is durable, and then they
//! are written once, before the job is kept as finished. Once an attempt of a sink has begun to write, no older one
//! writes. A checkpoint covers the rows that attempts of its plan let wait for it or for an older one. Judged on the
//! services' logs; which attempt let rows wait for which checkpoint is the word of the sink.
//!
//! A job that fails or is canceled may leave covered rows, which then are never written.

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
        service::database::{DatabaseEvent, WriteNumber, WriterId},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a writer.
#[derive(Default)]
struct Known {
    generation: u64,
    /// The number of its last write.
    number: u64,
    /// The checkpoints for which rows wait, with the epochs of the attempts that let them.
    waiting: BTreeMap<CheckpointId, BTreeSet<u64>>,
}

/// Remembers which rows wait for which checkpoint, what the durable ones cover, and each writer's last write.
#[derive(Default)]
pub struct DatabaseFollowsCheckpoints {
    writers: BTreeMap<String, Known>,
    coverage: Coverage,
}

impl ClusterInvariant for DatabaseFollowsCheckpoints {
    fn title(&self) -> &'static str {
        "X8 database-follows-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint's rows are written once, when it is durable, and by no older attempt"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Database, EventKind::Sink, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Sink(SinkEvent::RowsWait { attempt, checkpoint, writer }) => {
                let waiting = &mut self.known(writer).waiting;
                waiting.entry(*checkpoint).or_default().insert(attempt.epoch);
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
            EventRef::Database(event) => self.observe_database(at, event),
            _ => Check::Ignored,
        }
    }
}

impl DatabaseFollowsCheckpoints {
    fn known(&mut self, writer: &str) -> &mut Known {
        self.writers.entry(writer.to_string()).or_default()
    }

    fn observe_database(&mut self, at: Moment, event: &DatabaseEvent) -> Check {
        match event {
            // What was synced but not announced before a crash shows only here.
            DatabaseEvent::Recovered { writers, .. } => {
                for (writer, generation, number) in writers {
                    let known = self.known(writer);
                    (known.generation, known.number) = (*generation, *number);
                }
                Check::Ignored
            }
            DatabaseEvent::WriterBegun { by, .. } => {
                let known = self.known(&by.writer);
                let before = known.generation;
                known.generation = before.max(by.generation);
                Check::that(before <= by.generation, || {
                    (format!("generation {before} has begun"), format!("{at}: {by:?} begins"))
                })
            }
            DatabaseEvent::Written { by, number, .. } => self.written(at, by, *number),
            DatabaseEvent::WriteRepeated { .. } | DatabaseEvent::WriteRefused { .. } => {
                Check::Ignored
            }
        }
    }

    fn written(&mut self, at: Moment, by: &WriterId, number: WriteNumber) -> Check {
        let against = self.against(by, number);
        let known = self.known(&by.writer);
        known.number = known.number.max(number.value());
        match against {
            None => Check::Passed,
            Some(before) => Check::broken(before, format!("{at}: {by:?} writes {number:?}")),
        }
    }

    /// What stands against a write.
    fn against(&self, by: &WriterId, number: WriteNumber) -> Option<String> {
        let Some(known) = self.writers.get(&by.writer) else {
            return Some("the writer has not begun".to_string());
        };
        if by.generation != known.generation {
            return Some(format!("generation {} has begun", known.generation));
        }
        if number.value() <= known.number {
            return Some(format!("its write {} was done", known.number));
        }
        let WriteNumber::Checkpoint(checkpoint) = number else { return None };
        let covered = self.is_covered(&by.writer, known, checkpoint);
        (!covered).then(|| "no durable checkpoint covers its rows".to_string())
    }

    /// Whether a durable checkpoint covers rows that wait for this one.
    fn is_covered(&self, writer: &str, known: &Known, checkpoint: CheckpointId) -> bool {
        let (Some(job), Some(epochs)) = (job_of_name(writer), known.waiting.get(&checkpoint))
        else {
            return false;
        };
        epochs.iter().any(|epoch| self.coverage.of(job, *epoch, checkpoint).is_some())
    }

    fn end(&self, at: Moment, job: JobId, finished: bool) -> Check {
        if !finished {
            return Check::Ignored;
        }
        let of_job = self.writers.iter().filter(|(writer, _)| job_of_name(writer) == Some(job));
        let left = of_job.flat_map(|(writer, known)| {
            let unwritten = known.waiting.keys().filter(|waits| waits.0 > known.number);
            let covered = unwritten.filter(|waits| self.is_covered(writer, known, **waits));
            covered.map(move |waits| (writer.clone(), *waits))
        });
        let left: Vec<(String, CheckpointId)> = left.take(1).collect();
        Check::that(left.is_empty(), || {
            let before = format!("{left:?} is covered by a durable checkpoint and not written");
            (before, format!("{at}: {job:?} is kept as finished"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, DatabaseFollowsCheckpoints};
    use crate::system::service::database::*;

    fn by(generation: u64) -> WriterId {
        WriterId { writer: format!("{JOB}/sink-0"), generation }
    }

    fn begun(generation: u64) -> DatabaseEvent {
        let table = TableSpec { name: "t".to_string(), kind: TableKind::Plain };
        DatabaseEvent::WriterBegun { by: by(generation), table }
    }

    fn waits(epoch: u64, checkpoint: u64) -> SinkEvent {
        SinkEvent::RowsWait {
            attempt: attempt(1, epoch),
            checkpoint: CheckpointId(checkpoint),
            writer: by(0).writer,
        }
    }

    fn write(generation: u64, number: WriteNumber) -> DatabaseEvent {
        let (table, rows) = ("t".to_string(), vec![DatabaseRow::new("k", "v")]);
        DatabaseEvent::Written { by: by(generation), number, table, first: 0, rows }
    }

    fn written(generation: u64, checkpoint: u64) -> DatabaseEvent {
        write(generation, WriteNumber::Checkpoint(CheckpointId(checkpoint)))
    }

    /// Checkpoint 4 is durable, and rows of epoch 1 wait for 3, 4 and 5.
    fn durable() -> History<DatabaseFollowsCheckpoints> {
        let mut history = History::new().holds(process(6, 1), begun(1));
        for checkpoint in [3, 4] {
            history = history
                .holds(process(1, 1), triggered(checkpoint, &[attempt(1, 1)]))
                .holds(process(3, 1), waits(1, checkpoint));
        }
        history
            .holds(process(0, 1), committed(1, vec![pointer(4)]))
            .holds(process(1, 1), triggered(5, &[attempt(1, 1)]))
            .holds(process(3, 1), waits(1, 5))
    }

    fn ended(status: JobStatus) -> CoordinationEvent {
        committed(9, vec![result(true, status)])
    }

    #[test]
    fn covered_rows_are_written_by_the_attempt_that_let_them_wait_or_by_one_restored() {
        durable()
            .holds(process(6, 1), written(1, 3))
            .holds(process(6, 1), begun(2))
            .holds(process(6, 1), written(2, 4))
            .holds(process(0, 1), ended(JobStatus::Finished));
    }

    #[test]
    fn batches_wait_for_nothing_and_come_in_order() {
        let batch = |generation, number| write(generation, WriteNumber::Batch(number));
        History::<DatabaseFollowsCheckpoints>::new()
            .holds(process(6, 1), begun(1))
            .holds(process(6, 1), batch(1, 1))
            .holds(process(6, 1), begun(2))
            .holds(process(6, 1), batch(2, 2))
            .breaks(process(6, 1), batch(2, 2));
    }

    #[test]
    fn rows_of_no_durable_checkpoint_or_of_another_epoch_are_refused() {
        durable().breaks(process(6, 1), written(1, 5));
        durable()
            .holds(process(3, 1), waits(2, 6))
            .holds(process(0, 1), committed(2, vec![pointer(6)]))
            .breaks(process(6, 1), written(1, 6));
    }

    #[test]
    fn rows_that_are_written_again_are_refused_also_after_a_recovery() {
        durable().holds(process(6, 1), written(1, 3)).breaks(process(6, 1), written(1, 3));
        durable().holds(process(6, 1), written(1, 4)).breaks(process(6, 1), written(1, 3));
        let recovered = DatabaseEvent::Recovered {
            writers: vec![(by(0).writer, 1, 3)],
            tables: Default::default(),
        };
        durable().holds(process(6, 2), recovered).breaks(process(6, 2), written(1, 3));
    }

    #[test]
    fn an_older_attempt_that_begins_or_writes_is_refused() {
        durable().holds(process(6, 1), begun(2)).breaks(process(6, 1), written(1, 3));
        durable().holds(process(6, 1), begun(2)).breaks(process(6, 1), begun(1));
        durable().breaks(process(6, 1), written(2, 3));
    }

    #[test]
    fn a_finished_job_that_leaves_covered_rows_is_refused_and_a_canceled_one_is_not() {
        let left = || durable().holds(process(6, 1), written(1, 3));
        left().breaks(process(0, 1), ended(JobStatus::Finished));
        left().holds(process(0, 1), ended(JobStatus::Canceled));
    }
}
