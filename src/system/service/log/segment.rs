//! The files in which segments of partitions are.
//!
//! A file is a mark, and each record's length and bytes. It is written and synced, and its name too, before the server's
//! log names it, with length and checksum; after that it never changes. A file that the log does not name is garbage.

use super::model::size;
use crate::{
    host::{Disk, OpenMode},
    system::service::durable::{Damage, DurableError},
};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// Where files begin: what they are, and in which form.
const MARK: &[u8; 8] = b"segment1";
const PREFIX: &str = "segment-";

/// A segment that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentFile {
    /// Its segment.
    pub id: u64,
    /// The offset of its first record.
    pub first: u64,
    /// Its records.
    pub records: u64,
    /// Its bytes.
    pub length: u64,
    /// Their CRC-32.
    pub crc: u32,
}

fn name(id: u64) -> String {
    format!("{PREFIX}{id:020}")
}

fn encode(records: &[Bytes]) -> Bytes {
    let mut content = BytesMut::with_capacity(MARK.len() + size(records));
    content.put_slice(MARK);
    for record in records {
        content.put_u32_le(u32::try_from(record.len()).expect("records are small"));
        content.put_slice(record);
    }
    content.freeze()
}

fn decode(mut content: Bytes) -> Option<Vec<Bytes>> {
    if !content.starts_with(MARK) {
        return None;
    }
    content.advance(MARK.len());
    let mut records = Vec::new();
    while content.has_remaining() {
        let length = content.try_get_u32_le().ok()? as usize;
        if content.len() < length {
            return None;
        }
        records.push(content.split_to(length));
    }
    Some(records)
}

/// The files of a server's segments.
#[derive(Clone)]
pub(super) struct SegmentFiles {
    disk: Disk,
    folder: &'static str,
}

impl SegmentFiles {
    pub fn new(disk: Disk, folder: &'static str) -> Self {
        SegmentFiles { disk, folder }
    }

    fn path(&self, id: u64) -> String {
        format!("{}/{}", self.folder, name(id))
    }

    fn corrupt(&self, id: u64, offset: u64, damage: Damage) -> DurableError {
        DurableError::Corrupt { folder: self.folder, file: name(id), offset, damage }
    }

    /// Makes a file; its name is durable after [`sync_names`](Self::sync_names).
    ///
    /// # Errors
    /// What the disk said.
    pub async fn write(
        &self,
        id: u64,
        first: u64,
        records: &[Bytes],
    ) -> Result<SegmentFile, DurableError> {
        let content = encode(records);
        let (length, crc) = (content.len() as u64, crc32fast::hash(&content));
        let file = self.disk.open(&self.path(id), OpenMode::Create).await?;
        // One that was left behind may be longer.
        file.truncate(0).await?;
        file.write_durably(0, content).await?;
        Ok(SegmentFile { id, first, records: records.len() as u64, length, crc })
    }

