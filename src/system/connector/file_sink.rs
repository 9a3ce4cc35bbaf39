//! Writes lines to files of the object store, exactly once: a file has its name when the checkpoint that covers it is
//! complete, and no reader sees it before.
//!
//! Each subtask gathers lines in a part. A part is *rolled* when the next line would make it larger than a bound, and at
//! each barrier: it is put into the object store under a name of its job's own, and is *pending*. Which parts are pending
//! is part of the sink's snapshot. When the checkpoint is complete each gets its final name by a rename, which is atomic.
//!
//! - Several checkpoints may wait; a checkpoint that never completes is covered by the next one that does, and a
//!   notification that comes late finds nothing. Parts are renamed in the order in which they were rolled.
//! - A rename whose answer is lost is made again, by this attempt or by one that is restored from the checkpoint: where
//!   the final name holds the part's content it is done.
//! - A new attempt first renames what its restored state names. Whatever else older attempts left is of no complete
//!   checkpoint, or was put once more by a copy of a call that came late, and is removed. What such a copy brings later
//!   still goes with the job.
//! - An attempt that is over and does not know it can put parts that nobody renames, and rename what a complete checkpoint
//!   covers, which is right whoever does it. Nothing that it removes is named by a later state.
//!
//! **Names** are given once: `files/DIRECTORY/part-JOB-UID-SUBTASK-EPOCH-NUMBER`, where the epoch is the attempt's own. So
//! two attempts, two subtasks, two sinks and two jobs may write to one directory.
//!
//! **Readers** list `files/DIRECTORY` ([`read_files`]). Who takes files away waits until a checkpoint of their job is
//! complete that began after they were seen: until then a restored sink looks for them, and fails when a part is under
//! neither of its names. What a complete checkpoint covers and nobody has renamed yet goes with a job that is canceled
//! or fails.
//!
//! A part is at most [`OBJECT_BYTES_MAX`] long, so a line is; at most [`PENDING_PARTS_MAX`] wait for checkpoints. Beyond
//! either the task fails and says which. Files are objects among all others, which are bounded together: whoever lets
//! jobs write for long takes files away, and rolls parts that are not small.
//!
//! ```
//! use bytes::Bytes;
//! use wavetank::system::connector::{FileSink, FileSinkError};
//!
//! # fn sink() -> Result<FileSink<(String, u64)>, FileSinkError> {
//! let line = |(word, count): &(String, u64)| Ok(Bytes::from(format!("{word} {count}")));
//! // As files/counts/part-…, each of 64 KiB at most unless a line alone is larger.
//! let sink = FileSink::new("counts", line)?.roll_at(64 * 1024);
//! # Ok(sink)
//! # }
//! # assert!(sink().is_ok());
//! ```

mod error;
mod names;

pub use error::{FileSinkError, PENDING_PARTS_MAX};
pub use names::{FILES, file_folder, is_file_of, part_lines, read_files};

use crate::system::{
    connector::SinkEvent,
    dataflow::{Data, Failure, OperatorContext, Result, Sink, Timestamp, Waits, split_lists},
    ids::CheckpointId,
    sabotage,
    service::{
        ServiceError,
        object_store::{OBJECT_BYTES_MAX, ObjectStore, ObjectStoreRefusal, ObjectSum},
    },
};
use bytes::Bytes;
use futures::FutureExt;
use names::{PartNames, check_directory};
use serde::{Deserialize, Serialize};
use std::{mem::take, sync::Arc};

/// How large a part is at most unless a sink says otherwise, in bytes; one line may be larger.
pub const PART_BYTES: usize = 1024 * 1024;

/// How a value becomes a line, without its line break.
pub type ToLine<T> = fn(&T) -> Result<Bytes>;

/// A part that was rolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    pending: String,
    file: String,
    content: ObjectSum,
}

/// What an open sink writes with.
#[derive(Clone)]
struct Writer {
    objects: Arc<dyn ObjectStore>,
    names: PartNames,
    context: OperatorContext,
}

