//! What is asked of the disk and what came of it, as the digest and the trace tell them.

use super::fault::DiskOp;
use crate::host::{
    OpenMode,
    random::{mix, name_hash},
};
use bytes::Bytes;
use std::io;

/// What is asked of the disk.
pub(super) struct Request<'a> {
    pub op: DiskOp,
    pub name: &'static str,
    pub path: &'a str,
    /// The new name, of a renaming.
    pub to: &'a str,
    pub offset: u64,
    pub length: u64,
    pub data_hash: u64,
}

impl<'a> Request<'a> {
    pub fn new(op: DiskOp, name: &'static str, path: &'a str) -> Self {
        Request { op, name, path, to: "", offset: 0, length: 0, data_hash: 0 }
    }

    pub fn at(self, offset: u64, length: u64) -> Self {
        Request { offset, length, ..self }
    }

    pub fn with(self, data: &[u8]) -> Self {
        Request { length: data.len() as u64, data_hash: hash(data), ..self }
    }
}

/// What an operation returned, as one word for the digest.
pub(super) trait Outcome {
    fn word(&self) -> u64;
}

impl Outcome for () {
    fn word(&self) -> u64 {
        0
    }
}

impl Outcome for u64 {
    fn word(&self) -> u64 {
        *self
    }
}

impl Outcome for Bytes {
    fn word(&self) -> u64 {
        hash(self)
    }
}

impl Outcome for Vec<String> {
    fn word(&self) -> u64 {
        self.iter().fold(0, |state, name| mix(state, name_hash(name)))
    }
}

/// Refuses to change a file that was opened to be read.
pub(super) fn need_writable(mode: OpenMode) -> io::Result<()> {
    match mode {
        OpenMode::Read => Err(io::ErrorKind::PermissionDenied.into()),
        OpenMode::Write | OpenMode::Create | OpenMode::CreateNew => Ok(()),
    }
}

pub(super) fn hash(data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<8>();
    let state = words.iter().fold(data.len() as u64, |state, w| mix(state, u64::from_le_bytes(*w)));
    rest.iter().fold(state, |state, byte| mix(state, u64::from(*byte)))
}
