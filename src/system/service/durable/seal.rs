//! The seal: how far a log is durable, recorded apart from it.
//!
//! The file `seal` has two slots, each in a sector of its own (also where sectors have 4 KiB), that
//! are written in turn: a checksum, a length, and the [`Seal`]. The newest slot that can be read
//! counts. One that was torn leaves the one before it, which says less and nothing false.

use super::error::{Damage, DurableError};
use crate::host::{Disk, File, FileWrite, OpenMode};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub(super) const SEAL_FILE: &str = "seal";
const SLOTS: u64 = 2;
/// From slot to slot: the largest sector there is, so that a torn write of one leaves the other.
const SLOT_BYTES: usize = 4096;
/// The checksum of what follows it, and the length of what follows that.
const SLOT_HEADER_BYTES: usize = 6;

/// A file as far as it is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Records of the log before its first.
    pub first: u64,
    /// Its bytes.
    pub length: u64,
    /// Their CRC-32.
    pub crc: u32,
}

/// How far a log is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Counts the seals of a log from 1.
    pub number: u64,
    /// The state after so many records, for a log that has snapshots.
    pub snapshot: Option<Extent>,
    /// The first record of the oldest segment.
    pub oldest: u64,
    /// The segment that is being written.
    pub active: Extent,
    /// Records in all.
    pub records: u64,
}

/// The open seal of a log.
pub struct SealFile {
    file: File,
    /// The newest one.
    pub seal: Seal,
    /// Where the other slot can't be read.
    pub unreadable: Option<u64>,
}

impl SealFile {
    /// Makes a file without any seal.
    pub async fn create(disk: &Disk, folder: &str) -> Result<SealFile, DurableError> {
        let file = disk.open(&format!("{folder}/{SEAL_FILE}"), OpenMode::Create).await?;
        file.truncate(0).await?;
        Ok(SealFile { file, seal: Seal::default(), unreadable: None })
    }

    /// Opens the file; `None` when none was ever written.
    pub async fn open(disk: &Disk, folder: &'static str) -> Result<Option<SealFile>, DurableError> {
        let path = format!("{folder}/{SEAL_FILE}");
        let file = match disk.open(&path, OpenMode::Write).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let bytes = file.read_at(0, SLOT_BYTES * SLOTS as usize).await?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let slots: Vec<&[u8]> = bytes.chunks(SLOT_BYTES).collect();
        let newest = slots.iter().filter_map(|slot| decode(slot)).max_by_key(|seal| seal.number);
        let unreadable =
            |slot: &&[u8]| decode(slot).is_none() && slot.iter().any(|byte| *byte != 0);
        let unreadable = slots.iter().position(unreadable).map(|slot| (slot * SLOT_BYTES) as u64);
        match newest {
            Some(seal) => Ok(Some(SealFile { file, seal, unreadable })),
            None => Err(DurableError::Corrupt {
                folder,
                file: SEAL_FILE.to_string(),
                offset: unreadable.unwrap_or(0),
                damage: Damage::Unreadable,
            }),
        }
    }

    /// What has to be written durably for the next seal, whose number this gives. The file is of no more use when it
    /// is not.
    pub fn next(&mut self, seal: Seal) -> FileWrite<File> {
        self.seal = Seal { number: self.seal.number + 1, ..seal };
        let offset = self.seal.number % SLOTS * SLOT_BYTES as u64;
        FileWrite { file: self.file.clone(), offset, data: encode(&self.seal) }
    }
}

fn encode(seal: &Seal) -> Bytes {
    let mut slot = postcard::to_extend(seal, vec![0; SLOT_HEADER_BYTES]).expect("plain numbers");
    let length = u16::try_from(slot.len() - SLOT_HEADER_BYTES).expect("a few numbers");
    slot[4..SLOT_HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    let crc = crc32fast::hash(&slot[4..]);
    slot[..4].copy_from_slice(&crc.to_le_bytes());
    slot.into()
}

fn decode(slot: &[u8]) -> Option<Seal> {
    let (crc, rest) = slot.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes(*length));
    let sealed = slot.get(4..SLOT_HEADER_BYTES + length)?;
    let whole = length > 0 && crc32fast::hash(sealed) == u32::from_le_bytes(*crc);
    whole.then(|| postcard::from_bytes(&rest[..length]).ok()).flatten()
}
