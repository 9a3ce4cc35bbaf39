//! X10: retention removes nothing that a durable checkpoint of a job would read again, for as long as the job has not
//! ended, and no checkpoint becomes durable that would. Judged on the services' own logs; where a checkpoint goes on is
//! the word of the source.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        connector::SourceEvent,
        ids::{CheckpointId, JobId},
        service::log::LogEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Place = (String, u32);

/// Remembers where each checkpoint goes on, which ones are durable, and what is kept.
#[derive(Default)]
pub struct RetentionFollowsCheckpoints {
    next: BTreeMap<(JobId, CheckpointId), BTreeMap<Place, u64>>,
    durable: BTreeSet<(JobId, CheckpointId)>,
    ended: BTreeSet<JobId>,
    starts: BTreeMap<Place, u64>,
}

impl ClusterInvariant for RetentionFollowsCheckpoints {
    fn title(&self) -> &'static str {
        "X10 retention-follows-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "retention removes nothing that a durable checkpoint of a job that has not ended would read again"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Log, EventKind::Source]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Source(SourceEvent::OffsetsTaken {
                attempt,
                checkpoint,
                topic,
                next,
                ..
            }) => {
                let of_checkpoint = self.next.entry((attempt.job, *checkpoint)).or_default();
                let places = next.iter().map(|(partition, at)| ((topic.clone(), *partition), *at));
                of_checkpoint.extend(places);
                Check::Ignored
            }
            EventRef::Coordination(event) => {
                let mut check = Check::Ignored;
                for moved in moved(event, model) {
                    let has = moved.after.is_some();
                    match moved.kept {
                        Kept::Stored(StoredPart::Pointer(id)) if has => {
                            self.durable.insert((moved.job, id));
                            check = check.and(self.stored(at, moved.job, id));
                        }
                        Kept::Stored(StoredPart::Pointer(id)) => self.forget(moved.job, id),
                        Kept::Stored(StoredPart::Result) if has => {
                            self.ended.insert(moved.job);
                        }
                        _ => {}
                    }
                }
                check
            }
            EventRef::Log(LogEvent::Trimmed { topic, partition, start }) => {
                self.trimmed(at, topic, *partition, *start)
            }
            // What was synced but not announced before a crash shows only here.
            EventRef::Log(LogEvent::Recovered { starts, .. }) => {
                starts.iter().fold(Check::Ignored, |check, (topic, partition, start)| {
                    check.and(self.trimmed(at, topic, *partition, *start))
                })
            }
            _ => Check::Ignored,
        }
    }
}

impl RetentionFollowsCheckpoints {
    /// Older ones are never stored any more.
    fn forget(&mut self, job: JobId, id: CheckpointId) {
        self.durable.remove(&(job, id));
        self.next.retain(|(of, checkpoint), _| *of != job || checkpoint.0 > id.0);
    }

    fn trimmed(&mut self, at: Moment, topic: &str, partition: u32, start: u64) -> Check {
        let place = (topic.to_string(), partition);
        let before = self.starts.insert(place.clone(), start).unwrap_or(0);
        if before == start {
            return Check::Ignored;
        }
        let needs = |(job, id): &&(JobId, CheckpointId)| {
            let next = self.next.get(&(*job, *id)).and_then(|next| next.get(&place));
            !self.ended.contains(job) && next.is_some_and(|next| *next < start)
        };
        let needed = self.durable.iter().find(needs);
        Check::that(needed.is_none(), || {
            let (job, id) = needed.expect("it is one");
            let next = self.next[&(*job, *id)][&place];
            let needed =
                format!("{id:?} of {job:?} goes on at offset {next} of {topic}.{partition}");
            (needed, format!("{at}: nothing before {start} is kept"))
        })
    }

    fn stored(&self, at: Moment, job: JobId, id: CheckpointId) -> Check {
        let Some(next) = self.next.get(&(job, id)).filter(|_| !self.ended.contains(&job)) else {
            return Check::Ignored;
        };
        let start = |place: &Place| self.starts.get(place).copied().unwrap_or(0);
        let gone = next.iter().find(|(place, next)| **next < start(place));
        Check::that(gone.is_none(), || {
            let ((topic, partition), next) = gone.expect("it is one");
            let start = start(&(topic.clone(), *partition));
            let kept = format!("{topic}.{partition} is kept from {start} on");
            (kept, format!("{at}: {id:?} of {job:?} is stored, and goes on at {next}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, RetentionFollowsCheckpoints, SourceEvent};

    fn taken(checkpoint: u64, next: u64) -> SourceEvent {
        SourceEvent::OffsetsTaken {
            attempt: attempt(0, 1),
            checkpoint: CheckpointId(checkpoint),
            topic: "t".to_string(),
            next: vec![(0, next)],
            group: None,
        }
    }

    fn trimmed(start: u64) -> LogEvent {
        LogEvent::Trimmed { topic: "t".to_string(), partition: 0, start }
    }

    /// Checkpoints 1 and 2 go on at 3 and 7; the first is durable.
    fn durable() -> History<RetentionFollowsCheckpoints> {
        History::new()
            .holds(process(2, 1), taken(1, 3))
            .holds(process(0, 1), committed(1, vec![pointer(1)]))
            .holds(process(2, 1), taken(2, 7))
    }

    #[test]
    fn what_no_durable_checkpoint_needs_may_go() {
        durable().holds(process(6, 1), trimmed(3));
        durable()
            .holds(process(0, 1), committed(2, vec![pointer(2), no_pointer(1)]))
            .holds(process(6, 1), trimmed(7));
        History::<RetentionFollowsCheckpoints>::new().holds(process(6, 1), trimmed(7));
    }

    #[test]
    fn what_a_durable_checkpoint_needs_stays() {
        durable().breaks(process(6, 1), trimmed(4));
        let both = || durable().holds(process(0, 1), committed(2, vec![pointer(2)]));
        both().holds(process(6, 1), trimmed(3));
        both().breaks(process(6, 1), trimmed(7));
        let found = |start| LogEvent::Recovered {
            ends: vec![("t".to_string(), 0, 9)],
            starts: vec![("t".to_string(), 0, start)],
            unended: vec![],
            closed: vec![],
            records: vec![],
            committed: vec![],
            held: vec![],
        };
        both().holds(process(6, 2), found(3));
        both().breaks(process(6, 2), found(4));
    }

    #[test]
    fn no_checkpoint_is_stored_that_needs_what_is_gone() {
        durable()
            .holds(process(6, 1), trimmed(3))
            .holds(process(2, 1), taken(3, 2))
            .breaks(process(0, 1), committed(2, vec![pointer(3)]));
    }

    #[test]
    fn a_job_that_has_ended_needs_nothing() {
        durable()
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Finished)]))
            .holds(process(6, 1), trimmed(9));
    }
}
