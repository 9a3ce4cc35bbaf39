//! What a dispatcher is there for.

use crate::system::{graph::JobGraph, ids::JobId};
use std::sync::Arc;

/// What there is to do besides what is asked for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// Nothing: the cluster goes on until it is stopped.
    Session,
    /// This job.
    Job(Arc<JobGraph>),
    /// The main function of a program, whose job has this id.
    Application(JobId),
}

impl Purpose {
    /// The job with which the cluster ends.
    pub fn job(&self) -> Option<JobId> {
        match self {
            Purpose::Session => None,
            Purpose::Job(job) => Some(job.id),
            Purpose::Application(job) => Some(*job),
        }
    }
}
