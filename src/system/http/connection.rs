//! One connection of a server, from its first byte to its last.
//!
//! hyper's connection is polled here, and beside it all that hyper leaves to others: how long each phase may last,
//! whether the peer has broken the stream while a handler runs, whether the server is being drained.

use super::{
    date::http_date,
    exchange::{Phase, SharedExchange},
    refusal::Refusal,
    service::Service,
};
use crate::{
    host::{Host, Instant, Sleep, Stream},
    system::sabotage,
};
use futures::{FutureExt, channel::oneshot, future::Shared};
use hyper::{StatusCode, server::conn::http1, service::service_fn};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// How long what still comes is taken, and left, after our last byte: closing before would break the stream, and
/// with it the answer under way (RFC 9112, 9.6).
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Ends when the server is being drained.
pub type Draining = Shared<oneshot::Receiver<()>>;

/// How a connection ends.
enum End {
    /// After the last answer, or without any.
    Orderly,
    /// With one more answer.
    Refused(Refusal),
    /// At once: the peer broke it, or does not take what is written.
    Cut,
}

/// Answers the requests of a stream until it ends.
pub async fn serve(service: Arc<Service>, stream: Stream, draining: Draining) {
    let host = service.host.clone();
    let exchange = SharedExchange::new(&host, stream);
    let end = run(&service, &exchange, draining).await;
    match end {
        End::Orderly => {}
        End::Refused(refusal) => {
            if !say(&host, &exchange, &refusal, service.limits.answer_time).await {
                return;
            }
        }
        End::Cut => return,
    }
    linger(&host, &exchange).await;
}

/// Turns a connection away.
pub async fn turn_away(service: Arc<Service>, stream: Stream) {
    let host = service.host.clone();
    let exchange = SharedExchange::new(&host, stream);
    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many connections");
    if say(&host, &exchange, &refusal, service.limits.answer_time).await {
        linger(&host, &exchange).await;
    }
}

/// Writes a last answer; whether it was taken in time.
async fn say(
    host: &Host,
    exchange: &SharedExchange,
    refusal: &Refusal,
    answer_time: Duration,
) -> bool {
    exchange.lock().wire.give(refusal.encode(&http_date(host)));
    let written = poll_fn(|cx| exchange.lock().wire.poll_flush(cx));
    matches!(host.timeout(answer_time, written).await, Ok(Ok(())))
}

/// Closes in an orderly way.
async fn linger(host: &Host, exchange: &SharedExchange) {
    exchange.lock().wire.close();
    let discarded = poll_fn(|cx| exchange.lock().wire.poll_discard(cx));
    let _ = host.timeout(LINGER_TIME, discarded).await;
}

/// Lets hyper do its work; hyper and the handler are dropped at the end.
async fn run(service: &Arc<Service>, exchange: &SharedExchange, draining: Draining) -> End {
    let limits = &service.limits;
    let answer = service_fn(|request| service.clone().answer(exchange.clone(), request));
    let mut connection = pin!(
        http1::Builder::new()
            .half_close(true)
            .auto_date_header(false)
            .header_read_timeout(None)
            .max_headers(limits.headers)
            .max_header_size(limits.header_bytes)
            .max_buf_size(limits.header_bytes)
            .writev(false)
            .serve_connection(exchange.clone(), answer)
    );
    let mut watch = Watch { service, exchange, draining, timer: None };
    poll_fn(|cx| {
        loop {
            watch.poll_draining(cx);
            if let Poll::Ready(result) = connection.as_mut().poll(cx) {
                return Poll::Ready(watch.end_of(result));
            }
            match watch.poll(cx) {
                // There is something to read that hyper has not seen.
                Poll::Ready(None) => {}
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// What is watched beside hyper.
struct Watch<'a> {
    service: &'a Service,
    exchange: &'a SharedExchange,
    draining: Draining,
    timer: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Watch<'_> {
    fn poll_draining(&mut self, cx: &mut Context<'_>) {
        let mut exchange = self.exchange.lock();
        exchange.closing = exchange.closing || self.draining.poll_unpin(cx).is_ready();
    }

    /// How it ends, or `None` when hyper is to go on at once.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let phase = {
            let mut exchange = self.exchange.lock();
            let busy = matches!(exchange.phase, Phase::Handling(_) | Phase::Answering(_));
            if busy && !exchange.wire.is_filled() {
                match exchange.wire.poll_fill(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(None),
                    Poll::Ready(Err(_)) => return Poll::Ready(Some(End::Cut)),
                    Poll::Pending => {}
                }
            }
            if exchange.closing && matches!(exchange.phase, Phase::Idle(_)) {
                return Poll::Ready(Some(End::Orderly));
            }
            exchange.phase
        };
        match self.poll_deadline(phase.deadline(&self.service.limits), cx) {
            Poll::Ready(())
                if matches!(phase, Phase::Receiving(_))
                    && self.service.host.sabotaged(sabotage::BEGUN_REQUEST_NEVER_ENDS) =>
            {
                Poll::Pending
            }
            Poll::Ready(()) => Poll::Ready(Some(Self::end_after(phase))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_deadline(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.as_ref().is_none_or(|(of, _)| *of != deadline) {
            self.timer = Some((deadline, Box::pin(self.service.host.sleep_until(deadline))));
        }
        let (_, sleep) = self.timer.as_mut().expect("just set");
        sleep.as_mut().poll(cx)
    }

    /// How it ends when a phase has lasted for too long.
    fn end_after(phase: Phase) -> End {
        let refused = |status, message| End::Refused(Refusal::new(status, message));
        match phase {
            Phase::Idle(_) => End::Orderly,
            Phase::Receiving(_) => {
                refused(StatusCode::REQUEST_TIMEOUT, "the request did not come in time")
            }
            Phase::Handling(_) => {
                refused(StatusCode::SERVICE_UNAVAILABLE, "the request was not handled in time")
            }
            Phase::Answering(_) => End::Cut,
        }
    }

    /// How it ends when hyper says that it does.
    fn end_of(&self, result: hyper::Result<()>) -> End {
        let mut exchange = self.exchange.lock();
        let Err(error) = result else { return End::Orderly };
        if !exchange.answers.is_through() {
            return End::Cut;
        }
        if let Some(refusal) = exchange.refusal.take() {
            return End::Refused(refusal);
        }
        match exchange.answers.refused() {
            Some(status) => End::Refused(Refusal::of_head(status)),
            // What hyper has no answer to: another version of HTTP, a head that broke off.
            None if error.is_parse() || error.is_incomplete_message() => {
                End::Refused(Refusal::of_head(StatusCode::BAD_REQUEST))
            }
            None => End::Cut,
        }
    }
}
