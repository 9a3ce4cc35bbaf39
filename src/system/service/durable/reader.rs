//! Reads a log's records from its disk, a piece of a file at a time.

use super::{
    error::{Damage, DurableError},
    frame,
    seal::Extent,
    segment::{Frame, Place, corrupt, open_existing, segment_name},
};
use crate::host::{Disk, File};
use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use std::{collections::VecDeque, marker::PhantomData};

/// Read at once, unless a record is larger.
const READ_BYTES: usize = 256 * 1024;

/// A reader of the records that a log held when it was made.
pub struct Reader<R> {
    disk: Disk,
    folder: &'static str,
    /// The first record that is returned.
    from: u64,
    /// The first segment is being read.
    segments: VecDeque<Extent>,
    file: Option<File>,
    /// Read, not yet decoded.
    buffer: Bytes,
    /// Where the buffer stands in the file.
    offset: u64,
    /// The next record in the buffer.
    next: u64,
    kind: PhantomData<fn(R)>,
}

impl<R: DeserializeOwned> Reader<R> {
    pub(super) fn new(disk: Disk, folder: &'static str, from: u64) -> Self {
        Reader {
            disk,
            folder,
            from,
            segments: VecDeque::new(),
            file: None,
            buffer: Bytes::new(),
            offset: 0,
            next: 0,
            kind: PhantomData,
        }
    }

    pub(super) fn add(&mut self, segment: Extent) {
        if self.segments.is_empty() {
            self.next = segment.first;
        }
        self.segments.push_back(segment);
    }

    /// Begins within the first segment.
    pub(super) fn skip_to(&mut self, Place { record, offset }: Place) {
        (self.next, self.offset) = (record, offset);
    }

    /// The next record and its number; `None` after the last.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt.
    pub async fn next(&mut self) -> Result<Option<(u64, R)>, DurableError> {
        while let Some(segment) = self.segments.front().copied() {
            if self.offset >= segment.length {
                self.segments.pop_front();
                (self.file, self.buffer, self.offset) = (None, Bytes::new(), 0);
                self.next = self.segments.front().map_or(self.next, |segment| segment.first);
                continue;
            }
            if let Frame::Record(record) = self.frame(segment).await? {
                let number = self.next;
                self.next += 1;
                if number >= self.from {
                    return Ok(Some((number, record)));
                }
            }
        }
        Ok(None)
    }

    async fn frame(&mut self, segment: Extent) -> Result<Frame<R>, DurableError> {
        loop {
            let needed = frame::length(&self.buffer);
            if needed.is_some_and(|needed| needed <= self.buffer.len())
                && let Some((frame, length)) = frame::decode(&self.buffer)
            {
                self.buffer.advance(length);
                self.offset += length as u64;
                return Ok(frame);
            }
            let before = self.buffer.len();
            self.fill(segment, needed.unwrap_or(0)).await?;
            if self.buffer.len() == before {
                let name = segment_name(segment.first);
                return Err(corrupt(self.folder, name, self.offset, Damage::Unreadable));
            }
        }
    }

    /// Reads on, so that a frame of so many bytes is in the buffer if there is one.
    async fn fill(&mut self, segment: Extent, needed: usize) -> Result<(), DurableError> {
        let file = match &self.file {
            Some(file) => file.clone(),
            None => open_existing(&self.disk, self.folder, &segment_name(segment.first)).await?,
        };
        let from = self.offset + self.buffer.len() as u64;
        let wanted = needed.saturating_sub(self.buffer.len()).max(READ_BYTES);
        let left = usize::try_from(segment.length.saturating_sub(from)).unwrap_or(usize::MAX);
        let more = file.read_at(from, wanted.min(left)).await?;
        let mut buffer = BytesMut::with_capacity(self.buffer.len() + more.len());
        buffer.extend_from_slice(&self.buffer);
        buffer.extend_from_slice(&more);
        (self.buffer, self.file) = (buffer.freeze(), Some(file));
        Ok(())
    }
}
