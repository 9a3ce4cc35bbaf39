//! Connections that others hold open to a message socket: how many, for how long, with how many bytes.
//!
//! Nobody has to prove who he is, so a connection is worth what it brings. One that has brought no
//! frame gives its place first when places are short, then the one that was silent for longest. A
//! frame that has begun ends within a time, and gives up its bytes when others want them.

use super::{node::Node, peer::Peer, task::Task, warnings::Warnings, wire};
use crate::host::{Inbound, MESSAGE_BYTES_MAX};
use bytes::{BufMut, Bytes, BytesMut};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Read at once.
const READ_BYTES: usize = 64 * 1024;
/// What a connection buffers of frames that have not begun.
const BUFFER_BYTES: usize = 8 * 1024;

/// What waits in the inbox.
pub(super) struct QueuedFrame {
    pub inbound: Inbound,
    /// The room that its bytes take.
    pub _held: Option<OwnedSemaphorePermit>,
}

/// What others may take of one socket.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// From the connection to the end of its first frame.
    pub first_frame: Duration,
    /// From the first byte of a frame to its last.
    pub frame: Duration,
    /// From frame to frame; more than twice as long as a courier keeps an unused connection.
    pub idle: Duration,
    /// Bytes of all frames that were not taken yet, whole or not.
    pub held_bytes: usize,
    /// How long an unfinished frame may keep bytes that others wait for.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 1_024,
            first_frame: Duration::from_secs(10),
            frame: Duration::from_secs(30),
            idle: Duration::from_secs(150),
            held_bytes: 8 * MESSAGE_BYTES_MAX,
            grace: Duration::from_secs(2),
        }
    }
}

/// The connections to one socket.
pub(super) struct Connections {
    node: Node,
    limits: Limits,
    inbox: mpsc::Sender<QueuedFrame>,
    places: Mutex<Places>,
    /// Bytes that may still be held.
    room: Arc<Semaphore>,
    warnings: Warnings,
}

#[derive(Default)]
struct Places {
    entries: BTreeMap<u64, Entry>,
    /// Counts connections and frames.
    clock: u64,
}

struct Entry {
    /// Whether it has brought a frame.
    is_proven: bool,
    /// When it was heard of last.
    heard: u64,
    /// Since when a frame is unfinished.
    unfinished: Option<Instant>,
    gives_way: CancellationToken,
}

impl Places {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn give_way(&mut self, id: u64) {
        if let Some(entry) = self.entries.remove(&id) {
            entry.gives_way.cancel();
        }
    }
}

