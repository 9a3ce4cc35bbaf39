//! One attempt, from its start to its one terminal report.

mod alignment;
mod environment;
mod handle;
mod mailbox;
mod meter;
mod report;
mod restore;
mod run;
mod sinks;
mod stream_task;
mod upload;
mod valve;

pub use environment::{TaskConfig, TaskEnvironment, TaskResponder, TaskStateUpdate, state_object};
pub use handle::{Task, TaskHandle};
