//! Causes are known in simulation alone, where a failure's history can be cut to what led to it.

/// The entry that led to something: live there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause;
