//! Message sockets: one listening port, one inbox, and a courier to each peer that is written to.

use super::{
    courier::{Courier, Parcel},
    node::Node,
    tcp::{CONNECT_TIME_MAX, Port},
    wire,
};
use crate::host::{Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress};
use bytes::Bytes;
use futures::StreamExt;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc},
};
use tokio_util::{
    codec::FramedRead,
    sync::{CancellationToken, DropGuard},
};

/// Frames that wait in one inbox; beyond it, connections wait and TCP slows their senders down.
const INBOX_FRAMES_MAX: usize = 4_096;

/// Connections that others may hold open to one socket.
const INBOUND_CONNECTIONS_MAX: usize = 1_024;

/// The pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Where frames are sent: another node's message socket. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    address: Arc<NodeAddress>,
}

impl Peer {
    fn new(address: NodeAddress) -> Self {
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

/// What both halves and all tasks of one message socket share.
pub(super) struct Socket {
    pub node: Node,
    pub own: NodeAddress,
    pub inbox: mpsc::Sender<Inbound>,
    couriers: Mutex<BTreeMap<NodeAddress, mpsc::Sender<Parcel>>>,
}

pub(super) async fn bind(node: &Node, port: u16) -> io::Result<(MessageSender, MessageReceiver)> {
    let port = Arc::new(Port::open(node, port).await?);
    let (inbox, waiting) = mpsc::channel(INBOX_FRAMES_MAX);
    let own = port.address().clone();
    let couriers = Mutex::default();
    let socket = Arc::new(Socket { node: node.clone(), own, inbox, couriers });
    let closing = CancellationToken::new();
    node.spawn(accept_all(socket.clone(), port.clone(), closing.clone()));
    let receiver =
        MessageReceiver { socket: socket.clone(), waiting, port, _closing: closing.drop_guard() };
    Ok((MessageSender { socket }, receiver))
}

async fn accept_all(socket: Arc<Socket>, port: Arc<Port>, closing: CancellationToken) {
    let places = Arc::new(Semaphore::new(INBOUND_CONNECTIONS_MAX));
    while let Some(accepted) = closing.run_until_cancelled(port.accept()).await {
        let node = socket.node.name();
        match (accepted, places.clone().try_acquire_owned()) {
            (Ok((tcp, _)), Ok(place)) => {
                let (socket, closing) = (socket.clone(), closing.clone());
                socket.node.clone().spawn(async move {
                    closing.run_until_cancelled(socket.receive_from(tcp)).await;
                    drop(place);
                });
            }
            (Ok((_, from)), Err(_)) => {
                tracing::warn!(node, %from, "too many connections, closed the newest");
            }
            (Err(error), _) => {
                tracing::warn!(node, %error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

impl Socket {
    async fn receive_from(&self, tcp: TcpStream) {
        let from = tcp.peer_addr().ok();
        let Err(error) = self.take_frames(tcp).await else { return };
        let node = self.node.name();
        match error.kind() {
            io::ErrorKind::InvalidData => {
                tracing::warn!(node, ?from, %error, "closed a malformed message connection");
            }
            _ => tracing::debug!(node, ?from, %error, "a message connection broke"),
        }
    }

    async fn take_frames(&self, mut tcp: TcpStream) -> io::Result<()> {
        let preamble = wire::read_preamble(&mut tcp);
        let Ok(sender) = tokio::time::timeout(CONNECT_TIME_MAX, preamble).await else {
            return Err(wire::invalid("no preamble came"));
        };
        let from = Peer::new(sender?);
        let mut frames = FramedRead::new(tcp, wire::codec());
        while let Some(frame) = frames.next().await {
            let inbound = Inbound::Frame { from: from.clone(), frame: frame?.freeze() };
            if self.inbox.send(inbound).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Hands a parcel to the peer's courier; drops it when that one has too many.
    fn enqueue(self: &Arc<Self>, to: &Peer, kind: Kind, parcel: Parcel) {
        let mut couriers = self.couriers.lock().expect("nothing panics here");
        let queue = couriers.entry(to.address().clone()).or_insert_with(|| {
            let (queue, courier) = Courier::new(self.clone(), to.clone());
            self.node.spawn(courier.run());
            queue
        });
        if let Err(mpsc::error::TrySendError::Full(_)) = queue.try_send(parcel) {
            let node = self.node.name();
            tracing::warn!(node, %to.address, ?kind, "too many frames wait for a peer, dropped one");
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
            self.socket.enqueue(to, kind, Parcel { token, frame });
        }
        Ok(())
    }
}

/// The receiving half of a node's message socket. Dropping it closes the port.
pub struct MessageReceiver {
    socket: Arc<Socket>,
    waiting: mpsc::Receiver<Inbound>,
    port: Arc<Port>,
    _closing: DropGuard,
}

impl MessageReceiver {
    /// Waits for the next frame or reset.
    pub async fn recv(&mut self) -> Inbound {
        let next = self.socket.node.while_alive(self.waiting.recv()).await;
        next.expect("the socket itself keeps the inbox open")
    }
}

impl Drop for MessageReceiver {
    fn drop(&mut self) {
        self.port.close();
    }
}
