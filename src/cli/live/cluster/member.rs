//! One process of a cluster, through all its lives.

use crate::{
    cli::live::{CliError, process::Process, text::Narrator},
    host::{Instant, NodeAddress},
};
use std::{collections::VecDeque, ffi::OsString, path::Path, time::Duration};

/// How often a process may end by itself within [`DEATHS_WINDOW`]; what it did before is forgotten.
const DEATHS_MAX: usize = 10;
const DEATHS_WINDOW: Duration = Duration::from_secs(60);
/// The pause before the next life, doubled for each death in the window that came in the same way.
const RESTART_DELAY: Duration = Duration::from_secs(1);
/// Short enough that a process which dies at once still dies too often within the window.
const RESTART_DELAY_MAX: Duration = Duration::from_secs(5);

/// A process that is started again whenever it ends, or ends without having finished.
pub struct Member {
    name: String,
    arguments: Vec<OsString>,
    /// Those behind the `--`.
    passed: Vec<OsString>,
    state: State,
    address: Option<NodeAddress>,
    deaths: Deaths,
    /// Its next lives are to listen where this one does.
    keeps_port: bool,
    /// One that ends well has done all that it had to.
    may_finish: bool,
    /// It has one life, however that ends.
    once: bool,
    /// What it has begun it ends, once it is asked to end.
    drains: bool,
}

enum State {
    Waiting { until: Instant },
    Running(Process),
    Finished { last_line: Option<String> },
}

impl Member {
    /// A process with a folder of its own name, to be started at once.
    pub fn new(role: &str, name: String, folder: &Path, log: &str, now: Instant) -> Self {
        let data = folder.join(&name);
        let mut arguments: Vec<OsString> =
            [role, "--name", &name, "--log", log, "--data"].map(Into::into).into();
        arguments.push(data.into());
        let state = State::Waiting { until: now };
        Member {
            name,
            arguments,
            passed: Vec::new(),
            state,
            address: None,
            deaths: Deaths::default(),
            keeps_port: false,
            may_finish: false,
            once: false,
            drains: false,
        }
    }

    /// It is never started again, however it ends.
    pub fn living_once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The port on which it listens first is its own from then on.
    pub fn keeping_port(mut self) -> Self {
        self.keeps_port = true;
        self
    }

    /// When it ends well it is not started again.
    pub fn finishing(mut self) -> Self {
        self.may_finish = true;
        self
    }

    /// Asked to end it ends what it has begun first.
    pub fn draining(mut self) -> Self {
        self.drains = true;
        self
    }

    /// Whether it ends what it has begun, once it is asked to end.
    pub fn drains(&self) -> bool {
        self.drains
    }

    /// Gives one more option to its next lives.
    pub fn set(&mut self, option: &str, value: impl Into<OsString>) {
        self.arguments.extend([option.into(), value.into()]);
    }

