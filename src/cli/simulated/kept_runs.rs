//! The runs of a sweep as lines of a file, for `query`.

use super::CliError;
use crate::harness::{explore::ShortRun, run::SweepRun};
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// A file that is being written, a line for each run.
pub struct KeptRuns {
    path: PathBuf,
    file: BufWriter<File>,
    /// The first thing that went wrong.
    error: Option<io::Error>,
}

impl KeptRuns {
    /// Begins a file, in the place of one that is there.
    #[expect(clippy::disallowed_methods, reason = "a command writes files of its user")]
    pub fn create(path: &Path) -> Result<Self, CliError> {
        let file = File::create(path);
        let file = file.map_err(|error| CliError::new(format!("{}: {error}", path.display())))?;
        Ok(KeptRuns { path: path.to_path_buf(), file: BufWriter::new(file), error: None })
    }

    /// Adds a run. What can't be written is told at the end.
    pub fn add(&mut self, run: &SweepRun) {
        let line = serde_json::to_string(&ShortRun::of(&run.outcome));
        let line = line.expect("it has string keys only");
        if self.error.is_none() {
            self.error = writeln!(self.file, "{line}").err();
        }
    }

    /// Writes what is left.
    pub fn end(mut self) -> Result<(), CliError> {
        let error = self.error.take().or_else(|| self.file.flush().err());
        let told = error.map(|error| CliError::new(format!("{}: {error}", self.path.display())));
        told.map_or(Ok(()), Err)
    }
}
