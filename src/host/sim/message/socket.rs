//! What a process holds of its message sockets.

use super::datagram::{Datagram, Payload, Peer};
use crate::host::{
    Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress,
    sim::{cause::Cause, node::Node},
};
use bytes::Bytes;
use std::{future::poll_fn, io, task::Poll};

/// Opens a message socket; 0 takes a free port.
pub(in crate::host) async fn bind(
    node: &Node,
    port: u16,
) -> io::Result<(MessageSender, MessageReceiver)> {
    node.alive().await;
    let port = node.shared().lock().machine(node.id()).ports.open(port)?;
    let own = Peer::new(Some(node.id()), NodeAddress::new(node.name(), port));
    let sender = MessageSender { node: node.clone(), own };
    Ok((sender, MessageReceiver { node: node.clone(), port }))
}

/// The sending half of a node's message socket.
#[derive(Clone)]
pub struct MessageSender {
    node: Node,
    own: Peer,
}

impl MessageSender {
    /// The socket's own address.
    pub fn address(&self) -> &NodeAddress {
        self.own.address()
    }

    /// Looks an address up once, so that sending to it is cheap.
    pub fn peer(&self, address: &NodeAddress) -> Peer {
        let node = self.node.shared().lock().find(&address.host);
        Peer::new(node, address.clone())
    }

    /// Sends a frame, which may be lost, delayed, repeated or damaged. Never waits.
    ///
    /// # Errors
    /// `InvalidInput` for a frame above [`MESSAGE_BYTES_MAX`].
    pub fn send(&self, to: &Peer, kind: Kind, token: u64, frame: Bytes) -> io::Result<()> {
        if frame.len() > MESSAGE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let now = self.node.shared().now();
        let Some(mut locked) = self.node.lock_alive() else { return Ok(()) };
        let from = self.node.id();
        let datagram = |to, sender: &Peer, receiver: &Peer, payload| Datagram {
            from,
            to,
            kind,
            ordinal: 0,
            cause: Cause::NONE,
            sender: sender.clone(),
            sender_incarnation: self.node.number(),
            receiver: receiver.clone(),
            token,
            payload,
        };
        match to.node() {
            Some(target) => {
                locked.wire(now).send(datagram(target, &self.own, to, Payload::Frame(frame)))
            }
            // An unknown name is answered by this very node, as a failed look-up is.
            None => locked.wire(now).send(datagram(from, to, &self.own, Payload::Reset)),
        }
        Ok(())
    }
}

/// The receiving half of a node's message socket. Dropping it closes the port.
pub struct MessageReceiver {
    node: Node,
    port: u16,
}

impl MessageReceiver {
    /// Waits for the next frame or reset.
    pub async fn recv(&mut self) -> Inbound {
        let next = poll_fn(|cx| match self.node.lock_alive() {
            Some(mut locked) => locked.machine(self.node.id()).ports.poll(self.port, cx.waker()),
            None => Poll::Pending,
        });
        let (inbound, arrival) = next.await;
        // What follows is because of this frame, whichever woke the task.
        self.node.continue_from(arrival);
        inbound
    }
}

impl Drop for MessageReceiver {
    fn drop(&mut self) {
        let inbox = match self.node.lock_alive() {
            Some(mut locked) => locked.machine(self.node.id()).ports.close(self.port),
            None => None,
        };
        drop(inbox);
    }
}
