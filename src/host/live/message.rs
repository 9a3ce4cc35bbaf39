//! Message sockets: one listening port, one inbox, and a courier to each peer that is written to.

use super::{
    courier::{Courier, Parcel, Queue},
    inbound::{Connections, Limits},
    node::Node,
    tcp::Port,
};
use crate::host::{Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Frames that wait in one inbox; beyond it, connections wait and TCP slows their senders down.
const INBOX_FRAMES_MAX: usize = 4_096;

/// Peers that are written to at once.
const PEERS_MAX: usize = 4_096;

/// The pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

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

/// What waits in the inbox.
pub(super) struct Waiting {
    pub inbound: Inbound,
    /// The room that its bytes take.
    pub _held: Option<OwnedSemaphorePermit>,
}

/// What both halves and all tasks of one message socket share.
pub(super) struct Socket {
    pub node: Node,
    pub own: NodeAddress,
    pub inbox: mpsc::Sender<Waiting>,
    couriers: Mutex<BTreeMap<NodeAddress, Queue>>,
    connections: Arc<Connections>,
}

pub(super) async fn bind(node: &Node, port: u16) -> io::Result<(MessageSender, MessageReceiver)> {
    bind_limited(node, port, Limits::default()).await
}

/// The same with other limits on what others may take.
pub(super) async fn bind_limited(
    node: &Node,
    port: u16,
    limits: Limits,
) -> io::Result<(MessageSender, MessageReceiver)> {
    let port = Arc::new(Port::open(node, port).await?);
    let (inbox, waiting) = mpsc::channel(INBOX_FRAMES_MAX);
    let own = port.address().clone();
    let couriers = Mutex::default();
    let connections = Connections::new(node.clone(), limits, inbox.clone());
    let socket = Arc::new(Socket { node: node.clone(), own, inbox, couriers, connections });
    let closing = CancellationToken::new();
    node.spawn(accept_all(socket.clone(), port.clone(), closing.clone()));
    let receiver =
        MessageReceiver { socket: socket.clone(), waiting, port, _closing: closing.drop_guard() };
    Ok((MessageSender { socket }, receiver))
}

async fn accept_all(socket: Arc<Socket>, port: Arc<Port>, closing: CancellationToken) {
    while let Some(accepted) = closing.run_until_cancelled(port.accept()).await {
        match accepted {
            Ok((tcp, from)) => socket.connections.admit(tcp, from, closing.clone()),
            Err(error) => {
                if let Some(more) = socket.connections.warnings().due("accept") {
                    let node = socket.node.name();
                    tracing::warn!(node, %error, more, "no connection could be accepted");
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Socket {
    /// Hands a parcel to the peer's courier; drops it when that one has too many, or there are too
    /// many couriers.
    fn enqueue(self: &Arc<Self>, to: &Peer, kind: Kind, token: u64, frame: Bytes) {
        let mut couriers = self.couriers.lock().expect("nothing panics here");
        if couriers.len() >= PEERS_MAX && !couriers.contains_key(to.address()) {
            return self.dropped(
                "peers",
                to,
                kind,
                "too many peers are written to, dropped a frame",
            );
        }
        let queue = couriers.entry(to.address().clone()).or_insert_with(|| {
            let (queue, courier) = Courier::new(self.clone(), to.clone());
            self.node.spawn(courier.run());
            queue
        });
        if !queue.push(token, frame) {
            self.dropped("queue", to, kind, "too many frames wait for a peer, dropped one");
        }
    }

    fn dropped(&self, warning: &'static str, to: &Peer, kind: Kind, what: &str) {
        if let Some(more) = self.connections.warnings().due(warning) {
            let node = self.node.name();
            tracing::warn!(node, %to.address, ?kind, more, "{what}");
        }
    }

    /// Forgets an idle courier, unless a parcel has just come for it.
    pub fn retire(&self, peer: &Peer, queue: &mut mpsc::Receiver<Parcel>) -> Option<Parcel> {
        // `enqueue` holds the same lock, so nothing can slip in between.
        let mut couriers = self.couriers.lock().expect("nothing panics here");
        let parcel = queue.try_recv().ok();
        if parcel.is_none() {
            couriers.remove(peer.address());
        }
        parcel
    }
}

/// The sending half of a node's message socket.
#[derive(Clone)]
pub struct MessageSender {
    socket: Arc<Socket>,
}

impl MessageSender {
    /// The socket's own address.
    pub fn address(&self) -> &NodeAddress {
        &self.socket.own
    }

    /// Looks an address up once, so that sending to it is cheap.
    pub fn peer(&self, address: &NodeAddress) -> Peer {
        Peer::new(address.clone())
    }

    /// Sends a frame, which may be lost, delayed, repeated or damaged. Never waits.
    ///
    /// # Errors
    /// `InvalidInput` for a frame above [`MESSAGE_BYTES_MAX`].
    pub fn send(&self, to: &Peer, kind: Kind, token: u64, frame: Bytes) -> io::Result<()> {
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if !self.socket.node.dead() {
            self.socket.enqueue(to, kind, token, frame);
        }
        Ok(())
    }
}

/// The receiving half of a node's message socket. Dropping it closes the port.
pub struct MessageReceiver {
    socket: Arc<Socket>,
    waiting: mpsc::Receiver<Waiting>,
    port: Arc<Port>,
    _closing: DropGuard,
}

impl MessageReceiver {
    /// Waits for the next frame or reset.
    pub async fn recv(&mut self) -> Inbound {
        let next = self.socket.node.while_alive(self.waiting.recv()).await;
        next.expect("the socket itself keeps the inbox open").inbound
    }
}

impl Drop for MessageReceiver {
    fn drop(&mut self) {
        self.port.close();
    }
}
