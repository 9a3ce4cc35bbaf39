//! C17: the state by key of a complete checkpoint is what a sequential run of its job has that has read the same input: up to
//! the offsets of the sources in that very checkpoint, with the records that wait there on their way handled. Judged when
//! its pointer is durable, on what the services' logs say: the input, and the metadata, parts and files on the object store.
//! How state comes of input is the job's own word ([`KeyedStateModel`]), computed apart from its operators. A job that goes on
//! from a savepoint is judged by the whole input, of which the jobs before it have read the begin.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, Moved, StoredPart, job_of_name, moved},
};
use crate::{
    harness::{check::Invariant, event::Moment},
    jobs::common::{FoundStates, JobOracle, KeyedStateModel, KeyedStates, Topics},
    system::{
        dataflow::Emitted,
        graph::{JobGraph, OperatorState, StateHandle, StatePlace, TaskState},
        ids::{ExecutionVertexId, JobId, JobVertexId},
        service::{log::LogEvent, object_store::ObjectStoreEvent},
        state::disk_store::{ChainFile, read_file},
        store::{CheckpointPointer, CompletedCheckpoint},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Remembers a job's input and what lies in its objects, and goes on with the sequential run from checkpoint to checkpoint.
pub struct StateFollowsInput {
    job: JobId,
    input: String,
    state: KeyedStateModel,
    /// By partition.
    lines: BTreeMap<u32, Vec<Bytes>>,
    /// How far the sequential run has read each partition, and what it has then.
    read: BTreeMap<u32, u64>,
    expected: KeyedStates,
    contents: BTreeMap<String, Bytes>,
}

/// Why a checkpoint can't be looked at.
enum Unread {
    /// An object was stored and its server died before it said what is in it.
    Unseen,
    /// It makes no sense.
    Senseless(String),
}

/// What a checkpoint holds.
#[derive(Default)]
struct Held {
    offsets: BTreeMap<u32, u64>,
    /// Lines that a source has read and not handled.
    left: Vec<Bytes>,
    /// Records that wait before the operator.
    waiting: Vec<Vec<u8>>,
    states: FoundStates,
    /// A source has more to read.
    goes_on: bool,
}

fn senseless(what: &str, why: impl std::fmt::Display) -> Unread {
    Unread::Senseless(format!("{what}: {why}"))
}

impl StateFollowsInput {
    /// Judges a job by its topics, if its oracle says what state it keeps.
    pub fn of(
        job: JobId,
        topics: &Topics,
        oracle: &dyn JobOracle,
    ) -> Option<Box<dyn Invariant<Model>>> {
        let state = oracle.keyed_state()?;
        Some(Box::new(StateFollowsInput::new(job, topics, state)))
    }

    /// The same of what is known of its state.
    pub fn new(job: JobId, topics: &Topics, state: KeyedStateModel) -> Self {
        StateFollowsInput {
            job,
            input: topics.input.clone(),
            state,
            lines: BTreeMap::new(),
            read: BTreeMap::new(),
            expected: KeyedStates::default(),
            contents: BTreeMap::new(),
        }
    }

    /// Lines of the input that begin at an offset; those that are known already are left out.
    fn feed(&mut self, topic: &str, partition: u32, first: u64, records: &[Bytes]) {
        if topic != self.input {
            return;
        }
        let lines = self.lines.entry(partition).or_default();
        let known = (lines.len() as u64).saturating_sub(first);
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        lines.extend(records.iter().skip(known).cloned());
    }

    fn observe_objects(&mut self, event: &ObjectStoreEvent, model: &Model) {
        let is_own = |name: &str| {
            job_of_name(name).is_some_and(|of| model.course(self.job).any(|job| job == of))
        };
        match event {
            ObjectStoreEvent::Stored { name, content, .. } if is_own(name) => {
                self.contents.insert(name.clone(), content.0.clone());
            }
            ObjectStoreEvent::Renamed { from, .. } => drop(self.contents.remove(from)),
            ObjectStoreEvent::Deleted { names }
            | ObjectStoreEvent::Sealed { removed: names, .. } => {
                for name in names {
                    self.contents.remove(name);
                }
            }
            ObjectStoreEvent::Recovered { objects, .. } => {
                let found: BTreeMap<&str, (u64, u32)> =
                    objects.iter().map(|(name, len, crc)| (&**name, (*len, *crc))).collect();
                self.contents.retain(|name, content| {
                    let known = (content.len() as u64, crc32fast::hash(content));
                    found.get(&**name) == Some(&known)
                });
            }
            ObjectStoreEvent::Stored { .. } => {}
        }
    }

    fn content(&self, object: &str) -> Result<&Bytes, Unread> {
        self.contents.get(object).ok_or(Unread::Unseen)
    }

    /// What a checkpoint of a job holds.
    fn held(&self, graph: &JobGraph, pointer: &[u8]) -> Result<Held, Unread> {
        let pointer: CheckpointPointer =
            postcard::from_bytes(pointer).map_err(|error| senseless("the pointer", error))?;
        let metadata = self.content(&pointer.metadata)?;
        let checkpoint: CompletedCheckpoint =
            postcard::from_bytes(metadata).map_err(|error| senseless(&pointer.metadata, error))?;
        let mut held = Held::default();
        for (of, handle) in &checkpoint.states {
            self.add_part(graph, *of, handle, &mut held)?;
        }
        Ok(held)
    }

    fn add_part(
        &self,
        graph: &JobGraph,
        of: ExecutionVertexId,
        handle: &StateHandle,
        held: &mut Held,
    ) -> Result<(), Unread> {
        let bytes = match &handle.place {
            StatePlace::Inline(state) => state,
            StatePlace::Object(name) => self.content(name)?,
        };
        let of_part = |error: String| senseless(&format!("the part of {of:?}"), error);
        let part: TaskState =
            postcard::from_bytes(bytes).map_err(|error| of_part(error.to_string()))?;
        for (uid, operator) in &part.operators {
            if *uid == self.state.source {
                let (offsets, left) = read_source(&operator.own).map_err(of_part)?;
                held.offsets.extend(offsets);
                held.left.extend(left);
                held.goes_on |= !part.finished;
            }
            if *uid == self.state.operator {
                self.read_states(operator, &mut held.states)?;
            }
        }
        held.waiting.extend(self.waiting(graph, of.vertex, &part.emitted).map_err(of_part)?);
        Ok(())
    }

    /// The records for the operator that a subtask has emitted and that have not been taken.
    fn waiting(
        &self,
        graph: &JobGraph,
        of: JobVertexId,
        emitted: &Bytes,
    ) -> Result<Vec<Vec<u8>>, String> {
        if emitted.is_empty() {
            return Ok(Vec::new());
        }
        let emitted: Vec<(u32, u32, Emitted)> =
            postcard::from_bytes(emitted).map_err(|error| error.to_string())?;
        let outputs = &graph.vertices[of.0 as usize].outputs;
        let mut waiting = Vec::new();
        for (output, _, one) in &emitted {
            let output = outputs.get(*output as usize).ok_or("it is of other outputs")?;
            let reader = &graph.vertices[output.consumer.0 as usize];
            let is_for_operator = reader.operators.iter().any(|of| of.uid == self.state.operator);
            if let (true, Emitted::Records(_, records)) = (is_for_operator, one) {
                waiting.extend(split_records(records)?);
            }
        }
        Ok(waiting)
    }

    /// Adds the state by key of a subtask: what it kept in memory, and what its files hold.
    fn read_states(&self, operator: &OperatorState, found: &mut FoundStates) -> Result<(), Unread> {
        for (group, encoded) in &operator.keyed {
            let of_group = |why: String| senseless(&format!("key group {group}"), why);
            (self.state.read_group)(encoded, found).map_err(of_group)?;
        }
        let mut entries = Vec::new();
        for (place, file) in operator.files.iter().enumerate() {
            let of_file = |why: String| senseless(&file.object, why);
            let about: ChainFile =
                postcard::from_bytes(&file.about).map_err(|error| of_file(error.to_string()))?;
            let content = self.content(&file.object)?;
            let of_this = read_file(&about, content).map_err(|error| of_file(error.to_string()))?;
            for (key, value) in of_this {
                let Some(group) = key.first_chunk() else {
                    return Err(of_file("a key without a key group".to_string()));
                };
                let group = u32::from(u16::from_be_bytes(*group));
                if about.groups.iter().any(|of| (of.start..of.end).contains(&group)) {
                    entries.push((key, place, value));
                }
            }
        }
        // The files come with the oldest first: of each key the newest entry counts.
        entries.sort_unstable_by(|(one, older, _), (other, newer, _)| {
            one.cmp(other).then(newer.cmp(older))
        });
        entries.dedup_by(|next, first| next.0 == first.0);
        for (mut key, _, value) in entries {
            if let Some(value) = value {
                found.values.push((key.split_off(size_of::<u16>()), value));
            }
        }
        Ok(())
    }

    /// Lets the sequential run read as far as that, from the begin if it has read more.
    fn read_until(&mut self, offsets: &BTreeMap<u32, u64>) -> Result<(), String> {
        let before = |partition: &u32| self.read.get(partition).copied().unwrap_or(0);
        if offsets.iter().any(|(partition, offset)| before(partition) > *offset) {
            self.read.clear();
            self.expected = KeyedStates::default();
        }
        for (partition, offset) in offsets {
            let lines = self.lines.get(partition).map_or(&[][..], Vec::as_slice);
            let from = self.read.insert(*partition, *offset).unwrap_or(0);
            let place = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
            let Some(new) = lines.get(place(from)..place(*offset)) else {
                let ends = lines.len();
                return Err(format!(
                    "partition {partition} is read to {offset} and ends at {ends}"
                ));
            };
            for record in new.iter().flat_map(|line| (self.state.records)(line)) {
                (self.state.handle)(&record, &mut self.expected);
            }
        }
        Ok(())
    }

    fn judge(&mut self, at: Moment, moved: &Moved<'_>, model: &Model) -> Check {
        let (Kept::Stored(StoredPart::Pointer(id)), Some(pointer)) = (moved.kept, moved.after)
        else {
            return Check::Ignored;
        };
        let Some(graph) = model.graph(moved.job) else { return Check::Ignored };
        let now = || format!("{at}: checkpoint {id} of {} is complete", moved.job);
        let held = match self.held(&graph, pointer) {
            Ok(held) => held,
            Err(Unread::Unseen) => return Check::Ignored,
            Err(Unread::Senseless(why)) => return Check::broken(why, now()),
        };
        if let Err(why) = self.read_until(&held.offsets) {
            return Check::broken(why, now());
        }
        let mut states = match held.states.by_key() {
            Ok(states) => states,
            Err(key) => {
                let twice = format!("{:?} is held twice", String::from_utf8_lossy(&key));
                return Check::broken(twice, now());
            }
        };
        let left = held.left.iter().flat_map(|line| (self.state.records)(line));
        for record in left.chain(held.waiting) {
            (self.state.handle)(&record, &mut states);
        }
        let may_lack = self.state.forgets_at_end && !held.goes_on;
        match states.difference(&self.expected, may_lack) {
            None => Check::Passed,
            Some(why) => Check::broken(format!("{why} at {:?}", held.offsets), now()),
        }
    }
}

/// The offsets that a source keeps, and what it has read and not handled.
fn read_source(own: &[u8]) -> Result<(BTreeMap<u32, u64>, Vec<Bytes>), String> {
    let (offsets, left): (Bytes, Vec<Bytes>) =
        postcard::from_bytes(own).map_err(|error| error.to_string())?;
    let offsets = postcard::from_bytes(&offsets).map_err(|error| error.to_string())?;
    Ok((offsets, left))
}

/// Records as they wait: before each its length, then whether it has a time, then that.
fn split_records(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut records = Vec::new();
    let cut = || "a record that waits is cut".to_string();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk().ok_or_else(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        let value = match record {
            [0, value @ ..] => value,
            [1, timed @ ..] => timed.get(8..).ok_or_else(cut)?,
            _ => return Err(cut()),
        };
        records.push(value.to_vec());
        bytes = rest;
    }
    Ok(records)
}

impl ClusterInvariant for StateFollowsInput {
    fn title(&self) -> &'static str {
        "C17 state-follows-input"
    }

    fn promise(&self) -> &'static str {
        "a checkpoint holds the state that its sources' offsets come to, as a sequential run has it"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Log, EventKind::ObjectStore, EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Log(LogEvent::Appended { topic, partition, offset, records, .. }) => {
                self.feed(topic, *partition, *offset, records);
                Check::Ignored
            }
            EventRef::Log(LogEvent::Recovered { records, .. }) => {
                for (topic, partition, first, records) in records {
                    self.feed(topic, *partition, *first, records);
                }
                Check::Ignored
            }
            EventRef::ObjectStore(event) => {
                self.observe_objects(event, model);
                Check::Ignored
            }
            EventRef::Coordination(event) => {
                let moved = moved(event, model);
                let first = self.job;
                let own = moved.iter().filter(|moved| {
                    moved.after.is_some() && model.course(first).any(|job| job == moved.job)
                });
                own.fold(Check::Ignored, |check, moved| check.and(self.judge(at, moved, model)))
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests;
