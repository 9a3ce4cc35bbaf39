//! Causes are known in simulation alone, where a failure's history can be cut to what led to it.

/// Because of what something happens; nothing live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause;
