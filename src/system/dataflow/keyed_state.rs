//! State by key, on the heap or on a disk, and its timers, which are always in memory.

mod declared;
mod disk;
mod encoding;
mod entries;
mod heap;
mod heap_entries;
mod heap_snapshot;
mod states;
mod timers;
mod written_key;

pub use declared::{DeclaredState, STATES_MAX, StateTtl, States};
pub use encoding::{Encoding, Postcard};
pub use states::{List, ListState, Map, MapState, Reducing, ReducingState, Value, ValueState};

pub(super) use declared::{KeptState, joined};

use super::{
    data::{Data, Key, decode, encode, encode_into},
    failure::Failure,
    operator::{OperatorContext, WrittenFile},
    time::Timestamp,
};
use crate::system::{
    graph::{KeyGroupRange, OperatorState, StateBackend, StateFile, key_group},
    ids::CheckpointId,
    sabotage,
};
use bytes::Bytes;
use declared::Declared;
use disk::DiskTable;
use entries::{Entries, Place, timed};
use heap::{HeapSlot, HeapTable};
use heap_snapshot::HeapSnapshots;
use std::{collections::BTreeMap, ops::Bound};
use timers::{TimerService, Timers};
use written_key::{grouped, split_key, verbatim};

/// What is kept of one key group; behind it stand the [`GroupEntries`], if there are any.
type Group<K, S> = (Vec<(K, S)>, Vec<(Timestamp, K)>, Vec<(Timestamp, K)>);
/// What is kept of it under names: each entry's key without its key group, and its value.
type GroupEntries<B> = Vec<(B, B)>;
/// Both, read.
type ReadGroup<K, S> = (Group<K, S>, GroupEntries<Vec<u8>>);

/// So much of what has changed on the heap during a snapshot is brought down in one go.
const SETTLED_AT_ONCE: usize = 4096;
/// A snapshot on the heap has at most so many bytes of keys and entries in a checkpoint's part; more goes into files.
const INLINE_BYTES_MAX: usize = 1 << 20;

/// The state of each key that a subtask owns, and the timers that were set for it.
pub(super) struct KeyedState<K, S> {
    table: Table<K, S>,
    states: States,
    /// Up to where entries were looked through for those that have died; empty: from the first on.
    swept: Vec<u8>,
    event: Timers<K>,
    processing: Timers<K>,
    owned: KeyGroupRange,
    max_parallelism: u32,
}

/// Where the values are.
enum Table<K, S> {
    Heap {
        table: Box<HeapTable<K, S>>,
        /// Writes snapshots of more than `inline` keys and entries; without it none is.
        snapshots: Option<Box<HeapSnapshots>>,
        inline: usize,
    },
    Disk(Box<DiskTable>),
}

/// A key's state while its function is called.
pub(super) struct Slot<'a, K, S> {
    held: Held<'a, K, S>,
    timers: TimerService<'a, K>,
}

enum Held<'a, K, S> {
    Heap(HeapSlot<'a, K, S>),
    Disk { key: K, state: S, table: &'a mut DiskTable },
}

impl<K: Key, S: Data> Slot<'_, K, S> {
    pub fn key(&self) -> &K {
        self.held.key()
    }

    pub fn state(&mut self) -> &mut S {
        match &mut self.held {
            Held::Heap(slot) => slot.state(),
            Held::Disk { state, .. } => state,
        }
    }

    pub fn set_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        let Slot { held, timers } = self;
        timers.of(is_event).set(time, held.key())
    }

    pub fn delete_timer(&mut self, is_event: bool, time: Timestamp) -> Result<(), Failure> {
        let Slot { held, timers } = self;
        timers.of(is_event).delete(time, held.key())
    }

    /// What is kept of the key under a name.
    pub fn entries(&mut self, state: &Declared, now: Timestamp) -> Result<Entries<'_>, Failure> {
        match &mut self.held {
            Held::Heap(slot) => slot.entries(state, now),
            Held::Disk { table, .. } => Entries::new(Place::Disk(table), state, now),
        }
    }

    /// Keeps the state as it is now, or forgets it; timers and what is kept under names stay.
    pub fn keep(self, is_cleared: bool) -> Result<(), Failure> {
        match (self.held, is_cleared) {
            (Held::Heap(slot), true) => slot.clear(),
            (Held::Heap(_), false) => {}
            (Held::Disk { table, .. }, true) => table.delete()?,
            (Held::Disk { state, table, .. }, false) => table.put(&state)?,
        }
        Ok(())
    }
}

