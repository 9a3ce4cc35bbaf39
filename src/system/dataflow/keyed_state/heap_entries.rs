//! What is kept under names on the heap, in the order of keys. As with the values of keys, what changes while a snapshot
//! is read stands above what it holds.

use std::{collections::BTreeMap, iter::Peekable, ops::Bound};

/// Entries by their keys, which begin with their key group, two bytes, big-endian.
#[derive(Default)]
pub struct HeapEntries {
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What has become of entries since the snapshot that is read; stands before what is kept.
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    is_frozen: bool,
    /// What changes stands above what is kept.
    goes_above: bool,
}

impl HeapEntries {
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        match self.changed.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.kept.get(key).map(Vec::as_slice),
        }
    }

    /// The value of an entry, to be overwritten whole; the entry is made when there is none.
    pub fn value_mut(&mut self, key: &[u8]) -> &mut Vec<u8> {
        if self.goes_above || self.changed.contains_key(key) {
            return self.changed.entry(key.to_vec()).or_default().get_or_insert_default();
        }
        if !self.kept.contains_key(key) {
            self.kept.insert(key.to_vec(), Vec::new());
        }
        self.kept.get_mut(key).expect("it was just made sure")
    }

    pub fn remove(&mut self, key: &[u8]) {
        match self.goes_above || self.changed.contains_key(key) {
            true => drop(self.changed.insert(key.to_vec(), None)),
            false => drop(self.kept.remove(key)),
        }
    }

    pub fn len(&self) -> usize {
        self.kept.len() + self.changed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everything from a key on, in order.
    pub fn from<'a>(&'a self, from: Bound<&'a [u8]>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let range = (from, Bound::Unbounded);
        let mut kept = self.kept.range::<[u8], _>(range).peekable();
        let mut changed = self.changed.range::<[u8], _>(range).peekable();
        std::iter::from_fn(move || next_of_both(&mut kept, &mut changed))
    }

    pub fn freeze(&mut self, goes_above: bool) {
        self.is_frozen = true;
        self.goes_above = goes_above;
    }

    pub fn thaw(&mut self) {
        self.is_frozen = false;
        self.goes_above = false;
    }

    /// What is kept behind a key, as it was when it was frozen.
    pub fn frozen<'a>(
        &'a self,
        behind: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        assert!(self.is_frozen, "nothing changes meanwhile");
        let range = self.kept.range::<[u8], _>((behind, Bound::Unbounded));
        range.map(|(key, value)| (&**key, &**value))
    }

    pub fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Brings some of what has changed down to what is kept.
    pub fn settle(&mut self, most: usize) {
        for _ in 0..most {
            if self.is_frozen {
                return;
            }
            match self.changed.pop_first() {
                None => return,
                Some((key, Some(value))) => drop(self.kept.insert(key, value)),
                Some((key, None)) => drop(self.kept.remove(&key)),
            }
        }
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.changed.clear();
    }
}

/// The next entry of what is kept and what stands above it.
fn next_of_both<'a>(
    kept: &mut Peekable<impl Iterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>>,
    changed: &mut Peekable<impl Iterator<Item = (&'a Vec<u8>, &'a Option<Vec<u8>>)>>,
) -> Option<(&'a [u8], &'a [u8])> {
    loop {
        let next = changed.peek().map(|(key, _)| *key);
        match kept.next_if(|(key, _)| next.is_none_or(|next| *key < next)) {
            Some((key, value)) => return Some((key, value)),
            None => {
                let (key, value) = changed.next()?;
                kept.next_if(|(other, _)| *other == key);
                if let Some(value) = value {
                    return Some((key, value));
                }
            }
        }
    }
}
