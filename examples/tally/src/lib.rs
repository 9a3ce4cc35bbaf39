//! A tally: clients add one, again and again; a server counts on its disk and answers.
//!
//! The promise: **an add that was answered stands, whatever happens to the server, and counts once.** It is
//! broken on purpose; the first sweep finds out.

mod client;
mod message;
mod server;
#[cfg(madsim)]
pub mod under_test;

pub use client::{Client, run_client};
pub use server::run_server;

use wavetank::host::Evidence;

/// The port of every node's message socket.
pub const PORT: u16 = 7000;

/// What nodes make known. The checks see events, not variables: announce each at its very instant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TallyEvent {
    /// The server has begun and found these adds on its disk: of each client its last one's number.
    Recovered {
        /// Client and number.
        last: Vec<(u64, u64)>,
    },
    /// The server has counted an add.
    Counted {
        /// The client.
        client: u64,
        /// Which of its adds, from 1.
        number: u64,
    },
    /// A client knows that its adds up to this one stand.
    Answered {
        /// The client.
        client: u64,
        /// Which of its adds.
        number: u64,
    },
    /// A client has nothing more to add.
    Finished {
        /// The client.
        client: u64,
    },
}

// What a node says of itself is a self-report; what a service says after its disk has synced is `Service`.
wavetank::event!(TallyEvent, |_| Evidence::SelfReport);
