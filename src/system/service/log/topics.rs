//! Topics, their retention, and who may need their records again.

use super::{
    model::{HOLDS_MAX, LogRefusal, Retention, size},
    partition::{Arrival, Partition, SegmentBounds, Unstored},
    segment::SegmentFile,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A segment spans at most this share of the age at which records go, so that what is kept is hardly older.
const SPANS_OF_AGE: u64 = 8;

/// A partition's topic and number.
pub(super) type Place = (String, u32);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Topic {
    partitions: Vec<Partition>,
    retention: Retention,
}

/// A segment to be stored, and whose it is.
pub(super) struct DueSegment {
    pub place: Place,
    pub segment: Unstored,
}

/// All topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Topics {
    topics: BTreeMap<String, Topic>,
    /// By owner, the first record of each partition that may be read again.
    holds: BTreeMap<String, BTreeMap<Place, u64>>,
    /// A segment of so many bytes takes no more records.
    segment_bytes: u64,
    next_segment: u64,
    /// What all records take, those in memory, and those that are staged.
    bytes: u64,
    memory: u64,
    staged: u64,
}

impl Topics {
    pub fn len(&self) -> usize {
        self.topics.len()
    }

    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    pub fn set_segment_bytes(&mut self, bytes: u64) {
        self.segment_bytes = bytes;
    }

    /// What all records take, staged ones too.
    pub fn bytes(&self) -> u64 {
        self.bytes + self.staged
    }

    /// What records that transactions hold take.
    pub fn staged(&self) -> u64 {
        self.staged
    }

    /// What committed records in memory take.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// How many partitions a topic has.
    pub fn partitions_of(&self, topic: &str) -> Option<u32> {
        let of = self.topics.get(topic)?;
        Some(u32::try_from(of.partitions.len()).expect("few partitions"))
    }

    pub fn all_of(&self, topic: &str) -> Result<&[Partition], LogRefusal> {
        let of = self.topics.get(topic).ok_or(LogRefusal::NoPartition)?;
        Ok(&of.partitions)
    }

    pub fn get(&self, topic: &str, partition: u32) -> Result<&Partition, LogRefusal> {
        self.all_of(topic)?.get(partition as usize).ok_or(LogRefusal::NoPartition)
    }

    fn get_mut(&mut self, topic: &str, partition: u32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(partition as usize)
    }

    pub fn retention(&self, topic: &str) -> Result<Retention, LogRefusal> {
        Ok(self.topics.get(topic).ok_or(LogRefusal::NoPartition)?.retention)
    }

    pub fn set_retention(&mut self, topic: &str, retention: Retention) {
        if let Some(of) = self.topics.get_mut(topic) {
            of.retention = retention;
        }
    }

    /// Lets a topic have so many partitions; makes it if it is not there.
    pub fn resize(&mut self, topic: &str, partitions: u32) {
        let of = self.topics.entry(topic.to_string()).or_default();
        of.partitions.resize_with(partitions as usize, Partition::default);
    }

    /// Each partition with its topic and number.
    pub fn all(&self) -> impl Iterator<Item = (&str, u32, &Partition)> {
        self.topics.iter().flat_map(|(topic, of)| {
            (0..).zip(&of.partitions).map(|(number, partition)| (topic.as_str(), number, partition))
        })
    }

    fn bounds_of(&self, topic: &str) -> SegmentBounds {
        let age = self.topics.get(topic).and_then(|of| of.retention.age_ms);
        SegmentBounds { bytes: self.segment_bytes, span: age.map(|age| age / SPANS_OF_AGE) }
    }

    /// Adds records to a partition.
    pub fn append(&mut self, topic: &str, partition: u32, records: &[Bytes], at: u64) {
        let bounds = self.bounds_of(topic);
        let mut next_id = self.next_segment;
        let Some(of) = self.get_mut(topic, partition) else { return };
        of.append(records, &mut Arrival { at, bounds, next_id: &mut next_id });
        let bytes = size(records) as u64;
        self.next_segment = next_id;
        self.bytes += bytes;
        self.memory += bytes;
    }

    /// Notes how far a producer without transactions is.
    pub fn note_producer(&mut self, (topic, partition): (&str, u32), of: (&str, u64), at: u64) {
        if let Some(place) = self.get_mut(topic, partition) {
            place.note_producer(of.0, of.1, at);
        }
    }

    /// Counts what a transaction holds for a partition.
    pub fn stage(&mut self, topic: &str, partition: u32, bytes: u64) {
        self.staged += bytes;
        if let Some(place) = self.get_mut(topic, partition) {
            place.stage(bytes);
        }
    }

    /// A transaction holds this no longer.
    pub fn unstage(&mut self, (topic, partition): &Place, bytes: u64) {
        self.staged = self.staged.saturating_sub(bytes);
        if let Some(place) = self.get_mut(topic, *partition) {
            place.unstage(bytes);
        }
    }

    /// Whether so many bytes may come into a partition.
    pub fn has_room(&self, topic: &str, partition: u32, bytes: u64) -> Result<bool, LogRefusal> {
        let held = self.get(topic, partition)?.bytes_with_staged();
        let bytes_max = self.retention(topic)?.bytes_max;
        Ok(bytes_max.is_none_or(|max| held + bytes <= max))
    }

    /// Lets records of a segment be a file.
    pub fn store(&mut self, (topic, partition): &Place, file: SegmentFile) {
        let mut next_id = self.next_segment;
        let stored = self.get_mut(topic, *partition).map(|of| of.store(file, &mut next_id));
        self.next_segment = next_id;
        self.memory -= stored.unwrap_or(0);
    }

