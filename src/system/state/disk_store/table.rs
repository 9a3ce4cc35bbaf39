//! A file of sorted entries, which never changes once it is whole.
//!
//! It is made of units, of which a block takes one, or more when an entry is large; after the blocks stands their index
//! as one more, and last what the file is. Each begins with a checksum over its content, the file's identity and the
//! number of its first unit, so that a block that is not where it was written is refused. Identities are never given
//! twice: who owns the store, and a number.

use super::{
    block::{Block, BlockBuilder, common, put_varint, varint},
    error::{Damage, StateError},
};
use crate::host::{OpenMode, SyncDisk, SyncFile};
use crc32fast::Hasher;
use std::{
    io,
    sync::{Arc, Mutex},
};

/// A checksum and a length.
pub(super) const BLOCK_HEAD: usize = 8;
/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;
const MARK: &[u8; 8] = b"state\0\0\x01";

/// Who wrote a file, and which one of his it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub owner: u64,
    pub number: u64,
}

impl Identity {
    pub fn name(self) -> String {
        format!("{:016x}-{:010}", self.owner, self.number)
    }

    pub fn seed(self) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.owner.to_le_bytes());
        hasher.update(&self.number.to_le_bytes());
        hasher.finalize()
    }
}

pub(super) fn checksum(seed: u32, unit: u32, content: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(seed);
    hasher.update(&unit.to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// Names of files that nothing refers to any more.
pub(super) type Trash = Arc<Mutex<Vec<String>>>;

/// A file's name; when it is dropped the file is garbage.
struct OwnedName {
    name: String,
    trash: Trash,
}

impl Drop for OwnedName {
    fn drop(&mut self) {
        if let Ok(mut trash) = self.trash.lock() {
            trash.push(std::mem::take(&mut self.name));
        }
    }
}

/// Where a store's files are made.
pub(super) struct Files {
    pub door: SyncDisk,
    pub folder: String,
    pub owner: u64,
    pub next: u64,
    /// Bytes of a unit.
    pub unit: usize,
    /// Bytes that are written in one go, about.
    pub write_bytes: usize,
    pub trash: Trash,
}

impl Files {
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// Removes what is garbage.
    pub fn remove_trash(&self) -> Result<(), StateError> {
        let names = std::mem::take(&mut *self.trash.lock().expect("no panic under this lock"));
        for name in names {
            self.door.remove(&self.path(&name))?;
        }
        Ok(())
    }
}

/// Where the blocks of a file begin, by a key that is not above the first of the block and above all before it.
pub(super) struct Index {
    keys: Vec<u8>,
    /// Where each key ends.
    ends: Vec<u32>,
    /// Where each block begins, and where the last one ends.
    units: Vec<u32>,
}

impl Index {
    fn parse(payload: &[u8]) -> Option<Self> {
        let (mut at, mut unit) = (0, 0_u32);
        let mut index = Index { keys: Vec::new(), ends: Vec::new(), units: vec![0] };
        while at < payload.len() {
            let length = varint(payload, &mut at)?;
            let key = payload.get(at..at.checked_add(length)?)?;
            at += length;
            unit = unit.checked_add(u32::try_from(varint(payload, &mut at)?).ok()?)?;
            index.keys.extend_from_slice(key);
            index.ends.push(u32::try_from(index.keys.len()).ok()?);
            index.units.push(unit);
        }
        index.keys.shrink_to_fit();
        (!index.ends.is_empty()).then_some(index)
    }

    pub fn blocks(&self) -> usize {
        self.ends.len()
    }

    pub fn bytes(&self) -> usize {
        self.keys.capacity() + 4 * (self.ends.capacity() + self.units.capacity()) + 96
    }

    fn key(&self, block: usize) -> &[u8] {
        let from = if block == 0 { 0 } else { self.ends[block - 1] as usize };
        &self.keys[from..self.ends[block] as usize]
    }

    /// From where on keys are not in this block; `None` for the last one.
    pub fn next_key(&self, block: usize) -> Option<&[u8]> {
        (block + 1 < self.blocks()).then(|| self.key(block + 1))
    }

    /// The only block that may have the key, at `from` or behind it.
    pub fn block(&self, from: usize, key: &[u8]) -> usize {
        // Sorted keys are mostly in the same block or the one behind it.
        let (mut low, mut step) = (from, 1);
        while low + step < self.blocks() && self.key(low + step) <= key {
            low += step;
            step *= 2;
        }
        let mut high = (low + step).min(self.blocks());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if self.key(middle) <= key {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The first unit of a block, and how many it has.
    pub fn place(&self, block: usize) -> (u32, u32) {
        (self.units[block], self.units[block + 1] - self.units[block])
    }
}

/// A whole file, open.
pub(super) struct Table {
    pub identity: Identity,
    owned: OwnedName,
    file: SyncFile,
    seed: u32,
    unit: usize,
    /// All its bytes, and their CRC-32.
    pub length: u64,
    pub crc: u32,
    index_unit: u32,
    index_units: u32,
    pub entries: u64,
    pub first: Box<[u8]>,
    pub last: Box<[u8]>,
}

impl Table {
    pub fn name(&self) -> &str {
        &self.owned.name
    }

    /// Bytes that it takes in memory.
    pub fn memory(&self) -> usize {
        size_of::<Self>() + self.first.len() + self.last.len() + self.owned.name.len()
    }

    /// Bytes of a unit.
    pub fn unit(&self) -> usize {
        self.unit
    }

    /// Units of entries.
    pub fn data_units(&self) -> u32 {
        self.index_unit
    }

    pub fn corrupt(&self, unit: u32, damage: Damage) -> StateError {
        let offset = u64::from(unit) * self.unit as u64;
        StateError::Corrupt { file: self.name().to_string(), offset, damage }
    }

    /// Fills the buffer with these units, unchecked.
    pub fn read(&self, unit: u32, units: u32, into: &mut Vec<u8>) -> Result<(), StateError> {
        into.resize(units as usize * self.unit, 0);
        let offset = u64::from(unit) * self.unit as u64;
        let count = self.file.read_at(offset, into)?;
        if count < into.len() {
            let damage = Damage::Length { written: self.length, found: offset + count as u64 };
            return Err(self.corrupt(unit, damage));
        }
        Ok(())
    }

    /// Lets the disk know what will be read soon.
    pub fn will_read(&self, unit: u32, units: u32) {
        let offset = u64::from(unit) * self.unit as u64;
        self.file.will_read(offset, u64::from(units) * self.unit as u64);
    }

    /// Checks the block that begins at a unit; answers its payload and how many units it has. `bytes` begin with it and
    /// may go on behind it; `None` when they end before it does.
    pub fn check<'a>(
        &self,
        unit: u32,
        bytes: &'a [u8],
    ) -> Result<Option<(&'a [u8], u32)>, StateError> {
        let Some((head, rest)) = bytes.split_first_chunk::<BLOCK_HEAD>() else { return Ok(None) };
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let length = word(4) as usize;
        let units = (BLOCK_HEAD + length).div_ceil(self.unit);
        let all = units * self.unit;
        let file_units = self.length / self.unit as u64;
        if u64::from(unit) + units as u64 > file_units {
            return Err(self.corrupt(unit, Damage::Checksum));
        }
        if all > bytes.len() {
            return Ok(None);
        }
        if checksum(self.seed, unit, &bytes[4..all]) != word(0) {
            return Err(self.corrupt(unit, Damage::Checksum));
        }
        Ok(Some((&rest[..length], units as u32)))
    }

    /// The same of bytes that are just this block.
    pub fn check_whole<'a>(&self, unit: u32, bytes: &'a [u8]) -> Result<&'a [u8], StateError> {
        match self.check(unit, bytes)? {
            Some((payload, units)) if units as usize * self.unit == bytes.len() => Ok(payload),
            _ => Err(self.corrupt(unit, Damage::Checksum)),
        }
    }

    pub fn parse<'a>(&self, unit: u32, payload: &'a [u8]) -> Result<Block<'a>, StateError> {
        Block::parse(payload).ok_or_else(|| self.corrupt(unit, Damage::Unreadable))
    }

    pub fn index(&self) -> Result<Index, StateError> {
        let mut bytes = Vec::new();
        self.read(self.index_unit, self.index_units, &mut bytes)?;
        let payload = self.check_whole(self.index_unit, &bytes)?;
        let index = Index::parse(payload);
        let index = index.filter(|index| index.units.last() == Some(&self.index_unit));
        index.ok_or_else(|| self.corrupt(self.index_unit, Damage::Unreadable))
    }

    /// Opens a file that was written by a store, perhaps another one; its length and checksum are what is known of it.
    pub fn open(
        files: &Files,
        identity: Identity,
        length: u64,
        crc: u32,
    ) -> Result<Table, StateError> {
        let name = identity.name();
        let corrupt = |offset, damage| StateError::Corrupt { file: name.clone(), offset, damage };
        let file = match files.door.open(&files.path(&name), OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(corrupt(0, Damage::Missing));
            }
            file => file?,
        };
        let found = file.len()?;
        let units = u32::try_from(length / files.unit as u64).unwrap_or(0);
        if found != length || !length.is_multiple_of(files.unit as u64) || units == 0 {
            return Err(corrupt(found.min(length), Damage::Length { written: length, found }));
        }
        let (seed, unit) = (identity.seed(), files.unit);
        let owned = OwnedName { name: name.clone(), trash: files.trash.clone() };
        let mut table = Table {
            identity,
            owned,
            file,
            seed,
            unit,
            length,
            crc,
            index_unit: 0,
            index_units: 0,
            entries: 0,
            first: Box::default(),
            last: Box::default(),
        };
        table.read_trailer(units)?;
        Ok(table)
    }

    fn read_trailer(&mut self, units: u32) -> Result<(), StateError> {
        // It is in as many units as it needs, of which nobody knows but that it is the last.
        let needed = |length: usize| (BLOCK_HEAD + length).div_ceil(self.unit) as u32;
        let mut bytes = Vec::new();
        let tail = units.min(needed(Trailer::BYTES_MAX));
        self.read(units - tail, tail, &mut bytes)?;
        for skipped in (0..tail).rev() {
            let unit = units - tail + skipped;
            let Ok(Some((payload, _))) = self.check(unit, &bytes[skipped as usize * self.unit..])
            else {
                continue;
            };
            let Some(trailer) = Trailer::parse(payload) else { continue };
            if trailer.identity != self.identity {
                return Err(self.corrupt(unit, Damage::Identity));
            }
            if trailer.index_unit >= unit {
                return Err(self.corrupt(unit, Damage::Unreadable));
            }
            self.index_unit = trailer.index_unit;
            self.index_units = unit - trailer.index_unit;
            self.entries = trailer.entries;
            self.first = trailer.first;
            self.last = trailer.last;
            return Ok(());
        }
        Err(self.corrupt(units - 1, Damage::Checksum))
    }
}

