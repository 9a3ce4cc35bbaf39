//! One partition: its records in segments, of which the older ones are files.

use super::{
    model::{LogBatch, LogRefusal, READ_BYTES_MAX, RECORD_BYTES_AROUND, Retention, size},
    segment::SegmentFile,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Producers that append to one partition without transactions, of which is known how far they are.
const SEQUENCES_MAX: usize = 4096;
/// How long a producer is known for sure after its last append, in milliseconds: whoever has been silent for longer may
/// be forgotten for another.
const SEQUENCE_MS_MIN: u64 = 15 * 60 * 1000;

/// Where a segment's records are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Memory(Vec<Bytes>),
    File(SegmentFile),
}

/// Records that stand together, and go together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    /// Names its file; no other segment of the server ever has it.
    id: u64,
    /// The offset of its first record.
    first: u64,
    /// What its records take of the bounds.
    bytes: u64,
    /// When the first and the last of its records came, by the server's wall clock, in milliseconds.
    began: u64,
    last: u64,
    place: Place,
}

impl Segment {
    fn records(&self) -> u64 {
        match &self.place {
            Place::Memory(records) => records.len() as u64,
            Place::File(file) => file.records,
        }
    }

    fn end(&self) -> u64 {
        self.first + self.records()
    }

    fn memory(&self) -> Option<&[Bytes]> {
        match &self.place {
            Place::Memory(records) => Some(records),
            Place::File(_) => None,
        }
    }
}

/// When a segment takes no more records.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentBounds {
    /// It has so many bytes.
    pub bytes: u64,
    /// Its first record is so many milliseconds old.
    pub span: Option<u64>,
}

/// What an append brings: when, into what kind of segments, and the next segment's id.
pub(super) struct Arrival<'a> {
    pub at: u64,
    pub bounds: SegmentBounds,
    pub next_id: &'a mut u64,
}

/// How far a producer without transactions has appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sequence {
    next: u64,
    /// When its last append came, in milliseconds.
    at: u64,
}

/// A segment that becomes a file: its id, its first offset and its records.
pub(super) type Unstored = (u64, u64, Vec<Bytes>);

