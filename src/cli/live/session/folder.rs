//! The folder of a session cluster, and whether one runs in it.

use super::state::{ClusterFile, ClusterState, RunningCluster, STATE_FILE};
use crate::cli::live::{
    CliError,
    folder::{IN_USE, is_draft, make},
};
use clap::Args;
use serde_json::Value;
use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The file that says which job serves in a folder.
pub const SERVICE_FILE: &str = "service.json";
/// The file that says where a cluster's objects are, if they are not in its folder.
pub const OBJECT_STORE_FILE: &str = "object-store.json";
/// The folder when none is named.
const DEFAULT: &str = "wavetank-cluster";
/// What the supervisor and all processes print.
const LOG_FILE: &str = "supervisor.log";
/// What those before them printed.
const OLD_LOG_FILE: &str = "supervisor.log.old";
/// Another command that looks whether a cluster runs has the lock for an instant.
const LOOK_MAX: Duration = Duration::from_millis(300);

/// Which cluster is meant.
#[derive(Args, Clone, Debug)]
pub struct ClusterFolder {
    /// The folder of the cluster
    #[arg(long, value_name = "DIR", default_value = DEFAULT)]
    data: PathBuf,
}

/// What runs in a folder.
#[derive(Debug)]
pub enum Found {
    /// No cluster was ever started there.
    Nothing,
    /// One is being started, by the supervisor with this process id.
    Starting(Option<u32>),
    /// One runs.
    Running(RunningCluster),
    /// The last one has ended, for that reason.
    Ended(String),
}

impl Default for ClusterFolder {
    fn default() -> Self {
        ClusterFolder::new(Path::new(DEFAULT))
    }
}

impl ClusterFolder {
    /// A folder.
    pub fn new(path: &Path) -> Self {
        ClusterFolder { data: path.to_path_buf() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.data
    }

    /// What the supervisor and all processes print.
    pub fn log_file(&self) -> PathBuf {
        self.data.join(LOG_FILE)
    }

    /// What to type to start a cluster here.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn how_to_start(&self) -> String {
        // A service's cluster has front ends, too.
        let served = std::fs::read(self.data.join(SERVICE_FILE)).ok();
        let served = served.and_then(|file| serde_json::from_slice::<Value>(&file).ok());
        match served.as_ref().and_then(|file| file["service"].as_str()) {
            Some(service) => self.command(&format!("serve --job {service}")),
            None => self.command("start-cluster"),
        }
    }

    /// A command on this folder, as one types it.
    pub fn command(&self, command: &str) -> String {
        match self.data == Path::new(DEFAULT) {
            true => format!("cargo live {command}"),
            false => format!("cargo live {command} --data {}", self.data.display()),
        }
    }

    /// What runs here.
    pub fn look(&self) -> Result<Found, CliError> {
        let held = self.is_held().map_err(|error| self.refused(&error.to_string()))?;
        let Some(ClusterFile { state, .. }) = ClusterFile::read(&self.data)? else {
            return Ok(Found::Nothing);
        };
        Ok(match (state, held) {
            (ClusterState::Ended { why }, _) => Found::Ended(why),
            (ClusterState::Starting { pid }, true) => Found::Starting(pid),
            (ClusterState::Running(cluster), true) => Found::Running(cluster),
            (ClusterState::Starting { .. }, false) => {
                Found::Ended("its start was killed".to_string())
            }
            (ClusterState::Running(RunningCluster { pid, .. }), false) => {
                Found::Ended(format!("its supervisor, pid {pid}, was killed"))
            }
        })
    }

    /// The cluster that runs here.
    pub fn running(&self) -> Result<RunningCluster, CliError> {
        match self.look()? {
            Found::Running(cluster) => Ok(cluster),
            Found::Starting(_) => {
                let log = self.log_file();
                let told = format!("the cluster is being started; {} tells how far", log.display());
                Err(self.refused(&told))
            }
            Found::Ended(why) => {
                let told = format!(
                    "no cluster runs here ({why}); `{}` starts it again, with its jobs",
                    self.how_to_start()
                );
                Err(self.refused(&told))
            }
            Found::Nothing => {
                let told = format!(
                    "there is no cluster; `{}` starts one, and --data DIR names another folder",
                    self.how_to_start()
                );
                Err(self.refused(&told))
            }
        }
    }

    /// Whether a supervisor runs here.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn is_held(&self) -> io::Result<bool> {
        let lock = match File::open(self.data.join(IN_USE)) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Refuses a folder in which a cluster runs, or that holds anything else, before anything is written to it.
    pub fn check(&self) -> Result<(), CliError> {
        if self.is_held().map_err(|error| self.refused(&format!("{error}; choose another")))? {
            return Err(self.refused(&self.who_runs()?));
        }
        self.check_contents()
    }

    /// The same, and refuses one in which there ever was a cluster.
    pub fn check_new(&self) -> Result<(), CliError> {
        self.check()?;
        match ClusterFile::read(&self.data)? {
            None => Ok(()),
            Some(_) => Err(self.refused(&format!(
                "there was a cluster here; each job of a cluster of its own has a new folder, and `{}` starts this one \
                 again",
                self.how_to_start()
            ))),
        }
    }

