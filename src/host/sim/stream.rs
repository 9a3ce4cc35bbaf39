//! Simulated streams behind [`Host::listen`](crate::host::Host::listen) and
//! [`Host::connect`](crate::host::Host::connect). How they behave on the links is decided in
//! [`connection`], what a process does with its ends in [`socket`].

mod connection;
mod end;
mod packet;
mod socket;

#[cfg(test)]
mod tests;

use super::{
    node::Node,
    world::{State, World},
};
use crate::host::NodeAddress;
use bytes::Bytes;
pub(in crate::host) use connection::{StreamAction, Streams};
pub use end::STREAM_WINDOW_BYTES;
use packet::EndId;
pub use packet::PACKET_KINDS;
use std::{future::poll_fn, io, sync::Arc, task::Poll, task::Waker};

impl World {
    /// Sets how many bytes a second each direction of a stream carries, for segments sent from now.
    ///
    /// # Panics
    /// When the rate is zero.
    pub fn set_stream_rate(&self, bytes_per_second: u64) {
        assert!(bytes_per_second > 0, "a stream without a rate never ends");
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        locked.digest.entry(now, 10, &[bytes_per_second], || format!("rate {bytes_per_second}"));
        locked.streams.bytes_per_second = bytes_per_second;
    }
}

/// Runs `f` for a living process, and lets wakers go after the lock.
fn with_state(node: &Node, f: impl FnOnce(&mut State, u64) -> Vec<Waker>) {
    let now = node.shared().now();
    let wakers = match node.lock_alive() {
        Some(mut locked) => f(&mut locked, now),
        None => Vec::new(),
    };
    drop(wakers);
}

/// Polls for a living process; a dead one stays pending. The replaced waker goes after the lock.
fn poll_state<T>(
    node: &Node,
    poll: impl FnOnce(&mut State, u64, &mut Option<Waker>) -> Poll<T>,
) -> Poll<T> {
    let now = node.shared().now();
    let mut old = None;
    let polled = match node.lock_alive() {
        Some(mut locked) => poll(&mut locked, now, &mut old),
        None => Poll::Pending,
    };
    drop(old);
    polled
}

pub(super) fn listen(node: &Node, port: u16) -> io::Result<StreamListener> {
    let port = node.shared().lock().streams.listen(node.id(), port)?;
    let address = NodeAddress::new(node.name(), port);
    Ok(StreamListener { node: node.clone(), address })
}

pub(super) async fn connect(node: &Node, to: &NodeAddress) -> io::Result<Stream> {
    let connecting = {
        let now = node.shared().now();
        let mut locked = node.shared().lock();
        // An unknown name has nobody who listens.
        let peer = locked.by_name.get(to.host.as_str()).copied();
        let peer = peer.ok_or(io::ErrorKind::ConnectionRefused)?;
        let end = locked.start_connecting(now, node.id(), peer, to);
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
        poll_fn(|cx| poll_state(&node, |state, _, old| state.poll_connected(end, cx, old))).await?;
        self.end = None;
        Ok(Stream::new(&self.node, end, to.clone()))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        if let Some(end) = self.end {
            with_state(&self.node, |state, now| state.abort_end(now, end));
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
            poll_state(node, |state, _, old| {
                match state.streams.accept(node.id(), port, cx.waker()) {
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
        with_state(&self.node, |state, now| state.close_listener(now, id, port));
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
        let Side { node, end, .. } = &*self.side;
        poll_fn(|cx| poll_state(node, |state, now, old| state.poll_read(now, *end, cx, old))).await
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        with_state(&self.side.node, |state, now| state.drop_reader(now, self.side.end));
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

    /// Writes everything; waits while more than [`STREAM_WINDOW_BYTES`] would be unread.
    ///
    /// When the future is dropped, a beginning of the data may have been written.
    ///
    /// # Errors
    /// `BrokenPipe` after [`close`](Self::close); `ConnectionReset` or `TimedOut` once the stream
    /// is broken. What was written before may or may not have arrived.
    pub async fn write(&mut self, mut data: Bytes) -> io::Result<()> {
        let Side { node, end, .. } = &*self.side;
        poll_fn(|cx| {
            poll_state(node, |state, now, old| state.poll_write(now, *end, &mut data, cx, old))
        })
        .await
    }

    /// Ends this side in an orderly way after what was written.
    pub fn close(&mut self) {
        let end = self.side.end;
        with_state(&self.side.node, |state, now| {
            state.close_end(now, end);
            Vec::new()
        });
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        with_state(&self.side.node, |state, now| state.drop_writer(now, self.side.end));
    }
}
