//! The jobs under test. Each has settings, nodes and an oracle: those of this crate in a file of their own, two lines
//! of it here; every other [`Job`] what all can have (`standard.rs`), and services what these have (`service.rs`).

pub mod click_sessions;
mod course;
pub mod job;
pub mod pipelines;
mod service;
mod service_oracle;
pub mod spec;
mod standard;
pub mod word_count;
mod workload;

use crate::jobs::{self, Job, JobTest, Jobs};
use job::AnyJob;
use service::ServiceJob;
use standard::StandardJob;
use std::sync::OnceLock;

/// The jobs that scenarios can name, never none; the first is that of a `[[job]]` without a name.
pub type KnownJobs = &'static [&'static dyn AnyJob];

/// Those of this crate that have settings of their own.
const WITH_OWN_SETTINGS: KnownJobs =
    &[&word_count::WordCount, &pipelines::Pipelines, &click_sessions::ClickSessions];

/// Those of this crate.
pub fn shipped() -> KnownJobs {
    static SHIPPED: OnceLock<KnownJobs> = OnceLock::new();
    SHIPPED.get_or_init(|| known(&jobs::shipped()))
}

/// The jobs of a binary. They stay until its process ends: whatever reads a scenario leans on them.
///
/// # Panics
/// When there is none.
pub fn known(jobs: &Jobs) -> KnownJobs {
    let services = jobs.services().map(|service| -> &'static dyn AnyJob {
        Box::leak(Box::new(ServiceJob::new(service.clone())))
    });
    let known: Vec<&'static dyn AnyJob> = jobs.iter().map(under_test).chain(services).collect();
    assert!(!known.is_empty(), "a cluster under test needs a job");
    known.leak()
}

fn under_test(job: &Job) -> &'static dyn AnyJob {
    match job.test() {
        JobTest::Standard(workload) => {
            Box::leak(Box::new(StandardJob::new(job.clone(), workload.clone())))
        }
        JobTest::OwnSettings => {
            let named = WITH_OWN_SETTINGS.iter().find(|shipped| shipped.name() == job.name());
            *named.expect("only jobs of this crate have settings of their own")
        }
    }
}
