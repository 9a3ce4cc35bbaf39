//! Starts a supervisor that outlives the command, and waits until its cluster is as the command wants it.

use super::{
    folder::ClusterFolder,
    state::{ClusterFile, ClusterState, RunningCluster},
    stop::terminate,
    supervisor::size_again,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::Size,
        supervised::{End, run_supervised},
        text::{Narrator, say, warn},
    },
    host::Host,
};
use std::{
    fs::File,
    os::unix::process::CommandExt,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// From look to look.
pub(super) const TICK: Duration = Duration::from_millis(20);
/// How long a supervisor may take to end.
const END_MAX: Duration = Duration::from_secs(10);
/// Lines of the log that are shown where a cluster does not come up.
const LINES_SHOWN: usize = 20;

/// A cluster that is to be started.
pub struct Launch<'a> {
    /// Where.
    pub folder: &'a ClusterFolder,
    /// What it consists of.
    pub size: Size,
    /// How long it may take.
    pub within: Duration,
    /// Which tracing lines its processes print.
    pub log: &'a str,
}

/// What came of it.
pub enum Launched<T> {
    /// It is as it was wanted; it goes on without this command.
    Ready(T),
    /// It is not, which has been told, and nothing of it runs.
    Ended(Outcome),
}

/// The supervisor of a cluster that is being started.
pub struct Starting<'a> {
    /// Where the cluster is.
    pub folder: &'a ClusterFolder,
    child: Child,
    /// What is not there yet.
    missing: String,
}

impl Launch<'_> {
    /// Starts it in a folder that is claimed, and waits until `ready` is. The supervisor has the lock of the folder
    /// from its first instant until its end. Where it does not come up in time it is ended again.
    pub fn run<T>(
        &self,
        lock: File,
        narrator: &Narrator,
        ready: impl AsyncFnOnce(&Host, &mut Starting) -> Result<T, CliError>,
    ) -> Result<Launched<T>, CliError> {
        ClusterFile::write(self.folder.path(), ClusterState::Starting { pid: None })?;
        let child = self.start(lock)?;
        let missing = "its servers do not listen yet".to_string();
        let mut starting = Starting { folder: self.folder, child, missing };
        let end = run_supervised(self.folder.path(), Some(self.within), async |host| {
            ready(&host, &mut starting).await
        });
        narrator.clear();
        let why = match end {
            Ok(End::Finished(ready)) => return Ok(Launched::Ready(ready)),
            Ok(End::Interrupted) => {
                self.end(&mut starting.child, "its start was interrupted")?;
                say("interrupted; every process is ended");
                return Ok(Launched::Ended(Outcome::Interrupted));
            }
            Ok(End::Overdue) => format!("within {:?}: {}", self.within, starting.missing),
            Err(error) => error.to_string(),
        };
        self.end(&mut starting.child, &format!("it did not come up: {why}"))?;
        let (shown, log) = (self.folder.last_lines(LINES_SHOWN), self.folder.log_file());
        let told =
            format!("the cluster did not come up: {why}; the last lines of {}:", log.display());
        warn(&shown.iter().fold(told, |told, line| format!("{told}\n  {line}")));
        Ok(Launched::Ended(Outcome::Stuck))
    }

    fn start(&self, lock: File) -> Result<Child, CliError> {
        let output = self.folder.new_log()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wavetank").args(["supervisor", "--log", self.log, "--data"]);
        command.arg(self.folder.path()).args(size_again(self.size));
        command.stdin(lock).stdout(output.try_clone()?).stderr(output);
        // A Ctrl-C, and the end of the terminal, are not for it.
        command.process_group(0);
        let started = command.spawn();
        started.map_err(|error| CliError::new(format!("no process could be started: {error}")))
    }

    /// Ends what was begun, and leaves the reason.
    fn end(&self, supervisor: &mut Child, why: &str) -> Result<(), CliError> {
        end_supervisor(supervisor)?;
        // Unless the next one has started meanwhile.
        if let Ok(_lock) = self.folder.claim() {
            let state = ClusterState::Ended { why: why.to_string() };
            ClusterFile::write(self.folder.path(), state)?;
        }
        Ok(())
    }
}

impl Starting<'_> {
    /// The process id of the supervisor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Notes what is not there yet, for a person.
    pub fn miss(&mut self, what: &str) {
        self.missing = what.to_string();
    }

    /// What is not there yet.
    pub fn missing(&self) -> &str {
        &self.missing
    }

    /// That the supervisor has not ended.
    ///
    /// # Errors
    /// That it has, with the reason in its own words if it has left any.
    pub fn goes_on(&mut self) -> Result<(), CliError> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        Err(CliError::new(match ClusterFile::read(self.folder.path()) {
            Ok(Some(ClusterFile { state: ClusterState::Ended { why }, .. })) => why,
            _ => format!("its supervisor has ended ({status})"),
        }))
    }

    /// The cluster, once its servers listen.
    pub fn running(&self) -> Result<Option<RunningCluster>, CliError> {
        let file = ClusterFile::read(self.folder.path())?;
        Ok(file.and_then(|file| match file.state {
            ClusterState::Running(cluster) if cluster.pid == self.pid() => Some(cluster),
            _ => None,
        }))
    }
}

/// Ends a supervisor and all its processes.
fn end_supervisor(supervisor: &mut Child) -> Result<(), CliError> {
    #[expect(clippy::disallowed_methods, reason = "how long a person waits is no part of a run")]
    let since = Instant::now();
    while supervisor.try_wait()?.is_none() {
        terminate(supervisor.id())?;
        if since.elapsed() > END_MAX {
            supervisor.kill()?;
            supervisor.wait()?;
            break;
        }
        #[expect(clippy::disallowed_methods, reason = "nothing else is to be done meanwhile")]
        std::thread::sleep(TICK);
    }
    Ok(())
}
