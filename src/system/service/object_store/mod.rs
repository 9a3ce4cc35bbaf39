//! The object store: immutable named objects, such as the files of checkpoints.
//!
//! The server is one node with a disk. An object is written once, read, renamed, deleted, and its name may be
//! used again after that. A rename is one record of the index's log, which is durable before it is answered, so
//! an object is under one of its two names at every moment and after every crash; its file stays. Sealing a
//! prefix removes what is under it for ever, so that a late upload leaves nothing behind. Every call may be
//! repeated.
//!
//! A file that was changed by hand is refused, and so are files without the index that names them.
//! When both folders are set back in time, or gone, a job master refuses: the checkpoint to which the
//! coordination service points can't be read, so the job waits, and says that object's name.
//!
//! Live, a folder that all processes of a cluster reach may stand in the server's place (`adapters`), with the
//! same calls on files.
//!
//! Deliberately absent: replication, as in the coordination service, and objects larger than a message.

mod api;
mod client;
mod files;
mod index;
mod model;
mod server;

pub use api::{ObjectStore, ObjectStoreError, ObjectStores};
pub use client::{ObjectStoreClient, ObjectStoreConfig};
pub use model::{
    OBJECT_BYTES_MAX, OBJECT_NAME_BYTES_MAX, OBJECT_NAMES_MAX, ObjectStoreRefusal, ObjectSum,
    RenameOf, Renaming, check_name, check_size, prefixes, trim_prefix,
};
pub use server::{BlobGateway, OBJECT_STORE_ENDPOINT, ObjectStoreHandler, ObjectStoreServer};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    hash::{Hash, Hasher},
};

/// What is in an object, for whoever checks a run. Its length and checksum stand beside it, for everybody else.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content(pub Bytes);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl Hash for Content {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// An event of the object store, taken from the server's synced log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectStoreEvent {
    /// The server is up with what its disk holds.
    Recovered {
        /// Every object's name, length in bytes and CRC-32, by name.
        objects: Vec<(String, u64, u32)>,
        /// The prefixes that are sealed.
        sealed: Vec<String>,
    },
    /// An object is durable.
    Stored {
        /// Its name.
        name: String,
        /// Its length in bytes.
        len: u64,
        /// Its CRC-32.
        crc: u32,
        /// What is in it.
        #[serde(skip)]
        content: Content,
    },
    /// An object has another name.
    Renamed {
        /// Under which it is no longer.
        from: String,
        /// Under which it is.
        to: String,
        /// Its length in bytes.
        len: u64,
        /// Its CRC-32.
        crc: u32,
    },
    /// Objects are gone.
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

crate::event!(ObjectStoreEvent, |_| crate::host::Evidence::Service);
