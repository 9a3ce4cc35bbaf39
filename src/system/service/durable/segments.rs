//! The segments of a log, and the seal that says how far they are durable.

use super::{
    error::{Damage, DurableError},
    frame::{self, Cut, Scanned},
    reader::Reader,
    seal::{Extent, SEAL_FILE, Seal, SealFile},
    segment::{Frame, Head, Place, Sealed, corrupt, open_existing, segment_name, snapshot_name},
};
use crate::host::{Disk, File, FileWrite, OpenMode};
use bytes::Bytes;
use crc32fast::Hasher;
use serde::{Serialize, de::DeserializeOwned};
use std::{io, marker::PhantomData};

/// From place to place of a segment's index, in bytes.
const INDEX_STEP_BYTES: u64 = 64 * 1024;
/// More than a head's frame takes.
const HEAD_BYTES_MAX: usize = 256;
/// A file that becomes a snapshot by its name.
pub(super) const DRAFT: &str = "draft";

/// The segment that is being written.
struct Active {
    file: File,
    first: u64,
    /// Bytes that are synced, or being written; the file has no others.
    length: u64,
    sum: Hasher,
    index: Vec<Place>,
}

impl Active {
    fn extent(&self) -> Extent {
        Extent { first: self.first, length: self.length, crc: self.sum.clone().finalize() }
    }

    /// Notes a record's place, if it is far enough from the last that was noted.
    fn note(&mut self, place: Place) {
        if self.index.last().is_none_or(|last| place.offset >= last.offset + INDEX_STEP_BYTES) {
            self.index.push(place);
        }
    }

    /// What has to be written durably for this to be its end.
    fn next(&mut self, batch: Vec<u8>) -> FileWrite<File> {
        let offset = self.length;
        self.sum.update(&batch);
        self.length += batch.len() as u64;
        FileWrite { file: self.file.clone(), offset, data: Bytes::from(batch) }
    }
}

/// A log of records in segments, open for appending.
pub struct SegmentedLog<R> {
    disk: Disk,
    folder: &'static str,
    /// A segment of so many bytes takes no more records.
    segment_bytes: u64,
    seal: SealFile,
    /// Segments that take no more records, oldest first.
    sealed: Vec<Sealed>,
    active: Active,
    /// The state that stands for the records before it, if there is one.
    snapshot: Option<Extent>,
    records: u64,
    kind: PhantomData<fn(R)>,
}

fn number(name: &str, kind: &str) -> Option<u64> {
    name.strip_prefix(kind)?.parse().ok()
}

impl<R: Serialize + DeserializeOwned + Send + Sync> SegmentedLog<R> {
    /// Opens the log in a folder of the disk's root, or makes an empty one. All that it holds then is
    /// durable.
    ///
    /// # Errors
    /// What the disk said, or that what was durable is not there.
    pub async fn open(
        disk: Disk,
        folder: &'static str,
        segment_bytes: u64,
    ) -> Result<Self, DurableError> {
        disk.create_dir(folder).await?;
        disk.sync_dir("").await?;
        let Some(seal) = SealFile::open(&disk, folder).await? else {
            return Self::create(disk, folder, segment_bytes).await;
        };
        let unreadable = seal.unreadable;
        match Self::open_sealed(disk, folder, segment_bytes, seal).await {
            // Most likely the other slot is right and cannot be read.
            Err(DurableError::Corrupt { damage: Damage::Missing | Damage::Unsealed, .. })
                if let Some(offset) = unreadable =>
            {
                let file = SEAL_FILE.to_string();
                Err(DurableError::Corrupt { folder, file, offset, damage: Damage::Unreadable })
            }
            opened => opened,
        }
    }

    /// An empty log in a folder without a seal. Power may have gone while one was made there.
    async fn create(
        disk: Disk,
        folder: &'static str,
        segment_bytes: u64,
    ) -> Result<Self, DurableError> {
        for name in disk.list(folder).await? {
            let holds = match number(&name, "log-") {
                Some(0) => has_records::<R>(&disk, folder, &name).await?,
                Some(_) => true,
                None => name.starts_with("snapshot-"),
            };
            if holds {
                let file = SEAL_FILE.to_string();
                let damage = Damage::NoSeal;
                return Err(DurableError::Corrupt { folder, file, offset: 0, damage });
            }
        }
        let active = begin::<R>(&disk, folder, 0, None).await?;
        let seal = SealFile::create(&disk, folder).await?;
        let (sealed, kind) = (Vec::new(), PhantomData);
        let mut log = SegmentedLog {
            disk,
            folder,
            segment_bytes,
            seal,
            sealed,
            active,
            snapshot: None,
            records: 0,
            kind,
        };
        log.seal().await?;
        log.disk.sync_dir(folder).await?;
        Ok(log)
    }

