//! One process of a cluster, through all its lives.

use super::{CliError, process::Process, text::Narrator};
use crate::host::{Instant, NodeAddress};
use std::{ffi::OsString, path::Path, time::Duration};

/// How often a process may end without being killed.
const DEATHS_MAX: u32 = 10;
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// A process that is started again whenever it ends without having finished.
pub struct Member {
    name: String,
    arguments: Vec<OsString>,
    state: State,
    address: Option<NodeAddress>,
    deaths: u32,
    /// Its next lives are to listen where this one does.
    keeps_port: bool,
}

enum State {
    Waiting { until: Instant },
    Running(Process),
    Finished,
}

impl Member {
    /// A process with a folder of its own name, to be started at once.
    pub fn new(role: &str, name: String, folder: &Path, log: &str, now: Instant) -> Self {
        let data = folder.join(&name);
        let mut arguments: Vec<OsString> =
            [role, "--name", &name, "--log", log, "--data"].map(Into::into).into();
        arguments.push(data.into());
        let state = State::Waiting { until: now };
        Member { name, arguments, state, address: None, deaths: 0, keeps_port: false }
    }

    /// The port on which it listens first is its own from then on.
    pub fn keeping_port(mut self) -> Self {
        self.keeps_port = true;
        self
    }

    /// Gives one more option to its next lives.
    pub fn set(&mut self, option: &str, value: impl Into<OsString>) {
        self.arguments.extend([option.into(), value.into()]);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens in its present life, once it has said so.
    pub fn address(&self) -> Option<&NodeAddress> {
        self.address.as_ref()
    }

    /// Whether it has done all that it had to.
    pub fn has_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    /// Notes what has happened to the process and does what is due.
    pub fn tend(&mut self, now: Instant, narrator: &Narrator) -> Result<(), CliError> {
        match &mut self.state {
            State::Running(process) => {
                let (announced, ended) = (process.try_announced(), process.ended()?);
                if let Some(line) = announced {
                    self.listens_at(line.parse()?, narrator);
                }
                match ended {
                    None => {}
                    Some(status) if status.success() => self.state = State::Finished,
                    Some(status) => self.mourn(&status.to_string(), now, narrator)?,
                }
            }
            State::Waiting { until } if *until <= now => {
                let process = Process::start(&self.arguments)?;
                narrator.say(&format!("started {} (pid {})", self.name, process.id()));
                self.state = State::Running(process);
            }
            State::Waiting { .. } | State::Finished => {}
        }
        Ok(())
    }

    fn listens_at(&mut self, address: NodeAddress, narrator: &Narrator) {
        if std::mem::take(&mut self.keeps_port) {
            self.set("--port", address.port.to_string());
            narrator.say(&format!("{} listens on {address}", self.name));
        }
        self.address = Some(address);
    }

    fn mourn(&mut self, status: &str, now: Instant, narrator: &Narrator) -> Result<(), CliError> {
        self.deaths += 1;
        let died = format!("{} has ended by itself ({status})", self.name);
        if self.deaths > DEATHS_MAX {
            return Err(CliError::new(format!("{died}, for the {}th time", self.deaths)));
        }
        narrator.say(&format!("{died}; it is started again in {RESTART_DELAY:?}"));
        self.restart_later(now);
        Ok(())
    }

    /// Kills the process, if it runs; it comes back in a while. Returns its process id.
    pub fn kill(&mut self, now: Instant) -> Option<u32> {
        let State::Running(process) = &self.state else { return None };
        let id = process.id();
        self.restart_later(now);
        Some(id)
    }

    /// A process that still runs is killed as it is dropped.
    fn restart_later(&mut self, now: Instant) {
        self.address = None;
        self.state = State::Waiting { until: now + RESTART_DELAY };
    }
}
