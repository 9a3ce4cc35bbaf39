//! D5: what a job needs to go on is removed only when its result is durable; losing leadership or
//! stopping a process never does. A pointer may go when the same step adds a newer one; single objects
//! are for C5. Judged on the services' logs.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, Moved, StoredPart, job_of_name, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::JobId,
        service::{log::LogEvent, object_store::ObjectStoreEvent},
        store,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};

/// Needs no memory: the model knows the results.
#[derive(Default)]
pub struct NoCleanupWithoutEnd;

impl ClusterInvariant for NoCleanupWithoutEnd {
    fn title(&self) -> &'static str {
        "D5 no-cleanup-without-end"
    }

    fn promise(&self) -> &'static str {
        "what a job needs to go on is removed only when its result is durable"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::ObjectStore, EventKind::Log]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => {
                let moved = moved(event, model);
                let removed = moved.iter().filter(|m| m.after.is_none() && m.before.is_some());
                let judged = removed.map(|removed| check(at, removed, &moved, model));
                judged.fold(Check::Ignored, Check::and)
            }
            EventRef::ObjectStore(ObjectStoreEvent::Sealed { prefix, .. })
            | EventRef::Log(LogEvent::ProducersClosed { prefix }) => match job_of_name(prefix) {
                None => Check::Ignored,
                Some(job) => Check::that(has_result(job, model), || {
                    let before = format!("{job:?} has no durable result");
                    (before, format!("{at}: all under {prefix} is removed"))
                }),
            },
            _ => Check::Ignored,
        }
    }
}

fn has_result(job: JobId, model: &Model) -> bool {
    model.keys.contains_key(&store::result_key(job))
}

fn check(at: Moment, removed: &Moved<'_>, all: &[Moved<'_>], model: &Model) -> Check {
    let job = removed.job;
    let added = |fits: &dyn Fn(Kept) -> bool| {
        all.iter().any(|other| other.job == job && other.after.is_some() && fits(other.kept))
    };
    let allowed = match removed.kept {
        Kept::Latch => return Check::Ignored,
        Kept::Stored(StoredPart::Pointer(id)) => added(
            &|kept| matches!(kept, Kept::Stored(StoredPart::Pointer(newer)) if newer.0 > id.0),
        ),
        Kept::Stored(_) => false,
    };
    // A result that was synced but not announced shows in the same recovery.
    let ended = has_result(job, model) || added(&|kept| kept == Kept::Stored(StoredPart::Result));
    Check::that(allowed || ended, || {
        let before = format!("{job:?} has no durable result");
        (before, format!("{at}: its {:?} is removed", removed.kept))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoCleanupWithoutEnd};

    fn running() -> History<NoCleanupWithoutEnd> {
        History::new()
            .holds(process(0, 1), committed(1, vec![graph(), counter(3), pointer(2), job_latch(1)]))
    }

    fn sealed() -> ObjectStoreEvent {
        ObjectStoreEvent::Sealed { prefix: JOB.to_string(), removed: vec![] }
    }

    fn closed() -> LogEvent {
        LogEvent::ProducersClosed { prefix: format!("{JOB}/") }
    }

    #[test]
    fn a_subsumed_pointer_and_a_lost_latch_are_accepted() {
        running()
            .holds(process(0, 1), committed(2, vec![pointer(4), no_pointer(2)]))
            .holds(process(0, 2), recovered(3, vec![graph(), counter(6), pointer(5)]));
    }

    #[test]
    fn the_cleanup_of_an_ended_job_is_accepted() {
        running()
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Failed)]))
            .holds(process(0, 1), committed(3, vec![no_pointer(2), no_counter()]))
            .holds(process(5, 1), sealed())
            .holds(process(6, 1), closed())
            .holds(process(0, 1), committed(4, vec![no_graph()]));
        running().holds(process(0, 2), recovered(3, vec![result(true, JobStatus::Failed)]));
    }

    #[test]
    fn any_removal_from_a_job_without_a_result_is_refused() {
        running().breaks(process(0, 1), committed(2, vec![no_graph()]));
        running().breaks(process(0, 1), committed(2, vec![no_counter()]));
        running().breaks(process(0, 1), committed(2, vec![no_pointer(2)]));
        running().breaks(process(0, 1), committed(2, vec![pointer(1), no_pointer(2)]));
        running().breaks(process(5, 1), sealed());
        running().breaks(process(6, 1), closed());
    }
}
