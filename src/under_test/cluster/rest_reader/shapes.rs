//! The answers of web monitors, as a reader understands them.

use super::event::{RestAnswer, RestQuestion, ToldCounts, ToldJob};
use crate::system::{ids::JobId, protocol::JobStatus};
use serde::{Deserialize, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;

type Read<T> = Result<T, serde_json::Error>;

#[derive(Deserialize)]
struct IdAndStatus {
    id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Overview {
    jid: String,
    state: String,
    last_modification: i64,
}

#[derive(Deserialize)]
struct Job {
    jid: String,
    state: String,
    timestamps: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Listed<T> {
    jobs: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    jobs_running: u64,
    jobs_finished: u64,
    jobs_cancelled: u64,
    jobs_failed: u64,
}

fn job_of(id: &str) -> Read<JobId> {
    id.parse().map_err(|_| Error::custom(format!("{id:?} is no job")))
}

fn status_of(name: &str) -> Read<JobStatus> {
    let found = JobStatus::ALL.iter().copied().find(|status| status.name() == name);
    found.ok_or_else(|| Error::custom(format!("{name:?} is no status")))
}

impl IdAndStatus {
    fn told(&self) -> Read<ToldJob> {
        let (job, status) = (job_of(&self.id)?, status_of(&self.status)?);
        Ok(ToldJob { job, status, since: Vec::new() })
    }
}

impl Overview {
    fn told(&self) -> Read<ToldJob> {
        let (job, status) = (job_of(&self.jid)?, status_of(&self.state)?);
        // -1 where that is not known.
        let since = u64::try_from(self.last_modification).ok().map(|at| (status, at));
        Ok(ToldJob { job, status, since: since.into_iter().collect() })
    }
}

impl Job {
    fn told(&self) -> Read<ToldJob> {
        let since = self.timestamps.iter().map(|(name, at)| Ok((status_of(name)?, *at)));
        let since = since.collect::<Read<_>>()?;
        Ok(ToldJob { job: job_of(&self.jid)?, status: status_of(&self.state)?, since })
    }
}

/// What the answer to a question says, and how old it says that it is.
///
/// # Errors
/// When it has another shape, or does not say how old it is.
pub fn read(question: RestQuestion, answer: Value) -> Read<(u64, RestAnswer)> {
    let age = answer.get("age-ms").and_then(Value::as_u64);
    let age = age.ok_or_else(|| Error::custom("it does not say how old it is"))?;
    let answer = match question {
        RestQuestion::Jobs => {
            let listed: Listed<IdAndStatus> = serde_json::from_value(answer)?;
            let jobs = listed.jobs.iter().map(IdAndStatus::told);
            RestAnswer::Jobs(jobs.collect::<Read<_>>()?)
        }
        RestQuestion::Overviews => {
            let listed: Listed<Overview> = serde_json::from_value(answer)?;
            RestAnswer::Jobs(listed.jobs.iter().map(Overview::told).collect::<Read<_>>()?)
        }
        RestQuestion::Job(_) => RestAnswer::Job(serde_json::from_value::<Job>(answer)?.told()?),
        RestQuestion::Cluster => {
            let Cluster { jobs_running, jobs_finished, jobs_cancelled, jobs_failed } =
                serde_json::from_value(answer)?;
            RestAnswer::Cluster(ToldCounts {
                running: jobs_running,
                finished: jobs_finished,
                canceled: jobs_cancelled,
                failed: jobs_failed,
            })
        }
        RestQuestion::Cancel(_) => return Err(Error::custom("a cancellation is told nothing")),
    };
    Ok((age, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JOB: JobId = JobId(7 << 96);

    #[test]
    fn each_answer_is_understood_with_its_age() {
        let seen = |status, since| ToldJob { job: JOB, status, since };
        let (id, running) = (JOB.to_string(), JobStatus::Running);
        let listed = json!({ "jobs": [{ "id": id, "status": "RUNNING" }], "age-ms": 5 });
        let told = read(RestQuestion::Jobs, listed).expect("a list");
        assert_eq!(told, (5, RestAnswer::Jobs(vec![seen(running, vec![])])));
        for (at, since) in [(-1, vec![]), (9, vec![(running, 9)])] {
            let row = json!({ "jid": id, "state": "RUNNING", "last-modification": at });
            let told = read(RestQuestion::Overviews, json!({ "jobs": [row], "age-ms": 0 }));
            assert_eq!(told.expect("a list"), (0, RestAnswer::Jobs(vec![seen(running, since)])));
        }
        let times = json!({ "CREATED": 3, "RUNNING": 4 });
        let job = json!({ "jid": id, "state": "RUNNING", "timestamps": times, "age-ms": 1 });
        let (_, told) = read(RestQuestion::Job(JOB), job).expect("a job");
        assert_eq!(told.jobs(), [seen(running, vec![(JobStatus::Created, 3), (running, 4)])]);
        let counts = json!({ "jobs-running": 1, "jobs-finished": 2, "jobs-cancelled": 3, "jobs-failed": 4, "age-ms": 1 });
        let (_, told) = read(RestQuestion::Cluster, counts).expect("counts");
        let counts = ToldCounts { running: 1, finished: 2, canceled: 3, failed: 4 };
        assert_eq!(told, RestAnswer::Cluster(counts));
    }

    #[test]
    fn an_answer_without_an_age_or_with_unknown_words_is_none() {
        for (answer, why) in [
            (json!({ "jobs": [] }), "how old"),
            (json!({ "jobs": [{ "id": "seven", "status": "RUNNING" }], "age-ms": 1 }), "no job"),
            (json!({ "jobs": [{ "id": JOB.to_string(), "status": "BUSY" }], "age-ms": 1 }), "BUSY"),
            (json!({ "age-ms": 1 }), "jobs"),
        ] {
            let error = read(RestQuestion::Jobs, answer).expect_err("not understood");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
