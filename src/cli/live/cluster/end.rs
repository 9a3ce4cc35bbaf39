//! What a cluster came to that was there for one job or one program.

use crate::system::protocol::{ApplicationStatus, JobResult, JobStatus};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a cluster came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterEnd {
    /// Whether it has done what it was there for; `SUCCEEDED`, `FAILED` or `CANCELED`.
    #[serde(serialize_with = "write_status", deserialize_with = "read_status")]
    pub status: ApplicationStatus,
    /// Why it has not.
    pub cause: Option<String>,
}

fn write_status<S: Serializer>(
    status: &ApplicationStatus,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(status)
}

fn read_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ApplicationStatus, D::Error> {
    let text = String::deserialize(deserializer)?;
    let all =
        [ApplicationStatus::Succeeded, ApplicationStatus::Failed, ApplicationStatus::Canceled];
    let status = all.into_iter().find(|status| status.to_string() == text);
    status.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no status of a cluster")))
}

impl ClusterEnd {
    /// As a line, for the supervisor.
    pub fn line(&self) -> String {
        serde_json::to_string(self).expect("texts can be written")
    }

    /// Reads such a line.
    pub fn parse(line: &str) -> Result<ClusterEnd, serde_json::Error> {
        serde_json::from_str(line)
    }

    /// What became of the cluster's job, as it is told of any job.
    pub fn job_result(&self) -> JobResult {
        let status = match self.status {
            ApplicationStatus::Succeeded => JobStatus::Finished,
            ApplicationStatus::Failed => JobStatus::Failed,
            ApplicationStatus::Canceled => JobStatus::Canceled,
        };
        JobResult { status, cause: self.cause.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_line_in_flink_s_words() {
        let end = ClusterEnd { status: ApplicationStatus::Failed, cause: Some("a\nb".to_string()) };
        assert_eq!(end.line(), r#"{"status":"FAILED","cause":"a\nb"}"#);
        assert_eq!(ClusterEnd::parse(&end.line()).expect("it is one"), end);
        assert!(ClusterEnd::parse(r#"{"status":"Failed","cause":null}"#).is_err());
        for (status, of_job) in [
            (ApplicationStatus::Succeeded, JobStatus::Finished),
            (ApplicationStatus::Failed, JobStatus::Failed),
            (ApplicationStatus::Canceled, JobStatus::Canceled),
        ] {
            assert_eq!(ClusterEnd { status, cause: None }.job_result().status, of_job);
            assert_eq!(ApplicationStatus::of_job(of_job), status);
        }
    }
}
