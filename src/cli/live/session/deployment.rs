//! A cluster that was made for one job or one program: what of it lies in its folder.
//!
//! `deployment.json` says what the cluster is there for, `job.graph` holds the job of a per-job cluster, `input` the
//! text that is read, and `result.json` says what the cluster came to. While there is no result the deployment is
//! pending: a cluster that is started in the folder goes on with it, and ends with it.

use super::{
    folder::ClusterFolder,
    state::{read_text, write_text},
};
use crate::{
    cli::live::{
        CliError,
        cluster::{ClusterEnd, ClusterEntrypoint, Program},
        folder::write_whole,
    },
    system::{connector::upload_text, ids::JobId, service::Services},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

const DEPLOYMENT_FILE: &str = "deployment.json";
const JOB_GRAPH_FILE: &str = "job.graph";
const INPUT_FILE: &str = "input";
const RESULT_FILE: &str = "result.json";
/// Of the two files that programs may read.
const FORMAT: u32 = 1;

/// What a cluster is there for that was made for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    format: u32,
    /// Its one job.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub job: JobId,
    /// The topic to which that writes.
    pub output: String,
    /// The topic's partitions, and the parallelism of the job.
    pub parallelism: u32,
    /// Under which name the text is uploaded that was brought.
    pub text: Option<String>,
    /// Who makes the job.
    #[serde(flatten)]
    pub mode: DeploymentMode,
}

/// Who makes the job of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum DeploymentMode {
    /// Its deployer has made it.
    PerJob,
    /// A program, on the cluster.
    Application {
        /// Its name.
        program: String,
        /// Its own arguments.
        arguments: Vec<String>,
    },
}

/// What a cluster came to that was made for one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentResult {
    format: u32,
    /// The job.
    #[serde(serialize_with = "write_text", deserialize_with = "read_text")]
    pub job: JobId,
    /// The topic to which that has written.
    pub output: String,
    /// What the cluster came to.
    #[serde(flatten)]
    pub end: ClusterEnd,
}

impl Deployment {
    /// A job that writes to that topic.
    pub fn new(job: JobId, output: String, parallelism: u32, mode: DeploymentMode) -> Self {
        Deployment { format: FORMAT, job, output, parallelism, text: None, mode }
    }

    /// Writes it.
    pub fn write(&self, folder: &ClusterFolder) -> Result<(), CliError> {
        write_json(&folder.path().join(DEPLOYMENT_FILE), self)
    }

    /// That of a folder, if it has one that has no result.
    pub fn pending(folder: &ClusterFolder) -> Result<Option<Deployment>, CliError> {
        match DeploymentResult::read(folder)? {
            Some(_) => Ok(None),
            None => read_json(&folder.path().join(DEPLOYMENT_FILE)),
        }
    }

    /// What its job managers are told.
    pub fn entrypoint(&self, folder: &ClusterFolder) -> ClusterEntrypoint {
        match &self.mode {
            DeploymentMode::PerJob => ClusterEntrypoint::PerJob { graph: job_graph_file(folder) },
            DeploymentMode::Application { program, arguments } => {
                ClusterEntrypoint::Application(Program {
                    name: program.clone(),
                    arguments: arguments.clone(),
                    parallelism: self.parallelism,
                    shipped: self.text.as_ref().map(|_| input_file(folder)),
                })
            }
        }
    }

    /// Brings what the job needs before it starts; once more is fine. A program brings that itself.
    pub async fn prepare(
        &self,
        folder: &ClusterFolder,
        services: &Services,
    ) -> Result<(), CliError> {
        if self.mode != DeploymentMode::PerJob {
            return Ok(());
        }
        if let (Some(name), Some(text)) = (&self.text, read(&input_file(folder))?) {
            let uploaded = upload_text(&*services.objects, name, &Bytes::from(text)).await;
            uploaded.map_err(|refusal| CliError::new(format!("the text: {refusal}")))?;
        }
        let topic = &self.output;
        let created = services.log.create_topic_until_acknowledged(topic, self.parallelism).await;
        created.map_err(|refusal| CliError::new(format!("topic {topic}: {refusal}")))?;
        // It is in the object store now.
        remove(&input_file(folder))
    }

