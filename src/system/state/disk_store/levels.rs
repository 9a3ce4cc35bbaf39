//! The runs of a store, and the work on them that makes two from one table and one from many.
//!
//! A table of records that is flushed becomes a run of level 0; there are few of them and each has a filter. When there
//! are enough, a *sweep* merges the oldest of them into the base, the one run in which everything is: it goes through
//! the base table by table, so that what it replaces is gone soon, and leaves tables alone that it has nothing for.
//! Level 0 stands above the base all the while, so it doesn't matter how far a sweep has come.
//!
//! Beside that each flushed run is kept for the next snapshot: all since the one before are its *epoch*, and what they
//! come to is what has changed. When there are many of them they are merged to one.

use super::{
    error::StateError,
    records::Records,
    run::{Cursor, Cut, Merge, Run, RunWriter, parts},
    table::Files,
};

/// So many runs of level 0 are merged into the base.
const SWEEP_RUNS: usize = 5;
/// With so many, a flush waits for a sweep.
const LEVEL_RUNS_MAX: usize = 10;
/// So many runs of an epoch are merged into one.
const EPOCH_RUNS_MAX: usize = 8;
/// The bytes of a step of work, about.
const STEP_BYTES: u64 = 64 << 10;
/// Tables of the base are so many times as long as those of snapshots.
const BASE_TABLES: u64 = 4;

/// The runs, the newest first.
pub(super) struct Levels {
    pub files: Files,
    pub level: Vec<Run>,
    pub base: Run,
    pub epoch: Vec<Run>,
    /// Bytes of a table of a snapshot, about.
    pub table_bytes: u64,
    /// Units that are read in one go.
    pub ahead: u32,
    flush: Option<Flush>,
    sweep: Option<Sweep>,
    epoch_merge: Option<(Merge, RunWriter)>,
    /// Whose step it is.
    turn: bool,
}

struct Flush {
    number: u64,
    places: Vec<u32>,
    at: usize,
    writer: RunWriter,
}

struct Sweep {
    above: Merge,
    /// How many runs of level 0 those are, the oldest.
    runs: usize,
    /// Whether the next table of the base, or what there is behind all of them, is being merged.
    is_open: bool,
    /// Reads that table.
    base: Option<Cursor>,
    /// Bytes that were read of those before.
    base_read: u64,
    next: usize,
    /// The first table of the base for which there is another by now, or will be.
    from: usize,
    writer: RunWriter,
}

impl Levels {
    pub fn new(files: Files, table_bytes: u64, ahead: u32) -> Self {
        Levels {
            files,
            level: Vec::new(),
            base: Run::default(),
            epoch: Vec::new(),
            table_bytes,
            ahead,
            flush: None,
            sweep: None,
            epoch_merge: None,
            turn: false,
        }
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.level.iter().chain([&self.base])
    }

    /// The bytes of the state, from below if it has a base.
    pub fn merged_bytes(&self) -> u64 {
        if self.base.tables.is_empty() { self.bytes() } else { self.base.bytes() }
    }

    /// Bytes of the runs in which everything is.
    pub fn bytes(&self) -> u64 {
        self.runs().map(Run::bytes).sum()
    }

    pub fn memory(&self) -> usize {
        let runs = self.runs().map(Run::memory).sum::<usize>();
        let flush = self.flush.as_ref().map_or(0, |it| 4 * it.places.len() + it.writer.memory());
        let sweep = self.sweep.as_ref().map_or(0, |it| {
            it.above.memory() + it.writer.memory() + it.base.as_ref().map_or(0, Cursor::memory)
        });
        let epoch = self.epoch_merge.as_ref();
        let epoch = epoch.map_or(0, |(merge, writer)| merge.memory() + writer.memory());
        runs + flush + sweep + epoch
    }

    fn writer(&self) -> RunWriter {
        RunWriter::new(self.table_bytes, Cut::BetweenGroups)
    }

