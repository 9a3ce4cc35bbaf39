//! Writing what a snapshot adds to the chain, a step at a time.

use super::{
    chain::{Chain, ChainFile, Link, groups_of, without},
    error::StateError,
    levels::Levels,
    run::{Cursor, Cut, Merge, Run, RunWriter, parts},
};
use crate::system::graph::KeyGroupRange;
use std::{collections::VecDeque, sync::Arc};

/// The bytes of a step, about.
const STEP_BYTES: u64 = 64 << 10;

/// The first key of a key group; `None` behind the last one there can be.
fn first_key(group: u32) -> Option<Vec<u8>> {
    Some(u16::try_from(group).ok()?.to_be_bytes().to_vec())
}

/// A snapshot that is being written. It holds the runs as they were when all that was written before it was in one.
pub(super) struct SnapshotJob {
    pub id: u64,
    /// What has changed since the snapshot before, the newest first.
    changed: Vec<Run>,
    /// Everything, the newest first.
    all: Vec<Run>,
    rebased: Vec<KeyGroupRange>,
    /// What is to be written, in order, and whether anew.
    segments: VecDeque<(KeyGroupRange, bool)>,
    current: Option<Segment>,
    new: Vec<Link>,
}

struct Segment {
    merge: Merge,
    writer: RunWriter,
    is_base: bool,
}

impl SnapshotJob {
    /// Begins with the state as the runs have it now.
    pub fn new(id: u64, owned: KeyGroupRange, levels: &mut Levels, chain: &Chain) -> Self {
        let changed = levels.take_epoch();
        let incoming = changed.iter().map(Run::bytes).sum();
        let rebased = chain.rebase(owned, levels.merged_bytes(), incoming);
        let mut job = SnapshotJob {
            id,
            changed,
            all: levels.runs().cloned().collect(),
            rebased,
            segments: VecDeque::new(),
            current: None,
            new: Vec::new(),
        };
        job.plan(owned);
        job
    }

    fn plan(&mut self, owned: KeyGroupRange) {
        // A single run is what has changed as it is.
        if self.rebased.is_empty() && self.changed.len() <= 1 {
            let tables = self.changed.pop().unwrap_or_default().tables;
            self.new.extend(tables.into_iter().map(|table| link(self.id, table, false)));
            return;
        }
        let mut segments: Vec<_> =
            without(owned, &self.rebased).into_iter().map(|groups| (groups, false)).collect();
        segments.extend(self.rebased.iter().map(|groups| (*groups, true)));
        segments.sort();
        self.segments = segments.into();
    }

    pub fn memory(&self) -> usize {
        self.current.as_ref().map_or(0, |it| it.merge.memory() + it.writer.memory())
    }

    /// Files that it holds.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<super::table::Table>> {
        let runs = self.changed.iter().chain(&self.all).flat_map(|run| &run.tables);
        runs.chain(self.new.iter().filter_map(|link| link.table.as_ref()))
    }

    /// Writes some; the bytes that were read and written, `None` when all is written.
    pub fn step(&mut self, levels: &mut Levels) -> Result<Option<u64>, StateError> {
        let Some(mut segment) = self.current.take() else {
            let Some((groups, is_base)) = self.segments.pop_front() else { return Ok(None) };
            self.current = Some(self.open(groups, is_base, levels)?);
            return Ok(Some(1));
        };
        let begun = segment.merge.read() + segment.writer.written;
        while let Some(key) = segment.merge.key() {
            let value = segment.merge.value();
            if !segment.is_base || value.is_some() {
                segment.writer.add(&mut levels.files, key, value)?;
            }
            segment.merge.advance(&mut None)?;
            let spent = segment.merge.read() + segment.writer.written - begun;
            if spent >= STEP_BYTES {
                self.current = Some(segment);
                return Ok(Some(spent));
            }
        }
        let spent = segment.merge.read() + segment.writer.written - begun;
        let tables = segment.writer.finish()?.tables;
        self.new.extend(tables.into_iter().map(|table| link(self.id, table, segment.is_base)));
        Ok(Some(spent.max(1)))
    }

    fn open(
        &self,
        groups: KeyGroupRange,
        is_base: bool,
        levels: &Levels,
    ) -> Result<Segment, StateError> {
        let runs = if is_base { &self.all } else { &self.changed };
        let from = first_key(groups.start).unwrap_or_default();
        let to = first_key(groups.end);
        let cursors = runs
            .iter()
            .map(|run| Cursor::new(parts(run, &from, to.as_deref()), levels.ahead, &mut None));
        let merge = Merge::new(cursors.collect::<Result<_, _>>()?);
        let writer = RunWriter::new(levels.table_bytes, Cut::BetweenGroups);
        Ok(Segment { merge, writer, is_base })
    }

    /// Makes what was written part of the chain.
    pub fn finish(self, chain: &mut Chain) -> Vec<ChainFile> {
        assert!(self.current.is_none() && self.segments.is_empty(), "all is written");
        chain.add(self.id, &self.rebased, self.new);
        chain.files()
    }
}

pub(super) fn link(snapshot: u64, table: Arc<super::table::Table>, is_base: bool) -> Link {
    let file = ChainFile {
        snapshot,
        owner: table.identity.owner,
        number: table.identity.number,
        name: table.name().to_string(),
        length: table.length,
        crc: table.crc,
        groups: vec![groups_of(&table)],
        is_base,
        is_complete: false,
    };
    Link { file, table: Some(table) }
}
