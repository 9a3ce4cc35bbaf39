//! The folder in which a live cluster's nodes keep their data.

use super::{CliError, text::warn};
use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The file whose lock says that a folder is in use.
pub const IN_USE: &str = "in-use";

/// A data folder that belongs to this command alone while it runs.
pub struct DataFolder {
    path: PathBuf,
    kept: bool,
    /// Held until the end, against a second cluster on the same files.
    _lock: File,
}

impl DataFolder {
    /// The folder that was given, or a temporary one that is removed at the end.
    pub fn open(given: Option<&Path>, purpose: &str) -> Result<Self, CliError> {
        let path = given.map_or_else(|| temporary(purpose), Path::to_path_buf);
        let unusable = |error: io::Error| {
            CliError::new(format!("data folder {}: {error}; choose another", path.display()))
        };
        let lock = make(&path).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => Ok(DataFolder { path, kept: given.is_some(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let text = format!("data folder {}: another run is using it", path.display());
                Err(CliError::new(text))
            }
            Err(TryLockError::Error(error)) => Err(unusable(error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it stays when the command ends.
    pub fn kept(&self) -> bool {
        self.kept
    }

    /// Lets it stay for a person to look at.
    pub fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            warn(&format!("{} could not be removed: {error}", self.path.display()));
        }
    }
}

/// Makes the folder of a node that belongs to this process alone until it ends. An orphan of a
/// cluster that was killed may still be at its end; it is waited for.
pub fn claim(path: &Path) -> io::Result<File> {
    let lock = make(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            warn(&format!("waits for the end of another process in {}", path.display()));
            lock.lock()?;
            Ok(lock)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a folder, and the file whose lock says that it is in use.
#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
pub fn make(path: &Path) -> io::Result<File> {
    std::fs::create_dir_all(path)?;
    File::create(path.join(IN_USE))
}

/// A file with this ending is being written, and was not whole if it is found.
pub const DRAFT: &str = ".draft";

/// Whether that is the name of a file that was not written to its end.
pub fn is_draft(name: &str, of: &str) -> bool {
    name.strip_suffix(DRAFT) == Some(of)
}

/// Writes a file whole or not at all, whenever this process is killed.
#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT);
    let written = || {
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&draft, path)
    };
    written().map_err(|error: io::Error| CliError::new(format!("{}: {error}", path.display())))
}

#[expect(clippy::disallowed_methods, reason = "only a name that nobody else has")]
fn temporary(purpose: &str) -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    let unique = format!("{}-{:08x}", std::process::id(), now.unwrap_or_default().subsec_nanos());
    std::env::temp_dir().join(format!("wavetank-{purpose}-{unique}"))
}
