//! Records.

use bytes::Bytes;

/// One record, in the encoding of the job; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record(pub Bytes);
