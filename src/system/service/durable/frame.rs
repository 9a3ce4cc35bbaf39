//! Frames: what a log's files are made of, and how damage is told from a torn write.
//!
//! In the part of a file that no seal covers, rot is told from a tear by what is missing. A torn
//! write leaves out whole sectors: they read as zeros, or the file ends at the edge of one. A write for which
//! a disk had too little room ends anywhere, and so does the file. Damage of any other look struck what had
//! been synced and perhaps answered.

use serde::{Serialize, de::DeserializeOwned};

/// A mark, length, synced length, the checksum of these, the checksum of the rest.
const HEADER_BYTES: usize = 21;
const LENGTH: std::ops::Range<usize> = 1..5;
const SYNCED: std::ops::Range<usize> = 5..13;
const HEAD_SUM: std::ops::Range<usize> = 13..17;
const SUM: std::ops::Range<usize> = 17..21;
/// No frame begins or ends with a zero, and what is between is masked: a piece of a frame that reads
/// as zeros was never written.
const MARK: u8 = 0xb5;
/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// Adds a frame to a batch that is written when `synced` bytes of the file are.
pub(super) fn encode(batch: &mut Vec<u8>, content: &impl Serialize, synced: u64) {
    let start = batch.len();
    batch.resize(start + HEADER_BYTES, 0);
    *batch = postcard::to_extend(content, std::mem::take(batch)).expect("it can be encoded");
    batch.push(MARK);
    let frame = &mut batch[start..];
    let length = u32::try_from(frame.len() - HEADER_BYTES).expect("records are small");
    frame[0] = MARK;
    frame[LENGTH].copy_from_slice(&length.to_le_bytes());
    frame[SYNCED].copy_from_slice(&synced.to_le_bytes());
    let sum = crc32fast::hash(&frame[..HEAD_SUM.start]);
    frame[HEAD_SUM].copy_from_slice(&sum.to_le_bytes());
    let last = frame.len() - 1;
    mask(&mut frame[HEADER_BYTES..last]);
    let sum = crc32fast::hash(&frame[HEADER_BYTES..]);
    frame[SUM].copy_from_slice(&sum.to_le_bytes());
}

/// Masks a payload, or takes the mask off.
fn mask(payload: &mut [u8]) {
    for (place, byte) in (0_u8..=u8::MAX).cycle().zip(payload) {
        *byte ^= MARK ^ place.rotate_left(3);
    }
}

fn word(bytes: &[u8], place: std::ops::Range<usize>) -> Option<u32> {
    bytes.get(place)?.try_into().ok().map(u32::from_le_bytes)
}

/// The length of the frame at the start of `bytes`, if its header is whole.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let sum = crc32fast::hash(bytes.get(..HEAD_SUM.start)?);
    let whole = bytes[0] == MARK && word(bytes, HEAD_SUM)? == sum;
    HEADER_BYTES.checked_add(word(bytes, LENGTH)? as usize).filter(|_| whole)
}

/// The content of the frame at the start of `bytes`, and its length.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, usize)> {
    let length = length(bytes)?;
    let rest = bytes.get(HEADER_BYTES..length)?;
    let (last, masked) = rest.split_last()?;
    if *last != MARK || word(bytes, SUM)? != crc32fast::hash(rest) {
        return None;
    }
    let mut payload = masked.to_vec();
    mask(&mut payload);
    Some((postcard::from_bytes(&payload).ok()?, length))
}

/// The frames of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned<T> {
    /// Where each begins, and what it holds.
    pub frames: Vec<(u64, T)>,
    /// Where they end. What comes after it was torn.
    pub end: u64,
}

/// Where the last write of a file may have ended that was not written whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// At the edge of a sector.
    AtSectors,
    /// Anywhere: the disk may have been full.
    Anywhere,
}

/// The frames of a file, or the offset of damage to what had been synced.
pub(super) fn scan<T: DeserializeOwned>(bytes: &[u8], cut: Cut) -> Result<Scanned<T>, u64> {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some((content, length)) = decode::<T>(&bytes[at..]) {
        frames.push((at as u64, content));
        at += length;
    }
    // Whatever is no frame names such an offset but rarely, so little of it is summed.
    let names_later_sync = |from: usize| {
        let word = bytes.get(from + SYNCED.start..from + SYNCED.end);
        let word = word.and_then(|word| word.try_into().ok());
        word.map(u64::from_le_bytes)
            .is_some_and(|synced| synced > at as u64 && synced <= from as u64)
    };
    let written_after_sync =
        |from: usize| names_later_sync(from) && decode::<T>(&bytes[from..]).is_some();
    if at < bytes.len() && !is_torn(bytes, at, cut) || (at..bytes.len()).any(written_after_sync) {
        return Err(at as u64);
    }
    Ok(Scanned { frames, end: at as u64 })
}

