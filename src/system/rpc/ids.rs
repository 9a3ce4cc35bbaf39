//! What names an endpoint's incarnations and the spans of its life.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Tells the endpoints of one incarnation apart, also those that bore one name in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u64);

/// What a message to a fenced endpoint must carry: the session in which its sender believes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FencingToken(pub u128);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0 >> 96)
    }
}

/// The number of a span of an endpoint's life with one token. A token that comes back begins another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SessionNumber(pub u64);

/// A span of an endpoint's life with one token.
#[derive(Clone, Copy)]
pub(super) struct Session {
    pub token: Option<FencingToken>,
    pub number: SessionNumber,
}