    /// Keeps what the cluster came to.
    pub fn write_result(
        &self,
        folder: &ClusterFolder,
        end: ClusterEnd,
    ) -> Result<DeploymentResult, CliError> {
        let (job, output) = (self.job, self.output.clone());
        let result = DeploymentResult { format: FORMAT, job, output, end };
        write_json(&folder.path().join(RESULT_FILE), &result)?;
        Ok(result)
    }
}

impl DeploymentResult {
    /// That of a folder, if it has one.
    pub fn read(folder: &ClusterFolder) -> Result<Option<DeploymentResult>, CliError> {
        read_json(&folder.path().join(RESULT_FILE))
    }

    /// The same, if it is about that job.
    pub fn of(folder: &ClusterFolder, job: JobId) -> Result<Option<DeploymentResult>, CliError> {
        Ok(DeploymentResult::read(folder)?.filter(|result| result.job == job))
    }

    /// In words.
    pub fn told(&self) -> String {
        let status = self.end.job_result().status.name().to_lowercase();
        match &self.end.cause {
            Some(cause) => format!("its job is {status}: {cause}"),
            None => format!("its job is {status}"),
        }
    }
}

/// Where the graph of a per-job cluster's job lies.
pub fn job_graph_file(folder: &ClusterFolder) -> PathBuf {
    folder.path().join(JOB_GRAPH_FILE)
}

/// Where the text lies that a job reads.
pub fn input_file(folder: &ClusterFolder) -> PathBuf {
    folder.path().join(INPUT_FILE)
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), CliError> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    write_whole(path, &bytes)
}

pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CliError> {
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let refused = |why: String| CliError::new(format!("{} can't be read: {why}", path.display()));
    let Some(bytes) = read(path)? else { return Ok(None) };
    let head = serde_json::from_slice::<Head>(&bytes);
    match head.map_err(|error| refused(error.to_string()))?.format {
        FORMAT => {}
        format => return Err(refused(format!("format {format}, expected {FORMAT}"))),
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| refused(error.to_string()))
}

#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
fn read(path: &Path) -> Result<Option<Vec<u8>>, CliError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CliError::new(format!("{} can't be read: {error}", path.display()))),
    }
}

#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
pub(super) fn remove(path: &Path) -> Result<(), CliError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(CliError::new(format!("{} can't be removed: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::live::folder::DataFolder, system::protocol::ApplicationStatus};

    #[test]
    fn a_deployment_is_pending_until_it_has_a_result() {
        let kept = DataFolder::open(None, "deployment").expect("a folder");
        let folder = ClusterFolder::new(kept.path());
        assert_eq!(Deployment::pending(&folder).expect("nothing there"), None);
        let job = JobId(0xabc << 64);
        let deployment = Deployment::new(job, "out".to_string(), 2, DeploymentMode::PerJob);
        deployment.write(&folder).expect("space");
        assert_eq!(Deployment::pending(&folder).expect("it is whole"), Some(deployment.clone()));
        let cause = Some("it broke".to_string());
        let end = ClusterEnd { status: ApplicationStatus::Failed, cause };
        let result = deployment.write_result(&folder, end).expect("space");
        assert_eq!(result.told(), "its job is failed: it broke");
        assert_eq!(Deployment::pending(&folder).expect("it is whole"), None);
        assert_eq!(DeploymentResult::of(&folder, job).expect("it is whole"), Some(result));
        assert_eq!(DeploymentResult::of(&folder, JobId(1)).expect("it is whole"), None);
    }

    #[test]
    fn the_words_of_the_files_stay_as_they_are() {
        let text = r#"{"format": 1, "mode": "application", "program": "word-count", "arguments": ["--records", "1"],
            "job": "00000000000000000000000000000007", "output": "out", "parallelism": 3, "text": "text-7"}"#;
        let read: Deployment = serde_json::from_str(text).expect("it is one");
        let (program, arguments) = ("word-count".to_string(), ["--records", "1"].map(String::from));
        let mode = DeploymentMode::Application { program, arguments: arguments.into() };
        let written = Deployment::new(JobId(7), "out".to_string(), 3, mode);
        assert_eq!(read, Deployment { text: Some("text-7".to_string()), ..written });
        let text = r#"{"format": 1, "job": "00000000000000000000000000000007", "output": "out",
            "status": "SUCCEEDED", "cause": null}"#;
        let read: DeploymentResult = serde_json::from_str(text).expect("it is one");
        assert_eq!((read.job, read.told()), (JobId(7), "its job is finished".to_string()));
    }
}
