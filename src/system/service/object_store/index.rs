//! Which objects there are, as a function of the log's records.

use super::model::{
    OBJECT_NAMES_MAX, ObjectStoreRefusal, ObjectSum, RenameOf, Renaming, check_name, prefixes,
    trim_prefix,
};
use crate::system::service::durable::Durable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Objects at one server.
const OBJECTS_MAX: usize = 65_536;
/// Sealed prefixes at one server.
const SEALED_MAX: usize = 65_536;

/// What the log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    Store { name: String, object: Object },
    Delete { names: Vec<String> },
    Seal { prefix: String },
    Rename { from: String, to: String },
}

/// Where an object is and what must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Object {
    /// The number of its file; never used twice.
    pub file: u64,
    pub length: u64,
    pub crc: u32,
}

impl Object {
    pub fn sum(&self) -> ObjectSum {
        ObjectSum { length: self.length, crc: self.crc }
    }
}

/// A prefix to be sealed, and what is under it.
pub(super) struct Sealing {
    pub prefix: String,
    pub removed: Vec<(String, Object)>,
}

/// The objects and sealed prefixes after a number of records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Index {
    objects: BTreeMap<String, Object>,
    sealed: BTreeSet<String>,
    /// The next file's number.
    next_file: u64,
}

impl Durable for Index {
    type Record = Record;

    fn apply(&mut self, record: &Record) {
        match record {
            Record::Store { name, object } => {
                self.next_file = object.file + 1;
                self.objects.insert(name.clone(), *object);
            }
            Record::Delete { names } => {
                for name in names {
                    self.objects.remove(name);
                }
            }
            Record::Seal { prefix } => {
                let removed: Vec<String> = self.under(prefix).map(|(name, _)| name).collect();
                for name in removed {
                    self.objects.remove(&name);
                }
                self.sealed.insert(prefix.clone());
            }
            // Its file stays where it is.
            Record::Rename { from, to } => {
                if let Some(object) = self.objects.remove(from) {
                    self.objects.insert(to.clone(), object);
                }
            }
        }
    }
}

impl Index {
    pub fn get(&self, name: &str) -> Option<Object> {
        self.objects.get(name).copied()
    }

    pub fn objects(&self) -> impl Iterator<Item = (&String, Object)> {
        self.objects.iter().map(|(name, object)| (name, *object))
    }

    pub fn sealed(&self) -> impl Iterator<Item = &String> {
        self.sealed.iter()
    }

    fn is_sealed(&self, name: &str) -> bool {
        prefixes(name).any(|prefix| self.sealed.contains(prefix))
    }

    /// The objects under a prefix, by name; all of them under the empty one.
    fn under(&self, prefix: &str) -> impl Iterator<Item = (String, Object)> {
        let below = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let itself = self.objects.get_key_value(prefix);
        let range = self.objects.range(below.clone()..);
        let range = range.take_while(move |(name, _)| name.starts_with(&below));
        itself.into_iter().chain(range).map(|(name, object)| (name.clone(), *object))
    }

    /// The first names under a prefix that come after `after`.
    pub fn list(&self, prefix: &str, after: &str) -> Vec<String> {
        let names = self.under(trim_prefix(prefix)).map(|(name, _)| name);
        names.filter(|name| name.as_str() > after).take(OBJECT_NAMES_MAX).collect()
    }

    /// The object that a put would store; `None` when it is there already.
    pub fn put(
        &self,
        name: &str,
        length: u64,
        crc: u32,
    ) -> Result<Option<Object>, ObjectStoreRefusal> {
        check_name(name)?;
        if self.is_sealed(name) {
            return Err(ObjectStoreRefusal::Sealed);
        }
        match self.objects.get(name) {
            Some(object) if (object.length, object.crc) == (length, crc) => Ok(None),
            Some(_) => Err(ObjectStoreRefusal::Exists),
            None if self.objects.len() >= OBJECTS_MAX => Err(ObjectStoreRefusal::Full),
            None => Ok(Some(Object { file: self.next_file, length, crc })),
        }
    }

    /// What it takes to give an object of that content another name.
    pub fn rename(
        &self,
        from: &str,
        to: &str,
        content: ObjectSum,
    ) -> Result<Renaming, ObjectStoreRefusal> {
        check_name(from)?;
        check_name(to)?;
        let sum = |name: &str| self.objects.get(name).map(Object::sum);
        let (to_itself, sealed) = (from == to, self.is_sealed(to));
        RenameOf { content, from: sum(from), to: sum(to), to_itself, sealed }.decide()
    }

    /// Those of the names that are there.
    pub fn delete(&self, names: &[String]) -> Result<Vec<(String, Object)>, ObjectStoreRefusal> {
        if names.len() > OBJECT_NAMES_MAX {
            return Err(ObjectStoreRefusal::TooLarge);
        }
        names.iter().try_for_each(|name| check_name(name))?;
        let names: BTreeSet<&String> = names.iter().collect();
        let known = names.into_iter().filter_map(|name| Some((name.clone(), self.get(name)?)));
        Ok(known.collect())
    }

    /// What sealing a prefix would do; `None` when it is sealed already.
    pub fn seal(&self, prefix: &str) -> Result<Option<Sealing>, ObjectStoreRefusal> {
        let prefix = trim_prefix(prefix);
        check_name(prefix)?;
        if self.is_sealed(prefix) {
            return Ok(None);
        }
        if self.sealed.len() >= SEALED_MAX {
            return Err(ObjectStoreRefusal::Full);
        }
        let removed = self.under(prefix).collect();
        Ok(Some(Sealing { prefix: prefix.to_string(), removed }))
    }
}
