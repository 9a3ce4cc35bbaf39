//! Names of objects, and why the server refuses.

use serde::{Deserialize, Serialize};

/// The largest object, in bytes.
pub const OBJECT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The longest name of an object, in bytes.
pub const OBJECT_NAME_BYTES_MAX: usize = 512;

/// Names in one call or answer; the client splits what is more.
pub const OBJECT_NAMES_MAX: usize = 4096;

/// By what contents are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectSum {
    /// The length in bytes.
    pub length: u64,
    /// The CRC-32.
    pub crc: u32,
}

impl ObjectSum {
    /// That of a content.
    pub fn of(content: &[u8]) -> Self {
        ObjectSum { length: content.len() as u64, crc: crc32fast::hash(content) }
    }
}

/// Why the server did not do what it was asked; nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum ObjectStoreRefusal {
    /// An object of that name has other content.
    #[error("an object of that name has other content")]
    Exists,
    /// A prefix of the name is sealed.
    #[error("the name is under a sealed prefix")]
    Sealed,
    /// The object has more than [`OBJECT_BYTES_MAX`] bytes, or the call more than [`OBJECT_NAMES_MAX`]
    /// names.
    #[error("too large")]
    TooLarge,
    /// A name or prefix is not made of `/`-separated parts of `A-Za-z0-9._-`, or is too long.
    #[error("not a name of an object")]
    BadName,
    /// There is no object of that name.
    #[error("no such object")]
    NotFound,
    /// The server holds as many objects or sealed prefixes as it can.
    #[error("the server is full")]
    Full,
}

/// Whether it is a name of an object.
///
/// # Errors
/// [`ObjectStoreRefusal::BadName`].
pub fn check_name(name: &str) -> Result<(), ObjectStoreRefusal> {
    let good = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        !matches!(part, "" | "." | "..") && part.bytes().all(allowed)
    };
    match name.len() <= OBJECT_NAME_BYTES_MAX && name.split('/').all(good) {
        true => Ok(()),
        false => Err(ObjectStoreRefusal::BadName),
    }
}

/// Whether an object may be as large.
///
/// # Errors
/// [`ObjectStoreRefusal::TooLarge`].
pub fn check_size(bytes: &[u8]) -> Result<(), ObjectStoreRefusal> {
    match bytes.len() <= OBJECT_BYTES_MAX {
        true => Ok(()),
        false => Err(ObjectStoreRefusal::TooLarge),
    }
}

/// What it takes to give an object another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// The object gets its other name.
    Moves,
    /// The other name holds that content already; this object is one too many.
    Removes,
    /// It was done before.
    Done,
}

/// What a rename is to do, by what is under its two names: the table of
/// [`ObjectStore::rename`](super::ObjectStore::rename).
#[derive(Clone, Copy, Debug)]
pub struct RenameOf {
    /// What the caller knows the object to hold.
    pub content: ObjectSum,
    /// What is under the one name.
    pub from: Option<ObjectSum>,
    /// What is under the other.
    pub to: Option<ObjectSum>,
    /// Whether the two names are one.
    pub to_itself: bool,
    /// Whether nothing may come under the other name.
    pub sealed: bool,
}

impl RenameOf {
    /// What to do.
    ///
    /// # Errors
    /// What the caller is refused.
    pub fn decide(self) -> Result<Renaming, ObjectStoreRefusal> {
        let RenameOf { content, from, to, to_itself, sealed } = self;
        match (from, to) {
            (_, Some(to)) if to != content => Err(ObjectStoreRefusal::Exists),
            (Some(from), Some(_)) if !to_itself && from == content => Ok(Renaming::Removes),
            (_, Some(_)) => Ok(Renaming::Done),
            (None, None) => Err(ObjectStoreRefusal::NotFound),
            (Some(from), None) if from != content => Err(ObjectStoreRefusal::Exists),
            (Some(_), None) if sealed => Err(ObjectStoreRefusal::Sealed),
            (Some(_), None) => Ok(Renaming::Moves),
        }
    }
}

/// The prefix without the slash that may end it.
pub fn trim_prefix(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}

/// The name itself and all above it, shortest first.
pub fn prefixes(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').map(|(at, _)| &name[..at]).chain([name])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_of_plain_parts() {
        let long = "a".repeat(OBJECT_NAME_BYTES_MAX);
        for name in ["a", "job-1/chk_2/A.b", "..a/b..", long.as_str()] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let longer = format!("{long}b");
        for name in ["", "/", "a/", "/a", "a//b", ".", "a/..", "ä", "a b", "a\0", &longer] {
            assert_eq!(check_name(name), Err(ObjectStoreRefusal::BadName), "{name:?}");
        }
    }

    #[test]
    fn a_name_is_under_all_above_it() {
        assert_eq!(prefixes("a/b/c").collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert_eq!(prefixes("a").collect::<Vec<_>>(), ["a"]);
    }
}
