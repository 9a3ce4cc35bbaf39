//! Keeping a failure: its folder is written aside and gets its name when what is needed to run it again is
//! in it and synced, so that whoever is killed leaves a whole one or none.

use super::{
    folder::{Failure, FolderError},
    run::RunOutcome,
};
use std::{
    io,
    path::{Path, PathBuf},
};

/// What a fresh process writes for people.
const EVIDENCE: [&str; 4] = ["report.txt", "history.txt", "trace.jsonl", "fates.jsonl"];
/// The folder, below that of all failures, of those that are being written.
const ASIDE: &str = ".new";
/// Others may take a name at the same time, but hardly so often.
const TRIES_MAX: usize = 1000;

/// Makes what a folder lists durable.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn sync(folder: &Path) -> Result<(), FolderError> {
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| FolderError::of(folder, error))
}

/// A folder that is being written; gone when this is dropped, unless it got a name.
#[derive(Debug)]
pub struct Aside(PathBuf);

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
        remove_orphans(&all);
        let own = std::process::id();
        for number in 0..TRIES_MAX {
            let folder = all.join(format!("{own}-{number}"));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Aside(folder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(FolderError::of(&folder, error)),
            }
        }
        Err(FolderError::of(&all, io::ErrorKind::AlreadyExists.into()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it the failure's name, or finds the very same run there already.
    #[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
    fn give_name(&self, failures: &Path, failure: &Failure) -> Result<PathBuf, FolderError> {
        sync(&self.0)?;
        for _ in 0..TRIES_MAX {
            let folder = place(failures, failure);
            if folder.exists() {
                // Perhaps with a reader's notes and a plan cut down.
                return Ok(folder);
            }
            match std::fs::rename(&self.0, &folder) {
                Ok(()) => {
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
            let (from, to) = (self.0.join(name), folder.join(name));
            if from.exists() && !to.exists() {
                std::fs::rename(&from, &to).map_err(|error| FolderError::of(&to, error))?;
            }
        }
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Removes what processes were writing that are no more.
#[expect(clippy::disallowed_methods, reason = "failure folders are the harness's own files")]
fn remove_orphans(all: &Path) {
    for entry in std::fs::read_dir(all).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.split('-').next().and_then(|owner| owner.parse::<u32>().ok());
        if owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists()) {
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

/// A place for a failure under a folder: that of the very same run if it is kept already, else its
/// name or one that nothing else has.
fn place(failures: &Path, failure: &Failure) -> PathBuf {
    let same = |path: &Path| {
        Failure::load(path).is_ok_and(|there| there.record.digest == failure.record.digest)
    };
    let name = failure.name();
    let numbered = (2..).map(|number| failures.join(format!("{name}-{number}")));
    std::iter::once(failures.join(&name))
        .chain(numbered)
        .find(|path| !path.exists() || same(path))
        .expect("some number is free")
}
