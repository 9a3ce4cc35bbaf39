//! A server's durable log: one file of checksummed records after a snapshot.
//!
//! In its folder, `snapshot-N` holds the state after N records, `log-N` the records since.
//! A batch of records is appended and synced before any of it is answered, and the next batch is
//! written only after that sync. So what a power cut can tear is the last batch alone, and damage
//! before it is corruption: each record says how much of the file was synced when it was written.
//!
//! In the last batch rot is told from a tear by what is missing. A torn write leaves out whole
//! sectors: they read as zeros, or the file ends at the edge of one. Damage of any other look struck
//! what had been synced and perhaps answered, so it is corruption too.

use crate::host::{Disk, File, OpenMode};
use bytes::{Buf, Bytes};
use serde::{Serialize, de::DeserializeOwned};
use std::{io, marker::PhantomData};

/// A mark, length, synced length, the checksum of these, the checksum of the rest.
const HEADER_BYTES: usize = 21;
const LENGTH: std::ops::Range<usize> = 1..5;
const SYNCED: std::ops::Range<usize> = 5..13;
const HEAD_SUM: std::ops::Range<usize> = 13..17;
const SUM: std::ops::Range<usize> = 17..21;
/// No record begins or ends with a zero, and what is between is masked: a piece of a record that
/// reads as zeros was never written.
const MARK: u8 = 0xb5;
/// The checksum before a snapshot.
const SEAL_BYTES: usize = 4;
/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;
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

/// Why the server can't go on. It stops: corruption is never served.
#[derive(Debug, thiserror::Error)]
pub(super) enum DurableError {
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    #[error("{file} is corrupt at byte {offset}")]
    Corrupt { file: String, offset: u64 },
}

/// The open log of a state `S`, whose owner keeps the state itself.
pub(super) struct DurableLog<S> {
    disk: Disk,
    folder: &'static str,
    file: File,
    /// Records in the state before this file's first.
    base: u64,
    records: u64,
    /// Bytes of the file that are synced; it has no others.
    synced: u64,
    snapshot_bytes: u64,
    state: PhantomData<fn(S)>,
}

fn log_name(folder: &str, base: u64) -> String {
    format!("{folder}/log-{base:020}")
}

fn snapshot_name(folder: &str, base: u64) -> String {
    format!("{folder}/snapshot-{base:020}")
}

impl<S: Durable> DurableLog<S> {
    /// Opens the log in a folder of the disk's root and recovers the state that it describes.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt.
    pub async fn recover(disk: Disk, folder: &'static str) -> Result<(Self, S), DurableError> {
        disk.create_dir(folder).await?;
        disk.sync_dir("").await?;
        let newest = |names: &[String], kind: &str| {
            names.iter().filter_map(|name| name.strip_prefix(kind)?.parse::<u64>().ok()).max()
        };
        let names = disk.list(folder).await?;
        let base = newest(&names, "snapshot-").unwrap_or(0);
        let mut state = match base {
            0 => S::default(),
            base => read_snapshot(&disk, &snapshot_name(folder, base)).await?,
        };
        let file = disk.open(&log_name(folder, base), OpenMode::Create).await?;
        let bytes =
            file.read_at(0, usize::try_from(file.len().await?).unwrap_or(usize::MAX)).await?;
        let (records, end) =
            scan::<S::Record>(&bytes).map_err(|offset| corrupt(log_name(folder, base), offset))?;
        for record in &records {
            state.apply(record);
        }
        let mut log = DurableLog {
            disk,
            folder,
            file,
            base,
            records: records.len() as u64,
            synced: end,
            snapshot_bytes: 0,
            state: PhantomData,
        };
        // After a failed sync the page cache may show what never reaches the platter, whatever later
        // syncs say. So what was read is written anew before it is served.
        log.snapshot(&state).await?;
        Ok((log, state))
    }