/// What stands at the end of a file.
pub(super) struct Trailer {
    pub identity: Identity,
    pub index_unit: u32,
    pub entries: u64,
    first: Box<[u8]>,
    last: Box<[u8]>,
}

impl Trailer {
    const BYTES_MAX: usize = 64 + 2 * KEY_BYTES_MAX;

    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(MARK);
        into.extend_from_slice(&self.identity.owner.to_le_bytes());
        into.extend_from_slice(&self.identity.number.to_le_bytes());
        into.extend_from_slice(&self.index_unit.to_le_bytes());
        into.extend_from_slice(&self.entries.to_le_bytes());
        for key in [&self.first, &self.last] {
            put_varint(into, key.len() as u64);
            into.extend_from_slice(key);
        }
    }

    pub fn parse(payload: &[u8]) -> Option<Self> {
        let rest = payload.strip_prefix(MARK)?;
        let (owner, rest) = rest.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let (index_unit, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let mut at = 0;
        let mut key = || {
            let length = varint(rest, &mut at)?;
            let key = rest.get(at..at.checked_add(length)?)?;
            at += length;
            Some(key.into())
        };
        let (first, last) = (key()?, key()?);
        Some(Trailer {
            identity: Identity {
                owner: u64::from_le_bytes(*owner),
                number: u64::from_le_bytes(*number),
            },
            index_unit: u32::from_le_bytes(*index_unit),
            entries: u64::from_le_bytes(*entries),
            first,
            last,
        })
    }
}

