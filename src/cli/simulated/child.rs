//! A process that prints digests, line by line; maybe another program altogether.

use super::CliError;
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{ChildStdout, Command, Stdio},
    thread::JoinHandle,
};

/// How the first line of a process that prints digests begins; the number grows with the form of what
/// follows.
pub const HEADER: &str = "wavetank-digest 1";

/// The most bytes of a line.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// The most bytes that are kept of what a process says on standard error.
const COMPLAINT_BYTES_MAX: u64 = 4096;
/// Letters of what somebody else printed that an error shows.
const SHOWN_MAX: usize = 60;

/// A process; it ends with this.
pub struct Child {
    process: std::process::Child,
    /// As a person knows it.
    name: String,
    lines: BufReader<ChildStdout>,
    complaint: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts a program.
    #[expect(
        clippy::disallowed_methods,
        reason = "a pipe that nobody reads would stop the process"
    )]
    pub fn start(program: &Path, name: &str, arguments: &[String]) -> Result<Self, CliError> {
        let failed = |error: std::io::Error| CliError::new(format!("{name}: {error}"));
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let lines = BufReader::new(process.stdout.take().expect("it was asked for"));
        let mut stderr = process.stderr.take().expect("it was asked for");
        let complaint = std::thread::Builder::new().spawn(move || {
            let mut told = Vec::new();
            let _ = (&mut stderr).take(COMPLAINT_BYTES_MAX).read_to_end(&mut told);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
            String::from_utf8_lossy(&told).trim().to_string()
        });
        let complaint = Some(complaint.map_err(failed)?);
        Ok(Child { process, name: name.to_string(), lines, complaint })
    }

    fn error(&self, what: impl std::fmt::Display) -> CliError {
        CliError::new(format!("{}: {what}", self.name))
    }

    /// The next line; nothing when the process has ended well.
    ///
    /// # Errors
    /// When it has ended otherwise, with what it said of it.
    pub fn line(&mut self) -> Result<Option<String>, CliError> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        read.map_err(|error| self.error(error))?;
        let whole = line.last() == Some(&b'\n');
        if !whole && line.len() as u64 == LINE_BYTES_MAX {
            return Err(self.error("it printed a line without an end: it is no build of wavetank"));
        }
        if !whole {
            self.end()?;
        }
        let text = String::from_utf8_lossy(&line);
        Ok((!line.is_empty()).then(|| text.trim_end_matches('\n').to_string()))
    }

    /// Waits for its end, which must be a good one.
    fn end(&mut self) -> Result<(), CliError> {
        let status = self.process.wait().map_err(|error| self.error(error))?;
        let complaint = self.complaint.take().and_then(|thread| thread.join().ok());
        match (status.success(), complaint.unwrap_or_default()) {
            (true, _) => Ok(()),
            (false, said) if said.is_empty() => Err(self.error(format!(
                "it ended with {status} and said nothing; is it a build of wavetank?"
            ))),
            (false, said) => Err(self.error(format!("it ended with {status}: {}", shown(&said)))),
        }
    }

    /// The first line must be this.
    pub fn expect_header(&mut self, header: &str) -> Result<(), CliError> {
        let Some(line) = self.line()? else {
            return Err(self.error("it printed nothing: it is no build of wavetank"));
        };
        if line == header {
            return Ok(());
        }
        let line = shown(&line);
        Err(match line.strip_prefix("wavetank-digest ") {
            Some(_) => self.error(format!("it answers \"{line}\", expected \"{header}\"")),
            None => self.error(format!(
                "it printed \"{line}\": it is no build of wavetank, or an older one"
            )),
        })
    }

    /// The next line, which must be that of a seed.
    pub fn line_of(&mut self, seed: u64) -> Result<String, CliError> {
        let Some(line) = self.line()? else {
            return Err(self.error(format!("it ended before seed {seed}")));
        };
        let told = line.split(' ').next().and_then(|told| told.parse().ok());
        match told == Some(seed) && line.split(' ').count() >= 4 {
            true => Ok(line),
            false => {
                Err(self
                    .error(format!("expected the run of seed {seed}, found \"{}\"", shown(&line))))
            }
        }
    }

    /// Nothing more may come.
    pub fn expect_end(&mut self) -> Result<(), CliError> {
        match self.line()? {
            None => Ok(()),
            Some(line) => {
                Err(self.error(format!("after the last seed it printed \"{}\"", shown(&line))))
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What somebody else printed, as far as a person wants to see it.
fn shown(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    crate::harness::language::cut(&plain.collect::<String>(), SHOWN_MAX)
}
