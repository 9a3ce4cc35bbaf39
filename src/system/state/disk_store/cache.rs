//! Blocks and indexes of files that were read not long ago.

use super::{
    error::StateError,
    table::{BLOCK_HEAD, Identity, Index, Table},
};
use std::{collections::BTreeMap, sync::Arc};

/// Blocks by their place; one that comes takes the place of another.
pub(super) struct BlockCache {
    slots: Vec<Slot>,
    indexes: IndexCache,
    /// Bytes that are kept of one block at most.
    kept_max: usize,
    /// A block that is too long to be kept.
    large: Vec<u8>,
}

#[derive(Default)]
struct Slot {
    table: Option<Identity>,
    unit: u32,
    units: u32,
    bytes: Vec<u8>,
}

impl BlockCache {
    /// Of so many bytes, half for indexes.
    pub fn new(memory: usize, unit: usize) -> Self {
        let kept_max = 2 * unit;
        let slots = (memory / 2 / kept_max).max(1);
        BlockCache {
            slots: std::iter::repeat_with(Slot::default).take(slots).collect(),
            indexes: IndexCache { bytes_max: memory / 2, ..IndexCache::default() },
            kept_max,
            large: Vec::new(),
        }
    }

    pub fn memory(&self) -> usize {
        let slots = self.slots.iter().map(|slot| slot.bytes.capacity() + size_of::<Slot>());
        slots.sum::<usize>() + self.indexes.bytes + self.large.capacity()
    }

    /// The payload of the block that begins at a unit, checked, and how many units it has.
    pub fn block(&mut self, table: &Table, unit: u32) -> Result<(&[u8], u32), StateError> {
        let spread = crate::host::mix(table.identity.number, u64::from(unit));
        let index = (spread % self.slots.len() as u64) as usize;
        let slot = &self.slots[index];
        if slot.table != Some(table.identity) || slot.unit != unit {
            let mut bytes = std::mem::take(&mut self.slots[index].bytes);
            self.slots[index].table = None;
            let units = read_block(table, unit, &mut bytes)?;
            if bytes.len() > self.kept_max {
                self.large = bytes;
                return Ok((payload(&self.large), units));
            }
            self.slots[index] = Slot { table: Some(table.identity), unit, units, bytes };
        }
        let slot = &self.slots[index];
        Ok((payload(&slot.bytes), slot.units))
    }

    pub fn index(&mut self, table: &Table) -> Result<Arc<Index>, StateError> {
        self.indexes.get(table)
    }
}

/// The payload of a block that was checked.
fn payload(bytes: &[u8]) -> &[u8] {
    let length = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]) as usize;
    &bytes[BLOCK_HEAD..BLOCK_HEAD + length]
}

fn read_block(table: &Table, unit: u32, bytes: &mut Vec<u8>) -> Result<u32, StateError> {
    let mut wanted = 1;
    loop {
        table.read(unit, wanted, bytes)?;
        if let Some((_, units)) = table.check(unit, bytes)? {
            return Ok(units);
        }
        // It is checked to end within the file, so it is found before there is no more.
        wanted = wanted.saturating_mul(2).min(table.data_units() - unit);
    }
}

#[derive(Default)]
struct IndexCache {
    /// With when it was used last.
    indexes: BTreeMap<Identity, (Arc<Index>, u64)>,
    bytes: usize,
    bytes_max: usize,
    uses: u64,
}

impl IndexCache {
    fn get(&mut self, table: &Table) -> Result<Arc<Index>, StateError> {
        self.uses += 1;
        if let Some((index, used)) = self.indexes.get_mut(&table.identity) {
            *used = self.uses;
            return Ok(index.clone());
        }
        let index = Arc::new(table.index()?);
        while self.bytes + index.bytes() > self.bytes_max && !self.indexes.is_empty() {
            let oldest = self.indexes.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = *oldest.expect("it is not empty").0;
            self.remove(oldest);
        }
        self.bytes += index.bytes();
        self.indexes.insert(table.identity, (index.clone(), self.uses));
        Ok(index)
    }

    fn remove(&mut self, table: Identity) {
        let (index, _) = self.indexes.remove(&table).expect("it was just found");
        self.bytes -= index.bytes();
    }
}