    /// Appends records and syncs them.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn append(&mut self, records: &[S::Record]) -> Result<(), DurableError> {
        let mut batch = Vec::new();
        for record in records {
            encode(&mut batch, record, self.synced);
        }
        let length = batch.len() as u64;
        self.file.write_at(self.synced, Bytes::from(batch)).await?;
        self.file.sync().await?;
        self.synced += length;
        self.records += records.len() as u64;
        Ok(())
    }

    /// Appends records and syncs them; then replaces log and snapshot by a snapshot if there is one.
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
        self.synced > LOG_BYTES_MIN.max(LOG_PER_SNAPSHOT.saturating_mul(self.snapshot_bytes))
    }

    /// Replaces log and snapshot by a snapshot of `state`, which is what they describe.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn snapshot(&mut self, state: &S) -> Result<(), DurableError> {
        let base = self.base + self.records;
        let folder = self.folder;
        let mut sealed =
            postcard::to_extend(state, vec![0; SEAL_BYTES]).expect("it can be encoded");
        let crc = crc32fast::hash(&sealed[SEAL_BYTES..]);
        sealed[..SEAL_BYTES].copy_from_slice(&crc.to_le_bytes());
        let snapshot_bytes = sealed.len() as u64;
        let draft = format!("{folder}/draft");
        let file = self.disk.open(&draft, OpenMode::Create).await?;
        file.truncate(0).await?;
        file.write_at(0, Bytes::from(sealed)).await?;
        file.sync().await?;
        self.disk.rename(&draft, &snapshot_name(folder, base)).await?;
        self.file = self.disk.open(&log_name(folder, base), OpenMode::Create).await?;
        self.file.truncate(0).await?;
        self.file.sync().await?;
        self.disk.sync_dir(folder).await?;
        (self.base, self.records, self.synced) = (base, 0, 0);
        self.snapshot_bytes = snapshot_bytes;
        let names = self.disk.list(folder).await?;
        self.remove_older(&names).await
    }

    async fn remove_older(&self, names: &[String]) -> Result<(), DurableError> {
        let older = |name: &String| {
            let number = name.strip_prefix("snapshot-").or_else(|| name.strip_prefix("log-"))?;
            (number.parse::<u64>().ok()? < self.base).then(|| format!("{}/{name}", self.folder))
        };
        for path in names.iter().filter_map(older) {
            self.disk.remove(&path).await?;
        }
        Ok(())
    }
}

fn corrupt(file: String, offset: u64) -> DurableError {
    DurableError::Corrupt { file, offset }
}

async fn read_snapshot<S: Durable>(disk: &Disk, name: &str) -> Result<S, DurableError> {
    let file = disk.open(name, OpenMode::Read).await?;
    let length = usize::try_from(file.len().await?).unwrap_or(usize::MAX);
    let mut bytes = file.read_at(0, length).await?;
    let whole = bytes.len() >= SEAL_BYTES && bytes.get_u32_le() == crc32fast::hash(&bytes);
    let state = whole.then(|| postcard::from_bytes(&bytes).ok()).flatten();
    state.ok_or_else(|| corrupt(name.to_string(), 0))
}

fn encode(batch: &mut Vec<u8>, record: &impl Serialize, synced: u64) {
    let start = batch.len();
    batch.resize(start + HEADER_BYTES, 0);
    *batch = postcard::to_extend(record, std::mem::take(batch)).expect("records can be encoded");
    batch.push(MARK);
    let record = &mut batch[start..];
    let length = u32::try_from(record.len() - HEADER_BYTES).expect("records are small");
    record[0] = MARK;
    record[LENGTH].copy_from_slice(&length.to_le_bytes());
    record[SYNCED].copy_from_slice(&synced.to_le_bytes());
    let sum = crc32fast::hash(&record[..HEAD_SUM.start]);
    record[HEAD_SUM].copy_from_slice(&sum.to_le_bytes());
    let last = record.len() - 1;
    mask(&mut record[HEADER_BYTES..last]);
    let sum = crc32fast::hash(&record[HEADER_BYTES..]);
    record[SUM].copy_from_slice(&sum.to_le_bytes());
}

/// Masks a payload, or takes the mask off.
fn mask(payload: &mut [u8]) {
    for (place, byte) in (0_u8..=u8::MAX).cycle().zip(payload) {
        *byte ^= MARK ^ place.rotate_left(3);
    }
}

fn word(bytes: &[u8], place: std::ops::Range<usize>) -> Option<u32> {
    bytes.get(place)?.try_into().ok().map(u32::from_le_bytes)
}

/// The length of the record at the start of `bytes`, if its header is whole.
fn whole_header(bytes: &[u8]) -> Option<usize> {
    let sum = crc32fast::hash(bytes.get(..HEAD_SUM.start)?);
    let whole = bytes[0] == MARK && word(bytes, HEAD_SUM)? == sum;
    HEADER_BYTES.checked_add(word(bytes, LENGTH)? as usize).filter(|_| whole)
}

