//! Components and jobs written only against the public API of the layers below, and what a binary says of its jobs.

pub mod bank_ledger;
pub mod bank_statements;
pub mod bank_transfers;
pub mod click_sessions;
pub mod common;
pub mod hello;
mod job;
pub mod nexmark;
pub mod pipelines;
mod registry;
mod service;
pub mod services;
pub mod word_count;
mod word_pairs;
mod word_totals;

pub use job::{Job, JobTest, Workload};
pub use registry::{Jobs, UnknownJob, UnknownService, Untestable};
pub use service::{ModelOfPath, Service, ServiceCall, ServiceModel};

/// The jobs and services of this crate.
pub fn shipped() -> Jobs {
    let jobs = Jobs::from(word_count::job()).with(word_totals::job());
    let jobs = jobs.with(word_pairs::job()).with(pipelines::job());
    let jobs = jobs.with(click_sessions::job());
    let jobs = bank_ledger::jobs().into_iter().fold(jobs.with(bank_transfers::job()), Jobs::with);
    let jobs = jobs.with(bank_statements::job());
    let jobs = nexmark::jobs().into_iter().fold(jobs, Jobs::with);
    services::all().into_iter().fold(jobs, Jobs::serving)
}
