//! A cluster on the simulated hardware: which nodes there are, what runs on each, and how they are
//! brought back.

mod cluster;

pub use cluster::{Cluster, Role, workload_lines};