/// Whether the damaged frame at this place looks like a part of a write that misses sectors.
fn is_torn(bytes: &[u8], at: usize, cut: Cut) -> bool {
    let rest = &bytes[at..];
    // Without its header nobody knows where it would end.
    let end = at.saturating_add(length(rest).unwrap_or(HEADER_BYTES));
    let missing = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    let (first, later) = rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
    let begins = (at + first.len()..end).step_by(SECTOR_BYTES);
    let may_end = cut == Cut::Anywhere || bytes.len().is_multiple_of(SECTOR_BYTES);
    let ends_early = end > bytes.len() && may_end;
    ends_early
        || missing(first)
        || later.chunks(SECTOR_BYTES).zip(begins).any(|(sector, _)| missing(sector))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Record = (u64, String);

    fn record(n: u64) -> Record {
        // Zeros too: what is empty must not look like what is missing.
        let key = if n.is_multiple_of(2) { "key" } else { "\0\0\0" };
        (n, key.repeat(usize::try_from(n % 5 * 97).unwrap()))
    }

    /// Batches of these sizes; returns the file, the records and where each batch begins.
    fn file(batches: &[u64]) -> (Vec<u8>, Vec<Record>, Vec<usize>) {
        let (mut bytes, mut records, mut starts) = (Vec::new(), Vec::new(), Vec::new());
        for size in batches {
            let synced = bytes.len() as u64;
            starts.push(bytes.len());
            for _ in 0..*size {
                let next = record(records.len() as u64);
                encode(&mut bytes, &next, synced);
                records.push(next);
            }
        }
        (bytes, records, starts)
    }

    fn records(scanned: Scanned<Record>) -> Vec<Record> {
        scanned.frames.into_iter().map(|(_, record)| record).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_bit_that_flipped_is_corruption_wherever_it_is(
            batches in prop::collection::vec(1..4u64, 1..6),
            place: prop::sample::Index,
            bit in 0..8u32,
        ) {
            let (mut bytes, written, _) = file(&batches);
            let scanned = scan::<Record>(&bytes, Cut::Anywhere).expect("a whole file");
            prop_assert_eq!(scanned.end, bytes.len() as u64);
            prop_assert_eq!(records(scanned), written);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            match scan::<Record>(&bytes, Cut::Anywhere) {
                Err(offset) => prop_assert!(offset as usize <= place),
                Ok(_) => prop_assert!(false, "a flipped bit is no torn write"),
            }
        }

        #[test]
        fn a_batch_for_which_there_was_no_room_is_cut_off(
            batches in prop::collection::vec(1..4u64, 1..6),
            place: prop::sample::Index,
        ) {
            let (mut bytes, written, starts) = file(&batches);
            let last = *starts.last().expect("a batch at least");
            let end = last + place.index(bytes.len() - last);
            bytes.truncate(end);
            let scanned = scan::<Record>(&bytes, Cut::Anywhere).expect("no room is no corruption");
            let kept = records(scanned);
            prop_assert_eq!(&kept[..], &written[..kept.len()]);
            let acknowledged = written.len() - usize::try_from(*batches.last().unwrap()).unwrap();
            prop_assert!(kept.len() >= acknowledged);
        }

        #[test]
        fn a_torn_last_batch_is_cut_off(
            batches in prop::collection::vec(1..4u64, 1..6),
            missing in prop::collection::vec(any::<bool>(), 1..9),
            ends_early: bool,
        ) {
            let (mut bytes, written, starts) = file(&batches);
            let last = *starts.last().expect("a batch at least");
            let first_sector = last / SECTOR_BYTES;
            let sectors = (first_sector..=bytes.len() / SECTOR_BYTES).zip(missing.iter().cycle());
            for (sector, _) in sectors.filter(|(_, missing)| **missing) {
                let from = last.max(sector * SECTOR_BYTES);
                let to = bytes.len().min((sector + 1) * SECTOR_BYTES);
                bytes[from..to].fill(0);
            }
            let edge = (first_sector + 1) * SECTOR_BYTES;
            if ends_early && edge < bytes.len() {
                bytes.truncate(edge);
            }
            let scanned =
                scan::<Record>(&bytes, Cut::AtSectors).expect("a tear is no corruption");
            let (end, kept) = (scanned.end, records(scanned));
            prop_assert_eq!(&kept[..], &written[..kept.len()]);
            let acknowledged = written.len() - usize::try_from(*batches.last().unwrap()).unwrap();
            prop_assert!(kept.len() >= acknowledged && end as usize >= last);
        }
    }
}