    /// Gives its next lives arguments that it hands on.
    pub fn pass<A: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = A>) {
        self.passed.extend(arguments.into_iter().map(Into::into));
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens in its present life, once it has said so.
    pub fn address(&self) -> Option<&NodeAddress> {
        self.address.as_ref()
    }

    /// Its process id in its present life.
    pub fn id(&self) -> Option<u32> {
        match &self.state {
            State::Running(process) => Some(process.id()),
            State::Waiting { .. } | State::Finished { .. } => None,
        }
    }

    /// Asks it to end, if it runs.
    pub fn terminate(&self) {
        if let State::Running(process) = &self.state {
            process.terminate();
        }
    }

    /// Whether its process runs. One of which that can't be told does not.
    pub fn is_running(&mut self) -> bool {
        match &mut self.state {
            State::Running(process) => matches!(process.ended(), Ok(None)),
            State::Waiting { .. } | State::Finished { .. } => false,
        }
    }

    /// Whether it has done all that it had to.
    pub fn has_finished(&self) -> bool {
        matches!(self.state, State::Finished { .. })
    }

    /// What one that has done all that it had to has said last, beside where it listens.
    pub fn last_line(&self) -> Option<&str> {
        match &self.state {
            State::Finished { last_line } => last_line.as_deref(),
            State::Waiting { .. } | State::Running(_) => None,
        }
    }

    /// Notes what has happened to the process and does what is due.
    pub fn tend(&mut self, now: Instant, narrator: &Narrator) -> Result<(), CliError> {
        match &mut self.state {
            State::Running(process) => {
                let (announced, ended) = (process.try_announced(), process.ended()?);
                let last_line = ended.and_then(|_| process.try_last_line());
                if let Some(line) = announced {
                    self.listens_at(line.parse()?, narrator);
                }
                match ended {
                    None => {}
                    Some(status) if status.success() && self.may_finish => {
                        if let Some(last_line) = last_line {
                            self.address = None;
                            self.state = State::Finished { last_line };
                            narrator.say(&format!("{} has finished", self.name));
                        }
                    }
                    Some(status) if self.once => {
                        self.state = State::Finished { last_line: None };
                        narrator.say(&format!("{} has ended ({status})", self.name));
                    }
                    Some(status) => self.on_exit(&status.to_string(), now, narrator)?,
                }
            }
            State::Waiting { until } if *until <= now => {
                let process = Process::start(&self.all_arguments())?;
                narrator.say(&format!("started {} (pid {})", self.name, process.id()));
                self.state = State::Running(process);
            }
            State::Waiting { .. } | State::Finished { .. } => {}
        }
        Ok(())
    }

    fn all_arguments(&self) -> Vec<OsString> {
        let mut all = self.arguments.clone();
        if !self.passed.is_empty() {
            all.push("--".into());
            all.extend(self.passed.iter().cloned());
        }
        all
    }

    fn listens_at(&mut self, address: NodeAddress, narrator: &Narrator) {
        if std::mem::take(&mut self.keeps_port) {
            self.set("--port", address.port.to_string());
            narrator.say(&format!("{} listens on {address}", self.name));
        }
        self.address = Some(address);
    }

    fn on_exit(&mut self, status: &str, now: Instant, narrator: &Narrator) -> Result<(), CliError> {
        let died = format!("{} has ended by itself ({status})", self.name);
        let Some(repeated) = self.deaths.note(status, Duration::from_nanos(now.as_nanos())) else {
            let text = format!("{died}, {} times within {DEATHS_WINDOW:?}", DEATHS_MAX + 1);
            return Err(CliError::new(text));
        };
        let delay = RESTART_DELAY.saturating_mul(1 << repeated.min(16)).min(RESTART_DELAY_MAX);
        // The same again is told when it has come twice as often.
        if (repeated + 1).is_power_of_two() {
            let times = match repeated {
                0 => String::new(),
                _ => format!(" for the {}th time within {DEATHS_WINDOW:?}", repeated + 1),
            };
            narrator.say(&format!("{died}{times}; it is started again in {delay:?}"));
        }
        self.restart_later(now + delay);
        Ok(())
    }

    /// Kills the process, if it runs; it comes back in a while. Returns its process id.
    pub fn kill(&mut self, now: Instant) -> Option<u32> {
        let State::Running(process) = &self.state else { return None };
        let id = process.id();
        self.restart_later(now + RESTART_DELAY);
        Some(id)
    }

    /// A process that still runs is killed as it is dropped.
    fn restart_later(&mut self, until: Instant) {
        self.address = None;
        self.state = State::Waiting { until };
    }
}

/// When and how a process ended by itself lately.
#[derive(Default)]
struct Deaths {
    recent: VecDeque<(Duration, String)>,
}

impl Deaths {
    /// Notes one at a reading of a clock; returns how many before it, and after any of another kind, were the same. `None` when
    /// there were too many of any kind.
    fn note(&mut self, status: &str, now: Duration) -> Option<u32> {
        while self.recent.front().is_some_and(|(at, _)| *at + DEATHS_WINDOW <= now) {
            self.recent.pop_front();
        }
        let same = self.recent.iter().rev().take_while(|(_, known)| known == status).count();
        self.recent.push_back((now, status.to_string()));
        (self.recent.len() <= DEATHS_MAX).then_some(u32::try_from(same).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn deaths_over_a_long_life_are_forgotten_and_many_in_a_while_are_too_many() {
        let mut deaths = Deaths::default();
        for n in 0..100 {
            assert!(deaths.note("killed", at(n * 20)).is_some(), "three in a window");
        }
        let mut deaths = Deaths::default();
        let noted: Vec<_> = (0..12).map(|n| deaths.note("exit 1", at(n))).collect();
        assert_eq!(noted[..3], [Some(0), Some(1), Some(2)]);
        assert_eq!(noted[9..], [Some(9), None, None]);
    }

    #[test]
    fn only_the_same_again_is_a_repetition() {
        let mut deaths = Deaths::default();
        let ends = ["exit 1", "exit 1", "killed", "exit 1", "exit 1"];
        let noted = ends.map(|status| deaths.note(status, at(1)));
        assert_eq!(noted, [Some(0), Some(1), Some(0), Some(0), Some(1)]);
        assert_eq!(deaths.note("exit 1", at(61)), Some(0), "the window has passed");
    }

    #[test]
    fn a_process_that_dies_at_once_dies_too_often() {
        let (mut deaths, mut now) = (Deaths::default(), at(0));
        for _ in 0..=DEATHS_MAX {
            let Some(same) = deaths.note("exit 1", now) else { return };
            now += RESTART_DELAY.saturating_mul(1 << same).min(RESTART_DELAY_MAX);
        }
        panic!("it would be started for ever");
    }
}
