//! The run's digest: every delivery, disk operation, timer firing, draw count and announcement, in
//! order. Two runs of one seed must end with the same digest; with a trace, the first entry that
//! differs can be named.

use crate::host::random::mix;
use std::{fmt, hash::Hasher};

/// A 128-bit digest over a run's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceDigest(pub u128);

impl fmt::Display for TraceDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// One line of a run's trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// Simulated nanoseconds since the run began.
    pub time: u64,
    /// What happened.
    pub text: String,
}

/// What an entry is about.
#[derive(Clone, Copy)]
pub(in crate::host) enum Tag {
    /// A timer fired.
    Timer = 1,
    /// A frame will not arrive.
    Lost = 2,
    /// A frame is kept back by a rule.
    Held = 3,
    /// A second copy of a frame is under way.
    Duplicated = 4,
    /// A bit of a frame was flipped.
    Corrupted = 5,
    /// An event was announced.
    Event = 6,
    /// A rule was put on the links or lifted, or connections were reset.
    Links = 7,
    /// A frame arrived.
    Delivered = 8,
    /// A disk did something, or something was done to a disk or a service.
    Hardware = 9,
    /// Something happened to a stream.
    Stream = 10,
}

/// Folds entries into two lanes that never mix, so that one weak lane does not hide a difference.
#[derive(Default)]
pub(in crate::host) struct Digest {
    lanes: [u64; 2],
    entries: u64,
    trace: Option<Vec<TraceLine>>,
}

impl Digest {
    pub fn record_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    pub fn take_trace(&mut self) -> Vec<TraceLine> {
        self.trace.take().unwrap_or_default()
    }

    /// How many entries were folded.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    pub fn value(&self) -> TraceDigest {
        TraceDigest((u128::from(self.lanes[0]) << 64) | u128::from(self.lanes[1]))
    }

    /// Folds one entry; `text` is only called when a trace is kept.
    pub fn entry(&mut self, time: u64, tag: Tag, words: &[u64], text: impl FnOnce() -> String) {
        self.entries += 1;
        self.write_u64(time);
        self.write_u8(tag as u8);
        for word in words {
            self.write_u64(*word);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(TraceLine { time, text: text() });
        }
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
