//! The run's digest: every delivery, disk operation, timer firing, draw count and announcement, in
//! order, and what led to each. Two runs of one seed must end with the same digest; with a trace, the
//! first entry that differs can be named.

use super::{
    cause::{Cause, EntryNumber},
    entry::{Entry, Fields},
    link::NodeSet,
    stamp::NodeId,
};
use crate::host::{Event, random::mix};
use std::{
    fmt::{self, Debug},
    hash::{Hash, Hasher},
};

/// A 128-bit digest over a run's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceDigest(pub u128);

impl fmt::Display for TraceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Folds entries into two lanes that never mix, so that one weak lane does not hide a difference.
#[derive(Default)]
pub(in crate::host) struct Digest {
    lanes: [u64; 2],
    entries: u64,
}

impl Digest {
    /// How many entries were folded.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn value(&self) -> TraceDigest {
        TraceDigest((u128::from(self.lanes[0]) << 64) | u128::from(self.lanes[1]))
    }

    /// Folds one entry, and numbers it.
    pub fn entry(&mut self, time: u64, cause: Cause, entry: &Entry<'_>) -> EntryNumber {
        self.entries += 1;
        self.write_u64(time);
        self.write_u64(cause.word());
        entry.fields(self);
        EntryNumber::new(self.entries).expect("it was just counted")
    }
}

impl Fields for Digest {
    fn node(&mut self, _: &'static str, node: NodeId) {
        self.write_u64(node.key());
    }

    fn nodes(&mut self, _: &'static str, nodes: &NodeSet) {
        nodes.hash(self);
    }

    fn number(&mut self, _: &'static str, number: u64) {
        self.write_u64(number);
    }

    fn text(&mut self, _: &'static str, text: &str) {
        text.hash(self);
    }

    fn word(&mut self, _: &'static str, _: &'static str, number: u64) {
        self.write_u64(number);
    }

    fn value(&mut self, _: &'static str, value: &(impl Debug + Hash)) {
        value.hash(self);
    }

    fn event(&mut self, event: &dyn Event) {
        event.fold(self);
    }

    fn variant(&mut self, variant: impl Hash) {
        variant.hash(self);
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.lanes[0]
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word) ^ ((chunk.len() as u64) << 56));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.lanes[0] = mix(self.lanes[0], word);
        self.lanes[1] = (self.lanes[1] ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(29);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }
}