/// What a read finds.
pub(super) enum Look {
    Batch(LogBatch),
    /// The records are in this file, and the partition ends there.
    InFile(SegmentFile, u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Partition {
    segments: VecDeque<Segment>,
    end: u64,
    /// What its records take of the bounds.
    bytes: u64,
    /// The same of those that transactions which have not ended hold for it.
    staged: u64,
    sequences: BTreeMap<String, Sequence>,
}

impl Partition {
    /// The offset of the first record that is kept.
    pub fn start(&self) -> u64 {
        self.segments.front().map_or(self.end, |segment| segment.first)
    }

    pub fn end(&self) -> u64 {
        self.end
    }

    /// What its records take of the bounds, and those that are staged for it.
    pub fn bytes_with_staged(&self) -> u64 {
        self.bytes + self.staged
    }

    pub fn stage(&mut self, bytes: u64) {
        self.staged += bytes;
    }

    pub fn unstage(&mut self, bytes: u64) {
        self.staged = self.staged.saturating_sub(bytes);
    }

    /// The next sequence number of a producer; `None` when it is not known.
    pub fn next_of(&self, producer: &str) -> Option<u64> {
        self.sequences.get(producer).map(|sequence| sequence.next)
    }

    /// Whether another producer may be remembered.
    pub fn has_room_for_producer(&self, at: u64) -> bool {
        self.sequences.len() < SEQUENCES_MAX || self.silent_producer(at).is_some()
    }

    /// The producer that has been silent longest, if for long enough.
    fn silent_producer(&self, at: u64) -> Option<String> {
        let oldest = self.sequences.iter().min_by_key(|(_, sequence)| sequence.at);
        let silent = |sequence: &Sequence| at.saturating_sub(sequence.at) >= SEQUENCE_MS_MIN;
        oldest.filter(|(_, sequence)| silent(sequence)).map(|(producer, _)| producer.clone())
    }

    /// Notes that a producer has appended so many records.
    pub fn note_producer(&mut self, producer: &str, records: u64, at: u64) {
        if !self.sequences.contains_key(producer)
            && self.sequences.len() >= SEQUENCES_MAX
            && let Some(silent) = self.silent_producer(at)
        {
            self.sequences.remove(&silent);
        }
        let sequence = self.sequences.entry(producer.to_string()).or_default();
        sequence.next += records;
        sequence.at = sequence.at.max(at);
    }

    /// Adds records at the end.
    pub fn append(&mut self, records: &[Bytes], arrival: &mut Arrival<'_>) {
        let Arrival { at, bounds, next_id } = arrival;
        let takes_more = |segment: &Segment| {
            let young = bounds.span.is_none_or(|span| at.saturating_sub(segment.began) <= span);
            segment.memory().is_some() && segment.bytes < bounds.bytes && young
        };
        if !self.segments.back().is_some_and(takes_more) {
            let (id, first, place) = (**next_id, self.end, Place::Memory(Vec::new()));
            **next_id += 1;
            self.segments.push_back(Segment { id, first, bytes: 0, began: *at, last: *at, place });
        }
        let bytes = size(records) as u64;
        let segment = self.segments.back_mut().expect("one was pushed");
        if let Place::Memory(held) = &mut segment.place {
            held.extend_from_slice(records);
        }
        segment.bytes += bytes;
        segment.last = segment.last.max(*at);
        self.bytes += bytes;
        self.end += records.len() as u64;
    }

    /// Lets records of a segment be a file; returns what they took of the memory. What was appended since is a segment of
    /// its own. Nothing happens when the segment is gone.
    pub fn store(&mut self, file: SegmentFile, next_id: &mut u64) -> u64 {
        let Some(place) = self.place_of(file) else { return 0 };
        let segment = &mut self.segments[place];
        let Place::Memory(mut records) = std::mem::replace(&mut segment.place, Place::File(file))
        else {
            return 0;
        };
        let rest = records.split_off(usize::try_from(file.records).expect("they are in memory"));
        let stored = size(&records) as u64;
        if !rest.is_empty() {
            let (first, bytes) = (file.first + file.records, segment.bytes - stored);
            let (began, last) = (segment.began, segment.last);
            segment.bytes = stored;
            let id = *next_id;
            *next_id += 1;
            let place_of_rest = Place::Memory(rest);
            let rest = Segment { id, first, bytes, began, last, place: place_of_rest };
            self.segments.insert(place + 1, rest);
        }
        stored
    }

    /// Where the segment is that becomes this file, if it still is in memory.
    fn place_of(&self, file: SegmentFile) -> Option<usize> {
        let place = self.segments.partition_point(|segment| segment.first < file.first);
        let segment = self.segments.get(place)?;
        let fits = segment.id == file.id && segment.records() >= file.records;
        (fits && segment.memory().is_some()).then_some(place)
    }

    /// Whether records of a segment may be this file.
    pub fn may_store(&self, file: SegmentFile) -> bool {
        self.place_of(file).is_some()
    }

    /// The segments that take no more records and are in memory; with `all` the one that does, too.
    pub fn unstored(&self, bounds: SegmentBounds, all: bool) -> impl Iterator<Item = Unstored> {
        let last = self.segments.len().saturating_sub(1);
        let due = move |(n, segment): &(usize, &Segment)| {
            all || *n < last || segment.bytes >= bounds.bytes
        };
        let in_memory = |(_, segment): (usize, &Segment)| {
            Some((segment.id, segment.first, segment.memory()?.to_vec()))
        };
        self.segments.iter().enumerate().filter(due).filter_map(in_memory)
    }

    /// What segments in memory hold, each with its first offset.
    pub fn in_memory(&self) -> impl Iterator<Item = (u64, &[Bytes])> {
        self.segments.iter().filter_map(|segment| Some((segment.first, segment.memory()?)))
    }

    /// The files that hold its records.
    pub fn files(&self) -> impl Iterator<Item = SegmentFile> {
        self.segments.iter().filter_map(|segment| match &segment.place {
            Place::Memory(_) => None,
            Place::File(file) => Some(*file),
        })
    }

    /// The offset below which retention removes whole segments, if there are such. What stands at `needed` or behind it
    /// is kept.
    pub fn due_start(&self, retention: Retention, at: u64, needed: u64) -> Option<u64> {
        let (mut start, mut left) = (None, self.bytes);
        for segment in &self.segments {
            let rest = left - segment.bytes;
            let beyond = retention.bytes.is_some_and(|kept| rest >= kept);
            let old = retention.age_ms.is_some_and(|age| at.saturating_sub(segment.last) > age);
            if !beyond && !old || segment.end() > needed {
                break;
            }
            (start, left) = (Some(segment.end()), rest);
        }
        start
    }

    /// Removes the segments that end at an offset or before; returns what they took of the bounds, and how much of that
    /// in memory.
    pub fn trim(&mut self, start: u64) -> (u64, u64) {
        let (mut removed, mut in_memory) = (0, 0);
        while let Some(segment) = self.segments.pop_front_if(|segment| segment.end() <= start) {
            removed += segment.bytes;
            in_memory += segment.memory().map_or(0, |_| segment.bytes);
        }
        self.bytes -= removed;
        (removed, in_memory)
    }

    /// The records at an offset, one at least if there is any.
    pub fn read(&self, offset: u64, records_max: u32) -> Result<Look, LogRefusal> {
        let start = self.start();
        if offset < start {
            return Err(LogRefusal::Trimmed { start });
        }
        let behind = self.segments.partition_point(|segment| segment.first <= offset);
        let from = behind.saturating_sub(1);
        if let Some(Segment { place: Place::File(file), .. }) = self.segments.get(from)
            && offset < self.end
        {
            return Ok(Look::InFile(*file, self.end));
        }
        let of_memory = self.segments.range(from..).map_while(|segment| {
            let skipped = usize::try_from(offset.saturating_sub(segment.first));
            Some(segment.memory()?.get(skipped.unwrap_or(usize::MAX)..).unwrap_or_default())
        });
        let records = taken(of_memory.flatten(), records_max);
        Ok(Look::Batch(LogBatch { first: offset, records, end: self.end }))
    }
}

/// As many records as one answer may have.
pub(super) fn taken<'a>(records: impl Iterator<Item = &'a Bytes>, records_max: u32) -> Vec<Bytes> {
    let mut bytes = 0;
    let fits = |record: &&Bytes| {
        let first = bytes == 0;
        bytes += record.len() + RECORD_BYTES_AROUND;
        first || bytes <= READ_BYTES_MAX
    };
    records.take(records_max.max(1) as usize).take_while(fits).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: SegmentBounds = SegmentBounds { bytes: 100, span: Some(50) };

    fn records(count: usize) -> Vec<Bytes> {
        vec![Bytes::from_static(b"12345678"); count]
    }

    /// A partition to which so many records were appended at each time; each takes 40 bytes.
    fn partition(appended: &[(u64, usize)]) -> (Partition, u64) {
        let (mut partition, mut next_id) = (Partition::default(), 0);
        for (at, count) in appended {
            let mut arrival = Arrival { at: *at, bounds: BOUNDS, next_id: &mut next_id };
            partition.append(&records(*count), &mut arrival);
        }
        (partition, next_id)
    }

    fn firsts(partition: &Partition) -> Vec<u64> {
        partition.segments.iter().map(|segment| segment.first).collect()
    }

    #[test]
    fn a_segment_takes_no_more_when_it_is_long_or_old() {
        let (partition, ids) = partition(&[(0, 1), (10, 1), (20, 1), (30, 1), (81, 1), (131, 1)]);
        assert_eq!(firsts(&partition), [0, 3, 4]);
        assert_eq!((partition.start(), partition.end(), ids), (0, 6, 3));
    }

    #[test]
    fn what_came_while_a_segment_was_stored_is_a_segment_of_its_own() {
        let (mut partition, mut ids) = partition(&[(0, 2)]);
        let file = SegmentFile { id: 0, first: 0, records: 1, length: 20, crc: 0 };
        assert!(partition.may_store(file));
        assert_eq!(partition.store(file, &mut ids), 40);
        assert_eq!((firsts(&partition), ids), (vec![0, 1], 2));
        assert!(!partition.may_store(file), "it is one already");
        assert_eq!(partition.store(file, &mut ids), 0);
        let Ok(Look::InFile(found, 2)) = partition.read(0, 9) else { panic!() };
        assert_eq!(found, file);
        let Ok(Look::Batch(batch)) = partition.read(1, 9) else { panic!() };
        assert_eq!((batch.first, batch.records.len(), batch.end), (1, 1, 2));
        assert_eq!(partition.in_memory().map(|(first, _)| first).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn retention_removes_whole_segments_and_nothing_that_is_needed() {
        let (mut partition, _) = partition(&[(0, 3), (10, 3), (20, 3)]);
        let by_bytes = |bytes| Retention { bytes: Some(bytes), ..Retention::default() };
        let by_age = |age| Retention { age_ms: Some(age), ..Retention::default() };
        let all = u64::MAX;
        assert_eq!(partition.due_start(Retention::default(), 1000, all), None);
        assert_eq!(partition.due_start(by_bytes(241), 0, all), None, "less would be left");
        assert_eq!(partition.due_start(by_bytes(240), 0, all), Some(3));
        assert_eq!(partition.due_start(by_bytes(0), 0, all), Some(9));
        assert_eq!(partition.due_start(by_bytes(0), 0, 8), Some(6));
        assert_eq!(partition.due_start(by_bytes(0), 0, 2), None);
        assert_eq!(partition.due_start(by_age(10), 10, all), None);
        assert_eq!(partition.due_start(by_age(10), 21, all), Some(6));
        assert_eq!(partition.trim(6), (240, 240));
        assert_eq!((partition.start(), partition.end(), partition.bytes), (6, 9, 120));
        assert_eq!(partition.read(5, 1).err(), Some(LogRefusal::Trimmed { start: 6 }));
        assert_eq!(partition.trim(9), (120, 120));
        assert_eq!((partition.start(), partition.end()), (9, 9));
    }

    #[test]
    fn a_producer_is_forgotten_only_for_another_and_after_long_silence() {
        let mut partition = Partition::default();
        for n in 0..SEQUENCES_MAX as u64 {
            assert!(partition.has_room_for_producer(n));
            partition.note_producer(&format!("p{n}"), 1, n);
        }
        assert!(!partition.has_room_for_producer(SEQUENCE_MS_MIN - 1));
        assert!(partition.has_room_for_producer(SEQUENCE_MS_MIN));
        partition.note_producer("p0", 1, SEQUENCE_MS_MIN);
        assert!(!partition.has_room_for_producer(SEQUENCE_MS_MIN), "it has appended again");
        partition.note_producer("new", 2, SEQUENCE_MS_MIN + 1);
        let next = ["p0", "p1", "new"].map(|producer| partition.next_of(producer));
        assert_eq!(next, [Some(2), None, Some(2)]);
    }
}
