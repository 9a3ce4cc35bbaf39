//! Message sockets: frames under way, ports with bounded inboxes, resets from hosts without a taker.

use super::{
    link::LinkTraversal,
    node::{Node, NodeId},
    world::{Action, Nanos, State},
};
use crate::host::{Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress};
use bytes::{Bytes, BytesMut};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    future::poll_fn,
    io,
    sync::Arc,
    task::{Poll, Waker},
};

/// Frames that wait in one inbox at most; what comes beyond is dropped.
const INBOX_FRAMES_MAX: usize = 65_536;

/// The first port given out for port 0.
const EPHEMERAL_PORT_MIN: u16 = 49_152;

/// The size of a reset on a link: little more than headers.
const RESET_BYTES: usize = 40;

/// "Nobody here takes frames."
pub const RESET: Kind = Kind::new("reset");

/// Where frames are sent: another node's message socket. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    inner: Arc<PeerInner>,
}

struct PeerInner {
    /// `None` when no node has that name.
    node: Option<NodeId>,
    address: NodeAddress,
}

impl Peer {
    /// The socket's address.
    pub fn address(&self) -> &NodeAddress {
        &self.inner.address
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner.address)
    }
}

/// The sockets of one process.
#[derive(Default)]
pub(in crate::host) struct Ports {
    open: BTreeMap<u16, Inbox>,
}

#[derive(Default)]
struct Inbox {
    waiting: VecDeque<Inbound>,
    receiver: Option<Waker>,
}

/// A frame under way.
#[derive(Clone)]
pub(in crate::host) struct Datagram {
    pub from: NodeId,
    pub to: NodeId,
    pub kind: Kind,
    pub ordinal: u64,
    sender: Peer,
    sender_incarnation: u64,
    receiver: Peer,
    token: u64,
    payload: Payload,
}

#[derive(Clone)]
enum Payload {
    Frame(Bytes),
    /// "Nobody here takes frames", on its way back to the sender.
    Reset,
}

impl Datagram {
    /// As the links see it when it leaves at that time.
    pub fn traversal(&self, leaves: Nanos) -> LinkTraversal {
        let bytes = match &self.payload {
            Payload::Frame(frame) => frame.len(),
            Payload::Reset => RESET_BYTES,
        };
        LinkTraversal { from: self.from, to: self.to, kind: self.kind, leaves, bytes }
    }

    /// The same with one bit of its frame flipped.
    pub fn damaged(mut self, place: u64) -> Self {
        if let Payload::Frame(frame) = &mut self.payload
            && !frame.is_empty()
        {
            let bit = place % (frame.len() as u64 * 8);
            let mut bytes = BytesMut::from(&frame[..]);
            let at = usize::try_from(bit / 8).expect("an index below a length");
            bytes[at] ^= 1 << (bit % 8);
            *frame = bytes.freeze();
        }
        self
    }
}

impl State {
    pub fn note_datagram(&mut self, now: Nanos, tag: u8, datagram: &Datagram, what: &str) {
        let words = [datagram.from.link_key(datagram.to), datagram.kind.hash(), datagram.ordinal];
        let names =
            (&self.nodes[datagram.from.index()].name, &self.nodes[datagram.to.index()].name);
        self.digest.entry(now, tag, &words, || {
            format!("{} -> {} {:?} #{} {what}", names.0, names.1, datagram.kind, datagram.ordinal)
        });
    }

    pub fn arrive(&mut self, now: Nanos, datagram: Datagram, wakers: &mut Vec<Waker>) {
        let local = datagram.from == datagram.to;
        let target = &self.nodes[datagram.to.index()];
        if !target.powered {
            return self.note_datagram(now, 2, &datagram, "no power");
        }
        if !local && self.links.is_cut(datagram.from, datagram.to, datagram.kind) {
            return self.note_datagram(now, 2, &datagram, "cut under way");
        }
        self.note_datagram(now, 8, &datagram, "delivered");
        let port = datagram.receiver.address().port;
        let is_reset = matches!(datagram.payload, Payload::Reset);
        if is_reset && !self.runs(datagram.to, datagram.sender_incarnation) {
            return;
        }
        let Some(inbox) = self.node(datagram.to).ports.open.get_mut(&port) else {
            if !is_reset {
                self.transmit_reset(now, datagram);
            }
            return;
        };
        if inbox.waiting.len() >= INBOX_FRAMES_MAX {
            return self.note_datagram(now, 2, &datagram, "inbox full");
        }
        inbox.waiting.push_back(match datagram.payload {
            Payload::Frame(frame) => Inbound::Frame { from: datagram.sender, frame },
            Payload::Reset => Inbound::Unreachable { peer: datagram.sender, token: datagram.token },
        });
        wakers.extend(inbox.receiver.take());
    }

