//! The blob service: immutable named blobs, such as the files of checkpoints.
//!
//! The server is one node with a disk. A blob is written once, read, deleted, and its name may be
//! used again after that. Sealing a prefix removes what is under it for ever, so that a late upload
//! leaves nothing behind. Every call may be repeated.
//!
//! A file that was changed by hand is refused, and so are files without the index that names them.
//! When both folders are set back in time, or gone, a job master refuses: the checkpoint to which the
//! coordination service points can't be read, which fails the job with that blob's name.
//!
//! Deliberately absent: replication, as in the coordination service, and blobs larger than a message.

mod client;
mod files;
mod index;
mod model;
mod server;

pub use client::{BlobClient, BlobConfig, BlobError};
pub use model::{BLOB_BYTES_MAX, BLOB_NAME_BYTES_MAX, BLOB_NAMES_MAX, BlobRefusal};
pub use server::{BLOB_ENDPOINT, BlobGateway, BlobHandler, BlobServer};

use serde::{Deserialize, Serialize};

/// An event of the blob service, taken from the server's synced log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BlobEvent {
    /// The server is up with what its disk holds.
    Recovered {
        /// Every blob's name, length in bytes and CRC-32, by name.
        blobs: Vec<(String, u64, u32)>,
        /// The prefixes that are sealed.
        sealed: Vec<String>,
    },
    /// A blob is durable.
    Stored {
        /// Its name.
        name: String,
        /// Its length in bytes.
        len: u64,
        /// Its CRC-32.
        crc: u32,
    },
    /// Blobs are gone.
    Deleted {
        /// The names that were there.
        names: Vec<String>,
    },
    /// Nothing is under a prefix any more, for ever.
    Sealed {
        /// The prefix.
        prefix: String,
        /// The names that were there.
        removed: Vec<String>,
    },
}

crate::event!(BlobEvent, |_| crate::host::Evidence::Service);
