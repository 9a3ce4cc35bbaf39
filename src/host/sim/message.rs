//! Message sockets: frames in flight, ports with bounded inboxes, resets from hosts without a taker.

use super::{
    link::Crossing,
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
pub(in crate::host) struct Flight {
    pub from: NodeId,
    pub to: NodeId,
    pub kind: Kind,
    pub ordinal: u64,
    sender: Peer,
    sender_incarnation: u64,
    receiver: Peer,
    token: u64,
    load: Load,
}

#[derive(Clone)]
enum Load {
    Frame(Bytes),
    /// "Nobody here takes frames", on its way back to the sender.
    Reset,
}

impl Flight {
    /// As the links see it when it leaves at that time.
    pub fn crossing(&self, leaves: Nanos) -> Crossing {
        let bytes = match &self.load {
            Load::Frame(frame) => frame.len(),
            Load::Reset => RESET_BYTES,
        };
        Crossing { from: self.from, to: self.to, kind: self.kind, leaves, bytes }
    }

    /// The same with one bit of its frame flipped.
    pub fn damaged(mut self, place: u64) -> Self {
        if let Load::Frame(frame) = &mut self.load
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
    pub fn note_flight(&mut self, now: Nanos, tag: u8, flight: &Flight, what: &str) {
        let words = [flight.from.link_key(flight.to), flight.kind.hash(), flight.ordinal];
        let names = (&self.nodes[flight.from.index()].name, &self.nodes[flight.to.index()].name);
        self.digest.entry(now, tag, &words, || {
            format!("{} -> {} {:?} #{} {what}", names.0, names.1, flight.kind, flight.ordinal)
        });
    }

    pub fn arrive(&mut self, now: Nanos, flight: Flight, wakers: &mut Vec<Waker>) {
        let local = flight.from == flight.to;
        let target = &self.nodes[flight.to.index()];
        if !target.powered {
            return self.note_flight(now, 2, &flight, "no power");
        }
        if !local && self.links.is_cut(flight.from, flight.to, flight.kind) {
            return self.note_flight(now, 2, &flight, "cut under way");
        }
        self.note_flight(now, 8, &flight, "delivered");
        let port = flight.receiver.address().port;
        let is_reset = matches!(flight.load, Load::Reset);
        if is_reset && !self.runs(flight.to, flight.sender_incarnation) {
            return;
        }
        let Some(inbox) = self.node(flight.to).ports.open.get_mut(&port) else {
            if !is_reset {
                self.launch_reset(now, flight);
            }
            return;
        };
        if inbox.waiting.len() >= INBOX_FRAMES_MAX {
            return self.note_flight(now, 2, &flight, "inbox full");
        }
        inbox.waiting.push_back(match flight.load {
            Load::Frame(frame) => Inbound::Frame { from: flight.sender, frame },
            Load::Reset => Inbound::Unreachable { peer: flight.sender, token: flight.token },
        });
        wakers.extend(inbox.receiver.take());
    }

    fn launch_reset(&mut self, now: Nanos, flight: Flight) {
        let reset = Flight {
            from: flight.to,
            to: flight.from,
            kind: RESET,
            ordinal: 0,
            sender: flight.receiver,
            sender_incarnation: flight.sender_incarnation,
            receiver: flight.sender,
            token: flight.token,
            load: Load::Reset,
        };
        self.send(now, reset);
    }

    /// Loses the frames under way between these nodes: what a connection carried goes with it.
    pub fn lose_flights(&mut self, now: Nanos, between: impl Fn(NodeId, NodeId) -> bool) {
        let lost = self.queue.remove_if(|action| match action {
            Action::Arrive(flight) => flight.from != flight.to && between(flight.from, flight.to),
            _ => false,
        });
        for action in lost {
            let Action::Arrive(flight) = action else { continue };
            self.note_flight(now, 2, &flight, "reset under way");
            self.links.note(now, &flight.crossing(now), flight.ordinal, "reset");
        }
    }

    /// A frame within one node is delivered in order and never touches a link.
    fn send(&mut self, now: Nanos, flight: Flight) {
        if flight.from == flight.to {
            self.queue.push(now, Action::Arrive(flight));
        } else {
            self.launch(now, flight);
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
        let flight = |to, sender: &Peer, receiver: &Peer, load| Flight {
            from,
            to,
            kind,
            ordinal: 0,
            sender: sender.clone(),
            sender_incarnation: self.node.incarnation.number,
            receiver: receiver.clone(),
            token,
            load,
        };
        match to.inner.node {
            Some(target) => locked.send(now, flight(target, &self.own, to, Load::Frame(frame))),
            // An unknown name is answered by this very node, as a failed look-up is.
            None => locked.send(now, flight(from, to, &self.own, Load::Reset)),
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
