//! A block: sorted entries, each without what it shares with the one before.
//!
//! An entry is a head, a length, the rest of its key and its value. The head is one byte, how much of the key before is
//! shared and how long the rest is, or 255 and both as varints. The length is that of the value and one, 0 for a
//! tombstone. Every 16th entry shares nothing; where those begin stands at the block's end, so that a search halves.

use std::ops::Range;

/// Entries from one that shares nothing to the next.
const RESTART: usize = 16;
/// Lengths up to this fit in a head of one byte, two of them.
const SHORT: usize = 14;
const LONG_HEAD: u8 = 0xff;

pub(super) fn put_varint(into: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        into.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// How many bytes two keys begin with in common.
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Gathers entries in the order of their keys.
#[derive(Default)]
pub(super) struct BlockBuilder {
    entries: Vec<u8>,
    restarts: Vec<u16>,
    count: usize,
    last: Vec<u8>,
}

impl BlockBuilder {
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The key that was added last, also of a block before.
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    /// The bytes of the block as it is.
    pub fn len(&self) -> usize {
        self.entries.len() + 2 * self.restarts.len() + 2
    }

    /// How much a block grows by an entry at most.
    pub fn growth(key: &[u8], value: Option<&[u8]>) -> usize {
        key.len() + value.map_or(0, <[u8]>::len) + 16
    }

    pub fn add(&mut self, key: &[u8], value: Option<&[u8]>) {
        debug_assert!(self.is_empty() || *self.last < *key, "keys come in order");
        let mut shared = 0;
        if self.count.is_multiple_of(RESTART) {
            let at = u16::try_from(self.entries.len()).expect("a longer block has one entry");
            self.restarts.push(at);
        } else {
            shared = common(&self.last, key);
        }
        let short = shared.min(SHORT);
        if key.len() - short <= SHORT {
            shared = short;
            self.entries.push(((shared as u8) << 4) | (key.len() - shared) as u8);
        } else {
            self.entries.push(LONG_HEAD);
            put_varint(&mut self.entries, shared as u64);
            put_varint(&mut self.entries, (key.len() - shared) as u64);
        }
        put_varint(&mut self.entries, value.map_or(0, |value| value.len() as u64 + 1));
        self.entries.extend_from_slice(&key[shared..]);
        self.entries.extend_from_slice(value.unwrap_or_default());
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        self.count += 1;
    }

    /// Adds the block to `into` and begins another.
    pub fn finish(&mut self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.entries);
        for at in &self.restarts {
            into.extend_from_slice(&at.to_le_bytes());
        }
        let count = u16::try_from(self.restarts.len()).expect("fewer than bytes");
        into.extend_from_slice(&count.to_le_bytes());
        self.entries.clear();
        self.restarts.clear();
        self.count = 0;
    }
}

/// An entry in its block; its key's begin is that of the entry before.
#[derive(Clone)]
pub(super) struct RawEntry {
    pub shared: usize,
    /// The rest of its key.
    pub rest: Range<usize>,
    /// `None` for a tombstone.
    pub value: Option<Range<usize>>,
    /// Where the next one is.
    pub next: usize,
}

/// What a block says of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    Tombstone,
    Value(&'a [u8]),
}

/// A whole block to be read. All of it is checked as it is read, since a checksum may be right by chance.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    entries: &'a [u8],
    restarts: &'a [u8],
}

impl<'a> Block<'a> {
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (rest, count) = payload.split_last_chunk::<2>()?;
        let count = usize::from(u16::from_le_bytes(*count));
        let (entries, restarts) = rest.split_at_checked(rest.len().checked_sub(2 * count)?)?;
        (count > 0).then_some(Block { entries, restarts })
    }

    /// Where its entries end.
    pub fn end(&self) -> usize {
        self.entries.len()
    }

    pub fn entry(&self, at: usize) -> Option<RawEntry> {
        raw_entry(self.entries, at)
    }

    fn restart(&self, index: usize) -> Option<usize> {
        let bytes = self.restarts.get(2 * index..2 * index + 2)?;
        Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)))
    }

    /// The last place before which nothing has to be looked for `key`.
    fn begin_of_search(&self, key: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.restarts.len() / 2);
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            let entry = self.entry(self.restart(middle)?)?;
            if self.entries.get(entry.rest)? <= key {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.restart(low)
    }

    /// Looks a key up; `None` when the block makes no sense.
    pub fn find(&self, key: &[u8]) -> Option<Found<'a>> {
        let mut at = self.begin_of_search(key)?;
        // How much of the key the entry before begins with: all before that entry is smaller.
        let mut matched = 0;
        while at < self.entries.len() {
            let entry = self.entry(at)?;
            at = entry.next;
            if entry.shared > matched {
                continue;
            }
            let rest = self.entries.get(entry.rest)?;
            let wanted = key.get(entry.shared..)?;
            let same = common(rest, wanted);
            matched = entry.shared + same;
            match (rest.get(same), wanted.get(same)) {
                (None, None) => {
                    return Some(match entry.value {
                        Some(value) => Found::Value(self.entries.get(value)?),
                        None => Found::Tombstone,
                    });
                }
                (None, Some(_)) => {}
                (Some(_), None) => return Some(Found::Nothing),
                (Some(is), Some(wanted)) if is > wanted => return Some(Found::Nothing),
                _ => {}
            }
        }
        Some(Found::Nothing)
    }
}

/// The entry at a place of a block's entries.
pub(super) fn raw_entry(entries: &[u8], mut at: usize) -> Option<RawEntry> {
    let head = *entries.get(at)?;
    at += 1;
    let (shared, rest) = if head == LONG_HEAD {
        (varint(entries, &mut at)?, varint(entries, &mut at)?)
    } else {
        (usize::from(head >> 4), usize::from(head & 15))
    };
    let length = varint(entries, &mut at)?;
    let key_end = at.checked_add(rest)?;
    let next = key_end.checked_add(length.saturating_sub(1))?;
    if next > entries.len() {
        return None;
    }
    let value = (length > 0).then_some(key_end..next);
    Some(RawEntry { shared, rest: at..key_end, value, next })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Entries = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

    fn payload(entries: &Entries) -> Vec<u8> {
        let mut builder = BlockBuilder::default();
        for (key, value) in entries {
            builder.add(key, value.as_deref());
        }
        let (mut payload, length) = (Vec::new(), builder.len());
        builder.finish(&mut payload);
        assert_eq!(payload.len(), length);
        payload
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let long = prop::collection::vec(0..3_u8, 18..60);
        prop_oneof![prop::collection::vec(0..3_u8, 2..20), long]
    }

    proptest! {
        #[test]
        fn a_block_tells_each_key_and_no_other(
            entries in prop::collection::btree_map(
                key(), prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 1..90),
            others in prop::collection::vec(key(), 50),
        ) {
            let payload = payload(&entries);
            let block = Block::parse(&payload).unwrap();
            for wanted in entries.keys().chain(&others) {
                let expected = match entries.get(wanted) {
                    None => Found::Nothing,
                    Some(None) => Found::Tombstone,
                    Some(Some(value)) => Found::Value(value),
                };
                prop_assert_eq!(block.find(wanted), Some(expected));
            }
        }

        #[test]
        fn nonsense_is_no_panic(payload in prop::collection::vec(any::<u8>(), 0..200), wanted in key()) {
            if let Some(block) = Block::parse(&payload) {
                let _ = block.find(&wanted);
                let mut at = 0;
                while let Some(entry) = block.entry(at) {
                    at = entry.next;
                }
            }
        }
    }
}
