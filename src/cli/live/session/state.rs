//! `cluster.json`: what runs in the folder of a session cluster, for people and programs.

use crate::{
    adapters::folder::ObjectStoreAddress,
    cli::live::{
        CliError,
        cluster::{Processes, Servers},
        folder::write_whole,
    },
    host::NodeAddress,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, fmt::Display, io, path::Path, str::FromStr};

/// The file's name.
pub const STATE_FILE: &str = "cluster.json";
/// Of its contents.
const FORMAT: u32 = 1;

/// What stands in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFile {
    format: u32,
    /// How far the cluster is.
    #[serde(flatten)]
    pub state: ClusterState,
}

/// How far a cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ClusterState {
    /// Its servers are not there yet.
    Starting {
        /// The process id of its supervisor, once it runs.
        pid: Option<u32>,
    },
    /// Its servers listen.
    Running(RunningCluster),
    /// It has ended.
    Ended {
        /// Why.
        why: String,
    },
}

/// A cluster that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunningCluster {
    /// The process id of its supervisor.
    pub pid: u32,
    /// The coordination server.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub coordination: NodeAddress,
    /// The object store: a server, or a folder.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub object_store: ObjectStoreAddress,
    /// The log server.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub log: NodeAddress,
    /// The URLs of the web monitors that listen; all of them tell the same.
    pub rest: Vec<String>,
    /// The process ids of the processes that run, by their names.
    pub processes: BTreeMap<String, u32>,
}

/// Writes a value as its text.
pub fn write_text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads a value from its text.
pub fn read_text<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl RunningCluster {
    /// Where its services are.
    pub fn servers(&self) -> Servers {
        let RunningCluster { coordination, object_store, log, .. } = self.clone();
        Servers { coordination, object_store, log }
    }
}

impl ClusterFile {
    /// Reads the file of a folder, if it has one.
    #[expect(clippy::disallowed_methods, reason = "the user's own folder")]
    pub fn read(folder: &Path) -> Result<Option<ClusterFile>, CliError> {
        let path = folder.join(STATE_FILE);
        match std::fs::read(&path) {
            Ok(bytes) => ClusterFile::parse(&bytes)
                .map(Some)
                .map_err(|why| CliError::new(format!("{} can't be read: {why}", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CliError::new(format!("{} can't be read: {error}", path.display()))),
        }
    }

    fn parse(bytes: &[u8]) -> Result<ClusterFile, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("format {format}, expected {FORMAT}"));
        }
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }

    /// Writes the file of a folder, whole.
    pub fn write(folder: &Path, state: ClusterState) -> Result<(), CliError> {
        let file = ClusterFile { format: FORMAT, state };
        let mut bytes = serde_json::to_vec_pretty(&file)?;
        bytes.push(b'\n');
        write_whole(&folder.join(STATE_FILE), &bytes)
    }
}

/// What `cluster.json` says of a cluster while it runs, for other commands.
pub struct StateOfCluster<'a> {
    folder: &'a Path,
    servers: Servers,
    told: Option<RunningCluster>,
}

impl<'a> StateOfCluster<'a> {
    /// Nothing was told yet of a cluster with these servers.
    pub fn new(folder: &'a Path, servers: Servers) -> Self {
        StateOfCluster { folder, servers, told: None }
    }

    /// Tells what runs, if it is something else than before.
    pub fn tell(&mut self, processes: &Processes) -> Result<(), CliError> {
        let Servers { coordination, object_store, log } = self.servers.clone();
        let running = RunningCluster {
            pid: std::process::id(),
            coordination,
            object_store,
            log,
            rest: processes.web_monitors().iter().map(|at| format!("http://{at}")).collect(),
            processes: processes.ids(),
        };
        if self.told.as_ref() != Some(&running) {
            ClusterFile::write(self.folder, ClusterState::Running(running.clone()))?;
            self.told = Some(running);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let address = |port| NodeAddress::new("127.0.0.1".to_string(), port);
        let running = ClusterState::Running(RunningCluster {
            pid: 4,
            coordination: address(1),
            object_store: ObjectStoreAddress::Folder("/mnt/shared".into()),
            log: address(3),
            rest: vec!["http://127.0.0.1:8081".to_string()],
            processes: [("task-executor-1".to_string(), 5)].into(),
        });
        let ended = ClusterState::Ended { why: "it was stopped".to_string() };
        for state in [ClusterState::Starting { pid: None }, running, ended] {
            let file = ClusterFile { format: FORMAT, state };
            let bytes = serde_json::to_vec(&file).expect("it can be written");
            assert_eq!(ClusterFile::parse(&bytes), Ok(file));
        }
    }

    #[test]
    fn the_words_of_the_file_stay_as_they_are() {
        let text = r#"{"format": 1, "state": "running", "pid": 4, "coordination": "a:1",
            "object-store": "b:2", "log": "c:3", "rest": ["http://d:4"], "processes": {"log": 9}}"#;
        let file = ClusterFile::parse(text.as_bytes()).expect("it is one");
        let ClusterState::Running(cluster) = file.state else { panic!("it runs") };
        assert_eq!((cluster.pid, cluster.object_store.to_string()), (4, "b:2".to_string()));
        assert_eq!(cluster.processes["log"], 9);
    }

    #[test]
    fn what_is_no_such_file_is_refused_with_the_reason() {
        for (text, why) in [
            ("{\"format\": 2}", "format 2, expected 1"),
            ("{\"format\": 1, \"state\": \"asleep\"}", "asleep"),
            ("{\"format\": 1, \"state\": \"running\", \"pid\": 4}", "missing field"),
            ("{", "EOF"),
        ] {
            let error = ClusterFile::parse(text.as_bytes()).expect_err(text);
            assert!(error.contains(why), "{error}");
        }
    }
}
