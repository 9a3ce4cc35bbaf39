//! Looking up many keys of a run, in the order in which its file has them.

use super::{
    block::Found,
    cache::BlockCache,
    error::{Damage, StateError},
    run::Run,
    table::{Index, Table},
};
use std::collections::VecDeque;

/// What lies between two blocks is read too when it is at most so long.
const GAP_BYTES: usize = 16 << 10;
/// What is read in one go at most.
const READ_BYTES: usize = 128 << 10;

/// So many reads are known to the disk before their turn.
const READS_AHEAD: usize = 8;

/// Keys in order, each with a number by which it is told.
pub(super) type Wanted<'a> = [(&'a [u8], u32)];

/// Looks keys up in a run, one file after the other. `found` is told what the run says of each that it has, and answers
/// whether more is of use.
pub(super) fn look_up<'k>(
    run: &Run,
    mut keys: &Wanted<'k>,
    cache: &mut BlockCache,
    scratch: &mut Vec<u8>,
    found: &mut impl FnMut(&'k [u8], u32, Option<&[u8]>) -> bool,
) -> Result<(), StateError> {
    while let Some((key, _)) = keys.first() {
        let at = run.tables.partition_point(|table| *table.last < **key);
        let Some(table) = run.tables.get(at) else { break };
        let end = keys.partition_point(|(key, _)| **key <= *table.last);
        let begin = keys[..end].partition_point(|(key, _)| **key < *table.first);
        let (within, rest) = (&keys[begin..end], &keys[end..]);
        keys = rest;
        if !within.is_empty() {
            let index = cache.index(table)?;
            if !look_up_in_table(table, &index, within, scratch, found)? {
                break;
            }
        }
    }
    Ok(())
}

/// Blocks that are read in one go.
struct Reading {
    begin: u32,
    end: u32,
    /// First unit and units of each, and how many keys there are up to its end, of all.
    blocks: Vec<(u32, u32, usize)>,
}

/// Which blocks are to be read for keys, in order.
struct Plan<'a, 'k> {
    table: &'a Table,
    index: &'a Index,
    keys: &'a Wanted<'k>,
    block: usize,
    taken: usize,
}

impl Iterator for Plan<'_, '_> {
    type Item = Reading;

    fn next(&mut self) -> Option<Reading> {
        let unit = self.table.unit();
        let mut reading = Reading { begin: 0, end: 0, blocks: Vec::new() };
        while let Some((key, _)) = self.keys.get(self.taken) {
            self.block = self.index.block(self.block, key);
            let (first, units) = self.index.place(self.block);
            if reading.blocks.is_empty() {
                reading.begin = first;
            } else {
                let gap = (first - reading.end) as usize * unit;
                let all = (first + units - reading.begin) as usize * unit;
                if gap > GAP_BYTES || all > READ_BYTES {
                    break;
                }
            }
            reading.end = first + units;
            let next = self.index.next_key(self.block);
            let within = |(key, _): &&(&[u8], u32)| next.is_none_or(|next| *key < next);
            self.taken += self.keys[self.taken..].iter().take_while(within).count();
            reading.blocks.push((first, units, self.taken));
        }
        if reading.blocks.is_empty() {
            return None;
        }
        self.table.will_read(reading.begin, reading.end - reading.begin);
        Some(reading)
    }
}

fn look_up_in_table<'k>(
    table: &Table,
    index: &Index,
    keys: &Wanted<'k>,
    scratch: &mut Vec<u8>,
    found: &mut impl FnMut(&'k [u8], u32, Option<&[u8]>) -> bool,
) -> Result<bool, StateError> {
    let mut plan = Plan { table, index, keys, block: 0, taken: 0 };
    let mut ahead: VecDeque<Reading> = plan.by_ref().take(READS_AHEAD).collect();
    let mut from = 0;
    while let Some(reading) = ahead.pop_front() {
        table.read(reading.begin, reading.end - reading.begin, scratch)?;
        ahead.extend(plan.next());
        for (first, units, to) in reading.blocks {
            let at = (first - reading.begin) as usize * table.unit();
            let bytes = &scratch[at..at + units as usize * table.unit()];
            let content = table.parse(first, table.check_whole(first, bytes)?)?;
            for (key, number) in &keys[from..to] {
                let said = content.find(key);
                let goes_on = match said.ok_or_else(|| table.corrupt(first, Damage::Unreadable))? {
                    Found::Nothing => true,
                    Found::Tombstone => found(key, *number, None),
                    Found::Value(value) => found(key, *number, Some(value)),
                };
                if !goes_on {
                    return Ok(false);
                }
            }
            from = to;
        }
    }
    Ok(true)
}

/// What a run says of one key.
pub(super) fn look_up_one<'c>(
    run: &Run,
    hash: u64,
    key: &[u8],
    cache: &'c mut BlockCache,
) -> Result<Found<'c>, StateError> {
    if !run.may_have(hash) {
        return Ok(Found::Nothing);
    }
    let at = run.tables.partition_point(|table| *table.last < *key);
    let Some(table) = run.tables.get(at).filter(|table| *table.first <= *key) else {
        return Ok(Found::Nothing);
    };
    let index = cache.index(table)?;
    let unit = index.place(index.block(0, key)).0;
    let (payload, _) = cache.block(table, unit)?;
    let content = table.parse(unit, payload)?;
    content.find(key).ok_or_else(|| table.corrupt(unit, Damage::Unreadable))
}