/// A file that is being written; garbage unless it is finished.
pub(super) struct TableWriter {
    identity: Identity,
    owned: OwnedName,
    file: SyncFile,
    seed: u32,
    unit: usize,
    block: BlockBuilder,
    /// The key by which the block is found.
    separator: Vec<u8>,
    index: Vec<u8>,
    /// What is not written yet, whole units.
    buffer: Vec<u8>,
    write_bytes: usize,
    written: u64,
    crc: Hasher,
    entries: u64,
    first: Box<[u8]>,
}

impl TableWriter {
    pub fn new(files: &mut Files) -> Result<Self, StateError> {
        let identity = Identity { owner: files.owner, number: files.next };
        files.next += 1;
        let owned = OwnedName { name: identity.name(), trash: files.trash.clone() };
        let file = match files.door.open(&files.path(&owned.name), OpenMode::CreateNew) {
            Ok(file) => file,
            Err(error) => {
                // There is no file of that name that would be garbage.
                owned
                    .trash
                    .lock()
                    .expect("no panic under this lock")
                    .retain(|it| *it != owned.name);
                return Err(error.into());
            }
        };
        Ok(TableWriter {
            identity,
            owned,
            file,
            seed: identity.seed(),
            unit: files.unit,
            block: BlockBuilder::default(),
            separator: Vec::new(),
            index: Vec::new(),
            buffer: Vec::new(),
            write_bytes: files.write_bytes,
            written: 0,
            crc: Hasher::new(),
            entries: 0,
            first: Box::default(),
        })
    }

