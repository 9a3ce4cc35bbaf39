//! Which blobs there are, as a function of the log's records.

use super::model::{BLOB_NAMES_MAX, BlobRefusal, check_name, prefixes, trim_prefix};
use crate::system::service::durable::Durable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Blobs at one server.
const BLOBS_MAX: usize = 65_536;
/// Sealed prefixes at one server.
const SEALED_MAX: usize = 65_536;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Store { name: String, blob: Blob },
    Delete { names: Vec<String> },
    Seal { prefix: String },
}

/// Where a blob is and what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Blob {
    /// The number of its file; never used twice.
    pub file: u64,
    pub length: u64,
    pub crc: u32,
}

/// A prefix to be sealed, and what is under it.
pub(super) struct Sealing {
    pub prefix: String,
    pub removed: Vec<(String, Blob)>,
}

/// The blobs and sealed prefixes after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    blobs: BTreeMap<String, Blob>,
    sealed: BTreeSet<String>,
    /// The next file's number.
    next_file: u64,
}

impl Durable for Index {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Store { name, blob } => {
                self.next_file = blob.file + 1;
                self.blobs.insert(name.clone(), *blob);
            }
            Record::Delete { names } => {
                for name in names {
                    self.blobs.remove(name);
                }
            }
            Record::Seal { prefix } => {
                let removed: Vec<String> = self.under(prefix).map(|(name, _)| name).collect();
                for name in removed {
                    self.blobs.remove(&name);
                }
                self.sealed.insert(prefix.clone());
            }
        }
    }
}

impl Index {
    pub fn get(&self, name: &str) -> Option<Blob> {
        self.blobs.get(name).copied()
    }

    pub fn blobs(&self) -> impl Iterator<Item = (&String, Blob)> {
        self.blobs.iter().map(|(name, blob)| (name, *blob))
    }

    pub fn sealed(&self) -> impl Iterator<Item = &String> {
        self.sealed.iter()
    }

    fn is_sealed(&self, name: &str) -> bool {
        prefixes(name).any(|prefix| self.sealed.contains(prefix))
    }

    /// The blobs under a prefix, by name; all of them under the empty one.
    fn under(&self, prefix: &str) -> impl Iterator<Item = (String, Blob)> {
        let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let itself = self.blobs.get_key_value(prefix);
        let range = self.blobs.range(below.clone()..);
        let range = range.take_while(move |(name, _)| name.starts_with(&below));
        itself.into_iter().chain(range).map(|(name, blob)| (name.clone(), *blob))
    }

    /// The first names under a prefix that come after `after`.
    pub fn list(&self, prefix: &str, after: &str) -> Vec<String> {
        let names = self.under(trim_prefix(prefix)).map(|(name, _)| name);
        names.filter(|name| name.as_str() > after).take(BLOB_NAMES_MAX).collect()
    }

    /// The blob that a put would store; `None` when it is there already.
    pub fn put(&self, name: &str, length: u64, crc: u32) -> Result<Option<Blob>, BlobRefusal> {
        check_name(name)?;
        if self.is_sealed(name) {
            return Err(BlobRefusal::Sealed);
        }
        match self.blobs.get(name) {
            Some(blob) if (blob.length, blob.crc) == (length, crc) => Ok(None),
            Some(_) => Err(BlobRefusal::Exists),
            None if self.blobs.len() >= BLOBS_MAX => Err(BlobRefusal::Full),
            None => Ok(Some(Blob { file: self.next_file, length, crc })),
        }
    }

    /// Those of the names that are there.
    pub fn delete(&self, names: &[String]) -> Result<Vec<(String, Blob)>, BlobRefusal> {
        if names.len() > BLOB_NAMES_MAX {
            return Err(BlobRefusal::TooLarge);
        }
        names.iter().try_for_each(|name| check_name(name))?;
        let names: BTreeSet<&String> = names.iter().collect();
        let known = names.into_iter().filter_map(|name| Some((name.clone(), self.get(name)?)));
        Ok(known.collect())
    }

    /// What sealing a prefix would do; `None` when it is sealed already.
    pub fn seal(&self, prefix: &str) -> Result<Option<Sealing>, BlobRefusal> {
        let prefix = trim_prefix(prefix);
        check_name(prefix)?;
        if self.is_sealed(prefix) {
            return Ok(None);
        }
        if self.sealed.len() >= SEALED_MAX {
            return Err(BlobRefusal::Full);
        }
        let removed = self.under(prefix).collect();
        Ok(Some(Sealing { prefix: prefix.to_string(), removed }))
    }
}
