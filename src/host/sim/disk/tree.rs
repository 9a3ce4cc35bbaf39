//! The names on a disk, and the operations that change them.

use super::inode::InodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

/// Which names there are.
#[derive(Clone, Default)]
pub(super) struct Tree {
    pub files: BTreeMap<String, InodeId>,
    /// Without the root, which is always there.
    pub directories: BTreeSet<String>,
}

/// A metadata operation.
pub(super) enum Entry {
    Create { path: String, inode: InodeId },
    CreateDir { path: String },
    Rename { from: String, to: String },
    Remove { path: String },
}

impl Entry {
    pub fn touches(&self, dir: &str) -> bool {
        match self {
            Entry::Create { path, .. } | Entry::CreateDir { path } | Entry::Remove { path } => {
                parent(path) == dir
            }
            Entry::Rename { from, to } => parent(from) == dir || parent(to) == dir,
        }
    }
}

impl Tree {
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Create { path, inode } => {
                self.files.insert(path.clone(), *inode);
            }
            Entry::CreateDir { path } => {
                self.directories.insert(path.clone());
            }
            Entry::Rename { from, to } => {
                let inode = self.files.remove(from).expect("the journal is in order");
                self.files.insert(to.clone(), inode);
            }
            Entry::Remove { path } => {
                self.files.remove(path);
            }
        }
    }

    pub fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.directories.contains(path)
    }

    pub fn need_dir(&self, path: &str) -> io::Result<()> {
        if self.is_dir(path) {
            return Ok(());
        }
        let file_above = ancestors(path).any(|above| self.files.contains_key(above));
        Err(if file_above { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound }.into())
    }

    /// The file at `path`, `None` when the name is free and its directory is there.
    pub fn file(&self, path: &str) -> io::Result<Option<InodeId>> {
        self.need_dir(parent(path))?;
        if self.is_dir(path) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(self.files.get(path).copied())
    }
}

/// The path itself and every directory above it but the root.
pub(super) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

pub(super) fn check_path(path: &str) -> io::Result<()> {
    let wrong = |name: &str| name.is_empty() || name == "." || name == "..";
    if path.split('/').any(wrong) { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

pub(super) fn check_dir_path(path: &str) -> io::Result<()> {
    if path.is_empty() { Ok(()) } else { check_path(path) }
}
