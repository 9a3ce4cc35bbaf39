//! What a process holds of its streams and listeners.

use super::{connection::Streams, packet::EndId};
use crate::host::{
    NodeAddress,
    sim::{network::Wire, node::Node},
};
use bytes::Bytes;
use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// Runs `f` for a living process, and lets wakers go after the lock.
fn with_streams(node: &Node, f: impl FnOnce(&mut Streams, &mut Wire<'_>) -> Vec<Waker>) {
    let now = node.shared().now();
    let wakers = match node.lock_alive() {
        Some(mut locked) => {
            let (streams, mut wire) = locked.streams(now);
            f(streams, &mut wire)
        }
        None => Vec::new(),
    };
    drop(wakers);
}

/// Polls for a living process; a dead one stays pending. The replaced waker goes after the lock.
fn poll_streams<T>(
    node: &Node,
    poll: impl FnOnce(&mut Streams, &mut Wire<'_>, &mut Option<Waker>) -> Poll<T>,
) -> Poll<T> {
    let now = node.shared().now();
    let mut old = None;
    let polled = match node.lock_alive() {
        Some(mut locked) => {
            let (streams, mut wire) = locked.streams(now);
            poll(streams, &mut wire, &mut old)
        }
        None => Poll::Pending,
    };
    drop(old);
    polled
}

/// Listens for streams on a port; 0 takes a free one.
pub(in crate::host) async fn listen(node: &Node, port: u16) -> io::Result<StreamListener> {
    node.alive().await;
    let now = node.shared().now();
    let port = node.shared().lock().streams(now).0.listen(node.id(), port)?;
    let address = NodeAddress::new(node.name(), port);
    Ok(StreamListener { node: node.clone(), address })
}

/// Opens a stream to a listener.
pub(in crate::host) async fn connect(node: &Node, to: &NodeAddress) -> io::Result<Stream> {
    node.alive().await;
    let connecting = {
        let now = node.shared().now();
        let mut locked = node.shared().lock();
        // An unknown name has nobody who listens.
        let peer = locked.find(&to.host);
        let peer = peer.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (streams, mut wire) = locked.streams(now);
        let end = streams.start_connecting(&mut wire, node.id(), peer, to);
        Connecting { node: node.clone(), end: Some(end) }
    };
    connecting.finish(to).await
}

/// A connection under way; dropping it gives it up.
struct Connecting {
    node: Node,
    end: Option<EndId>,
}

impl Connecting {
    async fn finish(mut self, to: &NodeAddress) -> io::Result<Stream> {
        let end = self.end.expect("taken only below");
        let node = self.node.clone();
        poll_fn(|cx| poll_streams(&node, |streams, _, old| streams.poll_connected(end, cx, old)))
            .await?;
        self.end = None;
        Ok(Stream::new(&self.node, end, to.clone()))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(end) = self.end {
            with_streams(&self.node, |streams, wire| streams.abort_end(wire, end));
        }
    }
}

/// Takes in streams on one port. Dropping it closes the port and resets what was not accepted.
pub struct StreamListener {
    node: Node,
    address: NodeAddress,
}

impl StreamListener {
    /// Where it listens.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Waits for the next stream.
    ///
    /// # Errors
    /// None in simulation; live, what the operating system reports.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        let node = &self.node;
        let port = self.address.port;
        let accept = poll_fn(|cx| {
            poll_streams(node, |streams, _, old| {
                match streams.accept(node.id(), port, cx.waker()) {
                    Ok(accepted) => Poll::Ready(accepted),
                    Err(replaced) => {
                        *old = replaced;
                        Poll::Pending
                    }
                }
            })
        });
        let (end, peer) = accept.await;
        Ok(Stream::new(node, end, peer))
    }
}

impl Drop for StreamListener {
    fn drop(&mut self) {
        let port = self.address.port;
        let id = self.node.id();
        with_streams(&self.node, |streams, wire| streams.close_listener(wire, id, port));
    }
}

struct Side {
    node: Node,
    end: EndId,
    peer: NodeAddress,
}

/// One end of an ordered, reliable stream of bytes, until it breaks for both ends.
///
/// Dropping it ends it in an orderly way; if the peer sent what was not read, the peer is reset.
pub struct Stream {
    reader: StreamReader,
    writer: StreamWriter,
}

impl Stream {
    fn new(node: &Node, end: EndId, peer: NodeAddress) -> Self {
        let side = Arc::new(Side { node: node.clone(), end, peer });
        Stream { reader: StreamReader { side: side.clone() }, writer: StreamWriter { side } }
    }

    /// The peer's host name and port, as known to this side.
    pub fn peer_address(&self) -> &NodeAddress {
        self.reader.peer_address()
    }

    /// As [`StreamWriter::write`].
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn write(&mut self, data: Bytes) -> io::Result<()> {
        self.writer.write(data).await
    }

    /// As [`StreamReader::read`].
    ///
    /// # Errors
    /// As [`StreamReader::read`].
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        self.reader.read().await
    }

    /// Ends this side in an orderly way after what was written; reading goes on.
    pub fn close(&mut self) {
        self.writer.close();
    }

    /// The two directions, to be used side by side.
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }
}

/// The reading half of a stream. While it is gone, what the peer sends resets the stream.
pub struct StreamReader {
    side: Arc<Side>,
}

impl StreamReader {
    /// The peer's host name and port, as known to this side.
    pub fn peer_address(&self) -> &NodeAddress {
        &self.side.peer
    }

    /// The next bytes in order; `None` when the peer has ended its side in an orderly way.
    ///
    /// Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// `ConnectionReset` or `TimedOut` once the stream is broken and what had arrived is read.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// The same for who polls: the task of the last call is woken.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let Side { node, end, .. } = &*self.side;
        poll_streams(node, |streams, wire, old| streams.poll_read(wire, *end, cx, old))
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        with_streams(&self.side.node, |streams, wire| streams.drop_reader(wire, self.side.end));
    }
}

/// The writing half of a stream. Dropping it closes it.
pub struct StreamWriter {
    side: Arc<Side>,
}

impl StreamWriter {
    /// The peer's host name and port, as known to this side.
    pub fn peer_address(&self) -> &NodeAddress {
        &self.side.peer
    }

    /// Writes everything; waits while more than [`STREAM_WINDOW_BYTES`](crate::host::sim::STREAM_WINDOW_BYTES) would be unread.
    ///
    /// When the future is dropped, a beginning of the data may have been written.
    ///
    /// # Errors
    /// `BrokenPipe` after [`close`](Self::close); `ConnectionReset` or `TimedOut` once the stream
    /// is broken. What was written before may or may not have arrived.
    pub async fn write(&mut self, mut data: Bytes) -> io::Result<()> {
        poll_fn(|cx| self.poll_write(cx, &mut data)).await
    }

    /// The same for who polls: takes away from `data` what it writes, and is ready when nothing is left. The
    /// task of the last call is woken.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<io::Result<()>> {
        let Side { node, end, .. } = &*self.side;
        poll_streams(node, |streams, wire, old| streams.poll_write(wire, *end, data, cx, old))
    }

    /// Ends this side in an orderly way after what was written.
    pub fn close(&mut self) {
        let end = self.side.end;
        with_streams(&self.side.node, |streams, wire| {
            streams.close_end(wire, end);
            Vec::new()
        });
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        with_streams(&self.side.node, |streams, wire| streams.drop_writer(wire, self.side.end));
    }
}
