//! What the supervisor sees of a running job.

use crate::{
    host::{Host, Instant},
    jobs::word_count::topics,
    system::{
        client::JobClient,
        ids::{CheckpointId, JobId},
        protocol::{JobFailure, JobStatus},
        service::log::Log,
    },
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

/// From look to look.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// Without an answer for so long, what was seen last says little.
const SILENCE_MAX: Duration = Duration::from_millis(1500);

/// The newest state that was seen; it may be a little old.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How far the job is; `None` before it is known.
    pub status: Option<JobStatus>,
    /// The newest completed checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// How the job failed last, and how often in a row.
    pub failure: Option<JobFailure>,
    /// Records in the output.
    pub committed: u64,
    /// Answers so far.
    pub looks: u64,
    answered: Option<Instant>,
}

impl Seen {
    /// Whether the job's tasks run.
    pub fn is_running(&self) -> bool {
        self.status == Some(JobStatus::Running)
    }

    /// Whether the job managers have been silent for long.
    pub fn is_stale(&self, now: Instant) -> bool {
        self.answered.is_some_and(|at| now.saturating_since(at) > SILENCE_MAX)
    }

    /// One line for a person.
    pub fn text(&self, words: u64) -> String {
        let status = match self.status {
            Some(status) => format!("the job is {status}").to_lowercase(),
            None => "no job manager leads yet".to_string(),
        };
        let checkpoint = match self.checkpoint {
            Some(checkpoint) => format!("checkpoint {checkpoint}"),
            None => "no checkpoint yet".to_string(),
        };
        let failure = match &self.failure {
            Some(JobFailure { times, cause, .. }) if *times > 1 => {
                format!(", failed {times} times in a row, {cause}")
            }
            _ => String::new(),
        };
        format!("{status}, {checkpoint}, {} of {words} words committed{failure}", self.committed)
    }
}

/// Keeps the newest state of a job.
#[derive(Clone, Default)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
}

impl Watch {
    /// The newest state.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic under this lock").clone()
    }

    /// Begins to follow a job and its output.
    pub fn start(&self, host: &Host, client: JobClient, log: Arc<dyn Log>, job: JobId) {
        let (watch, node) = (self.clone(), host.clone());
        host.spawn(async move {
            loop {
                watch.look_at_job(&node, &client, job).await;
                node.sleep(LOOK_PERIOD).await;
            }
        });
        let (watch, node) = (self.clone(), host.clone());
        host.spawn(async move {
            let topic = topics(1).output;
            loop {
                if let Ok(ends) = log.end_offsets(&topic).await {
                    watch.change(|seen| seen.committed = ends.iter().sum());
                }
                node.sleep(LOOK_PERIOD).await;
            }
        });
    }

    async fn look_at_job(&self, host: &Host, client: &JobClient, job: JobId) {
        // Before the job is submitted it is not known.
        let Ok(details) = client.details(job).await else { return };
        let now = host.now();
        self.change(|seen| {
            seen.status = Some(details.status);
            // A new master knows none at first.
            seen.checkpoint = details.checkpoints.newest.max(seen.checkpoint);
            seen.failure = details.failures.last().cloned();
            (seen.looks, seen.answered) = (seen.looks + 1, Some(now));
        });
    }

    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().expect("no panic under this lock"));
    }
}
