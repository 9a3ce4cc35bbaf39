//! Addresses and messages, as both worlds' networks see them.

use super::random::name_hash;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The largest message body that [`MessageSender::send`](super::MessageSender::send) takes, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A host name and a port, written `host:port`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeAddress {
    /// The host name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl NodeAddress {
    /// `host:port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        NodeAddress { host: host.into(), port }
    }
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port, such as \"127.0.0.1:6123\", found {0:?}")]
pub struct ParseAddressError(pub String);

impl FromStr for NodeAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseAddressError(text.to_string());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        if host.is_empty() {
            return Err(error());
        }
        Ok(NodeAddress::new(host, port.parse().map_err(|_| error())?))
    }
}

/// The kind of a message (`Gateway.method`), on which faults match. It is no part of the bytes sent.
#[derive(Clone, Copy)]
pub struct Kind {
    name: &'static str,
    hash: u64,
}

impl Kind {
    /// A kind; equal names are equal kinds.
    pub const fn new(name: &'static str) -> Self {
        Kind { name, hash: name_hash(name) }
    }

    /// The hash of the kind of that name.
    pub const fn new_for_lookup(name: &str) -> u64 {
        name_hash(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// A hash of the name, the same in every build.
    pub const fn hash(self) -> u64 {
        self.hash
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.hash == other.hash
    }
}

impl Eq for Kind {}

impl std::hash::Hash for Kind {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