    async fn open_sealed(
        disk: Disk,
        folder: &'static str,
        segment_bytes: u64,
        seal: SealFile,
    ) -> Result<Self, DurableError> {
        let Seal { snapshot, records, .. } = seal.seal;
        // Where the newest seal may be the one that rotted, what stands behind the other was perhaps answered.
        let cut = if seal.unreadable.is_some() { Cut::AtSectors } else { Cut::Anywhere };
        let (active, head, tail) = open_active::<R>(&disk, folder, &seal.seal, cut).await?;
        let sealed = open_older::<R>(&disk, folder, &seal.seal, head).await?;
        let records = records + tail;
        let kind = PhantomData;
        let mut log = SegmentedLog {
            disk,
            folder,
            segment_bytes,
            seal,
            sealed,
            active,
            snapshot,
            records,
            kind,
        };
        for name in log.disk.list(folder).await? {
            let newer = number(&name, "log-").is_some_and(|first| first > log.active.first);
            if newer && has_records::<R>(&log.disk, folder, &name).await? {
                return Err(corrupt(folder, name, 0, Damage::Unsealed));
            }
        }
        // The seal that was read may be in the page cache alone, and the one on the platter name what
        // is removed here.
        log.seal().await?;
        log.remove_unnamed().await?;
        Ok(log)
    }

    /// Records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The first record of the oldest segment.
    pub fn oldest(&self) -> u64 {
        self.sealed.first().map_or(self.active.first, |oldest| oldest.extent.first)
    }

    /// The state that stands for the records before it.
    pub fn snapshot(&self) -> Option<Extent> {
        self.snapshot
    }

