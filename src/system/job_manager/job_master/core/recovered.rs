//! Whether a job may go on from what is found of its checkpoints when a term begins.
//!
//! It begins from the newest or not at all: what can't be read gives way to nothing older, and pointers that are gone
//! are no reason to begin anew. What was lost shows by what is left: each pointer writes the tail along, and whatever
//! of the job lies in the object store has a number that the counter has given out before.

use crate::system::{
    ids::{CheckpointId, JobId},
    store::{CompletedCheckpoint, StoredCheckpoints, object_prefix},
};
use std::collections::BTreeSet;

/// Why a job does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryRefusal {
    /// Pointers are gone, or some are there that should not be.
    #[error(
        "the coordination service points to {}, and the newest that was complete is {}: its data were changed, or set \
         back in time",
        named(*.found), named(*.newest)
    )]
    Pointers {
        /// The newest to which one points.
        found: Option<CheckpointId>,
        /// The newest by what each pointer writes along.
        newest: Option<CheckpointId>,
    },
    /// The object store has what the coordination service knows nothing of.
    #[error(
        "the object store has {object}, and the coordination service has given out no number from {next} on: its data \
         were set back in time"
    )]
    SetBack {
        /// The object.
        object: String,
        /// The next number that would be given out.
        next: u64,
    },
    /// A checkpoint that is pointed to can't be read, or not all of it is there.
    #[error("checkpoint {checkpoint} can't be read: {what}")]
    Unreadable {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The object, and what is wrong.
        what: String,
    },
}

fn named(checkpoint: Option<CheckpointId>) -> String {
    checkpoint.map_or("no checkpoint".to_string(), |id| format!("checkpoint {id}"))
}

/// What was read of a checkpoint, or why it can't be.
pub type ReadCheckpoint = (CheckpointId, Result<CompletedCheckpoint, String>);

/// All that is found of a job's checkpoints.
#[derive(Debug)]
pub struct Found {
    /// On the coordination service.
    pub stored: StoredCheckpoints,
    /// To which that points, oldest first.
    pub read: Vec<ReadCheckpoint>,
    /// The names of all of the job's objects.
    pub objects: BTreeSet<String>,
}

impl Found {
    /// The checkpoints with which the job goes on, oldest first.
    ///
    /// # Errors
    /// Why it does not.
    pub fn checked(self, job: JobId) -> Result<Vec<CompletedCheckpoint>, RecoveryRefusal> {
        let StoredCheckpoints { pointers, newest, next, .. } = self.stored;
        let found = pointers.last().map(|pointer| pointer.id);
        if found != newest {
            return Err(RecoveryRefusal::Pointers { found, newest });
        }
        let is_unknown = |name: &&String| checkpoint_of(job, name).is_some_and(|id| id.0 >= next);
        if let Some(object) = self.objects.iter().find(is_unknown) {
            return Err(RecoveryRefusal::SetBack { object: object.clone(), next });
        }
        let whole = |(checkpoint, read): ReadCheckpoint| {
            let read = read.and_then(|completed| match missing_part(&completed, &self.objects) {
                Some(part) => Err(format!("{part}: no such object")),
                None => Ok(completed),
            });
            read.map_err(|what| RecoveryRefusal::Unreadable { checkpoint, what })
        };
        // The newest first: that is the one that is missed.
        let whole: Result<Vec<_>, _> = self.read.into_iter().rev().map(whole).collect();
        whole.map(|mut completed| {
            completed.reverse();
            completed
        })
    }
}

/// The checkpoint of a job to which an object belongs.
pub fn checkpoint_of(job: JobId, object: &str) -> Option<CheckpointId> {
    let name = object.strip_prefix(&object_prefix(job))?.strip_prefix("chk-")?;
    name.split_once('/')?.0.parse().ok().map(CheckpointId)
}

/// A part of a checkpoint, or a file that one names, that is not among these objects.
pub fn missing_part<'a>(
    checkpoint: &'a CompletedCheckpoint,
    objects: &BTreeSet<String>,
) -> Option<&'a String> {
    let named = checkpoint
        .states
        .iter()
        .flat_map(|(_, state)| state.objects().chain(state.shared.iter().map(|file| &file.object)));
    named.into_iter().find(|name| !objects.contains(*name))
}

