//! What a cluster leans on: each service has an embedded server, hosted on a node of its own, and a
//! client.
//!
//! A service writes checksummed records, answers and announces a write only after its sync, and
//! stops on corruption or a failed sync. A client learns *done*, *refused* or **maybe**.

pub mod coordination;
pub mod log;
pub mod object_store;

mod backlog;
mod batch;
mod connection;
mod durable;

pub use connection::ServiceError;