    /// Bytes of all segments.
    pub fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|sealed| sealed.extent.length).sum();
        sealed + self.active.length
    }

    /// The disk on which it is.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Its folder.
    pub fn folder(&self) -> &'static str {
        self.folder
    }

    /// Appends records; they are durable and sealed then.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn append(&mut self, records: &[R]) -> Result<(), DurableError> {
        if self.active.length >= self.segment_bytes {
            self.roll().await?;
        }
        let mut batch = Vec::new();
        let synced = self.active.length;
        for (record, content) in (self.records..).zip(records) {
            self.active.note(Place { record, offset: synced + batch.len() as u64 });
            frame::encode(&mut batch, &Frame::Record(content), synced);
        }
        let end = self.active.next(batch);
        self.records += records.len() as u64;
        let seal = self.next_seal();
        Ok(self.disk.write_in_turn(vec![end, seal]).await?)
    }

    /// Says on the disk how far the log is durable.
    async fn seal(&mut self) -> Result<(), DurableError> {
        let seal = self.next_seal();
        Ok(self.disk.write_in_turn(vec![seal]).await?)
    }

    fn next_seal(&mut self) -> FileWrite<File> {
        let seal = Seal {
            number: 0,
            snapshot: self.snapshot,
            oldest: self.oldest(),
            active: self.active.extent(),
            records: self.records,
        };
        self.seal.next(seal)
    }

    /// Ends the segment that is being written, unless it is empty, and begins the next.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn roll(&mut self) -> Result<(), DurableError> {
        if self.active.first == self.records {
            return Ok(());
        }
        let index = self.active.length;
        let mut last = Vec::new();
        let places = std::mem::take(&mut self.active.index);
        frame::encode(&mut last, &Frame::<R>::Index(places), index);
        let last = self.active.next(last);
        self.disk.write_in_turn(vec![last]).await?;
        let sealed = Sealed { extent: self.active.extent(), index };
        self.active = begin::<R>(&self.disk, self.folder, self.records, Some(sealed)).await?;
        self.sealed.push(sealed);
        // Sealed by itself, so that a segment the seal does not name never holds a record.
        self.seal().await
    }

    /// Removes the segments that hold only records before the given one, for good. `snapshot`, a
    /// file of the folder with a durable name, stands for them.
    ///
    /// # Errors
    /// What the disk said; the log is of no more use then.
    pub async fn remove_below(
        &mut self,
        record: u64,
        snapshot: Option<Extent>,
    ) -> Result<(), DurableError> {
        let firsts = self.sealed.iter().map(|sealed| sealed.extent.first);
        let ends = firsts.chain([self.active.first]).skip(1);
        let removed = ends.take_while(|end| *end <= record).count();
        self.sealed.drain(..removed);
        self.snapshot = snapshot;
        self.seal().await?;
        self.remove_unnamed().await
    }

    /// Removes what is no part of the log: what was left behind and what never became one.
    async fn remove_unnamed(&self) -> Result<(), DurableError> {
        let firsts = self.sealed.iter().map(|sealed| sealed.extent.first);
        let segments = firsts.chain([self.active.first]).map(segment_name);
        let snapshot = self.snapshot.map(|snapshot| snapshot_name(snapshot.first));
        let named: Vec<String> = segments.chain(snapshot).collect();
        for name in self.disk.list(self.folder).await? {
            let of_log = number(&name, "log-").or_else(|| number(&name, "snapshot-")).is_some();
            if (of_log || name == DRAFT) && !named.contains(&name) {
                self.disk.remove(&format!("{}/{name}", self.folder)).await?;
            }
        }
        Ok(())
    }

    /// Reads the records from the given one on, as they are now. Those of segments that are removed
    /// meanwhile are missing.
    ///
    /// # Errors
    /// What the disk said, or that it is corrupt.
    pub async fn reader(&self, from: u64) -> Result<Reader<R>, DurableError> {
        let older = self.sealed.partition_point(|sealed| sealed.extent.first <= from);
        let older = older.saturating_sub(usize::from(from < self.active.first));
        let segments = self.sealed[older..].iter().map(|sealed| sealed.extent);
        let mut reader = Reader::new(self.disk.clone(), self.folder, from);
        segments.chain([self.active.extent()]).for_each(|extent| reader.add(extent));
        let places = match self.sealed.get(older) {
            Some(sealed) if from < self.active.first => self.read_index(sealed).await?,
            _ => self.active.index.clone(),
        };
        let known = places.partition_point(|place| place.record <= from);
        if let Some(place) = known.checked_sub(1).and_then(|last| places.get(last)) {
            reader.skip_to(*place);
        }
        Ok(reader)
    }

    async fn read_index(&self, sealed: &Sealed) -> Result<Vec<Place>, DurableError> {
        let name = segment_name(sealed.extent.first);
        let file = open_extent(&self.disk, self.folder, &name, sealed.extent).await?;
        let length = sealed.extent.length.saturating_sub(sealed.index);
        let bytes = file.read_at(sealed.index, usize::try_from(length).unwrap_or(usize::MAX));
        match frame::decode::<Frame<R>>(&bytes.await?) {
            Some((Frame::Index(places), _)) => Ok(places),
            _ => Err(corrupt(self.folder, name, sealed.index, Damage::Unreadable)),
        }
    }
}

/// Opens a file that must be there and have just this length.
pub(super) async fn open_extent(
    disk: &Disk,
    folder: &'static str,
    name: &str,
    Extent { length, .. }: Extent,
) -> Result<File, DurableError> {
    let file = open_existing(disk, folder, name).await?;
    let damaged = |at, damage| Err(corrupt(folder, name.to_string(), at, damage));
    match file.len().await? {
        found if found < length => damaged(found, Damage::Short { synced: length }),
        found if found > length => damaged(length, Damage::Long),
        _ => Ok(file),
    }
}

pub(super) async fn read_whole(file: &File) -> io::Result<Bytes> {
    file.read_at(0, usize::try_from(file.len().await?).unwrap_or(usize::MAX)).await
}

/// Makes a segment whose name is durable.
async fn begin<R: Serialize>(
    disk: &Disk,
    folder: &str,
    first: u64,
    previous: Option<Sealed>,
) -> Result<Active, DurableError> {
    let path = format!("{folder}/{}", segment_name(first));
    let file = disk.open(&path, OpenMode::Create).await?;
    file.truncate(0).await?;
    let (sum, index) = (Hasher::new(), Vec::new());
    let mut active = Active { file, first, length: 0, sum, index };
    let mut head = Vec::new();
    frame::encode(&mut head, &Frame::<R>::Head(Head { first, previous }), 0);
    disk.write_in_turn(vec![active.next(head)]).await?;
    disk.sync_dir(folder).await?;
    Ok(active)
}

