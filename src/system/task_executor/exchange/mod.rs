//! How records go from task to task: result partitions, and channels that read them by credit.
//!
//! A consumer opens one stream per channel to the producer's task executor, or reads the queue itself
//! when both tasks run in one; the buffers, the sequence numbers and the credits are the same. A
//! subpartition is read once, by one reader.
//!
//! Deliberately absent: retries of a broken channel. Both tasks fail, and the job restarts them.

mod channel;
mod environment;
mod error;
mod inbox;
mod limits;
mod partitions;
mod server;
mod subpartition;
mod watch;
mod wire;
mod writer;

pub use channel::PartitionRequestBackoff;
pub(super) use channel::{ChannelEnvironment, drive_channels};
pub use environment::ShuffleEnvironment;
pub use error::{ChannelError, WireError};
pub(super) use inbox::Inbox;
pub use limits::{CHANNEL_CREDIT, SUBPARTITION_BUFFERS_MAX, SUBPARTITION_EVENTS_MAX};
pub use watch::until_connection_breaks;
pub(super) use wire::{Buffer, Content, Event};
pub(super) use writer::RecordWriter;
