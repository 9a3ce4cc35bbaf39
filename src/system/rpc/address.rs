//! Where an endpoint is found.

use crate::host::NodeAddress;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The address of an endpoint, written `rpc://host:port/path`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RpcAddress {
    /// The message socket of its service.
    pub node: NodeAddress,
    /// The endpoint's name within the service.
    pub path: String,
}

impl RpcAddress {
    /// `rpc://node/path`.
    pub fn new(node: NodeAddress, path: impl Into<String>) -> Self {
        RpcAddress { node, path: path.into() }
    }
}

impl fmt::Display for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rpc://{}/{}", self.node, self.path)
    }
}

impl fmt::Debug for RpcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A text that is no RPC address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected rpc://host:port/path, such as \"rpc://127.0.0.1:6123/hello\", found {0:?}")]
pub struct ParseRpcAddressError(pub String);

impl FromStr for RpcAddress {
    type Err = ParseRpcAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (node, path) = text.strip_prefix("rpc://")?.split_once('/')?;
            (!path.is_empty()).then_some(RpcAddress::new(node.parse::<NodeAddress>().ok()?, path))
        };
        parse().ok_or_else(|| ParseRpcAddressError(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        let address = RpcAddress::new(NodeAddress::new("host", 6123), "path/to/hello");
        assert_eq!(address.to_string(), "rpc://host:6123/path/to/hello");
        assert_eq!(address.to_string().parse(), Ok(address));
    }

    #[test]
    fn a_wrong_address_is_refused_with_what_was_expected() {
        for text in ["", "host:1/a", "rpc://host/a", "rpc://host:1", "rpc://host:1/", "rpc://:1/a"]
        {
            let error = text.parse::<RpcAddress>().expect_err(text);
            assert!(error.to_string().contains("rpc://127.0.0.1:6123/hello"), "{error}");
        }
    }
}
