//! The simulated disk behind [`Host::disk`](crate::host::Host::disk): time, faults and the harness's
//! hands on the hardware. What survives what is decided in [`state`].
//!
//! An operation takes effect at the instant at which it completes, so one that is under way when its
//! process dies is not applied. A process's death keeps the page cache; a power cut keeps a prefix of
//! the metadata operations and, of each file's unsynced changes, any part in sectors of 512 bytes.

mod door;
#[cfg(test)]
mod door_tests;
mod fault;
mod file;
mod inode;
mod request;
mod state;
mod tree;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;

pub use door::{SyncDisk, SyncFile};
pub use fault::{DiskEffect, DiskFault, DiskFaultId, DiskOp, Unsynced};
pub use file::{Disk, File};
pub(in crate::host) use state::{DiskState, PlatterImage};
