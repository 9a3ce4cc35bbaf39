//! What carries calls from one process to another: chosen by name from those that there are.

use crate::host::{Host, Kind, MessageReceiver, MessageSender, NodeAddress, Peer};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{fmt::Write, io};

/// The name of the transport on the messages of the host: simulated links in simulation, TCP live.
pub const MESSAGES: &str = "messages";

/// The name of the transport that reaches nobody: for a process whose endpoints call each other alone. It opens no
/// port.
pub const LOCAL: &str = "local";

/// A way to carry calls.
pub(super) struct Transport {
    name: &'static str,
    about: &'static str,
    open: fn(Host, u16) -> BoxFuture<'static, io::Result<Opened>>,
}

/// What an open transport sends by, and what arrives on it, if anything can.
pub(super) type Opened = (Outlet, Option<MessageReceiver>);

/// All that there are.
static TRANSPORTS: [Transport; 2] = [
    Transport {
        name: MESSAGES,
        about: "the messages of the host, between processes",
        open: |host, port| {
            async move {
                let (sender, receiver) = host.bind(port).await?;
                Ok((Outlet::Messages(sender), Some(receiver)))
            }
            .boxed()
        },
    },
    Transport {
        name: LOCAL,
        about: "calls within one service, without a port",
        open: |host, _| {
            // No other service is found there, not even another one of the process.
            let own = NodeAddress::new(format!("local-{:016x}", host.random_u64()), 0);
            async { Ok((Outlet::Local(own), None)) }.boxed()
        },
    },
];

/// No transport could be loaded: the one that was asked for is not among those that there are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RPC transport is named {asked:?}: tried {}", tried())]
pub struct LoadError {
    /// What was asked for.
    pub asked: String,
}

/// What a name was compared with.
fn tried() -> String {
    let mut tried = String::new();
    for (number, Transport { name, about, .. }) in TRANSPORTS.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        write!(tried, "{comma}{name:?} ({about})").expect("memory");
    }
    tried
}

impl Transport {
    /// The transport of that name.
    ///
    /// # Errors
    /// [`LoadError`] tells those that there are.
    pub fn named(name: &str) -> Result<&'static Transport, LoadError> {
        let found = TRANSPORTS.iter().find(|transport| transport.name == name);
        found.ok_or_else(|| LoadError { asked: name.to_string() })
    }

    /// Opens it on a port, 0 for any free one.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn open(&self, host: &Host, port: u16) -> io::Result<Opened> {
        (self.open)(host.clone(), port).await
    }
}

/// The sending side of an open transport.
pub(super) enum Outlet {
    Messages(MessageSender),
    /// Nobody is reached from this address, and nobody reaches it.
    Local(NodeAddress),
}

impl Outlet {
    /// Where the service is found.
    pub fn address(&self) -> &NodeAddress {
        match self {
            Outlet::Messages(sender) => sender.address(),
            Outlet::Local(own) => own,
        }
    }

    /// A peer to send to, if any can be reached.
    pub fn peer(&self, address: &NodeAddress) -> Option<Peer> {
        match self {
            Outlet::Messages(sender) => Some(sender.peer(address)),
            Outlet::Local(_) => None,
        }
    }

    /// Sends a frame to a peer of this outlet.
    pub fn send(&self, peer: &Peer, kind: Kind, token: u64, frame: Bytes) {
        match self {
            Outlet::Messages(sender) => {
                sender.send(peer, kind, token, frame).expect("frames are checked for their size");
            }
            Outlet::Local(_) => unreachable!("there are no peers"),
        }
    }
}
