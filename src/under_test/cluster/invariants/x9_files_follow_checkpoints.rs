//! X9: a part of a file gets its final name once, when a checkpoint that covers it is durable, and then before its job is
//! kept as finished; it holds what its sink said, by the object store's checksum; no name is given to two parts, and
//! nothing else is among the final files. A checkpoint covers the parts that attempts of its plan let wait for it or for an
//! older one. Judged on the services' logs; which attempt let which parts wait for which checkpoint, and what lines they
//! hold, is the word of the sink.
//!
//! A job that fails or is canceled may leave covered parts, which then go with the job.

use super::{
    Check, ClusterInvariant,
    coverage::{Coverage, is_finished},
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{
        connector::{FILES, SinkEvent},
        ids::{CheckpointId, ExecutionAttemptId, JobId},
        job_manager::JobEvent,
        service::object_store::{ObjectStoreEvent, ObjectSum},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// What is known of a part.
struct Part {
    attempt: ExecutionAttemptId,
    pending: String,
    content: ObjectSum,
    waits: Option<CheckpointId>,
    is_visible: bool,
}

/// Remembers each part by its final name, and what the durable checkpoints cover.
#[derive(Default)]
pub struct FilesFollowCheckpoints {
    parts: BTreeMap<String, Part>,
    coverage: Coverage,
}

impl ClusterInvariant for FilesFollowCheckpoints {
    fn title(&self) -> &'static str {
        "X9 files-follow-checkpoints"
    }

    fn promise(&self) -> &'static str {
        "a part is seen as a file once, as a whole, if, and only if, a durable checkpoint covers it"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::ObjectStore, EventKind::Sink, EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Sink(event) => self.observe_sink(at, event),
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
            EventRef::ObjectStore(event) => self.observe_objects(at, event),
            _ => Check::Ignored,
        }
    }
}

/// Whether readers see it.
fn is_final(name: &str) -> bool {
    name.strip_prefix(FILES).is_some_and(|rest| rest.starts_with('/'))
}