    /// The segments that are to become files: those that take no more records, and all that are longest when too much is
    /// in memory; at most about `at_once` bytes.
    pub fn due_to_store(&self, memory_max: u64, at_once: u64) -> Vec<DueSegment> {
        let too_much = self.memory > memory_max;
        let mut due: Vec<(u64, DueSegment)> = Vec::new();
        for (topic, number, partition) in self.all() {
            for segment in partition.unstored(self.bounds_of(topic), too_much) {
                let bytes = size(&segment.2) as u64;
                let place = (topic.to_string(), number);
                due.push((bytes, DueSegment { place, segment }));
            }
        }
        due.sort_by_key(|(bytes, due)| (std::cmp::Reverse(*bytes), due.segment.0));
        let mut sum = 0;
        let fits = |(bytes, _): &(u64, DueSegment)| {
            let first = sum == 0;
            sum += bytes;
            first || sum <= at_once
        };
        due.into_iter().take_while(fits).map(|(_, due)| due).collect()
    }

    /// The files that hold records.
    pub fn files(&self) -> Vec<SegmentFile> {
        self.all().flat_map(|(_, _, partition)| partition.files()).collect()
    }

    /// Those that hold records of a partition before an offset at which a segment begins.
    pub fn files_below(&self, (topic, partition): &Place, start: u64) -> Vec<SegmentFile> {
        let of = self.get(topic, *partition).ok();
        let files = of.into_iter().flat_map(Partition::files);
        files.filter(|file| file.first < start).collect()
    }

    /// What each partition is to be trimmed to now. What somebody holds is kept, unless `ignore_holds`.
    pub fn due_trims(&self, at: u64, ignore_holds: bool) -> Vec<(Place, u64)> {
        let kept_for_ever = |topic: &&Topic| topic.retention.is_unlimited();
        let limited = self.topics.iter().filter(|(_, topic)| !kept_for_ever(topic));
        let mut due = Vec::new();
        for (name, topic) in limited {
            let bytes = topic.retention.bytes_kept(self.segment_bytes);
            let retention = Retention { bytes, ..topic.retention };
            for (number, partition) in (0..).zip(&topic.partitions) {
                let place = (name.clone(), number);
                let unread = if topic.retention.await_reader { 0 } else { u64::MAX };
                let needed = self.needed(&place).unwrap_or(unread);
                let needed = if ignore_holds { u64::MAX } else { needed };
                if let Some(start) = partition.due_start(retention, at, needed) {
                    due.push((place, start));
                }
            }
        }
        due
    }

    /// The youngest age at which records go.
    pub fn age_min(&self) -> Option<u64> {
        self.topics.values().filter_map(|topic| topic.retention.age_ms).min()
    }

    /// Removes what ends at an offset of a partition or before.
    pub fn trim(&mut self, (topic, partition): &Place, start: u64) {
        if let Some(of) = self.get_mut(topic, *partition) {
            let (removed, in_memory) = of.trim(start);
            self.bytes -= removed;
            self.memory -= in_memory;
        }
    }

    /// The first record of a partition that somebody may read again.
    fn needed(&self, place: &Place) -> Option<u64> {
        self.holds.values().filter_map(|of| of.get(place).copied()).min()
    }

    /// Which of these offsets an owner does not hold yet, or holds further back; of what is kept no longer, where it starts
    /// now.
    ///
    /// # Errors
    /// When one does not exist, or too much is held.
    pub fn new_holds(
        &self,
        owner: &str,
        topic: &str,
        mut offsets: Vec<(u32, u64)>,
    ) -> Result<Vec<(u32, u64)>, LogRefusal> {
        let held = self.holds.get(owner);
        let held = |number: u32| held.and_then(|of| of.get(&(topic.to_string(), number))).copied();
        for (number, offset) in &mut offsets {
            let partition = self.get(topic, *number)?;
            let end = partition.end();
            if held(*number).is_none() {
                *offset = partition.start().max(*offset);
            }
            if *offset > end {
                return Err(LogRefusal::BeyondEnd { partition: *number, end });
            }
        }
        offsets.retain(|(number, offset)| held(*number).is_none_or(|held| held < *offset));
        let added = offsets.iter().filter(|(number, _)| held(*number).is_none()).count();
        let all = self.holds.values().map(BTreeMap::len).sum::<usize>();
        match added > 0 && all + added > HOLDS_MAX {
            true => Err(LogRefusal::Full),
            false => Ok(offsets),
        }
    }

    pub fn hold(&mut self, owner: &str, topic: &str, offsets: &[(u32, u64)]) {
        let of_owner = self.holds.entry(owner.to_string()).or_default();
        let places = offsets.iter().map(|(number, offset)| ((topic.to_string(), *number), *offset));
        of_owner.extend(places);
    }

    /// Where an owner holds a partition.
    pub fn held_by(&self, owner: &str, place: &Place) -> Option<u64> {
        self.holds.get(owner)?.get(place).copied()
    }

    /// Lets go what owners hold whose names begin with a prefix.
    pub fn release(&mut self, prefix: &str) {
        self.holds.retain(|owner, _| !owner.starts_with(prefix));
    }

    /// What is held: an owner, a partition and its first record that is kept each.
    pub fn holds(&self) -> impl Iterator<Item = (&str, &Place, u64)> {
        self.holds.iter().flat_map(|(owner, of)| {
            of.iter().map(move |(place, offset)| (owner.as_str(), place, *offset))
        })
    }
}