    /// Makes the names of all files durable.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn sync_names(&self) -> Result<(), DurableError> {
        Ok(self.disk.sync_dir(self.folder).await?)
    }

    /// The records of a file.
    ///
    /// # Errors
    /// What the disk said, or that the file is not what was synced.
    pub async fn read(&self, segment: SegmentFile) -> Result<Vec<Bytes>, DurableError> {
        let SegmentFile { id, records, length, crc, .. } = segment;
        let file = match self.disk.open(&self.path(id), OpenMode::Read).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.corrupt(id, 0, Damage::Missing));
            }
            file => file?,
        };
        let content = file.read_at(0, usize::try_from(length).unwrap_or(usize::MAX)).await?;
        if (content.len() as u64) < length {
            return Err(self.corrupt(id, content.len() as u64, Damage::Short { synced: length }));
        }
        let whole = crc32fast::hash(&content) == crc;
        let found = whole.then(|| decode(content)).flatten();
        let found = found.filter(|found| found.len() as u64 == records);
        found.ok_or_else(|| self.corrupt(id, 0, Damage::Unreadable))
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// What the disk said.
    pub async fn remove(&self, id: u64) -> Result<(), DurableError> {
        match self.disk.remove(&self.path(id)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Makes sure that these files are there in their length, and removes all others.
    ///
    /// # Errors
    /// What the disk said, or that one is missing or has another length.
    pub async fn recover(&self, named: &[SegmentFile]) -> Result<(), DurableError> {
        let mut missing: BTreeMap<u64, u64> =
            named.iter().map(|file| (file.id, file.length)).collect();
        for found in self.disk.list(self.folder).await? {
            let Some(id) = found.strip_prefix(PREFIX).and_then(|id| id.parse().ok()) else {
                continue;
            };
            let Some(length) = missing.remove(&id) else {
                self.remove(id).await?;
                continue;
            };
            let is = self.disk.open(&self.path(id), OpenMode::Read).await?.len().await?;
            if is < length {
                return Err(self.corrupt(id, is, Damage::Short { synced: length }));
            }
            if is > length {
                return Err(self.corrupt(id, length, Damage::Long));
            }
        }
        match missing.keys().next() {
            Some(id) => Err(self.corrupt(*id, 0, Damage::Missing)),
            None => Ok(()),
        }
    }
}

/// Segments whose files were read or written not long ago, and those that are being read.
#[derive(Default)]
pub(super) struct SegmentCache {
    /// By id, with what they take and when they were used last.
    segments: BTreeMap<u64, (Vec<Bytes>, u64, u64)>,
    bytes: u64,
    bytes_max: u64,
    uses: u64,
    reading: BTreeSet<u64>,
}

impl SegmentCache {
    /// An empty one of so many bytes, or of one segment.
    pub fn new(bytes_max: u64) -> Self {
        SegmentCache { bytes_max, ..SegmentCache::default() }
    }

    /// A segment's records.
    pub fn get(&mut self, id: u64) -> Option<&[Bytes]> {
        self.uses += 1;
        let (records, _, used) = self.segments.get_mut(&id)?;
        *used = self.uses;
        Some(records)
    }

    /// Adds a segment for which the oldest go; it is being read no longer.
    pub fn insert(&mut self, id: u64, records: Vec<Bytes>) {
        self.remove(id);
        let bytes = size(&records) as u64;
        self.uses += 1;
        self.bytes += bytes;
        self.segments.insert(id, (records, bytes, self.uses));
        while self.bytes > self.bytes_max && self.segments.len() > 1 {
            let oldest = self.segments.iter().min_by_key(|(_, (_, _, used))| *used);
            let oldest = *oldest.expect("there is more than one").0;
            self.remove(oldest);
        }
    }

    /// Takes a segment out; it is being read no longer.
    pub fn remove(&mut self, id: u64) {
        self.reading.remove(&id);
        if let Some((_, bytes, _)) = self.segments.remove(&id) {
            self.bytes -= bytes;
        }
    }

    /// Notes that a segment is being read; whether it was not before.
    pub fn begin_read(&mut self, id: u64) -> bool {
        self.reading.insert(id)
    }

    /// How many are being read.
    pub fn reading(&self) -> usize {
        self.reading.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::model::RECORD_BYTES_AROUND, *};

    fn records(lengths: &[usize]) -> Vec<Bytes> {
        lengths.iter().map(|length| Bytes::from(vec![7; *length])).collect()
    }

    #[test]
    fn a_file_holds_its_records_and_nothing_else_is_read_as_one() {
        for lengths in [&[][..], &[0], &[3, 0, 700]] {
            let content = encode(&records(lengths));
            assert_eq!(decode(content.clone()), Some(records(lengths)));
            if !lengths.is_empty() {
                assert_eq!(decode(content.slice(..content.len() - 1)), None);
            }
        }
        assert_eq!(decode(Bytes::from_static(b"segment2")), None);
    }

    #[test]
    fn the_cache_lets_go_what_was_not_used_longest() {
        let mut cache = SegmentCache::new(2 * (100 + RECORD_BYTES_AROUND as u64));
        cache.insert(1, records(&[100]));
        cache.insert(2, records(&[100]));
        assert!(cache.get(1).is_some());
        cache.insert(3, records(&[100]));
        assert_eq!([1, 2, 3].map(|id| cache.get(id).is_some()), [true, false, true]);
        cache.insert(4, records(&[1000]));
        assert_eq!([1, 3, 4].map(|id| cache.get(id).is_some()), [false, false, true]);
        cache.remove(4);
        assert_eq!(cache.bytes, 0);
        assert!(cache.begin_read(5) && !cache.begin_read(5) && cache.reading() == 1);
        cache.insert(5, records(&[1]));
        assert_eq!(cache.reading(), 0);
    }
}
