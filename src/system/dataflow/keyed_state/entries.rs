//! What is kept of one key under names, as bytes: each entry lies behind its key, the number of its state and, of a list
//! or a map, which of its entries it is.

use super::{
    declared::{Declared, StateTtl},
    disk::DiskTable,
    heap_entries::HeapEntries,
    written_key::verbatim,
};
use crate::system::dataflow::{
    failure::{Failure, Result},
    time::Timestamp,
};
use std::ops::Bound;

/// The time at which an entry was written, milliseconds, big-endian.
const STAMP_BYTES: usize = 8;

/// Where they are.
pub enum Place<'a> {
    /// All of them, and the key at hand as it is kept.
    Heap {
        all: &'a mut HeapEntries,
        key: &'a mut Vec<u8>,
    },
    Disk(&'a mut DiskTable),
}

/// The entries of one state of the key at hand.
pub struct Entries<'a> {
    place: Place<'a>,
    id: u8,
    ttl: Option<StateTtl>,
    now: Timestamp,
    /// The length of the key at hand.
    length: usize,
}

/// Where what begins with these bytes ends; they end with the number of a state.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    *end.last_mut().expect("it has a number") += 1;
    end
}

/// When an entry was written, and its value.
pub(super) fn timed(entry: &[u8]) -> Result<(Timestamp, &[u8])> {
    match entry.split_first_chunk::<STAMP_BYTES>() {
        Some((stamp, value)) => Ok((Timestamp(i64::from_be_bytes(*stamp)), value)),
        None => Err(Failure::new("an entry of a state with a time-to-live has no time")),
    }
}

impl<'a> Entries<'a> {
    pub fn new(mut place: Place<'a>, state: &Declared, now: Timestamp) -> Result<Self> {
        let length = match &mut place {
            Place::Heap { key, .. } => key.len(),
            Place::Disk(table) => table.key().len(),
        };
        Ok(Entries { place, id: state.id()?, ttl: state.ttl, now, length })
    }

    fn key(&mut self) -> &mut Vec<u8> {
        match &mut self.place {
            Place::Heap { key, .. } => key,
            Place::Disk(table) => table.key_mut(),
        }
    }

    /// Makes an entry the one at hand.
    fn seek(&mut self, entry: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let (length, id) = (self.length, self.id);
        let key = self.key();
        key.truncate(length);
        key.push(id);
        entry(key)
    }

    /// What an entry holds; nothing, if it has died.
    pub fn get<T>(
        &mut self,
        entry: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        decode: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        self.seek(entry)?;
        let (ttl, now) = (self.ttl, self.now);
        let kept = match &mut self.place {
            Place::Heap { all, key } => all.get(key),
            Place::Disk(table) => table.get_bytes()?,
        };
        let Some(kept) = kept else { return Ok(None) };
        let Some(ttl) = ttl else { return decode(kept).map(Some) };
        let (written, value) = timed(kept)?;
        if ttl.is_over(written, now) {
            return Ok(None);
        }
        let refreshed = (ttl.refreshed_by_reads && written < now).then(|| value.to_vec());
        let value = decode(value)?;
        if let Some(refreshed) = refreshed {
            self.write(verbatim(refreshed))?;
        }
        Ok(Some(value))
    }

    /// Sets an entry.
    pub fn put(
        &mut self,
        entry: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        self.seek(entry)?;
        self.write(encode)
    }

    /// Sets the one at hand.
    fn write(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let stamp = self.ttl.map(|_| self.now.0.to_be_bytes());
        let fill = |into: &mut Vec<u8>| {
            into.extend(stamp.iter().flatten());
            encode(into)
        };
        match &mut self.place {
            Place::Heap { all, key } => {
                let kept = all.value_mut(key);
                kept.clear();
                fill(kept)
            }
            Place::Disk(table) => table.put_bytes(fill),
        }
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, entry: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        self.seek(entry)?;
        match &mut self.place {
            Place::Heap { all, key } => all.remove(key),
            Place::Disk(table) => table.delete_bytes()?,
        }
        Ok(())
    }

    /// Calls a function for each entry that lives, in order, with what tells it from others.
    pub fn each(&mut self, mut call: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let (ttl, now, from) = (self.ttl, self.now, self.length + 1);
        let mut refreshed = Vec::new();
        self.each_kept(|key, kept| {
            let Some(ttl) = ttl else { return call(&key[from..], kept) };
            let (written, value) = timed(kept)?;
            if ttl.is_over(written, now) {
                return Ok(());
            }
            if ttl.refreshed_by_reads && written < now {
                refreshed.push((key[from..].to_vec(), value.to_vec()));
            }
            call(&key[from..], value)
        })?;
        for (entry, value) in refreshed {
            self.put(verbatim(entry), verbatim(value))?;
        }
        Ok(())
    }

    /// Calls a function for each entry and its whole key.
    fn each_kept(&mut self, mut call: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        self.seek(|_| Ok(()))?;
        let end = end_of(self.key());
        match &mut self.place {
            Place::Heap { all, key } => all
                .from(Bound::Included(key))
                .take_while(|(key, _)| **key < *end)
                .try_for_each(|(key, kept)| call(key, kept)),
            Place::Disk(table) => table.scan_bytes(&end, call),
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) -> Result<()> {
        let (mut entries, from) = (Vec::new(), self.length + 1);
        self.each_kept(|key, _| {
            entries.push(key[from..].to_vec());
            Ok(())
        })?;
        entries.into_iter().try_for_each(|entry| self.remove(verbatim(entry)))
    }
}