/// The record at the start of `bytes`, and its length.
fn decode<R: DeserializeOwned>(bytes: &[u8]) -> Option<(R, usize)> {
    let length = whole_header(bytes)?;
    let rest = bytes.get(HEADER_BYTES..length)?;
    let (last, masked) = rest.split_last()?;
    if *last != MARK || word(bytes, SUM)? != crc32fast::hash(rest) {
        return None;
    }
    let mut payload = masked.to_vec();
    mask(&mut payload);
    Some((postcard::from_bytes(&payload).ok()?, length))
}

/// The records and where they end, or the offset of damage to what had been synced.
fn scan<R: DeserializeOwned>(bytes: &[u8]) -> Result<(Vec<R>, u64), u64> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some((record, length)) = decode::<R>(&bytes[at..]) {
        records.push(record);
        at += length;
    }
    // Whatever is no record names such an offset but rarely, so little of it is summed.
    let names_later_sync = |from: usize| {
        let word = bytes.get(from + SYNCED.start..from + SYNCED.end);
        let word = word.and_then(|word| word.try_into().ok());
        word.map(u64::from_le_bytes)
            .is_some_and(|synced| synced > at as u64 && synced <= from as u64)
    };
    let written_after_sync =
        |from: usize| names_later_sync(from) && decode::<R>(&bytes[from..]).is_some();
    if at < bytes.len() && !is_torn(bytes, at) || (at..bytes.len()).any(written_after_sync) {
        return Err(at as u64);
    }
    Ok((records, at as u64))
}

/// Whether the damaged record at this place looks like a part of a write that misses sectors.
fn is_torn(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    // Without its header nobody knows where it would end.
    let end = at.saturating_add(whole_header(rest).unwrap_or(HEADER_BYTES));
    let missing = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    let (first, later) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
    let begins = (at + first.len()..end).step_by(SECTOR_BYTES);
    let ends_early = end > bytes.len() && bytes.len().is_multiple_of(SECTOR_BYTES);
    ends_early
        || missing(first)
        || later.chunks(SECTOR_BYTES).zip(begins).any(|(sector, _)| missing(sector))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Record = (u64, String);

    fn record(n: u64) -> Record {
        // Zeros too: what is empty must not look like what is missing.
        let key = if n.is_multiple_of(2) { "key" } else { "\0\0\0" };
        (n, key.repeat(usize::try_from(n % 5 * 97).unwrap()))
    }

    /// Batches of these sizes; returns the file, the records and where each batch begins.
    fn file(batches: &[u64]) -> (Vec<u8>, Vec<Record>, Vec<usize>) {
        let (mut bytes, mut records, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for size in batches {
            let synced = bytes.len() as u64;
            starts.push(bytes.len());
            for _ in 0..*size {
                let next = record(records.len() as u64);
                encode(&mut bytes, &next, synced);
                records.push(next);
            }
        }
        (bytes, records, starts)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_bit_that_flipped_is_corruption_wherever_it_is(
            batches in prop::collection::vec(1..4u64, 1..6),
            place: prop::sample::Index,
            bit in 0..8u32,
        ) {
            let (mut bytes, records, _) = file(&batches);
            prop_assert_eq!(scan(&bytes), Ok((records, bytes.len() as u64)));
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            match scan::<Record>(&bytes) {
                Err(offset) => prop_assert!(offset as usize <= place),
                Ok(_) => prop_assert!(false, "a flipped bit is no torn write"),
            }
        }

        #[test]
        fn a_torn_last_batch_is_cut_off(
            batches in prop::collection::vec(1..4u64, 1..6),
            missing in prop::collection::vec(any::<bool>(), 1..9),
            ends_early: bool,
        ) {
            let (mut bytes, records, starts) = file(&batches);
            let last = *starts.last().expect("a batch at least");
            let first_sector = last / SECTOR_BYTES;
            let sectors = (first_sector..=bytes.len() / SECTOR_BYTES).zip(missing.iter().cycle());
            for (sector, _) in sectors.filter(|(_, missing)| **missing) {
                let from = last.max(sector * SECTOR_BYTES);
                let to = bytes.len().min((sector + 1) * SECTOR_BYTES);
                bytes[from..to].fill(0);
            }
            let edge = (first_sector + 1) * SECTOR_BYTES;
            if ends_early && edge < bytes.len() {
                bytes.truncate(edge);
            }
            let (kept, end) = scan::<Record>(&bytes).expect("a tear is no corruption");
            prop_assert_eq!(&kept[..], &records[..kept.len()]);
            let acknowledged = records.len() - usize::try_from(*batches.last().unwrap()).unwrap();
            prop_assert!(kept.len() >= acknowledged && end as usize >= last);
        }
    }
}
