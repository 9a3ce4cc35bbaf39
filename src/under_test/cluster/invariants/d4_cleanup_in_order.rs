//! D4: what a job leaves is removed in order, so that a crash anywhere leaves nothing that points to
//! nothing: the result is durable and dirty, then the checkpoint keys go, then its objects are sealed,
//! then its producers closed, then its graph goes, then the result is clean. With a clean result no key,
//! object or transaction of the job is there. Judged on the services' logs. Keys of elections are for the
//! liveness check: a contender may still be taking its leave.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, job_of_name, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::JobId,
        service::{log::LogEvent, object_store::ObjectStoreEvent},
        store::{self, StoredResult},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeSet;

/// Remembers what is sealed and closed.
#[derive(Default)]
pub struct CleanupInOrder {
    sealed: BTreeSet<JobId>,
    closed: BTreeSet<JobId>,
}

impl ClusterInvariant for CleanupInOrder {
    fn title(&self) -> &'static str {
        "D4 cleanup-in-order"
    }

    fn promise(&self) -> &'static str {
        "a job's leftovers go in order, and a clean result says that nothing is left"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::ObjectStore, EventKind::Log]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    check = check.and(match moved.kept {
                        Kept::Stored(StoredPart::Graph) if moved.after.is_none() => {
                            self.unless_closed(at, moved.job)
                        }
                        Kept::Stored(StoredPart::Result) => {
                            self.judge_result(at, moved.job, moved.after, model)
                        }
                        _ => Check::Ignored,
                    });
                }
                check
            }
            EventRef::ObjectStore(ObjectStoreEvent::Sealed { prefix, .. }) => {
                self.seal(at, prefix, model)
            }
            EventRef::ObjectStore(ObjectStoreEvent::Recovered { sealed, .. }) => sealed
                .iter()
                .map(|prefix| self.seal(at, prefix, model))
                .fold(Check::Ignored, Check::and),
            EventRef::Log(LogEvent::ProducersClosed { prefix }) => self.close(at, prefix),
            EventRef::Log(LogEvent::Recovered { closed, .. }) => {
                closed.iter().map(|prefix| self.close(at, prefix)).fold(Check::Ignored, Check::and)
            }
            _ => Check::Ignored,
        }
    }
}

fn key_of(job: JobId, model: &Model) -> Option<&String> {
    let prefix = store::checkpoint_prefix(job);
    let first = model.keys.range(prefix.clone()..).next().map(|(key, _)| key);
    first.filter(|key| key.starts_with(&prefix))
}

impl CleanupInOrder {
    fn seal(&mut self, at: Moment, prefix: &str, model: &Model) -> Check {
        let Some(job) = job_of_name(prefix) else { return Check::Ignored };
        if !self.sealed.insert(job) {
            return Check::Ignored;
        }
        let left = key_of(job, model);
        Check::that(left.is_none(), || {
            (format!("{left:?} is there"), format!("{at}: the objects of {job:?} are sealed"))
        })
    }

    fn close(&mut self, at: Moment, prefix: &str) -> Check {
        let Some(job) = job_of_name(prefix) else { return Check::Ignored };
        if !self.closed.insert(job) {
            return Check::Ignored;
        }
        Check::that(self.sealed.contains(&job), || {
            let before = format!("the objects of {job:?} are not sealed");
            (before, format!("{at}: its producers are closed"))
        })
    }

    fn unless_closed(&self, at: Moment, job: JobId) -> Check {
        Check::that(self.closed.contains(&job), || {
            let before = format!("the producers of {job:?} are not closed");
            (before, format!("{at}: its graph is removed"))
        })
    }

    fn judge_result(&self, at: Moment, job: JobId, after: Option<&[u8]>, model: &Model) -> Check {
        let stored = after.and_then(|value| postcard::from_bytes::<StoredResult>(value).ok());
        if stored.is_none_or(|stored| stored.dirty) {
            return Check::Ignored;
        }
        let (graph, prefix) = (store::graph_key(job), store::object_prefix(job));
        let key =
            model.keys.get_key_value(&graph).map(|(key, _)| key).or_else(|| key_of(job, model));
        let object = model.objects.range(prefix.clone()..).next();
        let object = object.filter(|name| name.starts_with(&prefix));
        let transaction = model.transactions.iter().find(|t| t.producer.starts_with(&prefix));
        let left = key
            .map(|key| format!("key {key}"))
            .or_else(|| object.map(|name| format!("object {name}")))
            .or_else(|| transaction.map(|left| format!("transaction {left:?}")))
            .or_else(|| (!self.closed.contains(&job)).then(|| "a producer".to_string()));
        match left {
            None => Check::Passed,
            Some(left) => Check::broken(
                format!("{left} is left"),
                format!("{at}: the result of {job:?} is clean"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, CleanupInOrder};

    fn dirty() -> History<CleanupInOrder> {
        let transaction = transaction(1, 1);
        History::new()
            .holds(process(0, 1), committed(1, vec![graph(), counter(3), pointer(2)]))
            .holds(process(5, 1), stored(metadata(2)))
            .holds(process(6, 1), LogEvent::TransactionOpened { transaction })
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Canceled)]))
    }

    fn without_pointers() -> History<CleanupInOrder> {
        dirty().holds(process(0, 1), committed(3, vec![no_pointer(2), no_counter()]))
    }

    fn sealed() -> ObjectStoreEvent {
        ObjectStoreEvent::Sealed { prefix: JOB.to_string(), removed: vec![metadata(2)] }
    }

    fn closed() -> LogEvent {
        LogEvent::ProducersClosed { prefix: format!("{JOB}/") }
    }

    fn aborted() -> LogEvent {
        LogEvent::TransactionAborted { transaction: transaction(1, 1) }
    }

    fn clean() -> CoordinationEvent {
        committed(9, vec![result(false, JobStatus::Canceled)])
    }

    #[test]
    fn the_right_order_is_accepted_also_over_restarts() {
        let known = ObjectStoreEvent::Recovered { objects: vec![], sealed: vec![JOB.to_string()] };
        without_pointers()
            .holds(process(5, 2), known)
            .holds(process(6, 1), aborted())
            .holds(process(6, 1), closed())
            .holds(process(0, 1), committed(4, vec![no_graph()]))
            .holds(process(0, 1), clean());
    }

    #[test]
    fn any_step_too_early_is_refused() {
        dirty().breaks(process(5, 1), sealed());
        without_pointers().breaks(process(6, 1), closed());
        without_pointers()
            .holds(process(5, 1), sealed())
            .breaks(process(0, 1), committed(4, vec![no_graph()]));
        dirty().breaks(process(0, 1), clean());
    }

    #[test]
    fn a_clean_result_while_a_graph_or_a_transaction_is_left_is_refused() {
        let all_but = || without_pointers().holds(process(5, 1), sealed());
        all_but()
            .holds(process(6, 1), aborted())
            .holds(process(6, 1), closed())
            .breaks(process(0, 1), clean());
        all_but()
            .holds(process(6, 1), closed())
            .holds(process(0, 1), committed(4, vec![no_graph()]))
            .breaks(process(0, 1), clean());
    }
}