    /// Takes the folder for a cluster that is to start, and makes it. Who has the lock, or a copy of it, has the
    /// folder.
    pub fn claim(&self) -> Result<File, CliError> {
        let unusable = |error: io::Error| self.refused(&format!("{error}; choose another"));
        let lock = make(&self.data).map_err(unusable)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "how long a person waits is no part of a run"
        )]
        let (since, pause) = (Instant::now(), || std::thread::sleep(LOOK_MAX / 30));
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if since.elapsed() < LOOK_MAX => pause(),
                Err(TryLockError::WouldBlock) => return Err(self.refused(&self.who_runs()?)),
                Err(TryLockError::Error(error)) => return Err(unusable(error)),
            }
        }
    }

    fn who_runs(&self) -> Result<String, CliError> {
        let stop = self.command("stop-cluster");
        Ok(match self.look()? {
            Found::Running(cluster) => {
                let rest: Vec<_> = cluster.rest.iter().map(|url| format!(", {url}")).collect();
                let (pid, rest) = (cluster.pid, rest.concat());
                format!("a cluster runs here already (pid {pid}{rest}); `{stop}` stops it")
            }
            Found::Starting(Some(pid)) => {
                format!("a cluster is being started here (pid {pid}); `{stop}` stops it")
            }
            _ => "another process is using it".to_string(),
        })
    }

    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    fn check_contents(&self) -> Result<(), CliError> {
        let entries = match std::fs::read_dir(&self.data) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.refused(&format!("{error}; choose another"))),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        let names = names.collect::<io::Result<Vec<_>>>()?;
        if names.iter().any(|name| name == STATE_FILE) {
            return ClusterFile::read(&self.data).map(drop);
        }
        // What a start leaves that was killed before it had begun.
        let early = |name: &str| {
            [IN_USE, OBJECT_STORE_FILE].contains(&name)
                || [STATE_FILE, OBJECT_STORE_FILE].iter().any(|of| is_draft(name, of))
        };
        match names.iter().find(|name| !name.to_str().is_some_and(early)) {
            None => Ok(()),
            Some(name) => Err(self.refused(&format!(
                "it holds {name:?} and no {STATE_FILE}, so it is no cluster's; choose an empty folder or a new \
                 name"
            ))),
        }
    }

    /// A new log; what those before have printed is kept beside it.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn new_log(&self) -> Result<File, CliError> {
        match std::fs::rename(self.log_file(), self.data.join(OLD_LOG_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.refused(&error.to_string()))
            }
            _ => File::create(self.log_file()).map_err(|error| self.refused(&error.to_string())),
        }
    }

    /// The last lines of the log.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn last_lines(&self, most: usize) -> Vec<String> {
        let text = std::fs::read(self.log_file()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(most);
        lines[from..].iter().map(ToString::to_string).collect()
    }

    /// An error that names the folder.
    pub fn refused(&self, why: &str) -> CliError {
        CliError::new(format!("cluster folder {}: {why}", self.data.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{adapters::folder::ObjectStoreAddress, cli::live::folder::DataFolder};

    fn running(pid: u32) -> ClusterState {
        let address = || "127.0.0.1:1".parse().expect("an address");
        ClusterState::Running(RunningCluster {
            pid,
            coordination: address(),
            object_store: ObjectStoreAddress::Server(address()),
            log: address(),
            rest: vec!["http://127.0.0.1:8081".to_string()],
            processes: [("log".to_string(), 5)].into(),
        })
    }

    #[test]
    fn a_cluster_runs_while_its_folder_is_held() {
        let kept = DataFolder::open(None, "session").expect("a folder");
        let folder = ClusterFolder::new(&kept.path().join("cluster"));
        assert!(matches!(folder.look().expect("it can be read"), Found::Nothing));
        let lock = folder.claim().expect("it is new");
        ClusterFile::write(folder.path(), ClusterState::Starting { pid: Some(7) }).expect("space");
        assert!(matches!(folder.look().expect("it can be read"), Found::Starting(Some(7))));
        ClusterFile::write(folder.path(), running(7)).expect("space");
        assert_eq!(folder.running().expect("it runs").pid, 7);
        assert!(folder.check().is_err());
        let again = folder.claim().expect_err("it is taken").to_string();
        assert!(again.contains("(pid 7, http://127.0.0.1:8081)"), "{again}");
        drop(lock);
        let killed = folder.running().expect_err("nobody holds it").to_string();
        assert!(
            killed.contains("pid 7, was killed") && killed.contains("starts it again"),
            "{killed}"
        );
        assert!(killed.contains("start-cluster --data "), "{killed}");
        folder.check().expect("it is a cluster's");
        folder.claim().expect("it may start again");
    }

    #[test]
    fn a_folder_that_holds_something_else_is_refused() {
        let kept = DataFolder::open(None, "session-else").expect("a folder");
        let folder = ClusterFolder::new(&kept.path().join("other"));
        make(&folder.path().join("mini")).expect("space");
        let refused = folder.check().expect_err("it is no cluster's").to_string();
        assert!(refused.contains("it holds \"mini\" and no cluster.json"), "{refused}");
    }

    #[test]
    fn a_command_names_its_folder_unless_that_is_the_usual_one() {
        assert_eq!(ClusterFolder::new(Path::new(DEFAULT)).command("jobs"), "cargo live jobs");
        let command = ClusterFolder::new(Path::new("/a b")).command("jobs");
        assert_eq!(command, "cargo live jobs --data /a b");
    }
}
