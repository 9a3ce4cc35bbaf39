//! A server's durable log: segments of checksummed records, a seal that says how far they are
//! durable, and a snapshot that stands for older records.
//!
//! In its folder:
//!
//! - `log-N` is a segment: the records from number N on, in frames. Its first frame, the head, gives
//!   length and checksum of the segment before it. A segment that has become long takes no more
//!   records and ends with an index, by which a [`Reader`](reader::Reader) finds a record.
//! - `snapshot-N` is the state after N records.
//! - `seal` says how far the log is durable: the newest segment's length and checksum, which segment
//!   is the oldest, and the snapshot's length and checksum. Through the heads it vouches for all.
//!
//! A batch of records is appended and synced, then the seal that covers it, and only then any of it
//! is answered; the next batch is written after that. So a crash leaves a log that is longer than its
//! seal, by a batch that nobody was told of: what of it is whole is kept and written anew, and what
//! was torn, or found no room on a full disk, is cut off. A log that is shorter than its seal, or
//! another one, was damaged: a file that is cut at whatever place, emptied, deleted or set back to an older copy is refused with its name,
//! the offset and what to do. So is a log without its seal, and a seal without its log; a folder
//! without both is a new one. A whole folder set back in time can't be told from within: who refuses
//! it then, each service says.
//!
//! What is written before the seal is written for good: a segment, its name, a snapshot and its name
//! are synced before the seal that names them, and older ones are removed after it.

mod error;
mod frame;
mod reader;
mod seal;
mod segment;
mod segments;

#[cfg(test)]
mod tests;

use crate::host::{Disk, OpenMode};
use bytes::{Buf, Bytes};
pub(super) use error::{Damage, DurableError};
use seal::{Extent, SealFile};
use segment::{corrupt, snapshot_name};
use segments::{DRAFT, SegmentedLog, open_extent, read_whole};
use serde::{Serialize, de::DeserializeOwned};
use std::marker::PhantomData;

/// The checksum before a snapshot's content.
const CHECKSUM_BYTES: usize = 4;
/// A segment of so many bytes takes no more records.
const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// A log of this many bytes is replaced by a snapshot, unless the last snapshot was large.
const LOG_BYTES_MIN: u64 = 1024 * 1024;
/// A log may grow to so many times its snapshot, so that rewriting a state costs no more than a
/// constant share of writing it.
const LOG_PER_SNAPSHOT: u64 = 2;

/// A state that is a function of its records.
pub(super) trait Durable:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// What changes it.
    type Record: Serialize + DeserializeOwned + Send + Sync;

    /// Makes one change. The same records in the same order lead to the same state.
    fn apply(&mut self, record: &Self::Record);
}

/// The open log of a state `S`, whose owner keeps the state itself.
pub(super) struct DurableLog<S: Durable> {
    log: SegmentedLog<S::Record>,
    snapshot_bytes: u64,
    state: PhantomData<fn(S)>,
}

impl<S: Durable> DurableLog<S> {
    /// Opens the log in a folder of the disk's root and recovers the state that it describes.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt.
    pub async fn recover(disk: Disk, folder: &'static str) -> Result<(Self, S), DurableError> {
        Self::recover_segments(disk, folder, SEGMENT_BYTES).await
    }

    async fn recover_segments(
        disk: Disk,
        folder: &'static str,
        segment_bytes: u64,
    ) -> Result<(Self, S), DurableError> {
        let log = SegmentedLog::open(disk, folder, segment_bytes).await?;
        let mut state = match log.snapshot() {
            None => S::default(),
            Some(extent) => read_snapshot(&log, extent).await?,
        };
        let base = log.snapshot().map_or(0, |extent| extent.first);
        let mut reader = log.reader(base).await?;
        while let Some((_, record)) = reader.next().await? {
            state.apply(&record);
        }
        let snapshot_bytes = log.snapshot().map_or(0, |extent| extent.length);
        let mut log = DurableLog { log, snapshot_bytes, state: PhantomData };
        if log.log.records() > base || log.log.snapshot().is_none() {
            log.snapshot(&state).await?;
        }
        Ok((log, state))
    }

    /// Whether the folder holds a log with a seal; makes nothing.
    ///
    /// # Errors
    /// What the disk said, or that the seal is corrupt.
    pub async fn exists(disk: &Disk, folder: &'static str) -> Result<bool, DurableError> {
        Ok(SealFile::open(disk, folder).await?.is_some())
    }

    /// Appends records, which are durable then.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn append(&mut self, records: &[S::Record]) -> Result<(), DurableError> {
        self.log.append(records).await
    }

    /// Appends records; then replaces log and snapshot by a snapshot if there is one.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn commit(
        mut self,
        records: Vec<S::Record>,
        snapshot: Option<S>,
    ) -> Result<Self, DurableError> {
        self.append(&records).await?;
        if let Some(state) = snapshot {
            self.snapshot(&state).await?;
        }
        Ok(self)
    }

    /// Whether the log has grown so long that a snapshot should replace it.
    pub fn wants_snapshot(&self) -> bool {
        self.log.bytes() > LOG_BYTES_MIN.max(LOG_PER_SNAPSHOT.saturating_mul(self.snapshot_bytes))
    }

    /// Replaces log and snapshot by a snapshot of `state`, which is what they describe.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn snapshot(&mut self, state: &S) -> Result<(), DurableError> {
        let mut content =
            postcard::to_extend(state, vec![0; CHECKSUM_BYTES]).expect("it can be encoded");
        let crc = crc32fast::hash(&content[CHECKSUM_BYTES..]);
        content[..CHECKSUM_BYTES].copy_from_slice(&crc.to_le_bytes());
        let extent = Extent { first: self.log.records(), length: content.len() as u64, crc };
        let (disk, folder) = (self.log.disk().clone(), self.log.folder());
        let draft = format!("{folder}/{DRAFT}");
        let file = disk.open(&draft, OpenMode::Create).await?;
        file.truncate(0).await?;
        file.write_at(0, Bytes::from(content)).await?;
        file.sync().await?;
        disk.rename(&draft, &format!("{folder}/{}", snapshot_name(extent.first))).await?;
        disk.sync_dir(folder).await?;
        self.log.roll().await?;
        self.log.remove_below(extent.first, Some(extent)).await?;
        self.snapshot_bytes = extent.length;
        Ok(())
    }
}

async fn read_snapshot<S: Durable>(
    log: &SegmentedLog<S::Record>,
    extent: Extent,
) -> Result<S, DurableError> {
    let name = snapshot_name(extent.first);
    let file = open_extent(log.disk(), log.folder(), &name, extent).await?;
    let mut bytes = read_whole(&file).await?;
    let whole = bytes.len() >= CHECKSUM_BYTES && bytes.get_u32_le() == crc32fast::hash(&bytes);
    let damaged = |damage| Err(corrupt(log.folder(), name.clone(), 0, damage));
    if whole && crc32fast::hash(&bytes) != extent.crc {
        return damaged(Damage::Another);
    }
    let state = whole.then(|| postcard::from_bytes(&bytes).ok()).flatten();
    state.map_or_else(|| damaged(Damage::Unreadable), Ok)
}