async fn has_records<R: DeserializeOwned>(
    disk: &Disk,
    folder: &'static str,
    name: &str,
) -> Result<bool, DurableError> {
    let bytes = read_whole(&open_existing(disk, folder, name).await?).await?;
    let is_record = |(_, frame): &(u64, Frame<R>)| matches!(frame, Frame::Record(_));
    // What can't be read may be a head that was torn, or what was never one.
    Ok(frame::scan(&bytes, Cut::Anywhere).is_ok_and(|scanned| scanned.frames.iter().any(is_record)))
}

/// Opens the segment that is being written. Whole records behind the seal, which were perhaps
/// answered, are made durable, and what was torn behind them is cut off. Returns its head and how
/// many records it holds behind the seal.
async fn open_active<R: DeserializeOwned>(
    disk: &Disk,
    folder: &'static str,
    seal: &Seal,
    cut: Cut,
) -> Result<(Active, Head, u64), DurableError> {
    let Extent { first, length: sealed, crc } = seal.active;
    let name = segment_name(first);
    let damaged = |at, damage| Err(corrupt(folder, name.clone(), at, damage));
    let file = open_existing(disk, folder, &name).await?;
    let bytes = read_whole(&file).await?;
    let found = bytes.len() as u64;
    if found < sealed {
        return damaged(found, Damage::Short { synced: sealed });
    }
    let Scanned { frames, end } = match frame::scan::<Frame<R>>(&bytes, cut) {
        Ok(scanned) if scanned.end >= sealed => scanned,
        Ok(Scanned { end: at, .. }) | Err(at) => return damaged(at, Damage::Unreadable),
    };
    let mut frames = frames.into_iter();
    let head = match frames.next() {
        Some((_, Frame::Head(head))) if head.first == first => head,
        _ => return damaged(0, Damage::Another),
    };
    let (mut end, mut before, mut behind) = (end, 0, 0);
    let mut active = Active { file, first, length: 0, sum: Hasher::new(), index: Vec::new() };
    for (offset, frame) in frames {
        match frame {
            Frame::Record(_) => {
                active.note(Place { record: first + before + behind, offset });
                *(if offset < sealed { &mut before } else { &mut behind }) += 1;
            }
            // Of a segment that was to take no more records when power went.
            Frame::Index(_) if offset >= sealed => {
                end = offset;
                break;
            }
            Frame::Head(_) | Frame::Index(_) => return damaged(offset, Damage::Another),
        }
    }
    let kept = &bytes[..usize::try_from(end).unwrap_or(usize::MAX)];
    let (synced, tail) = kept.split_at(usize::try_from(sealed).unwrap_or(usize::MAX));
    if crc32fast::hash(synced) != crc || first + before != seal.records {
        return damaged(0, Damage::Another);
    }
    // After a failed sync the page cache may show what never reaches the platter, whatever later syncs
    // say; so it is written anew. Also when nothing seems to be behind the seal: who cut it off may
    // have died before the platter knew.
    active.file.truncate(end).await?;
    active.file.write_at(sealed, Bytes::copy_from_slice(tail)).await?;
    active.file.sync().await?;
    active.sum.update(kept);
    active.length = end;
    Ok((active, head, behind))
}

/// The segments before the one with this head, oldest first. Each vouches for the one before it.
async fn open_older<R: DeserializeOwned>(
    disk: &Disk,
    folder: &'static str,
    seal: &Seal,
    mut head: Head,
) -> Result<Vec<Sealed>, DurableError> {
    let mut older = Vec::new();
    while head.first > seal.oldest {
        let Some(sealed) = head.previous else {
            return Err(corrupt(folder, segment_name(head.first), 0, Damage::Another));
        };
        let name = segment_name(sealed.extent.first);
        let file = open_extent(disk, folder, &name, sealed.extent).await?;
        head = match frame::decode::<Frame<R>>(&file.read_at(0, HEAD_BYTES_MAX).await?) {
            Some((Frame::Head(head), _)) if head.first == sealed.extent.first => head,
            Some(_) => return Err(corrupt(folder, name, 0, Damage::Another)),
            None => return Err(corrupt(folder, name, 0, Damage::Unreadable)),
        };
        older.push(sealed);
    }
    older.reverse();
    Ok(older)
}
