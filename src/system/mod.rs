//! The cluster. It compiles the same in both worlds and knows the outside only through a
//! [`Host`](crate::host::Host).

pub mod event;
pub mod heartbeat;
pub mod leadership;
pub mod rpc;
pub mod service;
pub mod watched;