impl FilesFollowCheckpoints {
    fn observe_sink(&mut self, at: Moment, event: &SinkEvent) -> Check {
        match event {
            SinkEvent::PartRolled { attempt, pending, file, content } => {
                let (attempt, content) = (*attempt, ObjectSum::of(content));
                let part = Part {
                    attempt,
                    pending: pending.clone(),
                    content,
                    waits: None,
                    is_visible: false,
                };
                let before = self.parts.insert(file.clone(), part);
                Check::that(before.is_none(), || {
                    let before = before.map(|part| part.attempt);
                    let given = format!("{file} is the name of a part of {before:?}");
                    (given, format!("{at}: {attempt:?} gives it to another one"))
                })
            }
            SinkEvent::PartsWait { checkpoint, files, .. } => {
                for file in files {
                    if let Some(part) = self.parts.get_mut(file) {
                        part.waits = Some(*checkpoint);
                    }
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn observe_objects(&mut self, at: Moment, event: &ObjectStoreEvent) -> Check {
        match event {
            ObjectStoreEvent::Renamed { from, to, len, crc } if is_final(from) || is_final(to) => {
                self.renamed(at, from, to, ObjectSum { length: *len, crc: *crc })
            }
            ObjectStoreEvent::Stored { name, .. } if is_final(name) => Check::broken(
                "a part is put under a pending name first",
                format!("{at}: {name} is stored"),
            ),
            ObjectStoreEvent::Deleted { names }
            | ObjectStoreEvent::Sealed { removed: names, .. } => {
                let gone = names.iter().find(|name| is_final(name));
                gone.map_or(Check::Ignored, |gone| {
                    Check::broken(format!("{gone} is a final file"), format!("{at}: it is removed"))
                })
            }
            ObjectStoreEvent::Recovered { objects, .. } => self.recovered(at, objects),
            ObjectStoreEvent::Renamed { .. } | ObjectStoreEvent::Stored { .. } => Check::Ignored,
        }
    }

    fn renamed(&mut self, at: Moment, from: &str, to: &str, content: ObjectSum) -> Check {
        let against = match self.parts.get(to) {
            Some(part) if part.pending != from => {
                Some(format!("it is the name of {}", part.pending))
            }
            _ => self.against(to, content),
        };
        if let Some(part) = self.parts.get_mut(to) {
            part.is_visible = true;
        }
        match against {
            None => Check::Passed,
            Some(before) => Check::broken(before, format!("{at}: {from} is renamed to {to}")),
        }
    }

    /// What was synced but not announced before a crash shows only here.
    fn recovered(&mut self, at: Moment, objects: &[(String, u64, u32)]) -> Check {
        let mut check = Check::Ignored;
        for (name, length, crc) in objects.iter().filter(|(name, _, _)| is_final(name)) {
            let content = ObjectSum { length: *length, crc: *crc };
            if self.parts.get(name).is_some_and(|part| part.is_visible && part.content == content) {
                continue;
            }
            let against = self.against(name, content);
            if let Some(part) = self.parts.get_mut(name) {
                part.is_visible = true;
            }
            check = check.and(match against {
                None => Check::Passed,
                Some(before) => Check::broken(before, format!("{at}: {name} is found")),
            });
        }
        let is_there = |file: &String| objects.iter().any(|(name, _, _)| name == file);
        let mut visible = self.parts.iter().filter(|(_, part)| part.is_visible);
        match visible.find(|(file, _)| !is_there(file)) {
            None => check,
            Some((lost, _)) => {
                Check::broken(format!("{lost} was a final file"), format!("{at}: it is not found"))
            }
        }
    }

    /// What stands against a final file of a name with that content.
    fn against(&self, file: &str, content: ObjectSum) -> Option<String> {
        let Some(part) = self.parts.get(file) else {
            return Some("it is the name of no part".to_string());
        };
        if part.is_visible {
            return Some("it was there before".to_string());
        }
        if part.content != content {
            return Some(format!("its sink has gathered {:?}", part.content));
        }
        let waits = part.waits;
        (!self.is_covered(part))
            .then(|| format!("it waits for {waits:?}, and no durable checkpoint covers it"))
    }

    fn is_covered(&self, part: &Part) -> bool {
        let ExecutionAttemptId { job, epoch, .. } = part.attempt;
        part.waits.is_some_and(|waits| self.coverage.of(job, epoch, waits).is_some())
    }

    fn end(&self, at: Moment, job: JobId, finished: bool) -> Check {
        let mut left = self.parts.iter().filter(|(_, part)| {
            part.attempt.job == job && !part.is_visible && self.is_covered(part)
        });
        let left = left.next().filter(|_| finished);
        Check::that(left.is_none(), || {
            let file = left.map(|(file, _)| file);
            let before = format!("{file:?} is covered by a durable checkpoint and not there");
            (before, format!("{at}: {job:?} is kept as finished"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, FilesFollowCheckpoints, ObjectSum};
    use bytes::Bytes;

    fn pending(epoch: u64, number: u64) -> String {
        format!("{JOB}/files/sink-0/{epoch}-{number}")
    }

    fn file(epoch: u64, number: u64) -> String {
        format!("files/out/part-{JOB}-sink-0-{epoch}-{number}")
    }

    fn rolled(epoch: u64, number: u64) -> SinkEvent {
        SinkEvent::PartRolled {
            attempt: attempt(1, epoch),
            pending: pending(epoch, number),
            file: file(epoch, number),
            content: Bytes::from("a\nb\n"),
        }
    }

    fn wait(epoch: u64, checkpoint: u64, numbers: &[u64]) -> SinkEvent {
        SinkEvent::PartsWait {
            attempt: attempt(1, epoch),
            checkpoint: CheckpointId(checkpoint),
            files: numbers.iter().map(|number| file(epoch, *number)).collect(),
        }
    }

    fn renamed_to(from: String, to: String, content: &str) -> ObjectStoreEvent {
        let ObjectSum { length: len, crc } = ObjectSum::of(content.as_bytes());
        ObjectStoreEvent::Renamed { from, to, len, crc }
    }

    fn visible(epoch: u64, number: u64) -> ObjectStoreEvent {
        renamed_to(pending(epoch, number), file(epoch, number), "a\nb\n")
    }

    fn found(files: &[(u64, u64)]) -> ObjectStoreEvent {
        let ObjectSum { length, crc } = ObjectSum::of(b"a\nb\n");
        let objects = files.iter().map(|(epoch, number)| (file(*epoch, *number), length, crc));
        ObjectStoreEvent::Recovered { objects: objects.collect(), sealed: Vec::new() }
    }

    /// Checkpoint 4 is durable; parts 0 and 1 of epoch 1 wait for 3, 2 for 4, 3 for 5, and 4 is rolled.
    fn durable() -> History<FilesFollowCheckpoints> {
        let mut history = History::new();
        for number in 0..5 {
            history = history.holds(process(3, 1), rolled(1, number));
        }
        for (checkpoint, numbers) in [(3, &[0, 1][..]), (4, &[2]), (5, &[3])] {
            history = history
                .holds(process(1, 1), triggered(checkpoint, &[attempt(1, 1)]))
                .holds(process(3, 1), wait(1, checkpoint, numbers));
        }
        history.holds(process(0, 1), committed(1, vec![pointer(4)]))
    }

    fn ended(status: JobStatus) -> CoordinationEvent {
        committed(9, vec![result(true, status)])
    }

    #[test]
    fn what_is_covered_is_renamed_and_the_rest_goes_with_the_job() {
        durable()
            .holds(process(6, 1), stored(pending(1, 0)))
            .holds(process(6, 1), visible(1, 0))
            .holds(process(6, 1), visible(1, 2))
            .holds(process(6, 2), found(&[(1, 0), (1, 1), (1, 2)]))
            .holds(process(0, 1), ended(JobStatus::Finished))
            .holds(process(6, 2), ObjectStoreEvent::Deleted { names: vec![pending(1, 3)] });
    }

    #[test]
    fn a_part_of_no_durable_checkpoint_or_of_another_epoch_is_refused() {
        durable().breaks(process(6, 1), visible(1, 3));
        durable().breaks(process(6, 1), visible(1, 4));
        durable().breaks(process(6, 2), found(&[(1, 3)]));
        durable()
            .holds(process(3, 1), rolled(2, 0))
            .holds(process(3, 1), wait(2, 6, &[0]))
            .holds(process(0, 1), committed(2, vec![pointer(6)]))
            .breaks(process(6, 1), visible(2, 0));
    }

    #[test]
    fn a_name_that_is_given_twice_is_refused() {
        durable().breaks(process(4, 1), rolled(1, 2));
        durable().holds(process(6, 1), visible(1, 0)).breaks(process(6, 1), visible(1, 0));
    }

    #[test]
    fn a_file_that_is_no_part_or_holds_something_else_is_refused() {
        durable().breaks(process(6, 1), stored(file(1, 0)));
        durable().breaks(process(6, 1), renamed_to(pending(1, 0), "files/x".to_string(), "a\n"));
        durable().breaks(process(6, 1), renamed_to(pending(1, 0), file(1, 0), "a\nc\n"));
        durable().breaks(process(6, 1), renamed_to(pending(1, 0), file(1, 1), "a\nb\n"));
    }

    #[test]
    fn a_final_file_that_goes_is_refused() {
        let there = || durable().holds(process(6, 1), visible(1, 0));
        there().breaks(process(6, 1), ObjectStoreEvent::Deleted { names: vec![file(1, 0)] });
        there().breaks(process(6, 1), renamed_to(file(1, 0), "x".to_string(), "a\nb\n"));
        there().breaks(process(6, 2), found(&[]));
    }

    #[test]
    fn a_finished_job_that_leaves_a_covered_part_is_refused_and_a_canceled_one_is_not() {
        let left = || durable().holds(process(6, 1), visible(1, 0));
        left().breaks(process(0, 1), ended(JobStatus::Finished));
        left().holds(process(0, 1), ended(JobStatus::Canceled));
    }
}
