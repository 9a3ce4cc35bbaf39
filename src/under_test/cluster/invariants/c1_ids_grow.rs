//! C1: the numbers of a job's checkpoints and epochs come from one durable counter that only grows,
//! and each pointer that becomes durable has a greater id than all before it, over the whole life of
//! the job. Judged on the coordination server's log. A master takes only numbers that the counter gave
//! out, each once; of two masters the older may speak later, so only one process's numbers must grow.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, Moved, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::{CheckpointId, JobId},
        job_manager::JobEvent,
        store,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers each job's numbers.
#[derive(Default)]
pub struct IdsGrow {
    counters: BTreeMap<JobId, u64>,
    pointers: BTreeMap<JobId, CheckpointId>,
    used: BTreeSet<(JobId, u64)>,
    newest: BTreeMap<((NodeId, u64), JobId), u64>,
}

impl ClusterInvariant for IdsGrow {
    fn title(&self) -> &'static str {
        "C1 ids-grow"
    }

    fn promise(&self) -> &'static str {
        "checkpoint ids and epochs are given out once each, and durable pointers only grow"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    check = check.and(self.check(at, moved));
                }
                check
            }
            EventRef::Job(JobEvent::CheckpointTriggered { job, checkpoint, .. }) => {
                self.take(at, *job, checkpoint.0, model)
            }
            EventRef::Job(JobEvent::Scheduled { job, epoch, .. }) => {
                self.take(at, *job, *epoch, model)
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.newest.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl IdsGrow {
    fn check(&mut self, at: Moment, moved: Moved<'_>) -> Check {
        let (Moved { job, .. }, Some(after)) = (moved, moved.after) else { return Check::Ignored };
        match moved.kept {
            Kept::Stored(StoredPart::Counter) => {
                let next = postcard::from_bytes::<u64>(after).unwrap_or(0);
                let before = self.counters.insert(job, next).unwrap_or(0);
                Check::that(before < next, || {
                    let known = format!("the counter of {job:?} was {before}");
                    (known, format!("{at}: it is {next}"))
                })
            }
            Kept::Stored(StoredPart::Pointer(id)) => {
                let newest = self.pointers.get(&job).copied();
                self.pointers.insert(job, newest.filter(|newest| newest.0 > id.0).unwrap_or(id));
                Check::that(newest.is_none_or(|newest| newest.0 < id.0), || {
                    let known = format!("{newest:?} of {job:?} was durable");
                    (known, format!("{at}: {id:?} becomes durable"))
                })
            }
            _ => Check::Ignored,
        }
    }

    fn take(&mut self, at: Moment, job: JobId, number: u64, model: &Model) -> Check {
        let now = || format!("{at}: {job:?} uses the number {number}");
        let before = self.newest.insert((at.process, job), number);
        let once = self.used.insert((job, number));
        let next = self.counters.get(&job).copied().unwrap_or(0);
        let ended = model.keys.contains_key(&store::result_key(job));
        Check::that(once, || ("it was used before".to_string(), now()))
            .and(Check::that(before < Some(number), || {
                (format!("this process used {before:?} before"), now())
            }))
            .and(Check::that(number < next || ended, || {
                (format!("the counter gave out what is below {next}"), now())
            }))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, IdsGrow};

    fn drawn() -> History<IdsGrow> {
        History::new()
            .holds(process(0, 1), committed(1, vec![counter(2)]))
            .holds(process(1, 1), scheduled(1, 1, None))
            .holds(process(0, 1), committed(2, vec![counter(5)]))
            .holds(process(1, 1), triggered(3, &[attempt(0, 1)]))
            .holds(process(0, 1), committed(3, vec![pointer(3)]))
    }

    #[test]
    fn growing_numbers_are_accepted_also_those_of_an_old_master_that_speaks_late() {
        drawn()
            .holds(process(2, 1), scheduled(2, 4, None))
            .holds(process(1, 1), ended())
            .holds(process(1, 2), scheduled(1, 2, None))
            .holds(process(0, 2), recovered(5, vec![counter(7), pointer(6)]));
    }

    #[test]
    fn a_number_used_twice_or_not_given_out_is_refused() {
        drawn().breaks(process(2, 1), scheduled(2, 3, None));
        drawn().breaks(process(2, 1), triggered(1, &[attempt(0, 1)]));
        drawn().breaks(process(2, 1), scheduled(2, 5, None));
    }

    #[test]
    fn numbers_that_fall_within_a_process_are_refused() {
        drawn().breaks(process(1, 1), scheduled(1, 2, None));
    }

    #[test]
    fn a_counter_that_does_not_grow_is_refused() {
        drawn().breaks(process(0, 1), committed(4, vec![counter(5), counter(4)]));
        drawn().breaks(process(0, 2), recovered(3, vec![counter(4), pointer(3)]));
    }

    #[test]
    fn a_pointer_that_comes_back_or_is_older_is_refused() {
        let newer = || drawn().holds(process(0, 1), committed(4, vec![pointer(4), no_pointer(3)]));
        newer().breaks(process(0, 1), committed(5, vec![pointer(3)]));
        newer().breaks(process(0, 1), committed(5, vec![pointer(2)]));
    }
}
