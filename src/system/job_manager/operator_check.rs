//! What a cluster asks of a job before it takes it on.

use crate::system::{graph::JobGraph, protocol::SubmitRefusal, reason::bounded};
use std::sync::Arc;

/// Says whether every operator of a job is known; if not, which one is not.
pub type OperatorCheck = Arc<dyn Fn(&JobGraph) -> Result<(), String> + Send + Sync>;

/// Whether a job is sound, and all its operators are known.
///
/// # Errors
/// Why it is refused.
pub(super) fn check_job(job: &JobGraph, check: &OperatorCheck) -> Result<(), SubmitRefusal> {
    job.validate()?;
    check(job).map_err(|why| SubmitRefusal::UnknownProgram(bounded(why)))
}
