//! What a data folder keeps of a run, so that the command can go on with it.

use super::{CliError, origin::Origin, text::Text};
use crate::{
    cli::live::folder::{DRAFT, IN_USE, write_whole},
    system::ids::JobId,
};
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// The file that says what the folder's run is; written last when a run begins.
const RUN_FILE: &str = "mini.json";
/// The text as it was when the run began.
const INPUT_FILE: &str = "input";
/// Of the contents of these files.
const FORMAT: u32 = 1;

/// The run of a data folder.
pub struct KeptRun {
    folder: PathBuf,
    record: Record,
    job: JobId,
}

#[derive(Clone, Serialize, Deserialize)]
struct Record {
    format: u32,
    job: String,
    from: Origin,
    checkpoint_interval_ms: u64,
    finished: bool,
}

impl KeptRun {
    /// Refuses a folder in which something else lies, before anything is written to it.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn check_folder(folder: &Path) -> Result<(), CliError> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(refused(folder, &format!("{error}; choose another"))),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        let drafts = [RUN_FILE, INPUT_FILE].map(|name| format!("{name}{DRAFT}"));
        // What a run leaves that was ended before it had begun.
        let early =
            |name: &str| name == IN_USE || name == INPUT_FILE || drafts.iter().any(|d| d == name);
        let foreign = names.iter().find(|name| !name.to_str().is_some_and(early));
        match foreign {
            Some(name) if !names.iter().any(|name| name == RUN_FILE) => {
                let text = format!(
                    "it holds {name:?} and no {RUN_FILE}, so it is not from this command; choose an \
                     empty folder or a new name"
                );
                Err(refused(folder, &text))
            }
            _ => Ok(()),
        }
    }

    /// The folder's run of this text; the first time, a new one.
    pub fn open(
        folder: &Path,
        text: &Text,
        new_job: JobId,
        from: Option<Origin>,
        checkpoint_interval: Duration,
    ) -> Result<(KeptRun, bool), CliError> {
        if let Some(kept) = KeptRun::load(folder)? {
            kept.check(text, from)?;
            return Ok((kept, true));
        }
        let record = Record {
            format: FORMAT,
            job: new_job.to_string(),
            from: from.unwrap_or(Origin::Text),
            checkpoint_interval_ms: u64::try_from(checkpoint_interval.as_millis())?,
            finished: false,
        };
        let kept = KeptRun { folder: folder.to_path_buf(), record, job: new_job };
        write_whole(&kept.input(), text.bytes())?;
        kept.save(&kept.record)?;
        Ok((kept, false))
    }

    /// The folder's run, if it has one.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn load(folder: &Path) -> Result<Option<KeptRun>, CliError> {
        let path = folder.join(RUN_FILE);
        let unreadable = |why: String| {
            let text = format!("{RUN_FILE} can't be read ({why}); choose another folder");
            refused(folder, &text)
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let record: Record =
            serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        if record.format != FORMAT {
            return Err(unreadable(format!("format {}, expected {FORMAT}", record.format)));
        }
        let job = record.job.parse().map_err(unreadable)?;
        Ok(Some(KeptRun { folder: folder.to_path_buf(), record, job }))
    }

    fn check(&self, text: &Text, from: Option<Origin>) -> Result<(), CliError> {
        let state = if self.is_finished() { "a finished" } else { "an unfinished" };
        let kept = Text::read(&self.input())?;
        if kept.bytes() != text.bytes() {
            let text = format!(
                "it holds {state} run of another text, which is kept as {} ({} bytes; this one has \
                 {}); give that one as --input, or choose another folder",
                self.input().display(),
                kept.bytes().len(),
                text.bytes().len()
            );
            return Err(refused(&self.folder, &text));
        }
        match from {
            Some(wanted) if wanted != self.from() => {
                let text = format!(
                    "it holds {state} run with --from {}; say so too, or choose another folder",
                    self.from()
                );
                Err(refused(&self.folder, &text))
            }
            _ => Ok(()),
        }
    }

    /// Its job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// From where the job reads.
    pub fn from(&self) -> Origin {
        self.record.from
    }

    /// From checkpoint to checkpoint.
    pub fn checkpoint_interval_ms(&self) -> u64 {
        self.record.checkpoint_interval_ms
    }

    /// Whether the job has finished.
    pub fn is_finished(&self) -> bool {
        self.record.finished
    }

    /// Where the data folder is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the text lies.
    pub fn input(&self) -> PathBuf {
        self.folder.join(INPUT_FILE)
    }

    /// Notes that the job has finished.
    pub fn finish(&self) -> Result<(), CliError> {
        self.save(&Record { finished: true, ..self.record.clone() })
    }

    fn save(&self, record: &Record) -> Result<(), CliError> {
        let bytes = serde_json::to_vec_pretty(record)?;
        write_whole(&self.folder.join(RUN_FILE), &bytes)
    }
}

fn refused(folder: &Path, why: &str) -> CliError {
    CliError::new(format!("data folder {}: {why}", folder.display()))
}
