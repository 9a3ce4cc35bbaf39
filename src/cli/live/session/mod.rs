//! Clusters that go on in the background, and what is asked of them: session clusters, and those that are made for
//! one job or one program ([`deployer`]) and end with it. Beside them the one that lives in its command ([`local`]).
//!
//! `start-cluster` starts a [`supervisor`] that outlives it and looks after the processes. What runs is told in
//! the folder's `cluster.json` ([`state`]); whether it runs, by the lock of the folder, which the supervisor
//! holds from before its first instruction until its end. Each of the other commands reads that file, asks the
//! coordination service who leads, and speaks to the leader ([`connection`]).

mod cancel;
mod checkpoint_info;
mod connection;
mod deployer;
mod deployment;
mod folder;
mod follow;
mod info;
mod jobs;
mod launch;
mod local;
mod name;
mod object_store;
mod output;
mod savepoint;
mod serve;
mod start;
mod state;
mod stop;
mod submit;
mod supervisor;
mod table;
mod waits;

pub use cancel::Cancel;
pub use checkpoint_info::CheckpointInfo;
pub use info::Info;
pub use jobs::Jobs;
pub use output::Output;
pub use savepoint::{Savepoint, Stop};
pub use serve::Serve;
pub use start::StartCluster;
pub use stop::StopCluster;
pub use submit::Submit;
pub use supervisor::Supervisor;