    /// About how many bytes the file has.
    pub fn len(&self) -> u64 {
        self.written + (self.buffer.len() + self.block.len() + self.index.len()) as u64
    }

    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.index.capacity() + 2 * self.unit
    }

    /// The last key that was added.
    pub fn last(&self) -> &[u8] {
        self.block.last()
    }

    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StateError> {
        let full = BLOCK_HEAD + self.block.len() + BlockBuilder::growth(key, value) > self.unit;
        if full && !self.block.is_empty() {
            self.finish_block()?;
        }
        if self.block.is_empty() {
            self.separator.clear();
            let shared = if self.entries == 0 { 0 } else { common(self.block.last(), key) };
            self.separator.extend_from_slice(&key[..key.len().min(shared + 1)]);
        }
        if self.entries == 0 {
            self.first = key.into();
        }
        self.block.add(key, value);
        self.entries += 1;
        Ok(())
    }

    fn finish_block(&mut self) -> Result<(), StateError> {
        let begin = self.begin_block();
        self.block.finish(&mut self.buffer);
        let units = self.end_block(begin);
        put_varint(&mut self.index, self.separator.len() as u64);
        self.index.extend_from_slice(&self.separator);
        put_varint(&mut self.index, u64::from(units));
        if self.buffer.len() >= self.write_bytes {
            self.write()?;
        }
        Ok(())
    }

    fn begin_block(&mut self) -> usize {
        let begin = self.buffer.len();
        self.buffer.resize(begin + BLOCK_HEAD, 0);
        begin
    }

    /// Puts the head before a payload that was added, and fills its last unit up.
    fn end_block(&mut self, begin: usize) -> u32 {
        let length = self.buffer.len() - begin - BLOCK_HEAD;
        let units = (BLOCK_HEAD + length).div_ceil(self.unit);
        self.buffer.resize(begin + units * self.unit, 0);
        let unit = self.next_unit(begin);
        let block = &mut self.buffer[begin..];
        block[4..BLOCK_HEAD]
            .copy_from_slice(&u32::try_from(length).expect("bounded").to_le_bytes());
        let sum = checksum(self.seed, unit, &block[4..]);
        block[..4].copy_from_slice(&sum.to_le_bytes());
        u32::try_from(units).expect("files are small")
    }

    /// The unit of a place in the buffer.
    fn next_unit(&self, place: usize) -> u32 {
        let at = self.written + place as u64;
        debug_assert!(at.is_multiple_of(self.unit as u64), "blocks begin with a unit");
        u32::try_from(at / self.unit as u64).expect("files are small")
    }

    fn write(&mut self) -> Result<(), StateError> {
        self.file.write_at(self.written, &self.buffer)?;
        self.crc.update(&self.buffer);
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Makes it whole.
    pub fn finish(mut self) -> Result<Table, StateError> {
        assert!(self.entries > 0, "nobody writes empty files");
        self.finish_block()?;
        let index_unit = self.next_unit(self.buffer.len());
        let begin = self.begin_block();
        self.buffer.extend_from_slice(&std::mem::take(&mut self.index));
        let index_units = self.end_block(begin);
        let last: Box<[u8]> = self.block.last().into();
        let (identity, entries) = (self.identity, self.entries);
        let trailer = Trailer { identity, index_unit, entries, first: self.first.clone(), last };
        let begin = self.begin_block();
        trailer.write(&mut self.buffer);
        self.end_block(begin);
        self.write()?;
        Ok(Table {
            identity,
            owned: self.owned,
            file: self.file,
            seed: self.seed,
            unit: self.unit,
            length: self.written,
            crc: self.crc.finalize(),
            index_unit,
            index_units,
            entries,
            first: self.first,
            last: trailer.last,
        })
    }
}
