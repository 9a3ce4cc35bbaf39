//! What the driver of a server's connection, hyper and the handler's future share: the wire, and how far the
//! present request is.

use super::{
    answer::AnswerFraming,
    limits::HttpLimits,
    refusal::Refusal,
    wire::{WRITE_BYTES_MAX, Wire},
};
use crate::host::{Host, Instant, Stream};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

/// Where a connection is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No byte of a next request has come.
    Idle(Instant),
    /// A request is coming.
    Receiving(Instant),
    /// Its handler runs.
    Handling(Instant),
    /// Its answer is being written.
    Answering(Instant),
}

impl Phase {
    /// When it has lasted for too long.
    pub fn deadline(self, limits: &HttpLimits) -> Instant {
        match self {
            Phase::Idle(since) => since + limits.idle_time,
            Phase::Receiving(since) => since + limits.request_time,
            Phase::Handling(since) => since + limits.handler_time,
            Phase::Answering(since) => since + limits.answer_time,
        }
    }
}

/// One connection's state.
pub struct Exchange {
    /// The clock of the phases.
    host: Host,
    /// The stream.
    pub wire: Wire,
    /// What was answered and is not yet through.
    pub answers: AnswerFraming,
    /// How far the present request is.
    pub phase: Phase,
    /// Why it ends, when it was not the parser that refused.
    pub refusal: Option<Refusal>,
    /// Whether the next answer is the last.
    pub closing: bool,
}

impl Exchange {
    /// The head of a request is whole; those that came with an earlier one begin now.
    pub fn begin(&mut self) {
        if !matches!(self.phase, Phase::Receiving(_)) {
            self.phase = Phase::Receiving(self.host.now());
        }
    }

    /// A request is whole.
    pub fn handle(&mut self) {
        self.phase = Phase::Handling(self.host.now());
    }

    /// There is an answer with a body of this length on the wire.
    pub fn answer(&mut self, body: usize) {
        self.answers.announce(body);
        self.phase = Phase::Answering(self.host.now());
    }

    /// Notices that the last answer has been written.
    fn settle(&mut self) {
        if matches!(self.phase, Phase::Answering(_))
            && self.answers.is_through()
            && self.wire.is_flushed()
        {
            self.phase = Phase::Idle(self.host.now());
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_flush(cx))?;
        self.settle();
        Poll::Ready(Ok(()))
    }
}

/// An [`Exchange`] as its three users hold it, all of them in one task.
#[derive(Clone)]
pub struct SharedExchange(Arc<Mutex<Exchange>>);

impl SharedExchange {
    /// The exchange of a fresh stream.
    pub fn new(host: &Host, stream: Stream) -> Self {
        SharedExchange(Arc::new(Mutex::new(Exchange {
            host: host.clone(),
            wire: Wire::new(stream),
            answers: AnswerFraming::default(),
            phase: Phase::Idle(host.now()),
            refusal: None,
            closing: false,
        })))
    }

    /// Held for as long as nothing else runs.
    pub fn lock(&self) -> MutexGuard<'_, Exchange> {
        self.0.lock().expect("no panic under this lock")
    }
}

impl Read for SharedExchange {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut exchange = self.lock();
        let count = ready!(exchange.wire.poll_read(cx, buf))?;
        if count > 0 && matches!(exchange.phase, Phase::Idle(_)) {
            exchange.phase = Phase::Receiving(exchange.host.now());
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for SharedExchange {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut exchange = self.lock();
        ready!(exchange.wire.poll_flush(cx))?;
        let taken = &buf[..buf.len().min(WRITE_BYTES_MAX)];
        let passed = exchange.answers.pass(taken);
        exchange.wire.give(passed.into());
        let _ = exchange.poll_flush(cx)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }

    /// The stream is closed by who drives the connection, who may have something to add.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_flush(cx)
    }
}
