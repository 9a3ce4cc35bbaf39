//! A stream as hyper reads and writes it, with what has been read ahead and what is not yet written.

use crate::host::{Stream, StreamReader, StreamWriter};
use bytes::{Buf, Bytes};
use hyper::rt::ReadBufCursor;
use std::{
    io,
    task::{Context, Poll, ready},
};

/// What is taken from hyper at once at most, in bytes.
pub const WRITE_BYTES_MAX: usize = 64 * 1024;

/// A stream and its two small buffers.
pub struct Wire {
    reader: StreamReader,
    writer: StreamWriter,
    /// Read from the stream and not yet taken.
    ahead: Bytes,
    /// Whether the peer has closed its side.
    ended: bool,
    /// Given to be written, and not yet in the stream.
    outgoing: Bytes,
}

impl Wire {
    /// A stream of which nothing was read yet.
    pub fn new(stream: Stream) -> Self {
        let (reader, writer) = stream.split();
        Wire { reader, writer, ahead: Bytes::new(), ended: false, outgoing: Bytes::new() }
    }

    /// Reads until there is something to take or the peer has closed its side.
    ///
    /// # Errors
    /// When the stream is broken.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ahead.is_empty() && !self.ended {
            match ready!(self.reader.poll_read(cx))? {
                Some(bytes) => self.ahead = bytes,
                None => self.ended = true,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives what there is; how many bytes, 0 at the end.
    ///
    /// # Errors
    /// As [`poll_fill`](Self::poll_fill).
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        mut to: ReadBufCursor<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_fill(cx))?;
        let count = self.ahead.len().min(to.remaining());
        to.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(count))
    }

    /// Whether something was read and not taken, or the end was.
    pub fn is_filled(&self) -> bool {
        !self.ahead.is_empty() || self.ended
    }

    /// Whether all that was given is in the stream.
    pub fn is_flushed(&self) -> bool {
        self.outgoing.is_empty()
    }

    /// Brings what was given into the stream.
    ///
    /// # Errors
    /// When the stream is broken.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.writer.poll_write(cx, &mut self.outgoing)
    }

    /// Gives bytes to be written, once everything before is.
    pub fn give(&mut self, bytes: Bytes) {
        assert!(self.outgoing.is_empty(), "what was given before is written first");
        self.outgoing = bytes;
    }

    /// Ends our side in an orderly way.
    pub fn close(&mut self) {
        self.writer.close();
    }

    /// Takes what comes, and leaves it, until the peer ends or breaks the stream.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while !self.ended {
            self.ahead = Bytes::new();
            if ready!(self.poll_fill(cx)).is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Ready(())
    }
}
