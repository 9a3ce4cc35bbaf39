//! D8: once a job's result is clean, no key of the job is ever written again, whatever late attempt at a
//! latch, pointer or graph arrives. What one transaction writes and removes is not written. What a program came to is
//! its cluster's, and is kept when the program ends, which may be long after its job. Judged on the coordination
//! server's log.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, job_of_key, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        ids::JobId,
        service::coordination::{Change, CoordinationEvent},
        store::{StoredResult, outcome_key, result_key},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the jobs that were cleaned up.
#[derive(Default)]
pub struct CleanedStaysClean {
    clean: BTreeSet<JobId>,
}

impl ClusterInvariant for CleanedStaysClean {
    fn title(&self) -> &'static str {
        "D8 cleaned-stays-clean"
    }

    fn promise(&self) -> &'static str {
        "no key of a job is written after its clean-up"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Coordination(event) = seen else { return Check::Ignored };
        let check = match self.clean.is_empty() {
            true => Check::Ignored,
            false => self.check(at, event, model),
        };
        for moved in moved(event, model)
            .into_iter()
            .filter(|moved| moved.kept == Kept::Stored(StoredPart::Result))
        {
            let stored = moved.after.map(postcard::from_bytes::<StoredResult>);
            if matches!(stored, Some(Ok(stored)) if !stored.dirty) {
                self.clean.insert(moved.job);
            }
        }
        check
    }
}

impl CleanedStaysClean {
    fn check(&self, at: Moment, event: &CoordinationEvent, model: &Model) -> Check {
        let written: Vec<&str> = match event {
            CoordinationEvent::Committed { changes, .. } => written(changes),
            CoordinationEvent::Recovered { keys, .. } => {
                let new = keys.iter().filter(|(key, value, _)| model.keys.get(key) != Some(value));
                new.map(|(key, ..)| key.as_str()).collect()
            }
            _ => return Check::Ignored,
        };
        let of_clean = |key: &&str| {
            job_of_key(key).is_some_and(|job| {
                let stays = [result_key(job), outcome_key(job)];
                self.clean.contains(&job) && stays.iter().all(|stays| stays != *key)
            })
        };
        match written.into_iter().find(of_clean) {
            None => Check::Passed,
            Some(key) => Check::broken(
                "the job of that key was cleaned up".to_string(),
                format!("{at}: {key} is written"),
            ),
        }
    }
}

/// The keys that are there after these changes because of them.
fn written(changes: &[Change]) -> Vec<&str> {
    let mut last = BTreeMap::new();
    for change in changes {
        match change {
            Change::Put { key, .. } => last.insert(key.as_str(), true),
            Change::Delete { key } => last.insert(key.as_str(), false),
        };
    }
    last.into_iter().filter(|(_, put)| *put).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, CleanedStaysClean};
    use crate::system::leadership::epoch_key;

    fn epoch() -> Change {
        put(epoch_key(&job_component(JOB)), vec![1])
    }

    fn no_epoch() -> Change {
        Change::Delete { key: epoch_key(&job_component(JOB)) }
    }

    fn dirty() -> History<CleanedStaysClean> {
        History::new()
            .holds(process(0, 1), committed(1, vec![graph(), epoch(), job_latch(1)]))
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Finished)]))
    }

    fn clean() -> History<CleanedStaysClean> {
        dirty().holds(process(0, 1), committed(3, vec![result(false, JobStatus::Finished)]))
    }

    #[test]
    fn what_is_written_before_or_removed_at_once_is_accepted() {
        dirty().holds(process(0, 1), committed(3, vec![epoch()]));
        clean().holds(process(0, 1), committed(4, vec![epoch(), no_epoch()]));
        clean().holds(process(0, 2), recovered(4, vec![result(false, JobStatus::Finished)]));
        clean().holds(process(0, 1), committed(4, vec![outcome(ApplicationStatus::Succeeded)]));
    }

    #[test]
    fn what_comes_back_is_refused() {
        for change in [epoch(), graph(), pointer(3), counter(4), job_latch(2), cancellation()] {
            clean().breaks(process(0, 1), committed(4, vec![no_epoch(), change]));
        }
        let found = vec![result(false, JobStatus::Finished), counter(9)];
        clean().breaks(process(0, 2), recovered(4, found));
    }
}
