//! Streams: ordered bytes over TCP. How they are cut into chunks is not kept.

use super::{
    node::Node,
    tcp::{self, Port},
};
use crate::host::NodeAddress;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{
    io::AsyncWrite,
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// The most that one `read` returns.
const READ_BYTES_MAX: usize = 64 * 1024;
/// What there is room for at least: a stream that brings little holds little.
const READ_BYTES_MIN: usize = 4 * 1024;

/// Listens for streams on a port; 0 takes a free one.
pub(in crate::host) async fn listen(node: &Node, port: u16) -> io::Result<StreamListener> {
    let port = node.while_alive(Port::open(node, port)).await?;
    Ok(StreamListener { node: node.clone(), port })
}

/// Opens a stream to a listener.
pub(in crate::host) async fn connect(node: &Node, to: &NodeAddress) -> io::Result<Stream> {
    let tcp = node.while_alive(tcp::dial(to)).await?;
    Ok(Stream::new(node, tcp, to.clone()))
}

/// Takes streams that others open. Dropping it closes the port.
pub struct StreamListener {
    node: Node,
    port: Port,
}

impl StreamListener {
    /// The address to which streams are opened.
    pub fn address(&self) -> &NodeAddress {
        self.port.address()
    }

    /// Waits for the next stream.
    ///
    /// # Errors
    /// When the operating system can't take one now; the listener stays usable.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        let (tcp, from) = self.node.while_alive(self.port.accept()).await?;
        Ok(Stream::new(&self.node, tcp, NodeAddress::new(from.ip().to_string(), from.port())))
    }
}

/// Ordered bytes both ways. Dropped without `close`, it is broken for the other side.
pub struct Stream {
    reader: StreamReader,
    writer: StreamWriter,
}

impl Stream {
    fn new(node: &Node, tcp: TcpStream, peer: NodeAddress) -> Self {
        let peer = Arc::new(peer);
        let (read, write) = tcp.into_split();
        let (buffer, room) = (BytesMut::new(), READ_BYTES_MIN);
        let half = Some(WriteHalf(Some(write)));
        let reader = StreamReader { node: node.clone(), peer: peer.clone(), read, buffer, room };
        Stream { reader, writer: StreamWriter { node: node.clone(), peer, half } }
    }

    /// The other side: the listener's address, or where an accepted stream came from.
    pub fn peer_address(&self) -> &NodeAddress {
        self.reader.peer_address()
    }

    /// Sends bytes; waits while the window is full, and must not be given up half-way.
    ///
    /// # Errors
    /// `BrokenPipe` after `close`; others when the stream is broken.
    pub async fn write(&mut self, data: Bytes) -> io::Result<()> {
        self.writer.write(data).await
    }

    /// The next bytes, at least one; `None` when the other side has closed in order.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        self.reader.read().await
    }

    /// Ends our side in order: after what was written the other side reads `None`.
    pub fn close(&mut self) {
        self.writer.close();
    }

    /// The two directions apart.
    pub fn split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }
}

/// The receiving half of a stream.
pub struct StreamReader {
    node: Node,
    peer: Arc<NodeAddress>,
    read: OwnedReadHalf,
    buffer: BytesMut,
    /// How much the next `read` has room for.
    room: usize,
}

/// How much the read after one of so many bytes has room for.
fn next_room(room: usize, read: usize) -> usize {
    match read {
        _ if read == room => READ_BYTES_MAX.min(room * 2),
        _ if read < room / 4 => READ_BYTES_MIN.max(room / 2),
        _ => room,
    }
}

impl StreamReader {
    /// The other side.
    pub fn peer_address(&self) -> &NodeAddress {
        &self.peer
    }

    /// The next bytes, at least one; `None` when the other side has closed in order. Nothing is lost
    /// when the future is dropped.
    ///
    /// # Errors
    /// When the stream is broken.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// The same for who polls: the task of the last call is woken.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if self.node.dead() {
            return Poll::Pending;
        }
        loop {
            ready!(self.read.as_ref().poll_read_ready(cx))?;
            self.buffer.reserve(self.room);
            let mut room = (&mut self.buffer).limit(self.room);
            match self.read.try_read_buf(&mut room) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(read) => {
                    let (room, bytes) = (next_room(self.room, read), self.buffer.split().freeze());
                    // One that was used before is never given back in part.
                    if room < self.room {
                        self.buffer = BytesMut::new();
                    }
                    self.room = room;
                    return Poll::Ready(Ok(Some(bytes)));
                }
                // It was not ready after all.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// The sending half of a stream. Dropped without `close`, it breaks the stream for the other side,
/// which notices as soon as the receiving half is gone too.
pub struct StreamWriter {
    node: Node,
    peer: Arc<NodeAddress>,
    half: Option<WriteHalf>,
}

impl StreamWriter {
    /// The other side.
    pub fn peer_address(&self) -> &NodeAddress {
        &self.peer
    }

    /// Sends bytes; waits while the window is full. When the future is dropped before its end, the
    /// stream can't be written to any more.
    ///
    /// # Errors
    /// `BrokenPipe` after `close`; others when the stream is broken.
    pub async fn write(&mut self, mut data: Bytes) -> io::Result<()> {
        let mut half = self.half.take().ok_or(io::ErrorKind::BrokenPipe)?;
        poll_fn(|cx| half.poll_write(&self.node, cx, &mut data)).await?;
        self.half = Some(half);
        Ok(())
    }

    /// The same for who polls: takes away from `data` what it writes, and is ready when nothing is left. Until
    /// then only the rest of that data may follow. The task of the last call is woken.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn poll_write(&mut self, cx: &mut Context<'_>, data: &mut Bytes) -> Poll<io::Result<()>> {
        let Some(half) = &mut self.half else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = ready!(half.poll_write(&self.node, cx, data));
        if written.is_err() {
            // Nothing can follow what was cut off.
            self.half = None;
        }
        Poll::Ready(written)
    }

    /// Ends our side in order: after what was written the other side reads `None`.
    pub fn close(&mut self) {
        if let Some(half) = self.half.take()
            && !self.node.dead()
        {
            half.finish();
        }
    }
}

/// TCP's sending half, which resets the connection unless it is finished.
struct WriteHalf(Option<OwnedWriteHalf>);

impl WriteHalf {
    fn poll_write(
        &mut self,
        node: &Node,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<io::Result<()>> {
        if node.dead() {
            return Poll::Pending;
        }
        let half = self.0.as_mut().expect("taken when it ends");
        while !data.is_empty() {
            match ready!(Pin::new(&mut *half).poll_write(cx, data))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => data.advance(count),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn finish(mut self) {
        // tokio's half says FIN when it is dropped.
        self.0.take();
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        if let Some(half) = self.0.take() {
            if let Err(error) = half.as_ref().set_zero_linger() {
                tracing::debug!(%error, "a stream can't be reset");
            }
            half.forget();
        }
    }
}
