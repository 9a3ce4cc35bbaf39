//! What commands say: results on standard output, everything else on standard error. A reader that
//! has gone is no mistake.

use crate::cli::{CliError, Outcome};
use std::{
    io::{ErrorKind, IsTerminal, Write},
    path::{Path, PathBuf},
};

/// Prints a line or several on standard output. If it can't be written, as on a full disk, the command
/// ends.
#[expect(clippy::disallowed_methods, reason = "nothing that matters is open")]
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            note(&format!("wavetank: standard output: {error}"));
            std::process::exit(Outcome::BadInput as i32);
        }
        _ => {}
    }
}

/// Refuses a file that can't be written before long work is done for it.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn check_writable(path: Option<&Path>) -> Result<(), CliError> {
    let Some(path) = path.filter(|path| path.as_os_str() != "-") else { return Ok(()) };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|error| at(path, &error))
}

/// What it comes to that a file was written, or not: then it is told.
pub fn written(result: Result<(), CliError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed,
        Err(error) => {
            note(&format!("wavetank: {error}"));
            Outcome::BadInput
        }
    }
}

/// Prints a line on standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a `--json` asks for standard output, so that nothing else may be said there.
pub fn is_stdout(json: Option<&PathBuf>) -> bool {
    json.is_some_and(|path| path.as_os_str() == "-")
}

/// Writes a JSON value to a file, or to standard output for `-`.
pub fn write_json(path: &Path, value: &serde_json::Value) -> Result<(), CliError> {
    write_file(path, &format!("{value:#}\n"))
}

/// Writes a text to a file, or to standard output for `-`.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn write_file(path: &Path, text: &str) -> Result<(), CliError> {
    if path.as_os_str() == "-" {
        out(text.trim_end_matches('\n'));
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| at(path, &error))
}

/// Writes a new file and the folder in which it stands, whole or not at all; one that is there already
/// stays as it is.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let there =
        || CliError::new(format!("{}: it is there already; nothing was written", path.display()));
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    if path.exists() {
        return Err(there());
    }
    // Under this name nobody takes it for a scenario or a snapshot.
    let aside = folder.join(format!(".new-{}", std::process::id()));
    let written = std::fs::File::create(&aside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    // A link, unlike a new name, never takes the place of a file that somebody has made since.
    let named = written.and_then(|()| std::fs::hard_link(&aside, path));
    let _ = std::fs::remove_file(&aside);
    named.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there(),
        _ => at(path, &error),
    })
}

fn at(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(format!("{}: {error}", path.display()))
}

/// A text in the colour of an outcome, if a person reads it on a terminal.
pub fn paint(text: &str, outcome: Outcome) -> String {
    let wanted = std::io::stdout().is_terminal() && console::colors_enabled();
    let styled = console::style(text).force_styling(wanted);
    let styled = if outcome == Outcome::Passed { styled.green() } else { styled.red() };
    styled.to_string()
}
