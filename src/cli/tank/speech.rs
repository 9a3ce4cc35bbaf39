//! What commands say: results on standard output, everything else on standard error. A reader that
//! has gone is no error.

use crate::{
    cli::tank::run,
    cli::{CliError, Outcome},
};
use std::{
    io::{ErrorKind, IsTerminal, Write},
    path::PathBuf,
};

/// Writes a text and a line's end to standard output.
pub fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// Writes a line to standard error.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether a `--json` asks for standard output, so that nothing else may be said there.
pub fn is_stdout(json: Option<&PathBuf>) -> bool {
    json.is_some_and(|path| path.as_os_str() == "-")
}

/// Writes a JSON value to a file, or to standard output for `-`.
pub fn write_json(path: &PathBuf, value: &serde_json::Value) -> Result<(), CliError> {
    if is_stdout(Some(path)) { print(&format!("{value:#}")) } else { run::write_json(path, value) }
}

/// A text in the colour of an outcome, if a person reads it on a terminal.
pub fn paint(text: &str, outcome: Outcome) -> String {
    let wanted = std::io::stdout().is_terminal() && console::colors_enabled();
    let styled = console::style(text).force_styling(wanted);
    let styled = if outcome == Outcome::Held { styled.green() } else { styled.red() };
    styled.to_string()
}
