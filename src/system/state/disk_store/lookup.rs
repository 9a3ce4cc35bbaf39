//! Looking up many keys of a run, in the order in which its file has them.

use super::{
    block::Found,
    cache::BlockCache,
    error::{Damage, StateError},
    run::Run,
    table::{Index, Table},
};

/// What lies between two blocks is read too when it is at most so long.
const GAP_BYTES: usize = 16 << 10;
/// What is read in one go at most.
const READ_BYTES: usize = 256 << 10;

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

fn look_up_in_table<'k>(
    table: &Table,
    index: &Index,
    mut keys: &Wanted<'k>,
    scratch: &mut Vec<u8>,
    found: &mut impl FnMut(&'k [u8], u32, Option<&[u8]>) -> bool,
) -> Result<bool, StateError> {
    let unit = table.unit();
    let mut block = 0;
    // Blocks that are read in one go, each with where its keys end.
    let mut together: Vec<(u32, u32, usize)> = Vec::new();
    while !keys.is_empty() {
        together.clear();
        let (mut begin, mut end, mut taken) = (0, 0, 0);
        while let Some((key, _)) = keys.get(taken) {
            block = index.block(block, key);
            let (first, units) = index.place(block);
            if together.is_empty() {
                begin = first;
            } else {
                let gap = (first - end) as usize * unit;
                let all = (first + units - begin) as usize * unit;
                if gap > GAP_BYTES || all > READ_BYTES {
                    break;
                }
            }
            end = first + units;
            let next = index.next_key(block);
            let behind = |(key, _): &(&[u8], u32)| next.is_none_or(|next| *key < next);
            taken += keys[taken..].iter().take_while(|key| behind(key)).count();
            together.push((first, units, taken));
        }
        table.read(begin, end - begin, scratch)?;
        let mut from = 0;
        for (first, units, to) in &together {
            let at = (first - begin) as usize * unit;
            let bytes = &scratch[at..at + *units as usize * unit];
            let content = table.parse(*first, table.check_whole(*first, bytes)?)?;
            for (key, number) in &keys[from..*to] {
                let said = content.find(key);
                let goes_on = match said.ok_or_else(|| table.corrupt(*first, Damage::Unreadable))? {
                    Found::Nothing => true,
                    Found::Tombstone => found(key, *number, None),
                    Found::Value(value) => found(key, *number, Some(value)),
                };
                if !goes_on {
                    return Ok(false);
                }
            }
            from = *to;
        }
        keys = &keys[taken..];
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
    let at = run.tables.partition_point(|table| *table.last < *key);
    let Some(table) = run.tables.get(at).filter(|table| *table.first <= *key) else {
        return Ok(Found::Nothing);
    };
    if table.filter.as_ref().is_some_and(|filter| !filter.may_have(hash)) {
        return Ok(Found::Nothing);
    }
    let index = cache.index(table)?;
    let unit = index.place(index.block(0, key)).0;
    let (payload, _) = cache.block(table, unit)?;
    let content = table.parse(unit, payload)?;
    content.find(key).ok_or_else(|| table.corrupt(unit, Damage::Unreadable))
}