    pub fn base_writer(&self) -> RunWriter {
        RunWriter::new(BASE_TABLES * self.table_bytes, Cut::Anywhere)
    }

    pub fn cursor(&self, run: &Run) -> Result<Cursor, StateError> {
        Cursor::new(parts(run, &[], None), self.ahead, &mut None)
    }

    /// Whether a flush has to wait.
    pub fn is_full(&self) -> bool {
        self.level.len() >= LEVEL_RUNS_MAX
    }

    /// A step of the flush of the oldest table that is to be flushed; its number when that was the last one.
    pub fn flush_step(&mut self, records: &Records) -> Result<Option<u64>, StateError> {
        let frozen = records.unflushed().expect("there is something to flush");
        let mut flush = self.flush.take().unwrap_or_else(|| Flush {
            number: frozen.number,
            places: frozen.table.written_in_order(),
            at: 0,
            writer: self.writer().with_filter(frozen.table.written()),
        });
        assert_eq!(flush.number, frozen.number, "tables are flushed in their order");
        let begun = flush.writer.written;
        while flush.writer.written < begun + STEP_BYTES
            && let Some(place) = flush.places.get(flush.at)
        {
            let (key, value) = (frozen.table.key(*place), frozen.table.value(*place));
            flush.writer.add(&mut self.files, key, value)?;
            flush.at += 1;
        }
        if flush.at < flush.places.len() {
            self.flush = Some(flush);
            return Ok(None);
        }
        let run = flush.writer.finish()?;
        if !run.tables.is_empty() {
            self.level.insert(0, run.clone());
            self.epoch.insert(0, run);
        }
        Ok(Some(flush.number))
    }

    /// What has changed since the last time this was asked, as runs.
    pub fn take_epoch(&mut self) -> Vec<Run> {
        self.epoch_merge = None;
        std::mem::take(&mut self.epoch)
    }

    /// A step of merging; the bytes that it read and wrote, 0 when there is nothing to do.
    pub fn merge_step(&mut self) -> Result<u64, StateError> {
        self.turn = !self.turn;
        let sweeps = self.sweep.is_some() || self.level.len() >= SWEEP_RUNS;
        let merges = self.epoch_merge.is_some() || self.epoch.len() >= EPOCH_RUNS_MAX;
        match (sweeps, merges) {
            (true, false) => self.sweep_step(),
            (true, true) if self.turn => self.sweep_step(),
            (_, true) => self.epoch_step(),
            (false, false) => Ok(0),
        }
    }

    fn epoch_step(&mut self) -> Result<u64, StateError> {
        let (mut merge, mut writer) = match self.epoch_merge.take() {
            Some(merge) => merge,
            None => {
                let cursors: Result<_, _> = self.epoch.iter().map(|run| self.cursor(run)).collect();
                (Merge::new(cursors?), self.writer())
            }
        };
        let begun = merge.read() + writer.written;
        while let Some(key) = merge.key() {
            writer.add(&mut self.files, key, merge.value())?;
            merge.advance(&mut None)?;
            let spent = merge.read() + writer.written - begun;
            if spent >= STEP_BYTES {
                self.epoch_merge = Some((merge, writer));
                return Ok(spent);
            }
        }
        let spent = merge.read() + writer.written - begun;
        // What was flushed meanwhile stands before what was merged.
        let newer = self.epoch.len() - merge.len();
        self.epoch.truncate(newer);
        self.epoch.push(writer.finish()?);
        Ok(spent.max(1))
    }

