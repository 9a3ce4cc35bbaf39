//! A cluster as processes of this machine: starts them, looks after them, starts them again.
//!
//! [`Processes`] are a cluster's servers, job managers and task executors, each a [`Member`] that is a process
//! `node …` ([`ClusterNode`]) in a folder of its own. What its job managers are
//! there for, their [`ClusterEntrypoint`] says. Who has them calls `tend` again and again.

mod end;
mod entrypoint;
mod front_end_runner;
mod job_graph;
mod member;
mod node;
mod processes;
mod provider;
mod settings;
mod task_manager_runner;
mod worker;

pub use end::ClusterEnd;
pub use entrypoint::{ClusterEntrypoint, Program};
pub use job_graph::write_job_graph;
pub use member::Member;
pub use node::ClusterNode;
pub use processes::{Processes, Size};
pub use settings::{Servers, TimeoutArguments, Timeouts, cluster_config, timeouts_again};
pub use worker::Worker;
