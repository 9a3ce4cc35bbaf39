//! Where frames are sent.

use crate::host::NodeAddress;
use std::{fmt, sync::Arc};

/// Where frames are sent: another node's message socket. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    address: Arc<NodeAddress>,
}

impl Peer {
    pub(super) fn new(address: NodeAddress) -> Self {
        Peer { address: Arc::new(address) }
    }

    /// The socket's address.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}
