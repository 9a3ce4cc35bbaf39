//! Where systems and the harness meet: one folder a system under test.

pub mod cluster;

use crate::{
    harness::system::{AnySystem, RegisteredSystem, Systems},
    jobs::Jobs,
};
use cluster::Cluster;

/// The systems of this repository.
pub const SYSTEMS: Systems = Systems::new(&[&RegisteredSystem(Cluster::SHIPPED)]);

/// A cluster with the jobs of a binary: what its scenarios can name. It stays in memory until the process ends, so
/// it is made once.
///
/// # Panics
/// When there is no job.
pub fn systems(jobs: &Jobs) -> Systems {
    let cluster: &'static dyn AnySystem =
        Box::leak(Box::new(RegisteredSystem(Cluster::with_jobs(jobs))));
    Systems::new(vec![cluster].leak())
}
