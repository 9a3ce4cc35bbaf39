//! Keeping a failure: its folder is written aside and gets its name when what is needed to run it again is
//! in it and synced, so that whoever is killed leaves a whole one or none.

use super::folder::{Failure, FailureRecord, FolderError, save_evidence, save_report};
use crate::harness::run::RunOutcome;
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What a fresh process writes for people.
const EVIDENCE: [&str; 5] =
    ["report.txt", "report.html", "history.txt", "trace.jsonl", "fates.jsonl"];
/// The folder, below that of all failures, of those that are being written.
const ASIDE: &str = ".new";
/// The folder, below that of a failure, of its shrunk plan.
pub const SHRUNK: &str = "shrunk";
/// Others may take a name at the same time, but hardly so often.
const TRIES_MAX: usize = 1000;

/// Makes what a folder lists durable.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| FolderError::of(folder, error))
}

/// A folder that is being written; gone when this is dropped, unless it got a name.
#[derive(Debug)]
pub struct Aside {
    /// Its name is never used again, so nobody takes another's for it.
    folder: TempDir,
    /// Held while somebody writes it; `None` where folders can't be locked.
    _lock: Option<File>,
}

impl Aside {
    /// Makes one below the folder of all failures, and removes those that others left behind who are
    /// no more.
    ///
    /// # Errors
    /// [`FolderError`], naming the folder.
    #[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
    pub fn new(failures: &Path) -> Result<Self, FolderError> {
        let all = failures.join(ASIDE);
        std::fs::create_dir_all(&all).map_err(|error| FolderError::of(&all, error))?;
        let parent = failures.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new(".")))?;
        remove_orphans(&all);
        for _ in 0..TRIES_MAX {
            let folder = tempfile::Builder::new().prefix("").tempdir_in(&all);
            let folder = folder.map_err(|error| FolderError::of(&all, error))?;
            // Whoever removes orphans may have taken it for one before it was locked.
            match lock(folder.path()) {
                Ok(lock) if folder.path().exists() => {
                    return Ok(Aside { folder, _lock: Some(lock) });
                }
                Err(TryLockError::Error(_)) if folder.path().exists() => {
                    return Ok(Aside { folder, _lock: None });
                }
                _ => {}
            }
        }
        Err(FolderError::of(&all, io::ErrorKind::AlreadyExists.into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives it the failure's name, or finds the very same run there already.
    #[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
    fn give_name(self, failures: &Path, failure: &Failure) -> Result<PathBuf, FolderError> {
        sync(self.path())?;
        for _ in 0..TRIES_MAX {
            let folder = place(failures, failure);
            if folder.exists() {
                // Perhaps with a reader's notes and a plan cut down.
                return Ok(folder);
            }
            match std::fs::rename(self.path(), &folder) {
                Ok(()) => {
                    let _renamed = self.folder.keep();
                    sync(failures)?;
                    return Ok(folder);
                }
                // Somebody else has taken the name since.
                Err(_) if folder.exists() => {}
                Err(error) => return Err(FolderError::of(&folder, error)),
            }
        }
        Err(FolderError::of(failures, io::ErrorKind::AlreadyExists.into()))
    }

    /// Moves what was written for people to where the failure is kept, unless it is there.
    ///
    /// # Errors
    /// [`FolderError`], naming the file.
    #[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
    pub fn move_evidence(&self, folder: &Path) -> Result<(), FolderError> {
        for name in EVIDENCE {
            let (from, to) = (self.path().join(name), folder.join(name));
            if from.exists() && !to.exists() {
                std::fs::rename(&from, &to).map_err(|error| FolderError::of(&to, error))?;
            }
        }
        Ok(())
    }
}

/// The lock of a folder, which ends with its process.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn lock(folder: &Path) -> Result<File, TryLockError> {
    let lock = File::open(folder).map_err(TryLockError::Error)?;
    lock.try_lock().map(|()| lock)
}

/// Removes what processes were writing that are no more. Process numbers say nothing of that: they are
/// used again, and those of another container are unknown here.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn remove_orphans(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().filter_map(Result::ok) {
        if let Ok(_lock) = lock(&entry.path()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Keeps a failure below the folder of all failures, and returns its own: whole and durable, or an error
/// and nothing.
///
/// # Errors
/// [`FolderError`], naming the file.
pub fn keep(
    failures: &Path,
    failure: &Failure,
    outcome: &RunOutcome,
) -> Result<PathBuf, FolderError> {
    let aside = Aside::new(failures)?;
    failure.save(aside.path(), outcome)?;
    aside.give_name(failures, failure)
}

/// Keeps a shrunk plan in the folder of the failure that it is of, in the place of one that is there; `report` and
/// `page` are told where that is.
///
/// # Errors
/// [`FolderError`], naming the file.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
pub fn keep_shrunk(
    of: &Path,
    failure: &Failure,
    outcome: &RunOutcome,
    report: impl Fn(&Path) -> String,
    page: impl Fn(&Path) -> String,
) -> Result<PathBuf, FolderError> {
    let folder = of.join(SHRUNK);
    let aside = Aside::new(of)?;
    failure.save(aside.path(), outcome)?;
    save_evidence(aside.path(), outcome)?;
    save_report(aside.path(), &report(&folder), &page(&folder))?;
    sync(aside.path())?;
    let at = |error| FolderError::of(&folder, error);
    // What was there goes when the new one is there.
    let before = Aside::new(of)?;
    let old = before.path().join(SHRUNK);
    if folder.exists() {
        std::fs::rename(&folder, &old).map_err(at)?;
    }
    std::fs::rename(aside.path(), &folder).map_err(at)?;
    let _renamed = aside.folder.keep();
    drop(before);
    // Others may be writing beside it.
    let _ = std::fs::remove_dir(of.join(ASIDE));
    sync(of)?;
    Ok(folder)
}

/// A place for a failure under a folder: that of the very same run if it is kept already, else its
/// name or one that nothing else has.
fn place(failures: &Path, failure: &Failure) -> PathBuf {
    let same = |path: &Path| {
        FailureRecord::load(path).is_ok_and(|there| there.digest == failure.record.digest)
    };
    let name = failure.name();
    let numbered = (2..).map(|number| failures.join(format!("{name}-{number}")));
    std::iter::once(failures.join(&name))
        .chain(numbered)
        .find(|path| !path.exists() || same(path))
        .expect("some number is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_writes_any_more_is_removed_and_what_somebody_writes_is_not() {
        let failures = TempDir::new().expect("a place for files");
        let written = Aside::new(failures.path()).expect("a good disk");
        let orphan = failures.path().join(ASIDE).join("1-0");
        std::fs::create_dir(&orphan).expect("a good disk");
        let other = Aside::new(failures.path()).expect("a good disk");
        assert!(!orphan.exists(), "also when a process has its writer's number");
        assert!(written.path().exists() && other.path().exists());
        let place = written.path().to_path_buf();
        drop(written);
        assert!(!place.exists() && other.path().exists());
    }
}
