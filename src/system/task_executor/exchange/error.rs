//! Why a channel is lost.

use std::io;

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is longer than any that is sent.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// It is not what its type says.
    #[error("a malformed frame")]
    Malformed,
}

/// Why a channel is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The producer's task executor can't be reached.
    #[error("no connection: {0}")]
    Connect(io::ErrorKind),
    /// The partition did not come up in time.
    #[error("the partition was not found")]
    PartitionNotFound,
    /// The producer refuses to be read.
    #[error("refused by the producer")]
    Refused,
    /// The stream broke.
    #[error("broken: {0}")]
    Broken(io::ErrorKind),
    /// The stream ended, or the partition was released, before the end of the partition.
    #[error("ended before the end of the partition")]
    EndedEarly,
    /// A buffer is missing, or there twice.
    #[error("buffer {found} where {expected} was due")]
    SequenceGap {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The producer sent more than it had credit for.
    #[error("more buffers than credited")]
    CreditExceeded,
    /// Something came behind the end of the data or of the partition, or an answer twice.
    #[error("something came out of turn")]
    OutOfTurn,
    /// A frame makes no sense.
    #[error("{0}")]
    Wire(#[from] WireError),
}
