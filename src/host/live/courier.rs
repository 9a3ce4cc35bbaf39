//! A socket's couriers: tasks that each carry its frames to one peer, over a connection made on first
//! use.

use super::{
    inbound::{Connections, QueuedFrame},
    node::Node,
    peer::Peer,
    task::Task,
    tcp, wire,
};
use crate::host::{Inbound, Kind, MESSAGE_BYTES_MAX, NodeAddress};
use bytes::Bytes;
use futures::SinkExt;
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::AsyncReadExt,
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::codec::{FramedWrite, LengthDelimitedCodec};

/// Peers that are written to at once.
const PEERS_MAX: usize = 4_096;

/// Frames that wait for one peer at most; what comes beyond is dropped.
const QUEUE_FRAMES_MAX: usize = 4_096;

/// Bytes that wait for one peer at most.
const QUEUE_BYTES_MAX: usize = 8 * MESSAGE_BYTES_MAX;

/// How many of the frames sent last are reported when their connection breaks.
const SENT_FRAMES_MAX: usize = 4_096;

/// An unused connection is closed after this time, and its courier goes after the same again.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a peer may take nothing before its connection is given up.
const STALL_TIME_MAX: Duration = Duration::from_secs(30);

/// What both halves and all tasks of one message socket share.
pub(super) struct Socket {
    pub node: Node,
    pub own: NodeAddress,
    pub inbox: mpsc::Sender<QueuedFrame>,
    couriers: Mutex<BTreeMap<NodeAddress, Queue>>,
    pub connections: Arc<Connections>,
}

impl Socket {
    /// A socket that has no couriers yet.
    pub fn new(
        node: Node,
        own: NodeAddress,
        inbox: mpsc::Sender<QueuedFrame>,
        connections: Arc<Connections>,
    ) -> Arc<Self> {
        Arc::new(Socket { node, own, inbox, couriers: Mutex::default(), connections })
    }

    /// Hands a parcel to the peer's courier; drops it when that one has too many, or there are too
    /// many couriers.
    pub fn enqueue(self: &Arc<Self>, to: &Peer, kind: Kind, token: u64, frame: Bytes) {
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
            Task::spawn(&self.node, courier.run());
            queue
        });
        if !queue.push(token, frame) {
            self.dropped("queue", to, kind, "too many frames wait for a peer, dropped one");
        }
    }

    fn dropped(&self, warning: &'static str, to: &Peer, kind: Kind, what: &str) {
        if let Some(more) = self.connections.warnings().due(warning) {
            let node = self.node.name();
            tracing::warn!(node, to = %to.address(), ?kind, more, "{what}");
        }
    }

    /// Forgets an idle courier, unless a parcel has just come for it.
    fn retire(&self, peer: &Peer, queue: &mut mpsc::Receiver<Parcel>) -> Option<Parcel> {
        // `enqueue` holds the same lock, so nothing can slip in between.
        let mut couriers = self.couriers.lock().expect("nothing panics here");
        let parcel = queue.try_recv().ok();
        if parcel.is_none() {
            couriers.remove(peer.address());
        }
        parcel
    }
}

/// A frame to be sent, and the token by which its sender knows it.
struct Parcel {
    token: u64,
    frame: Bytes,
    /// Its place among the bytes that wait.
    _room: OwnedSemaphorePermit,
}

