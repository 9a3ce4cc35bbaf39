//! What all processes of a live cluster have in common.

/// Where all nodes of a live cluster listen.
pub const HOSTNAME: &str = "127.0.0.1";
