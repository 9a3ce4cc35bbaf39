//! A cluster as processes of this machine: starts them, looks after them, starts them again.
//!
//! [`Processes`] are a cluster's servers, job managers and task executors, each a [`Member`] that is a process
//! `node …` ([`ClusterNode`]) in a folder of its own. Who has them calls `tend` again and again.

mod library;
mod member;
mod node;
mod processes;
mod settings;

pub use member::Member;
pub use node::{ClusterNode, Worker};
pub use processes::{Processes, Size};
pub use settings::cluster_config;
