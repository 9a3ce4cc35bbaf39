//! What a process does with its ends: it opens, reads, writes and closes them, and dies.

use super::{
    connection::{SEGMENT_BYTES_MAX, Streams},
    end::{End, Phase},
    packet::{EndId, Payload, StreamAction, What},
    transit::put,
};
use crate::host::{
    NodeAddress,
    sim::{
        entry::{Entry, LinksChange},
        network::Wire,
        stamp::NodeId,
    },
};
use bytes::Bytes;
use std::{
    io,
    task::{Context, Poll, Waker},
};

impl Streams {
    /// A process has ended: its peers are reset, or hear nothing when the power is gone.
    pub fn end_all(&mut self, wire: &mut Wire<'_>, node: NodeId, silent: bool) {
        let mut wakers = Vec::new();
        let listeners = std::mem::take(&mut self.listeners);
        for (key, listener) in listeners {
            if key.0 == node {
                wakers.extend(listener.acceptor);
            } else {
                self.listeners.insert(key, listener);
            }
        }
        // The kernel of a machine that stays up still delivers what was closed in good order.
        let gone = self.ends.iter().filter(|(_, end)| end.node == node);
        let gone = gone.filter(|(_, end)| silent || !end.is_orphan());
        for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            let mut end = self.ends.remove(&id).expect("it was just listed");
            if !silent && end.phase == Phase::Open {
                let reset = end.packet(id, What::Reset);
                put(wire, reset);
            }
            wakers.extend(end.take_wakers());
        }
        if !wakers.is_empty() {
            wire.schedule(wire.now(), StreamAction::LetGo(wakers));
        }
    }

    /// Breaks every open connection between these nodes for both ends; hands over their wakers.
    pub fn reset(
        &mut self,
        wire: &mut Wire<'_>,
        between: impl Fn(NodeId, NodeId) -> bool,
    ) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let open =
            |end: &End| matches!(end.phase, Phase::Open | Phase::Connecting { accepted: true, .. });
        let ends = self.ends.iter();
        let struck = ends
            .filter(|(_, end)| end.node != end.peer && open(end) && between(end.node, end.peer));
        for id in struck.map(|(id, _)| *id).collect::<Vec<_>>() {
            wire.note(&Entry::Links(LinksChange::EndReset { end: id }));
            self.break_end(id, io::ErrorKind::ConnectionReset, &mut wakers);
        }
        wakers
    }

    /// Closes a listening port and resets what waits there; hands over its waker.
    pub fn close_listener(&mut self, wire: &mut Wire<'_>, node: NodeId, port: u16) -> Vec<Waker> {
        let Some(listener) = self.listeners.remove(&(node, port)) else {
            return Vec::new();
        };
        let mut wakers: Vec<Waker> = listener.acceptor.into_iter().collect();
        for id in listener.backlog {
            wakers.extend(self.abort_end(wire, id));
        }
        wakers
    }

    /// Opens a connection; its first SYN leaves now.
    pub fn start_connecting(
        &mut self,
        wire: &mut Wire<'_>,
        node: NodeId,
        peer: NodeId,
        address: &NodeAddress,
    ) -> EndId {
        let id = self.connections * 2;
        self.connections += 1;
        let phase = Phase::Connecting { syns: 0, port: address.port, accepted: false };
        self.ends.insert(id, End::new(node, peer, address.clone(), phase));
        self.send_syn(wire, id);
        id
    }

    /// Drops an end that no handle will come to; its peer is reset.
    pub fn abort_end(&mut self, wire: &mut Wire<'_>, id: EndId) -> Vec<Waker> {
        let Some(mut end) = self.ends.remove(&id) else { return Vec::new() };
        if end.phase == Phase::Open {
            let reset = end.packet(id, What::Reset);
            put(wire, reset);
        }
        end.take_wakers().collect()
    }

    /// Whether the connection stands; `old` takes the waker that was replaced.
    pub fn poll_connected(
        &mut self,
        id: EndId,
        cx: &Context<'_>,
        old: &mut Option<Waker>,
    ) -> Poll<io::Result<()>> {
        let end = self.ends.get_mut(&id).expect("kept while it is held");
        match end.phase {
            Phase::Connecting { .. } => {
                *old = end.writer.replace(cx.waker().clone());
                Poll::Pending
            }
            Phase::Open => Poll::Ready(Ok(())),
            Phase::Broken(kind) => Poll::Ready(Err(kind.into())),
        }
    }

    /// Writes as much of `data` as the window takes; `old` takes the waker that was replaced.
    pub fn poll_write(
        &mut self,
        wire: &mut Wire<'_>,
        id: EndId,
        data: &mut Bytes,
        cx: &Context<'_>,
        old: &mut Option<Waker>,
    ) -> Poll<io::Result<()>> {
        loop {
            let end = self.ends.get_mut(&id).expect("kept while it is held");
            if let Phase::Broken(kind) = end.phase {
                return Poll::Ready(Err(kind.into()));
            }
            if end.closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if data.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let piece = data.len().min(SEGMENT_BYTES_MAX);
            if !end.has_room(piece) {
                let nothing_waits = end.unacknowledged.is_empty() && end.writer.is_none();
                *old = end.writer.replace(cx.waker().clone());
                if nothing_waits {
                    self.expect_answer(wire, id);
                }
                return Poll::Pending;
            }
            let payload = Payload::Bytes(data.split_to(piece));
            self.enqueue(wire, id, payload);
        }
    }

    /// Reads the next bytes; `old` takes the waker that was replaced.
    pub fn poll_read(
        &mut self,
        wire: &mut Wire<'_>,
        id: EndId,
        cx: &Context<'_>,
        old: &mut Option<Waker>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let end = self.ends.get_mut(&id).expect("kept while it is held");
        if let Some(bytes) = end.inbox.pop_front() {
            end.read += bytes.len() as u64;
            // Below this distance the writer is never kept waiting for the news.
            let tell = end.read - end.read_told >= SEGMENT_BYTES_MAX as u64;
            if tell && end.phase == Phase::Open {
                let news = end.acknowledgement(id, None);
                put(wire, news);
            }
            return Poll::Ready(Ok(Some(bytes)));
        }
        if end.finished {
            return Poll::Ready(Ok(None));
        }
        if let Phase::Broken(kind) = end.phase {
            return Poll::Ready(Err(kind.into()));
        }
        *old = end.reader.replace(cx.waker().clone());
        Poll::Pending
    }

    /// Sends the FIN behind what was written.
    pub fn close_end(&mut self, wire: &mut Wire<'_>, id: EndId) {
        let Some(end) = self.ends.get_mut(&id) else { return };
        if !end.closed {
            end.closed = true;
            if end.phase == Phase::Open {
                self.enqueue(wire, id, Payload::Fin);
            }
        }
    }

    pub fn drop_writer(&mut self, wire: &mut Wire<'_>, id: EndId) -> Vec<Waker> {
        self.close_end(wire, id);
        if let Some(end) = self.ends.get_mut(&id) {
            end.writer_gone = true;
        }
        self.retire_end(wire, id)
    }

    pub fn drop_reader(&mut self, wire: &mut Wire<'_>, id: EndId) -> Vec<Waker> {
        let Some(end) = self.ends.get_mut(&id) else { return Vec::new() };
        end.reader_gone = true;
        if end.inbox.is_empty() {
            return self.retire_end(wire, id);
        }
        end.inbox.clear();
        let mut wakers = Vec::new();
        if end.phase == Phase::Open {
            let reset = end.packet(id, What::Reset);
            put(wire, reset);
            self.break_end(id, io::ErrorKind::ConnectionReset, &mut wakers);
        }
        wakers.extend(self.retire_end(wire, id));
        wakers
    }
}
