//! Keys as snapshots and the disk have them: each behind its key group, and what tells an entry behind the key.

use crate::system::{
    dataflow::{
        data::{Key, encode_into},
        failure::Result,
    },
    graph::key_group,
};

/// Adds a key behind its key group, two bytes, big-endian.
pub(super) fn write_key<K: Key>(key: &K, max_parallelism: u32, into: &mut Vec<u8>) -> Result<()> {
    let begin = into.len();
    into.extend_from_slice(&[0, 0]);
    encode_into(key, into)?;
    let group = grouped(key_group(&into[begin + 2..], max_parallelism));
    into[begin..begin + 2].copy_from_slice(&group);
    Ok(())
}

/// A key group as keys have it before them.
pub(super) fn grouped(group: u32) -> [u8; 2] {
    u16::try_from(group).expect("there are few key groups").to_be_bytes()
}

/// What is behind a key, where something is, and the key.
pub(super) fn split_key<K: Key>(written: &[u8]) -> Result<(K, &[u8])> {
    Ok(postcard::take_from_bytes(written)?)
}

/// What adds these bytes as they are.
pub(super) fn verbatim(bytes: impl AsRef<[u8]>) -> impl FnOnce(&mut Vec<u8>) -> Result<()> {
    move |into| {
        into.extend_from_slice(bytes.as_ref());
        Ok(())
    }
}
