//! The cluster. It compiles the same in both worlds and knows the outside only through a
//! [`Host`](crate::host::Host).

pub mod client;
pub mod cluster;
pub mod connector;
pub mod dataflow;
pub mod graph;
pub mod heartbeat;
pub mod http;
pub mod ids;
pub mod job_manager;
pub mod leadership;
pub mod panic;
pub mod protocol;
pub mod reason;
pub mod registration;
pub mod request_reply;
pub mod rpc;
pub mod sabotage;
pub mod savepoint;
pub mod scope;
pub mod service;
pub mod state;
pub mod store;
pub mod task_executor;
pub mod watch;
pub mod web_monitor;