impl Connections {
    pub fn new(node: Node, limits: Limits, inbox: mpsc::Sender<QueuedFrame>) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(limits.held_bytes));
        let (places, warnings) = (Mutex::default(), Warnings::default());
        Arc::new(Connections { node, limits, inbox, places, room, warnings })
    }

    pub fn warnings(&self) -> &Warnings {
        &self.warnings
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.places.lock().expect("nothing panics here")
    }

    /// Takes a connection in; the one that is worth least gives way when there are too many.
    pub fn admit(self: &Arc<Self>, tcp: TcpStream, from: SocketAddr, closing: CancellationToken) {
        let gives_way = CancellationToken::new();
        let (id, crowded) = {
            let mut places = self.places();
            let crowded = places.entries.len() >= self.limits.connections;
            if crowded
                && let Some((least, _)) =
                    places.entries.iter().min_by_key(|(_, entry)| (entry.is_proven, entry.heard))
            {
                let least = *least;
                places.give_way(least);
            }
            let id = places.tick();
            let gives_way = gives_way.clone();
            let entry = Entry { is_proven: false, heard: id, unfinished: None, gives_way };
            places.entries.insert(id, entry);
            (id, crowded)
        };
        let node = self.node.name();
        if crowded && let Some(more) = self.warnings.due("crowded") {
            tracing::warn!(node, %from, more, "too many connections, closed one for a new one");
        }
        let connections = self.clone();
        Task::spawn(&self.node, async move {
            let ended = gives_way.run_until_cancelled(connections.receive(id, tcp));
            if let Some(Some(Err(error))) = closing.run_until_cancelled(ended).await {
                connections.note(from, &error);
            }
            connections.places().entries.remove(&id);
        });
    }

    fn note(&self, from: SocketAddr, error: &io::Error) {
        let node = self.node.name();
        match error.kind() {
            io::ErrorKind::InvalidData => {
                if let Some(more) = self.warnings.due("malformed") {
                    tracing::warn!(node, %from, %error, more, "closed a malformed message connection");
                }
            }
            io::ErrorKind::TimedOut => {
                if let Some(more) = self.warnings.due("slow") {
                    tracing::warn!(node, %from, %error, more, "closed a slow message connection");
                }
            }
            _ => tracing::debug!(node, %from, %error, "a message connection broke"),
        }
    }

    async fn receive(&self, id: u64, tcp: TcpStream) -> io::Result<()> {
        let mut tcp = BufReader::with_capacity(BUFFER_BYTES, tcp);
        let deadline = Instant::now() + self.limits.first_frame;
        let first = async {
            let sender = wire::read_preamble(&mut tcp).await?;
            if !self.node.is_member(&sender.host) {
                return Err(wire::invalid("the sender's address is no member's"));
            }
            let from = Peer::new(sender);
            let frame = self.read_frame(id, &mut tcp, &from).await?;
            Ok((from, frame))
        };
        let first = timeout_at(deadline, first).await;
        let first = first.unwrap_or_else(|_| Err(late("no first frame came in time")));
        let (from, mut frame) = first?;
        // A socket that is closed takes no more.
        while self.inbox.send(frame).await.is_ok() {
            let waiting = timeout(self.limits.idle, tcp.fill_buf()).await;
            // Neither an end nor a long silence between frames is anybody's mistake.
            if !waiting.is_ok_and(|read| read.is_ok_and(|bytes| !bytes.is_empty())) {
                return Ok(());
            }
            let next = timeout(self.limits.frame, self.read_frame(id, &mut tcp, &from)).await;
            frame = next.unwrap_or_else(|_| Err(late("a frame did not end in time")))?;
        }
        Ok(())
    }

    async fn read_frame(
        &self,
        id: u64,
        tcp: &mut BufReader<TcpStream>,
        from: &Peer,
    ) -> io::Result<QueuedFrame> {
        let length = tcp.read_u32().await? as usize;
        if length > MESSAGE_BYTES_MAX {
            return Err(wire::invalid("a frame is too long"));
        }
        self.set_unfinished(id, Some(Instant::now()));
        let (frame, held) = self.read_bytes(id, tcp, length).await?;
        self.set_unfinished(id, None);
        Ok(QueuedFrame { inbound: Inbound::Frame { from: from.clone(), frame }, _held: held })
    }

    fn set_unfinished(&self, id: u64, since: Option<Instant>) {
        let mut places = self.places();
        let now = places.tick();
        if let Some(entry) = places.entries.get_mut(&id) {
            entry.is_proven |= since.is_none();
            (entry.heard, entry.unfinished) = (now, since);
        }
    }

    /// Reads a frame as it comes: what it holds is what has arrived, whatever its length promises.
    async fn read_bytes(
        &self,
        id: u64,
        tcp: &mut BufReader<TcpStream>,
        length: usize,
    ) -> io::Result<(Bytes, Option<OwnedSemaphorePermit>)> {
        let (mut frame, mut held) = (BytesMut::new(), None);
        while frame.len() < length {
            let piece = READ_BYTES.min(length - frame.len());
            let end = frame.len() + piece;
            let room = self.hold(id, piece).await;
            match &mut held {
                None => held = Some(room),
                Some(held) => held.merge(room),
            }
            frame.reserve(piece);
            while frame.len() < end {
                let left = end - frame.len();
                if tcp.read_buf(&mut (&mut frame).limit(left)).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok((frame.freeze(), held))
    }

    /// Waits for room for so many bytes; the frame that was unfinished for longest gives up its own.
    async fn hold(&self, id: u64, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = u32::try_from(bytes).expect("a piece is small");
        loop {
            if let Ok(room) = self.room.clone().try_acquire_many_owned(bytes) {
                return room;
            }
            self.end_unfinished(id);
            let room = self.room.clone().acquire_many_owned(bytes);
            if let Ok(room) = timeout(self.limits.grace, room).await {
                return room.expect("it is never closed");
            }
        }
    }

    fn end_unfinished(&self, but: u64) {
        let mut places = self.places();
        let others = places.entries.iter().filter(|(id, _)| **id != but);
        let unfinished = others.filter_map(|(id, entry)| Some((entry.unfinished?, *id)));
        let Some((since, id)) = unfinished.min() else { return };
        if since.elapsed() >= self.limits.grace {
            places.give_way(id);
            drop(places);
            let node = self.node.name();
            if let Some(more) = self.warnings.due("unfinished") {
                tracing::warn!(
                    node,
                    more,
                    "too many bytes of unfinished frames, closed a connection"
                );
            }
        }
    }
}

fn late(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}
