//! Task executors: slots, tasks and the ways to masters and the resource manager (`endpoint`), and
//! what runs one task attempt: its operators, its exchange of records with other tasks, its life and
//! its part in checkpoints.
//!
//! A [`Task`] is one future that owns everything of its attempt, so dropping it releases everything.
//! User code is polled apart from the task's own: a panic in it fails the task, while a panic of ours
//! is the death of the process.
//!
//! Deliberately absent: who is told about a task ([`TaskResponder`]); the task executor's endpoint brings it.

mod config;
mod endpoint;
mod error;
pub mod event;
mod exchange;
mod node;
mod slot_event;
mod slot_table;
mod task;

pub use config::TaskExecutorConfig;
pub use endpoint::{TaskExecutor, TaskExecutorServices};
pub use error::TaskError;
pub use event::TaskEvent;
pub use exchange::{
    CHANNEL_CREDIT, ChannelError, PartitionRequestBackoff, SUBPARTITION_BUFFERS_MAX,
    SUBPARTITION_EVENTS_MAX, ShuffleEnvironment, WireError, until_connection_breaks,
};
pub use node::serve_task_executor;
pub use slot_event::{EndCause, FreeCause, ManagerCause, PartCause, SlotEvent};
pub use task::{
    Task, TaskConfig, TaskEnvironment, TaskHandle, TaskResponder, TaskStateUpdate, state_object,
};
