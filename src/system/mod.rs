//! The cluster. It compiles the same in both worlds and knows the outside only through a
//! [`Host`](crate::host::Host).

pub mod event;
pub mod graph;
pub mod heartbeat;
pub mod ids;
pub mod leadership;
pub mod rpc;
pub mod service;
pub mod task_executor;
pub mod watched;