/// What a person can do about a job that is refused, of which that checkpoint is whole all the same.
pub fn remedy(job: JobId, program: &str, whole: Option<CheckpointId>) -> String {
    let back = "Nothing of the job is removed, and it goes on by itself once what is missing is back as it was";
    match whole {
        Some(id) => format!(
            "{back}. To begin from checkpoint {id} instead: `cargo live savepoint {job} --checkpoint {id}` copies it and \
             prints a PATH, `cargo live cancel {job}` ends this job, and `cargo live submit {program} --from-savepoint \
             PATH -- …` with the same arguments starts another one; what was put out behind that checkpoint is put out \
             once more"
        ),
        None => format!(
            "{back}. No other checkpoint of it is whole: `cargo live cancel {job}` ends it, and `cargo live submit \
             {program} --from-savepoint PATH -- …` starts another one from a savepoint, if you have one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        graph::{SharedFile, StateHandle},
        ids::{ExecutionVertexId, JobVertexId},
        job_manager::job_master::core::metadata_object,
        service::coordination::Revision,
        store::CheckpointPointer,
    };

    const JOB: JobId = JobId(7 << 96);

    fn part(id: u64) -> String {
        format!("{JOB}/chk-{id}/0-0-1")
    }

    fn file(id: u64) -> String {
        format!("{JOB}/files/{id}")
    }

    fn checkpoint(id: u64) -> CompletedCheckpoint {
        let mut state = StateHandle::object(part(id), 1);
        state.shared = vec![SharedFile { object: file(id), length: 1, is_new: true }];
        let of = ExecutionVertexId { vertex: JobVertexId(0), subtask: 0 };
        let id = CheckpointId(id);
        CompletedCheckpoint { id, states: vec![(of, state)], last: false, savepoint: None }
    }

    /// All is well, and the counter stands at 20.
    fn found(ids: &[u64]) -> Found {
        let pointer = |id: &u64| CheckpointPointer {
            id: CheckpointId(*id),
            metadata: metadata_object(JOB, CheckpointId(*id)),
            last: false,
        };
        let objects = ids
            .iter()
            .flat_map(|id| [part(*id), file(*id), metadata_object(JOB, CheckpointId(*id))]);
        Found {
            stored: StoredCheckpoints {
                pointers: ids.iter().map(pointer).collect(),
                newest: ids.last().copied().map(CheckpointId),
                next: 20,
                revision: Revision(3),
            },
            read: ids.iter().map(|id| (CheckpointId(*id), Ok(checkpoint(*id)))).collect(),
            objects: objects.collect(),
        }
    }

    fn without(ids: &[u64], object: &str) -> Result<Vec<CompletedCheckpoint>, RecoveryRefusal> {
        let mut found = found(ids);
        assert!(found.objects.remove(object), "it was there");
        found.checked(JOB)
    }

    #[test]
    fn what_is_whole_is_what_the_job_goes_on_with_oldest_first() {
        let whole = found(&[9, 12]).checked(JOB);
        assert_eq!(whole, Ok(vec![checkpoint(9), checkpoint(12)]));
        assert_eq!(found(&[]).checked(JOB), Ok(vec![]), "a job that has none yet");
    }

    #[test]
    fn one_that_cant_be_read_gives_way_to_none_that_is_older() {
        let refused = |checkpoint, what: &str| {
            Err(RecoveryRefusal::Unreadable {
                checkpoint: CheckpointId(checkpoint),
                what: what.into(),
            })
        };
        let mut rotten = found(&[9, 12]);
        rotten.read[1].1 = Err("rotten".to_string());
        assert_eq!(rotten.checked(JOB), refused(12, "rotten"));
        let mut both = found(&[9, 12]);
        both.read.iter_mut().for_each(|(id, read)| *read = Err(format!("{id} is rotten")));
        assert_eq!(both.checked(JOB), refused(12, "12 is rotten"));
        // Nor is an older one left out in silence.
        let mut older = found(&[9, 12]);
        older.read[0].1 = Err("rotten".to_string());
        assert_eq!(older.checked(JOB), refused(9, "rotten"));
    }

    #[test]
    fn a_part_or_a_file_that_is_not_there_is_missed() {
        for (object, of) in [(part(12), 12), (file(12), 12), (file(9), 9)] {
            let refused = without(&[9, 12], &object).expect_err("it is missing").to_string();
            let said = format!("checkpoint {of} can't be read: {object}: no such object");
            assert_eq!(refused, said);
        }
    }

    #[test]
    fn pointers_that_are_gone_are_missed() {
        let mut older = found(&[9]);
        older.stored.newest = Some(CheckpointId(12));
        let (found_one, newest) = (Some(CheckpointId(9)), Some(CheckpointId(12)));
        assert_eq!(older.checked(JOB), Err(RecoveryRefusal::Pointers { found: found_one, newest }));
        let mut none = found(&[]);
        none.stored.newest = newest;
        let refused = none.checked(JOB).expect_err("one is gone");
        assert_eq!(refused, RecoveryRefusal::Pointers { found: None, newest });
        let said = refused.to_string();
        assert!(said.contains("points to no checkpoint"), "{said}");
        assert!(said.contains("complete is checkpoint 12"), "{said}");
        // The tail is gone as well, or is an older one.
        let mut without_tail = found(&[9]);
        without_tail.stored.newest = None;
        assert!(matches!(without_tail.checked(JOB), Err(RecoveryRefusal::Pointers { .. })));
    }

    #[test]
    fn a_number_that_was_never_given_out_is_missed() {
        for (id, is_known) in [(19, true), (20, false), (21, false)] {
            let mut newer = found(&[9, 12]);
            newer.objects.insert(part(id));
            assert_eq!(newer.checked(JOB).is_ok(), is_known, "{id}");
        }
        // All of the job's keys but its graph are gone.
        let mut none = found(&[9, 12]);
        none.stored = StoredCheckpoints { pointers: vec![], newest: None, next: 1, ..none.stored };
        let refused = none.checked(JOB).expect_err("the object store knows better");
        assert_eq!(refused, RecoveryRefusal::SetBack { object: part(12), next: 1 });
    }

    #[test]
    fn only_what_lies_in_a_checkpoint_of_the_job_has_its_number() {
        assert_eq!(checkpoint_of(JOB, &part(12)), Some(CheckpointId(12)));
        let other = JobId(8 << 96);
        for name in
            [format!("{other}/chk-99/0"), format!("{JOB}/files/99"), format!("{JOB}/chk-x/0")]
        {
            assert_eq!(checkpoint_of(JOB, &name), None, "{name}");
        }
    }

    #[test]
    fn the_remedy_names_commands_and_the_checkpoint() {
        let some = remedy(JOB, "word-count", Some(CheckpointId(9)));
        assert!(some.contains(&format!("cargo live savepoint {JOB} --checkpoint 9`")), "{some}");
        assert!(some.contains("cargo live submit word-count --from-savepoint PATH"), "{some}");
        let none = remedy(JOB, "word-count", None);
        assert!(!none.contains("--checkpoint"), "{none}");
    }
}
