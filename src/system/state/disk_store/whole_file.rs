//! A file of a snapshot read from its bytes, all of it: for whoever looks at what checkpoints hold, without a disk.

use super::{
    block::Block,
    chain::ChainFile,
    error::{Damage, StateError},
    store::UNIT_BYTES,
    table::{BLOCK_HEAD, Identity, Trailer, checksum},
};

/// A key and its value; `None` where it was deleted.
pub type FileEntry = (Vec<u8>, Option<Vec<u8>>);

/// The payload of the block that begins with a unit of a file, and how many units it has; `None` where none begins.
fn block(
    bytes: &[u8],
    identity: Identity,
    unit: usize,
    unit_bytes: usize,
) -> Option<(&[u8], usize)> {
    let bytes = bytes.get(unit * unit_bytes..)?;
    let (crc, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = u32::from_le_bytes(*length) as usize;
    let units = (BLOCK_HEAD + length).div_ceil(unit_bytes);
    let checked = bytes.get(4..units.checked_mul(unit_bytes)?)?;
    let is_sound =
        checksum(identity.seed(), u32::try_from(unit).ok()?, checked) == u32::from_le_bytes(*crc);
    is_sound.then_some((&rest[..length], units))
}

/// The entries of a whole file of a snapshot, in the order of their keys; a key begins with its key group.
///
/// # Errors
/// That it is not what was written.
pub fn read_file(file: &ChainFile, bytes: &[u8]) -> Result<Vec<FileEntry>, StateError> {
    read_units(file, bytes, UNIT_BYTES)
}

/// The same of a file with units of so many bytes.
pub(super) fn read_units(
    file: &ChainFile,
    bytes: &[u8],
    unit_bytes: usize,
) -> Result<Vec<FileEntry>, StateError> {
    let identity = Identity { owner: file.owner, number: file.number };
    let corrupt = |unit: usize, damage| StateError::Corrupt {
        file: file.name.clone(),
        offset: (unit * unit_bytes) as u64,
        damage,
    };
    if bytes.len() as u64 != file.length || !bytes.len().is_multiple_of(unit_bytes) {
        let damage = Damage::Length { written: file.length, found: bytes.len() as u64 };
        return Err(corrupt(0, damage));
    }
    // What stands at the end is in as many units as it needs.
    let trailer = (0..bytes.len() / unit_bytes).rev().find_map(|unit| {
        block(bytes, identity, unit, unit_bytes).and_then(|(payload, _)| Trailer::parse(payload))
    });
    let trailer = trailer.ok_or_else(|| corrupt(0, Damage::Checksum))?;
    if trailer.identity != identity {
        return Err(corrupt(0, Damage::Identity));
    }
    let (mut entries, mut unit) = (Vec::new(), 0);
    while unit < trailer.index_unit as usize {
        let (payload, units) = block(bytes, identity, unit, unit_bytes)
            .ok_or_else(|| corrupt(unit, Damage::Checksum))?;
        let read =
            Block::parse(payload).and_then(|block| add_entries(block, payload, &mut entries));
        read.ok_or_else(|| corrupt(unit, Damage::Unreadable))?;
        unit += units;
    }
    match entries.len() as u64 == trailer.entries {
        true => Ok(entries),
        false => Err(corrupt(0, Damage::Unreadable)),
    }
}

/// Adds the entries of a block; `None` where it makes no sense.
fn add_entries(block: Block<'_>, payload: &[u8], to: &mut Vec<FileEntry>) -> Option<()> {
    let (mut at, mut key) = (0, Vec::new());
    while at < block.end() {
        let entry = block.entry(at)?;
        if entry.shared > key.len() {
            return None;
        }
        key.truncate(entry.shared);
        key.extend_from_slice(payload.get(entry.rest)?);
        let value = match entry.value {
            Some(value) => Some(payload.get(value)?.to_vec()),
            None => None,
        };
        to.push((key.clone(), value));
        at = entry.next;
    }
    Some(())
}