impl<K: Key, S: Data> Held<'_, K, S> {
    fn key(&self) -> &K {
        match self {
            Held::Heap(slot) => slot.key(),
            Held::Disk { key, .. } => key,
        }
    }
}

/// A key group as it is kept, and what it has under names.
fn split_group<K: Key, S: Data>(kept: &[u8]) -> Result<ReadGroup<K, S>, Failure> {
    match postcard::take_from_bytes(kept)? {
        (group, []) => Ok((group, Vec::new())),
        (group, entries) => Ok((group, decode(entries)?)),
    }
}

/// What is kept under names.
fn entries_by_group<K: Key, S: Data + Default>(
    table: &HeapTable<K, S>,
) -> BTreeMap<u32, GroupEntries<&[u8]>> {
    let mut groups = BTreeMap::<u32, GroupEntries<&[u8]>>::new();
    for (written, value) in table.of_states.from(Bound::Unbounded) {
        let (group, written) = written.split_at(2);
        let group = u16::from_be_bytes([group[0], group[1]]);
        groups.entry(u32::from(group)).or_default().push((written, value));
    }
    groups
}

/// Brings what files hold of the subtask's key groups onto the heap.
async fn read_files<K: Key, S: Data + Default>(
    context: &OperatorContext,
    files: &[&StateFile],
    table: &mut HeapTable<K, S>,
) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let insert = |written: &[u8], value: &[u8]| {
        let (key, entry) = split_key(&written[2..])?;
        match entry {
            [] => *table.slot(key, context.max_parallelism).state() = decode(value)?,
            _ => *table.of_states.value_mut(written) = value.to_vec(),
        }
        Ok(())
    };
    DiskTable::read_all(context, files, insert).await
}

impl<K: Key, S: Data + Default> KeyedState<K, S> {
    /// Nothing is kept yet of a subtask that owns these key groups out of `max_parallelism`.
    pub fn new(owned: KeyGroupRange, max_parallelism: u32) -> Self {
        let table = Box::new(HeapTable::new());
        let table = Table::Heap { table, snapshots: None, inline: usize::MAX };
        KeyedState::of(table, owned, max_parallelism)
    }

    fn of(table: Table<K, S>, owned: KeyGroupRange, max_parallelism: u32) -> Self {
        let (event, processing) = (BTreeMap::new(), BTreeMap::new());
        KeyedState {
            table,
            states: States::default(),
            swept: Vec::new(),
            event: Timers { by_time: event },
            processing: Timers { by_time: processing },
            owned,
            max_parallelism,
        }
    }

