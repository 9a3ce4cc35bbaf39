//! What readers of REST announce.

use crate::{
    host::Evidence,
    system::{ids::JobId, protocol::JobStatus},
};

/// What a reader wants of a web monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestQuestion {
    /// `/jobs`.
    Jobs,
    /// `/jobs/overview`.
    Overviews,
    /// `/jobs/:id`.
    Job(JobId),
    /// `/overview`.
    Cluster,
    /// `PATCH /jobs/:id`: that a job is canceled.
    Cancel(JobId),
}

/// A job, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ToldJob {
    /// The job.
    pub job: JobId,
    /// How far it is.
    pub status: JobStatus,
    /// Since when it has that and had others, where that is told, in milliseconds since 1970.
    pub since: Vec<(JobStatus, u64)>,
}

/// How many jobs are how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ToldCounts {
    /// Those that have not ended.
    pub running: u64,
    /// Those that have finished.
    pub finished: u64,
    /// Those that were canceled.
    pub canceled: u64,
    /// Those that have failed.
    pub failed: u64,
}

/// What a reader is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RestAnswer {
    /// All jobs.
    Jobs(Vec<ToldJob>),
    /// One job.
    Job(ToldJob),
    /// How many jobs are how far.
    Cluster(ToldCounts),
}

impl RestAnswer {
    /// The jobs that it tells of by themselves.
    pub fn jobs(&self) -> &[ToldJob] {
        match self {
            RestAnswer::Jobs(jobs) => jobs,
            RestAnswer::Job(job) => std::slice::from_ref(job),
            RestAnswer::Cluster(_) => &[],
        }
    }
}

/// What a reader announces; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RestEvent {
    /// It asks.
    Asking {
        /// Counts the questions of this process.
        ask: u64,
        /// What it asks.
        question: RestQuestion,
    },
    /// It was told.
    Told {
        /// The reader's number.
        reader: u32,
        /// The question.
        ask: u64,
        /// By the web monitor that was known to lead.
        by_leader: bool,
        /// How old the answer was when it was given, as it says.
        age_ms: u64,
        /// What it says.
        answer: RestAnswer,
    },
    /// It was told that a job is to end.
    Accepted {
        /// The question.
        ask: u64,
        /// The job.
        job: JobId,
    },
    /// It was answered with an error.
    Refused {
        /// The question.
        ask: u64,
        /// What it asked.
        question: RestQuestion,
        /// The answer's status.
        status: u16,
    },
    /// The answer was not what was asked for, or did not say how old it is.
    Malformed {
        /// The question.
        ask: u64,
        /// What is wrong with it.
        why: String,
    },
    /// It got no answer.
    Untold {
        /// The question.
        ask: u64,
        /// Why.
        why: String,
    },
}

crate::event!(RestEvent, |_| Evidence::SelfReport);