/// The sink. All subtasks write to the same directory, each its own parts.
pub struct FileSink<T> {
    directory: String,
    to_line: ToLine<T>,
    roll_at: usize,
    writer: Option<Writer>,
    /// Parts of this attempt.
    count: u64,
    /// Lines of the part in progress.
    gathered: Vec<u8>,
    /// Parts that are to be put.
    rolled: Vec<(Part, Bytes)>,
    /// Parts that were put since the last barrier.
    put: Vec<Part>,
    /// Parts that wait for their checkpoints, oldest first.
    waiting: Vec<(CheckpointId, Part)>,
}

impl<T> Clone for FileSink<T> {
    fn clone(&self) -> Self {
        FileSink {
            directory: self.directory.clone(),
            to_line: self.to_line,
            roll_at: self.roll_at,
            writer: self.writer.clone(),
            count: self.count,
            gathered: self.gathered.clone(),
            rolled: self.rolled.clone(),
            put: self.put.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

impl<T: Data> FileSink<T> {
    /// One that writes each value as a line to files of a directory, which is `/`-separated parts of `A-Za-z0-9._-`. Its
    /// parts have [`PART_BYTES`] at most.
    ///
    /// # Errors
    /// [`FileSinkError::BadDirectory`].
    pub fn new(directory: &str, to_line: ToLine<T>) -> Result<Self, FileSinkError> {
        check_directory(directory)?;
        Ok(FileSink {
            directory: directory.to_string(),
            to_line,
            roll_at: PART_BYTES,
            writer: None,
            count: 0,
            gathered: Vec::new(),
            rolled: Vec::new(),
            put: Vec::new(),
            waiting: Vec::new(),
        })
    }

    /// The same with parts of so many bytes at most, between 1 and [`OBJECT_BYTES_MAX`]: what is beyond either means
    /// that. A line that is larger is a part by itself.
    #[must_use]
    pub fn roll_at(self, bytes: usize) -> Self {
        FileSink { roll_at: bytes.clamp(1, OBJECT_BYTES_MAX), ..self }
    }

    fn writer(&self) -> Result<Writer, FileSinkError> {
        self.writer.clone().ok_or(FileSinkError::NotOpen)
    }

    async fn begin(&mut self, context: &OperatorContext, restored: Option<Bytes>) -> Result<()> {
        let epoch = match context.host.sabotaged(sabotage::PART_NAMES_REUSED) {
            true => 0,
            false => context.attempt.epoch,
        };
        let names = PartNames::new(&self.directory, context, epoch)?;
        let objects = context.services.objects.clone();
        self.writer = Some(Writer { objects, names, context: context.clone() });
        if let Some(kept) = restored {
            self.waiting = postcard::from_bytes(&kept)?;
        }
        if context.host.sabotaged(sabotage::PENDING_FILES_LEFT_AT_RESTORE) {
            self.waiting.clear();
        }
        if self.waiting.len() > 1 && context.host.sabotaged(sabotage::COMMITTED_BY_ID) {
            self.forget_committed().await?;
        }
        // The checkpoint is complete, or nothing would be restored from it.
        self.commit_through(CheckpointId(u64::MAX)).await?;
        self.remove_older().await
    }

    /// Forgets all parts of the first checkpoint if one of them has its final name.
    async fn forget_committed(&mut self) -> Result<()> {
        let Writer { objects, .. } = self.writer()?;
        let (first, part) = self.waiting[0].clone();
        if objects.get_until_acknowledged(&part.file).await.is_ok() {
            self.waiting.retain(|(covered_by, _)| *covered_by != first);
        }
        Ok(())
    }

    /// Removes what older attempts left: all that is covered has its final name now.
    async fn remove_older(&self) -> Result<()> {
        let Writer { objects, names, context } = self.writer()?;
        let mut older = objects.list_until_acknowledged(names.all_pending()).await?;
        older.retain(|name| names.is_older(name));
        if older.is_empty() {
            return Ok(());
        }
        crate::reachable!(context.host, "uncommitted-parts-removed", "{older:?}");
        Ok(objects.delete_until_acknowledged(&older).await?)
    }

    /// Ends the part in progress, if it has lines.
    fn roll(&mut self) -> Result<(), FileSinkError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        if self.rolled.len() + self.put.len() + self.waiting.len() >= PENDING_PARTS_MAX {
            return Err(FileSinkError::TooManyParts);
        }
        let Writer { names, .. } = self.writer()?;
        let (pending, file) = names.of(self.count);
        let content = Bytes::from(take(&mut self.gathered));
        let part = Part { pending, file, content: ObjectSum::of(&content) };
        assert!(content.len() <= OBJECT_BYTES_MAX, "a part has its bound or is one line");
        self.count += 1;
        self.rolled.push((part, content));
        Ok(())
    }

    async fn put_rolled(&mut self) -> Result<()> {
        while let Some((part, content)) = self.rolled.first().cloned() {
            let Writer { objects, context, .. } = self.writer()?;
            let Part { pending, file, .. } = part.clone();
            let attempt = context.attempt;
            let content_kept = content.clone();
            context.host.announce(&SinkEvent::PartRolled {
                attempt,
                pending,
                file,
                content: content_kept,
            });
            objects.put_until_acknowledged(&part.pending, content).await?;
            self.rolled.remove(0);
            self.put.push(part);
        }
        Ok(())
    }

    /// Lets all that was gathered wait for the checkpoint.
    async fn prepare(&mut self, checkpoint: CheckpointId) -> Result<Bytes> {
        self.roll()?;
        self.put_rolled().await?;
        let Writer { context, .. } = self.writer()?;
        if !self.put.is_empty() {
            let (attempt, put) = (context.attempt, take(&mut self.put));
            let files = put.iter().map(|part| part.file.clone()).collect();
            self.waiting.extend(put.into_iter().map(|part| (checkpoint, part)));
            context.host.announce(&SinkEvent::PartsWait { attempt, checkpoint, files });
        }
        let kept = Bytes::from(postcard::to_allocvec(&self.waiting)?);
        if context.host.sabotaged(sabotage::FILES_RENAMED_AT_BARRIER) {
            self.commit_through(checkpoint).await?;
        }
        Ok(kept)
    }

    /// Gives parts of checkpoints up to this one their final names, in order. Once more is fine.
    async fn commit_through(&mut self, checkpoint: CheckpointId) -> Result<()> {
        while let Some((_, part)) = self.waiting.first().filter(|(of, _)| *of <= checkpoint) {
            self.commit(part).await?;
            self.waiting.remove(0);
        }
        Ok(())
    }

    async fn commit(&self, part: &Part) -> Result<()> {
        let Writer { objects, context, .. } = self.writer()?;
        let Part { pending, file, content } = part;
        loop {
            match objects.rename(pending, file, *content).await {
                Ok(()) => return Ok(()),
                // A job that was stopped has renamed it before it ended; somebody has taken it away since.
                Err(ServiceError::Refused(ObjectStoreRefusal::NotFound))
                    if context.savepoint.is_some_and(|origin| origin.stopped) =>
                {
                    return Ok(());
                }
                Err(ServiceError::Refused(refusal)) => {
                    let (pending, file) = (pending.clone(), file.clone());
                    let error = FileSinkError::NotRenamed { pending, file, refusal };
                    return Err(Failure::from(error));
                }
                Err(ServiceError::Indeterminate(_))
                    if context.host.sabotaged(sabotage::INDETERMINATE_RENAME_TAKEN_FOR_DONE) =>
                {
                    return Ok(());
                }
                Err(ServiceError::NotDone(_) | ServiceError::Indeterminate(_)) => {
                    context.host.sleep(objects.retry_delay()).await;
                }
            }
        }
    }
}

impl<T: Data> Sink<T> for FileSink<T> {
    fn write(&mut self, value: T, _: Option<Timestamp>) -> Result<()> {
        let line = (self.to_line)(&value)?;
        let bytes = line.len() + 1;
        if line.contains(&b'\n') {
            return Err(Failure::from(FileSinkError::LineBreak));
        }
        if bytes > OBJECT_BYTES_MAX {
            return Err(Failure::from(FileSinkError::LineTooLong { bytes }));
        }
        if self.gathered.len() + bytes > self.roll_at {
            self.roll()?;
        }
        self.gathered.extend_from_slice(&line);
        self.gathered.push(b'\n');
        Ok(())
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        self.begin(context, restored).boxed()
    }

    fn is_full(&self) -> bool {
        !self.rolled.is_empty()
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        self.put_rolled().boxed()
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        self.prepare(checkpoint).boxed()
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        split_lists::<(CheckpointId, Part)>(states, context)
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        self.commit_through(checkpoint).boxed()
    }
}

#[cfg(test)]
mod tests;
