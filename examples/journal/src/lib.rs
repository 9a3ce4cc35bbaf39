//! A journal: the smallest system that needs all of wavetank's foundation, and the example of how to put a
//! system of your own under test, from a crate of your own.
//!
//! Of several journal nodes one leads. Clients send it the lines of a text; the leader writes them
//! to the coordination service under its session and acknowledges. When leadership moves, the next
//! leader carries on. The promise: **every acknowledged line stands exactly once, in each client's
//! order, and nothing else does.**
//!
//! Keys: `/journal/entry/<position>` holds an [`Entry`], positions count from 0 without gaps;
//! `/journal/state/tail` holds the number of entries, and its version orders the writes;
//! `/journal/state/client/<client>` holds how many of a client's lines stand.

mod client;
mod leader;
mod node;
mod protocol;
pub mod sabotage;
#[cfg(madsim)]
pub mod under_test;

pub use client::{JournalClient, Workload};
pub use leader::{COMPONENT, JournalLeader};
pub use node::{read_entries, run_client_node, run_journal_node, serve_journal};
pub use protocol::{
    AppendRefusal, ENTRY_PREFIX, Entry, JournalEvent, JournalGateway, JournalHandler, STATE_PREFIX,
    TAIL_KEY, client_key, entry_key,
};
