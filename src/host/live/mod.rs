//! The live world: tokio's clock and tasks, TCP, and files under a data folder.
//!
//! [`run_node`] is a process with one node in it; [`Node::start`] puts a node into a runtime that is
//! there already, so that several share a process. Either way the system sees only a
//! [`Host`](super::Host), and the end of one node leaves the others alone.
//!
//! Deliberately absent: faults. What goes wrong here, goes wrong by itself.

pub(in crate::host) mod cause;
mod courier;
pub(in crate::host) mod disk;
mod example;
mod inbound;
pub(in crate::host) mod message;
mod node;
mod peer;
mod ports;
mod run;
mod signal;
pub(in crate::host) mod stream;
pub(in crate::host) mod task;
mod tcp;
mod warnings;
mod wire;

#[cfg(test)]
mod tests;

pub use example::run_two;
pub use node::{ExitReason, Node, NodeConfig};
pub use run::run_node;
pub use signal::interrupted;

/// The loopback address, where all nodes of a cluster on one machine listen.
pub const LOOPBACK: &str = "127.0.0.1";