    /// What these states of former subtasks hold of what the subtask owns, kept as the job wants it; and what its function
    /// has declared.
    pub async fn open(
        context: &OperatorContext,
        states: &[OperatorState],
        declared: States,
    ) -> Result<Self, Failure> {
        let (owned, max_parallelism) = (context.key_groups(), context.max_parallelism);
        let files: Vec<&StateFile> = states.iter().flat_map(|state| &state.files).collect();
        let mut opened = KeyedState::new(owned, max_parallelism);
        opened.states = declared;
        match (context.state_backend, &mut opened.table) {
            (StateBackend::Disk { memory }, table) => {
                *table = Table::Disk(Box::new(DiskTable::open(context, memory, &files).await?));
            }
            (backend, Table::Heap { table, snapshots, inline }) => {
                if let StateBackend::Heap { inline: most } = backend {
                    *inline = usize::try_from(most).unwrap_or(usize::MAX);
                    *snapshots = Some(Box::new(HeapSnapshots::new(context, *inline)));
                }
                read_files(context, &files, table).await?;
            }
            (_, Table::Disk(_)) => unreachable!("it was just made on the heap"),
        }
        for state in states {
            opened.restore(&state.keyed)?;
        }
        if let Table::Heap { table, .. } = &mut opened.table
            && !table.of_states.is_empty()
            && context.host.sabotaged(sabotage::ENTRIES_LOST_AT_RESTORE)
        {
            table.of_states.clear();
        }
        Ok(opened)
    }

