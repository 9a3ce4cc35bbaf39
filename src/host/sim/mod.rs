//! The simulated world: clocks, links, streams, disks and processes on madsim's executor and time.
//!
//! One [`World`] is one run, on one thread. The system sees it only through [`Host`](super::Host);
//! the harness holds the `World` itself and makes waves with it. Of madsim only the executor, the
//! virtual time and the life cycle of nodes are used; its generator decides scheduling and nothing
//! else.
//!
//! Deliberately absent: any knowledge of what the system's messages, files or events mean.

mod branch;
pub(in crate::host) mod cause;
mod clock;
mod console;
mod digest;
pub(in crate::host) mod disk;
mod entry;
mod example;
mod faults;
mod hardware;
mod injected_error;
mod link;
mod machine;
pub(in crate::host) mod message;
mod network;
mod node;
mod panic;
mod process;
mod queue;
mod stamp;
mod state;
pub(in crate::host) mod stream;
pub(in crate::host) mod task;
mod thread;
mod timeline;
mod timer;
mod trace;
mod waker;
mod world;

#[cfg(test)]
mod cause_tests;
#[cfg(test)]
mod tests;

pub use branch::Branch;
pub use cause::EntryNumber;
pub use clock::{DRIFT_PER_MILLION_MAX, WALL_ORIGIN_NANOS};
pub use digest::TraceDigest;
pub use disk::{DiskEffect, DiskFault, DiskFaultId, DiskOp, Unsynced};
pub use example::run_two;
pub use faults::DiskImage;
pub use hardware::{Hardware, ProcessEnd};
pub use injected_error::{Applied, ServiceFault, ServiceFaultId};
pub use link::{Delay, FrameFate, KindFilter, LinkEffect, LinkRule, NodeSet, RuleId};
pub use message::RESET as RESET_KIND;
pub(in crate::host) use node::Node;
pub use node::current_stamp;
pub use stamp::{NodeId, Stamp};
pub use stream::{PACKET_KINDS, STREAM_WINDOW_BYTES};
pub use trace::{TraceLine, causes, line_of};
pub use world::{Observer, World, WorldConfig, WorldReport, simulate};
