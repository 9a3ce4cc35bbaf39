//! What journal nodes and clients say to each other, and what stands under which key.

use serde::{Deserialize, Serialize};
use wavetank::gateway;

gateway! {
    /// Speaks to the leading journal.
    pub gateway JournalGateway serves JournalHandler {
        /// Appends a client's lines, of which the first has this sequence number (from 1). Lines
        /// that stand already are not appended again. Answers how many of the client's lines stand.
        ask append(client: u32, first: u64, lines: Vec<String>) -> Result<u64, AppendRefusal>;
        /// How many of a client's lines stand.
        ask position(client: u32) -> u64;
    }
}

/// Why lines were not appended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum AppendRefusal {
    /// Lines before the first one are missing.
    #[error("line {expected} of the client comes next")]
    Gap {
        /// The sequence number that comes next.
        expected: u64,
    },
    /// Too many appends wait.
    #[error("the journal is busy")]
    Busy,
    /// The leader has lost its term.
    #[error("no longer the leader")]
    NotLeader,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// Whose line.
    pub client: u32,
    /// Its number among the client's lines, from 1.
    pub sequence: u64,
    /// The line.
    pub line: String,
}

/// The key of an entry.
pub fn entry_key(position: u64) -> String {
    format!("{ENTRY_PREFIX}{position:016}")
}

/// The prefix of all entries' keys.
pub const ENTRY_PREFIX: &str = "/journal/entry/";

/// The prefix of the keys that say how far the journal is.
pub const STATE_PREFIX: &str = "/journal/state/";
/// The key that every write of the journal moves.
pub const TAIL_KEY: &str = "/journal/state/tail";

/// The key that tells how many lines of a client stand.
pub fn client_key(client: u32) -> String {
    format!("{STATE_PREFIX}client/{client:010}")
}

/// An event of the journal. All of them are self-reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JournalEvent {
    /// A leader has recovered and serves.
    Serving {
        /// How many entries stood.
        entries: u64,
    },
    /// A client was told that so many of its lines stand.
    Acknowledged {
        /// The client.
        client: u32,
        /// Its lines up to this sequence number.
        through: u64,
    },
    /// A client has nothing more to send.
    ClientFinished {
        /// The client.
        client: u32,
        /// How many lines it had.
        lines: u64,
    },
}

wavetank::event!(JournalEvent, |_| wavetank::host::Evidence::SelfReport);