    /// The state of a key, made when there is none.
    pub fn slot(&mut self, key: K) -> Result<Slot<'_, K, S>, Failure> {
        let max_parallelism = self.max_parallelism;
        let held = match &mut self.table {
            Table::Heap { table, .. } => Held::Heap(table.slot(key, max_parallelism)),
            Table::Disk(table) => {
                table.seek(&key, max_parallelism)?;
                let state = table.get()?.unwrap_or_default();
                Held::Disk { key, state, table }
            }
        };
        let timers = TimerService { event: &mut self.event, processing: &mut self.processing };
        Ok(Slot { held, timers })
    }

    /// Whether the values are on a disk.
    pub fn is_on_disk(&self) -> bool {
        matches!(self.table, Table::Disk(_))
    }

    /// Whether there is work to do beside the records.
    pub fn has_work(&self) -> bool {
        match &self.table {
            Table::Heap { table, snapshots, .. } => {
                table.has_changed() || snapshots.as_ref().is_some_and(|them| them.has_work())
            }
            Table::Disk(table) => table.has_work(),
        }
    }

    /// Does some of it, and waits for what the disk took; `None` where there is neither.
    pub fn tend(&mut self) -> Option<impl Future<Output = Result<(), Failure>> + Send> {
        let is_idle = matches!(self.table, Table::Heap { .. }) && !self.has_work();
        let table = &mut self.table;
        (!is_idle).then_some(async move {
            match table {
                Table::Disk(table) => table.tend().await,
                Table::Heap { table, snapshots, .. } => {
                    table.settle(SETTLED_AT_ONCE);
                    if let Some(snapshots) = snapshots {
                        snapshots.work(table)?;
                        snapshots.settle().await;
                    }
                    Ok(())
                }
            }
        })
    }

    /// Brings what is asked for next into memory.
    pub fn make_resident(&mut self, ahead: &[Vec<u8>]) -> Result<(), Failure> {
        match &mut self.table {
            Table::Heap { .. } => Ok(()),
            Table::Disk(table) => table.make_resident(ahead),
        }
    }

    /// A checkpoint is complete.
    pub fn complete(&mut self, checkpoint: CheckpointId) {
        match &mut self.table {
            Table::Heap { snapshots: None, .. } => {}
            Table::Heap { snapshots: Some(snapshots), .. } => snapshots.complete(checkpoint),
            Table::Disk(table) => table.complete(checkpoint),
        }
    }

    /// Nobody wants a snapshot any more.
    pub fn abort(&mut self, checkpoint: CheckpointId) {
        match &mut self.table {
            Table::Heap { snapshots: None, .. } => {}
            Table::Heap { table, snapshots: Some(snapshots), .. } => {
                snapshots.abort(checkpoint, table);
            }
            Table::Disk(table) => table.abort(checkpoint),
        }
    }

    /// Leaves nothing on the disk, as far as that is possible.
    pub fn remove_files(&mut self) {
        match &mut self.table {
            Table::Heap { snapshots: None, .. } => {}
            Table::Heap { snapshots: Some(snapshots), .. } => snapshots.remove_files(),
            Table::Disk(table) => table.remove_files(),
        }
    }

    /// Adds what the disk has of a key that is asked for whenever the key comes: its state, and what it has one of under
    /// a name.
    pub fn look_ahead(&mut self, key: &K, ahead: &mut Vec<Vec<u8>>) -> Result<(), Failure> {
        let max_parallelism = self.max_parallelism;
        let Table::Disk(table) = &mut self.table else { return Ok(()) };
        table.seek(key, max_parallelism)?;
        if size_of::<S>() > 0 {
            ahead.push(table.key().to_vec());
        }
        ahead.extend(self.states.single().iter().map(|id| [table.key(), &[*id]].concat()));
        Ok(())
    }

    /// The states that were declared, and those that were kept of former versions of the function.
    pub fn states(&self) -> &States {
        &self.states
    }

    /// Looks through so many entries for those that have died, and removes them.
    pub fn sweep(&mut self, now: Timestamp, most: usize) -> Result<(), Failure> {
        let (mut dead, mut last) = (Vec::new(), None);
        let states = &self.states;
        let mut look = |written: &[u8], value: &[u8]| {
            last = Some(written.to_vec());
            let (_, entry) = split_key::<K>(&written[2..])?;
            let ttl = entry.first().and_then(|id| states.ttl(*id));
            if let Some(ttl) = ttl
                && ttl.is_over(timed(value)?.0, now)
            {
                dead.push(written.to_vec());
            }
            Ok(())
        };
        let has_more = match &mut self.table {
            Table::Heap { table, .. } => {
                let mut some = table.of_states.from(Bound::Excluded(&self.swept)).take(most);
                some.try_for_each(|(written, value)| look(written, value))?;
                last.is_some()
            }
            Table::Disk(table) => table.scan_some(&self.swept, most, look)?,
        };
        self.swept = last.filter(|_| has_more).unwrap_or_default();
        for written in dead {
            match &mut self.table {
                Table::Heap { table, .. } => table.of_states.remove(&written),
                Table::Disk(table) => {
                    table.go_to(&written);
                    table.delete_bytes()?;
                }
            }
        }
        Ok(())
    }

    /// The files of a snapshot; `None` while they are being written.
    pub fn written(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<Option<Vec<WrittenFile>>, Failure> {
        match &mut self.table {
            Table::Heap { snapshots: None, .. } => Ok(Some(Vec::new())),
            Table::Heap { snapshots: Some(snapshots), .. } => snapshots.written(checkpoint),
            Table::Disk(table) => table.written(checkpoint),
        }
    }

    /// Takes the next timer that is due.
    pub fn next_due(&mut self, is_event: bool, until: Timestamp) -> Option<(Timestamp, K)> {
        let timers = if is_event { &mut self.event } else { &mut self.processing };
        timers.pop_until(until)
    }

    /// The earliest timer.
    pub fn first_timer(&self, is_event: bool) -> Option<Timestamp> {
        if is_event { self.event.first() } else { self.processing.first() }
    }

    /// How many keys have a state.
    #[cfg(test)]
    fn len(&self) -> usize {
        match &self.table {
            Table::Heap { table, .. } => table.all().count(),
            Table::Disk(_) => unreachable!("no test counts those on a disk"),
        }
    }

    /// What a checkpoint's part has of it, by key group, the same whatever happened before: timers, and what is on the heap if
    /// that is not much. The rest is written to files.
    pub fn snapshot(&mut self, checkpoint: CheckpointId) -> Result<Vec<(u32, Bytes)>, Failure> {
        match &mut self.table {
            Table::Disk(table) => table.snapshot(checkpoint),
            Table::Heap { snapshots: None, .. } => return self.in_memory(true),
            Table::Heap { table, inline, .. } => {
                if table.len() <= *inline {
                    let kept = self.in_memory(true)?;
                    if kept.iter().map(|(_, kept)| kept.len()).sum::<usize>() <= INLINE_BYTES_MAX {
                        return Ok(kept);
                    }
                }
            }
        }
        if let Table::Heap { table, snapshots: Some(snapshots), .. } = &mut self.table {
            snapshots.begin(checkpoint, table)?;
        }
        self.in_memory(false)
    }

    /// Timers and, if wanted, what is on the heap.
    fn in_memory(&self, with_values: bool) -> Result<Vec<(u32, Bytes)>, Failure> {
        type Entries<'a, K, S> = BTreeMap<Vec<u8>, (&'a K, &'a S)>;
        let mut groups = BTreeMap::<u32, (Entries<'_, K, S>, [Vec<(Timestamp, &K)>; 2])>::new();
        let table = match &self.table {
            Table::Heap { table, .. } if with_values => Some(table),
            _ => None,
        };
        for entry in table.iter().flat_map(|table| table.all()) {
            let key = encode(entry.0)?;
            groups.entry(self.group(&key)).or_default().0.insert(key, entry);
        }
        for (kind, timers) in [&self.event, &self.processing].into_iter().enumerate() {
            for ((time, encoded), key) in &timers.by_time {
                groups.entry(self.group(encoded)).or_default().1[kind].push((*time, key));
            }
        }
        let mut of_states = table.map(|table| entries_by_group(table)).unwrap_or_default();
        for group in of_states.keys() {
            groups.entry(*group).or_default();
        }
        let kept = groups.into_iter().map(|(group, (entries, [event, processing]))| {
            let entries: Vec<(&K, &S)> = entries.into_values().collect();
            let mut kept = encode(&(entries, event, processing))?;
            if let Some(entries) = of_states.remove(&group) {
                encode_into(&entries, &mut kept)?;
            }
            Ok((group, Bytes::from(kept)))
        });
        kept.collect()
    }

    fn group(&self, key: &[u8]) -> u32 {
        key_group(key, self.max_parallelism)
    }

    /// Takes over the owned ones of these key groups; the others belong to other subtasks.
    pub fn restore(&mut self, keyed: &[(u32, Bytes)]) -> Result<(), Failure> {
        let owned = self.owned;
        for (number, encoded) in keyed.iter().filter(|(group, _)| owned.contains(*group)) {
            let of_group =
                |why: Failure| Failure(format!("the state of key group {number}: {why}"));
            let ((entries, event, processing), of_states) =
                split_group(encoded).map_err(of_group)?;
            for (key, state) in entries {
                self.check(*number, &key)?;
                let mut slot = self.slot(key)?;
                *slot.state() = state;
                slot.keep(false)?;
            }
            for (written, value) in of_states {
                self.restore_entry(*number, &written, value).map_err(of_group)?;
            }
            for (timers, kept) in [(&mut self.event, event), (&mut self.processing, processing)] {
                kept.into_iter().try_for_each(|(time, key)| timers.set(time, &key))?;
            }
        }
        Ok(())
    }

    fn restore_entry(
        &mut self,
        number: u32,
        written: &[u8],
        value: Vec<u8>,
    ) -> Result<(), Failure> {
        let (key, entry) = split_key(written)?;
        self.check(number, &key)?;
        if entry.is_empty() {
            return Err(Failure::new("an entry is of no state"));
        }
        let written = [&grouped(number), written].concat();
        match &mut self.table {
            Table::Heap { table, .. } => *table.of_states.value_mut(&written) = value,
            Table::Disk(table) => {
                table.go_to(&written);
                table.put_bytes(verbatim(value))?;
            }
        }
        Ok(())
    }

    fn check(&self, number: u32, key: &K) -> Result<(), Failure> {
        match self.group(&encode(key)?) {
            group if group == number => Ok(()),
            group => Err(Failure(format!("key group {number} holds a key of group {group}"))),
        }
    }
}

#[cfg(test)]
mod tests;
