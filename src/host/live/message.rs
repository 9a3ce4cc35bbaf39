//! Message sockets: one listening port, one inbox, and a courier to each peer that is written to.

pub use super::peer::Peer;
use super::{
    courier::Socket,
    inbound::{Connections, Limits, QueuedFrame},
    node::Node,
    task::Task,
    tcp::Port,
};
use crate::host::{Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress};
use bytes::Bytes;
use std::{io, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Frames that wait in one inbox; beyond it, connections wait and TCP slows their senders down.
const INBOX_FRAMES_MAX: usize = 4_096;

/// The pause after a failed accept, which is mostly for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Opens a message socket; 0 takes a free port.
pub(in crate::host) async fn bind(
    node: &Node,
    port: u16,
) -> io::Result<(MessageSender, MessageReceiver)> {
    node.while_alive(bind_limited(node, port, Limits::default())).await
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
    let connections = Connections::new(node.clone(), limits, inbox.clone());
    let socket = Socket::new(node.clone(), own, inbox, connections);
    let closing = CancellationToken::new();
    Task::spawn(node, accept_all(socket.clone(), port.clone(), closing.clone()));
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
    waiting: mpsc::Receiver<QueuedFrame>,
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
