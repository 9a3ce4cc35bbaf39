//! What a dispatcher is there for.

use crate::system::graph::JobGraph;
use std::sync::Arc;

/// What there is to do besides what is asked for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// Nothing: the cluster goes on until it is stopped.
    Session,
    /// This job.
    Job(Arc<JobGraph>),
    /// The main function of a program.
    Application,
}