    fn transmit_reset(&mut self, now: Nanos, datagram: Datagram) {
        let reset = Datagram {
            from: datagram.to,
            to: datagram.from,
            kind: RESET,
            ordinal: 0,
            sender: datagram.receiver,
            sender_incarnation: datagram.sender_incarnation,
            receiver: datagram.sender,
            token: datagram.token,
            payload: Payload::Reset,
        };
        self.send(now, reset);
    }

    /// Loses the frames under way between these nodes: what a connection carried goes with it.
    pub fn lose_datagrams(&mut self, now: Nanos, between: impl Fn(NodeId, NodeId) -> bool) {
        let lost = self.queue.remove_if(|action| match action {
            Action::Arrive(datagram) => {
                datagram.from != datagram.to && between(datagram.from, datagram.to)
            }
            _ => false,
        });
        for action in lost {
            let Action::Arrive(datagram) = action else { continue };
            self.note_datagram(now, 2, &datagram, "reset under way");
            self.links.note(now, &datagram.traversal(now), datagram.ordinal, "reset");
        }
    }

    /// A frame within one node is delivered in order and never touches a link.
    fn send(&mut self, now: Nanos, datagram: Datagram) {
        if datagram.from == datagram.to {
            self.queue.push(now, Action::Arrive(datagram));
        } else {
            self.transmit(now, datagram);
        }
    }
}

pub(super) fn bind(node: &Node, port: u16) -> io::Result<(MessageSender, MessageReceiver)> {
    let mut locked = node.shared().lock();
    let open = &mut locked.node(node.id()).ports.open;
    let port = match port {
        0 => (EPHEMERAL_PORT_MIN..=u16::MAX)
            .find(|port| !open.contains_key(port))
            .ok_or(io::ErrorKind::AddrNotAvailable)?,
        port if open.contains_key(&port) => return Err(io::ErrorKind::AddrInUse.into()),
        port => port,
    };
    open.insert(port, Inbox::default());
    drop(locked);
    let address = NodeAddress::new(node.name(), port);
    let own = Peer { inner: Arc::new(PeerInner { node: Some(node.id()), address }) };
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
        let node = self.node.shared().lock().by_name.get(address.host.as_str()).copied();
        Peer { inner: Arc::new(PeerInner { node, address: address.clone() }) }
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
            sender: sender.clone(),
            sender_incarnation: self.node.incarnation.number,
            receiver: receiver.clone(),
            token,
            payload,
        };
        match to.inner.node {
            Some(target) => {
                locked.send(now, datagram(target, &self.own, to, Payload::Frame(frame)))
            }
            // An unknown name is answered by this very node, as a failed look-up is.
            None => locked.send(now, datagram(from, to, &self.own, Payload::Reset)),
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
        poll_fn(|cx| {
            let Some(mut locked) = self.node.lock_alive() else { return Poll::Pending };
            let ports = &mut locked.node(self.node.id()).ports;
            let inbox = ports.open.get_mut(&self.port).expect("open while its receiver lives");
            match inbox.waiting.pop_front() {
                Some(inbound) => Poll::Ready(inbound),
                None => {
                    inbox.receiver = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Drop for MessageReceiver {
    fn drop(&mut self) {
        let inbox = match self.node.lock_alive() {
            Some(mut locked) => locked.node(self.node.id()).ports.open.remove(&self.port),
            None => None,
        };
        drop(inbox);
    }
}