    /// A step of the sweep, which begins if there is none.
    pub fn sweep_step(&mut self) -> Result<u64, StateError> {
        let mut sweep = match self.sweep.take() {
            Some(sweep) => sweep,
            None => {
                let cursors: Result<_, _> = self.level.iter().map(|run| self.cursor(run)).collect();
                let above = Merge::new(cursors?);
                let runs = self.level.len();
                let writer = self.base_writer();
                let (base_read, next, from) = (0, 0, 0);
                Sweep { above, runs, is_open: false, base: None, base_read, next, from, writer }
            }
        };
        let begun = sweep.spent();
        while sweep.spent() < begun + STEP_BYTES {
            if !self.open_next(&mut sweep)? {
                let runs = self.level.len() - sweep.runs;
                self.level.truncate(runs);
                self.base.check_order();
                return Ok((sweep.spent() - begun).max(1));
            }
            self.merge_table(&mut sweep, begun)?;
        }
        let spent = sweep.spent() - begun;
        self.sweep = Some(sweep);
        Ok(spent)
    }

    /// Opens the next table of the base for which there is something; false when all is swept.
    fn open_next(&mut self, sweep: &mut Sweep) -> Result<bool, StateError> {
        while !sweep.is_open {
            let is_short = sweep.writer.open_bytes() < BASE_TABLES * self.table_bytes / 2;
            let Some(table) = self.base.tables.get(sweep.next) else {
                self.install(sweep)?;
                sweep.is_open = sweep.above.key().is_some();
                return Ok(sweep.is_open);
            };
            let end = self.base.tables.get(sweep.next + 1).map(|table| &*table.first);
            let has_above = sweep.above.key().is_some_and(|key| end.is_none_or(|end| key < end));
            let is_long = table.length >= BASE_TABLES * self.table_bytes / 2;
            let may_stay = !has_above && is_long;
            if may_stay || !is_short {
                self.install(sweep)?;
            }
            if may_stay {
                sweep.next += 1;
                sweep.from = sweep.next;
                continue;
            }
            let alone = Run { tables: vec![self.base.tables[sweep.next].clone()], filter: None };
            sweep.base = Some(self.cursor(&alone)?);
            sweep.is_open = true;
        }
        Ok(true)
    }

    /// Puts what was written into the place of what it was made from.
    fn install(&mut self, sweep: &mut Sweep) -> Result<(), StateError> {
        sweep.writer.end_table()?;
        let tables = sweep.writer.take_done();
        let end = sweep.from + tables.len();
        self.base.tables.splice(sweep.from..sweep.next, tables);
        (sweep.from, sweep.next) = (end, end);
        Ok(())
    }

    /// Merges what is above into the table that is open, until enough is done.
    fn merge_table(&mut self, sweep: &mut Sweep, begun: u64) -> Result<(), StateError> {
        let end = self.base.tables.get(sweep.next + 1).map(|table| table.first.clone());
        loop {
            let above =
                sweep.above.key().filter(|key| end.as_ref().is_none_or(|end| *key < &**end));
            let base = sweep.base.as_ref().and_then(Cursor::key);
            let is_above = match (above, base) {
                (None, None) => break,
                (Some(above), Some(base)) => above <= base,
                (above, _) => above.is_some(),
            };
            let is_same = is_above && above == base;
            if is_same {
                sweep.base.as_mut().expect("it has a key").advance(&mut None)?;
            }
            if is_above {
                if let (Some(key), Some(value)) = (sweep.above.key(), sweep.above.value()) {
                    sweep.writer.add(&mut self.files, key, Some(value))?;
                }
                sweep.above.advance(&mut None)?;
            } else if let Some(base) = &mut sweep.base {
                let key = base.key().expect("it is not at its end");
                sweep.writer.add(&mut self.files, key, base.value())?;
                base.advance(&mut None)?;
            }
            if sweep.spent() >= begun + STEP_BYTES {
                return Ok(());
            }
        }
        sweep.base_read += sweep.base.take().map_or(0, |base| base.read);
        sweep.is_open = false;
        sweep.next = (sweep.next + 1).min(self.base.tables.len());
        Ok(())
    }
}

impl Sweep {
    fn spent(&self) -> u64 {
        let base = self.base.as_ref().map_or(0, |base| base.read);
        self.above.read() + self.writer.written + self.base_read + base
    }
}
