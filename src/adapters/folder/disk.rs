//! What the crate `object_store` has no calls for: names that are to outlive the loss of power, locks, and whether a
//! folder is one of objects.
#![expect(clippy::disallowed_methods, reason = "the folder is on no node's disk")]

use super::layout::{LOCKS, OBJECTS, SEALED};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The file that says that a folder is one of objects.
const KIND_FILE: &str = "wavetank-object-store";
/// What stands in it.
const KIND: &str = "format 1\n";

/// How often a folder is removed again into which somebody puts something meanwhile.
const REMOVALS_MAX: u32 = 16;

/// Syncs the names in all folders from a file up to the root. One that has gone meanwhile has none.
pub fn sync_names(root: &Path, file: &Path) -> io::Result<()> {
    for folder in file.ancestors().skip(1) {
        match File::open(folder) {
            Ok(folder) => folder.sync_all()?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if folder == root {
            break;
        }
    }
    Ok(())
}

/// Takes a lock, unless somebody has it. It is held until the file is closed, by whatever ends this process too.
pub fn try_lock(root: &Path, number: u32) -> io::Result<Option<File>> {
    let path = root.join(LOCKS).join(number.to_string());
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes a folder with all that is in it; one that is not there is fine.
pub fn remove_folder(folder: &Path) -> io::Result<()> {
    let mut tries = 0..REMOVALS_MAX;
    loop {
        match fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // Somebody makes a file there, and will see that it may not be.
            Err(error)
                if error.kind() == ErrorKind::DirectoryNotEmpty && tries.next().is_some() => {}
            removed => return removed,
        }
    }
}

/// The root of a folder of objects, as the operating system names it.
pub fn open(folder: &Path) -> io::Result<PathBuf> {
    match has_kind(folder)? {
        true => fs::canonicalize(folder),
        false => Err(io::Error::new(
            ErrorKind::NotFound,
            format!("there is no {KIND_FILE}: it is no folder of objects, or is not mounted"),
        )),
    }
}

/// Whether that is a folder of objects.
fn has_kind(folder: &Path) -> io::Result<bool> {
    match fs::read_to_string(folder.join(KIND_FILE)) {
        Ok(kind) if kind == KIND => Ok(true),
        Ok(kind) => {
            let why = format!("{KIND_FILE} says {kind:?}, expected {KIND:?}");
            Err(io::Error::new(ErrorKind::InvalidData, why))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes an empty folder, which is there, one of objects. One that is one stays as it is.
pub fn prepare(folder: &Path) -> io::Result<()> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name()));
    let entries = entries.collect::<io::Result<Vec<_>>>()?;
    let is_of_disk = |name: &std::ffi::OsString| name == "lost+found";
    if !has_kind(folder)? {
        if let Some(name) = entries.iter().find(|name| !is_of_disk(name)) {
            let why = format!("it holds {name:?} and no {KIND_FILE}; take an empty folder");
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, why));
        }
        begin(folder)?;
    }
    for below in [OBJECTS, SEALED, LOCKS] {
        fs::create_dir_all(folder.join(below))?;
    }
    probe(&folder.join(LOCKS))?;
    File::open(folder)?.sync_all()
}

/// Writes what says that it is a folder of objects, whole.
fn begin(folder: &Path) -> io::Result<()> {
    let draft = folder.join(format!("{KIND_FILE}.draft-{}", std::process::id()));
    let mut file = File::create(&draft)?;
    file.write_all(KIND.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, folder.join(KIND_FILE))
}

/// Refuses a file system that has not what is needed.
fn probe(locks: &Path) -> io::Result<()> {
    let unsupported = |why: String| io::Error::new(ErrorKind::Unsupported, why);
    let [file, link, upper] = ["probe", "probe-link", "PROBE"]
        .map(|name| locks.join(format!("{name}-{}", std::process::id())));
    let made = File::create(&file)?;
    let probed = (|| {
        let locked = made.try_lock();
        locked.map_err(|error| unsupported(format!("files can't be locked there: {error}")))?;
        let linked = fs::hard_link(&file, &link);
        linked.map_err(|error| unsupported(format!("there are no hard links there: {error}")))?;
        match upper.try_exists()? {
            true => Err(unsupported("upper and lower case are one there".to_string())),
            false => Ok(()),
        }
    })();
    for left in [&link, &file] {
        // It is of no use to anybody, and in nobody's way.
        let _ = fs::remove_file(left);
    }
    probed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty folder, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            let folder =
                std::env::temp_dir().join(format!("wavetank-{test}-{}", std::process::id()));
            fs::create_dir_all(&folder).expect("a writable temporary folder");
            Folder(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_is_one_of_objects_once_it_was_prepared() {
        let Folder(root) = &Folder::new("objects-prepare");
        assert_eq!(open(root).expect_err("not yet").kind(), ErrorKind::NotFound);
        prepare(root).expect("it is empty");
        fs::write(root.join("objects/a="), "a").expect("space");
        prepare(root).expect("it is one");
        assert_eq!(open(root).expect("it is one"), fs::canonicalize(root).expect("it is there"));
        assert!(root.join("objects/a=").exists(), "what is there stays");
        assert_eq!(fs::read_dir(root.join(LOCKS)).expect("it is there").count(), 0);
        fs::write(root.join(KIND_FILE), "format 2\n").expect("space");
        assert_eq!(prepare(root).expect_err("unknown").kind(), ErrorKind::InvalidData);
        assert_eq!(open(root).expect_err("unknown").kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn what_holds_something_else_or_is_not_there_is_refused() {
        let Folder(root) = &Folder::new("objects-else");
        assert_eq!(prepare(&root.join("none")).expect_err("none").kind(), ErrorKind::NotFound);
        fs::create_dir(root.join("lost+found")).expect("space");
        fs::write(root.join("letters"), "a").expect("space");
        assert_eq!(prepare(root).expect_err("letters").kind(), ErrorKind::DirectoryNotEmpty);
        assert!(!root.join(KIND_FILE).exists());
        fs::remove_file(root.join("letters")).expect("its own");
        prepare(root).expect("that is nobody's");
    }

    #[test]
    fn a_lock_is_held_by_one_until_it_is_closed() {
        let Folder(root) = &Folder::new("objects-locks");
        prepare(root).expect("it is empty");
        let held = try_lock(root, 7).expect("locks").expect("nobody has it");
        assert!(try_lock(root, 7).expect("locks").is_none());
        assert!(try_lock(root, 8).expect("locks").is_some(), "another one");
        drop(held);
        assert!(try_lock(root, 7).expect("locks").is_some());
    }
}
