//! Why a file sink can't go on, and the bound that it names.

use crate::system::service::object_store::{
    OBJECT_BYTES_MAX, OBJECT_NAME_BYTES_MAX, ObjectStoreRefusal,
};

/// Parts of a subtask that wait for checkpoints at most: a task's whole state has to fit into one object.
pub const PENDING_PARTS_MAX: usize = 2048;
const _: () = assert!(PENDING_PARTS_MAX * (2 * OBJECT_NAME_BYTES_MAX + 64) <= OBJECT_BYTES_MAX);

/// Why a sink can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileSinkError {
    /// Nothing can be written yet.
    #[error("the sink is not open")]
    NotOpen,
    /// The directory can be no part of a name.
    #[error(
        "{directory:?} is no directory of files: it is made of `/`-separated parts of `A-Za-z0-9._-`, 200 bytes at most"
    )]
    BadDirectory {
        /// What was given.
        directory: String,
    },
    /// The sink's uid can be no part of a name.
    #[error(
        "the uid {uid:?} is a part of files' names: it has 100 bytes of `A-Za-z0-9._-` at most"
    )]
    BadUid {
        /// What was given.
        uid: String,
    },
    /// A line holds a line break, and would be two.
    #[error("a line holds a line break")]
    LineBreak,
    /// A line fits into no object.
    #[error("a line has {bytes} bytes, and a part may have {OBJECT_BYTES_MAX} (OBJECT_BYTES_MAX)")]
    LineTooLong {
        /// How many, with its line break.
        bytes: usize,
    },
    /// [`PENDING_PARTS_MAX`] wait for a checkpoint.
    #[error(
        "{PENDING_PARTS_MAX} parts wait for a checkpoint, and no more may (PENDING_PARTS_MAX): take checkpoints more \
         often, let parts grow larger, or use more subtasks"
    )]
    TooManyParts,
    /// A part can't get its final name.
    #[error(
        "{pending} can't be renamed to {file}: {refusal}. If it was taken away under its final name while a restart \
         could still look for it, put it back there"
    )]
    NotRenamed {
        /// Its name until its checkpoint is complete.
        pending: String,
        /// Its final name.
        file: String,
        /// What the object store says.
        refusal: ObjectStoreRefusal,
    },
}