/// What waits for one peer, at the end where it is put.
struct Queue {
    parcels: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// Puts a frame behind the others; false when too much waits.
    fn push(&self, token: u64, frame: Bytes) -> bool {
        let bytes = u32::try_from(frame.len()).expect("frames are bounded");
        let Ok(_room) = self.room.clone().try_acquire_many_owned(bytes) else { return false };
        match self.parcels.try_send(Parcel { token, frame, _room }) {
            // A courier that has ended, has done so with its node.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }
}

/// Carries frames to one peer.
struct Courier {
    socket: Arc<Socket>,
    peer: Peer,
    queue: mpsc::Receiver<Parcel>,
}

impl Courier {
    fn new(socket: Arc<Socket>, peer: Peer) -> (Queue, Courier) {
        let (parcels, queue) = mpsc::channel(QUEUE_FRAMES_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        (Queue { parcels, room }, Courier { socket, peer, queue })
    }

    async fn run(mut self) {
        let mut next = self.next().await;
        while let Some(first) = next {
            next = match tcp::dial(self.peer.address()).await {
                Ok(tcp) => {
                    self.converse(tcp, first).await;
                    self.next().await
                }
                Err(error) => {
                    self.give_up(first, &error).await;
                    self.socket.retire(&self.peer, &mut self.queue)
                }
            };
        }
    }

    /// The next parcel; `None` when there was none for long and this courier is off the list.
    async fn next(&mut self) -> Option<Parcel> {
        match timeout(IDLE_TIME_MAX, self.queue.recv()).await {
            Ok(parcel) => parcel,
            Err(_) => self.socket.retire(&self.peer, &mut self.queue),
        }
    }

    /// Nobody took the connection: all that waits is lost.
    async fn give_up(&mut self, first: Parcel, error: &io::Error) {
        self.note(error);
        let mut tokens = vec![first.token];
        while let Ok(parcel) = self.queue.try_recv() {
            tokens.push(parcel.token);
        }
        // Anything but a plain "no" may be the network's fault, and is met with silence.
        if is_reset(error) {
            self.report(tokens).await;
        }
    }

    async fn converse(&mut self, mut tcp: TcpStream, first: Parcel) {
        let (read, write) = tcp.split();
        let mut frames = FramedWrite::new(write, wire::codec());
        wire::put_preamble(frames.write_buffer_mut(), &self.socket.own);
        let mut route = Route { read, frames, sent: VecDeque::new() };
        let Err(error) = self.carry(&mut route, first).await else { return };
        self.note(&error);
        if error.kind() != io::ErrorKind::TimedOut {
            self.report(route.sent).await;
        }
    }

    /// Sends until the connection breaks or has been idle for long.
    async fn carry(&mut self, route: &mut Route<'_>, first: Parcel) -> io::Result<()> {
        let mut next = first;
        loop {
            route.send(next, &mut self.queue).await?;
            next = tokio::select! {
                biased;
                error = route.broken() => return Err(error),
                parcel = self.queue.recv() => match parcel {
                    Some(parcel) => parcel,
                    None => return Ok(()),
                },
                () = tokio::time::sleep(IDLE_TIME_MAX) => return Ok(()),
            };
        }
    }

    async fn report(&self, tokens: impl IntoIterator<Item = u64>) {
        for token in tokens {
            let inbound = Inbound::Unreachable { peer: self.peer.clone(), token };
            if self.socket.inbox.send(QueuedFrame { inbound, _held: None }).await.is_err() {
                return;
            }
        }
    }

    fn note(&self, error: &io::Error) {
        let node = self.socket.node.name();
        tracing::debug!(node, peer = ?self.peer, %error, "no way to a peer");
    }
}

/// One connection to the peer, on which only this side speaks.
struct Route<'a> {
    read: ReadHalf<'a>,
    frames: FramedWrite<WriteHalf<'a>, LengthDelimitedCodec>,
    sent: VecDeque<u64>,
}

impl Route<'_> {
    /// Sends `first` and what waits behind it.
    async fn send(&mut self, first: Parcel, queue: &mut mpsc::Receiver<Parcel>) -> io::Result<()> {
        let mut next = Some(first);
        while let Some(parcel) = next {
            if self.sent.len() == SENT_FRAMES_MAX {
                self.sent.pop_front();
            }
            self.sent.push_back(parcel.token);
            in_time(self.frames.feed(parcel.frame)).await?;
            next = queue.try_recv().ok();
        }
        in_time(SinkExt::<Bytes>::flush(&mut self.frames)).await
    }

    /// Waits for the end of the connection.
    async fn broken(&mut self) -> io::Error {
        match self.read.read(&mut [0]).await {
            Ok(0) => io::ErrorKind::ConnectionReset.into(),
            Ok(_) => wire::invalid("the other side is no message socket"),
            Err(error) => error,
        }
    }
}

async fn in_time(write: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    match timeout(STALL_TIME_MAX, write).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}
