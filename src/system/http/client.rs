//! A client that opens a connection for each request.

use super::{
    body::{BodyError, WholeBody, collect},
    error::HttpError,
    headers::Headers,
    limits::{HEADER_BYTES_MIN, HttpClientLimits},
    request::HttpRequest,
    response::HttpResponse,
    wire::{WRITE_BYTES_MAX, Wire},
};
use crate::host::{Host, NodeAddress};
use bytes::Bytes;
use futures::{
    future::{Either, pending, select},
    pin_mut,
};
use hyper::{
    Uri,
    client::conn::http1,
    header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue},
    rt::{Read, ReadBufCursor, Write},
};
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

/// Asks servers of HTTP/1.1. It keeps nothing between two requests, so nothing that is sent is ever sent again.
#[derive(Clone)]
pub struct HttpClient {
    host: Host,
    limits: HttpClientLimits,
}

impl HttpClient {
    /// A client on this host.
    ///
    /// # Panics
    /// When `header_bytes` are less than 8 KiB.
    pub fn new(host: &Host, limits: HttpClientLimits) -> Self {
        assert!(limits.header_bytes >= HEADER_BYTES_MIN, "a head may have 8 KiB at least");
        HttpClient { host: host.clone(), limits }
    }

    /// Sends a request on a connection of its own, and reads the whole answer. Dropping the future ends the
    /// connection.
    ///
    /// # Errors
    /// When there is no answer; [`HttpError::is_indeterminate`] says whether it may have been handled all the same.
    pub async fn request(
        &self,
        to: &NodeAddress,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let request = write(to, request)?;
        let sent = Arc::new(AtomicBool::new(false));
        let after = self.limits.total_time;
        let answered = self.host.timeout(after, self.exchange(to, request, &sent)).await;
        answered.unwrap_or_else(|_| {
            let sent = sent.load(Ordering::Relaxed);
            Err(HttpError::Timeout { to: to.clone(), after, sent })
        })
    }

    async fn exchange(
        &self,
        to: &NodeAddress,
        request: hyper::Request<WholeBody>,
        sent: &Arc<AtomicBool>,
    ) -> Result<HttpResponse, HttpError> {
        let stream = self.host.connect(to).await;
        let stream = stream.map_err(|error| HttpError::Connect { to: to.clone(), error })?;
        let read = |error| error_of(to, &error, sent);
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(self.limits.headers)
            .max_header_size(self.limits.header_bytes)
            .max_buf_size(self.limits.header_bytes)
            .writev(false)
            .handshake(ClientWire { wire: Wire::new(stream), sent: sent.clone() })
            .await
            .map_err(read)?;
        let answer = async {
            let (head, body) = sender.send_request(request).await.map_err(read)?.into_parts();
            let body = collect(body, self.limits.body_bytes).await;
            let body = body.map_err(|error| match error {
                BodyError::TooLarge => HttpError::TooLarge("body"),
                BodyError::Broken(error) => read(error),
            })?;
            let (status, headers) = (head.status.as_u16(), Headers::received(&head.headers));
            Ok(HttpResponse { status, headers, body })
        };
        // How the connection ends is told to who waits for the answer.
        let connected = async {
            let _ = connection.await;
            pending::<()>().await;
        };
        pin_mut!(answer, connected);
        match select(answer, connected).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => unreachable!("it is pending for ever"),
        }
    }
}

/// The request as hyper takes it.
fn write(to: &NodeAddress, request: HttpRequest) -> Result<hyper::Request<WholeBody>, HttpError> {
    let target = request.target();
    let unsendable = |what: &str| HttpError::Unsendable(what.to_string());
    if !target.starts_with('/') {
        return Err(unsendable(&target));
    }
    let uri = target.parse::<Uri>().map_err(|_| unsendable(&target))?;
    let mut headers = hyper::HeaderMap::new();
    let host = HeaderValue::from_str(&to.to_string());
    headers.insert(HOST, host.map_err(|_| unsendable(&to.to_string()))?);
    headers.extend(request.headers.to_send().map_err(|name| unsendable(&name))?);
    if !request.body.is_empty() {
        headers.insert(CONTENT_LENGTH, request.body.len().into());
    }
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let mut written = hyper::Request::new(WholeBody::new(request.body));
    (*written.method_mut(), *written.uri_mut()) = (request.method, uri);
    *written.headers_mut() = headers;
    Ok(written)
}

fn error_of(to: &NodeAddress, error: &hyper::Error, sent: &AtomicBool) -> HttpError {
    if error.is_parse_too_large() {
        HttpError::TooLarge("head")
    } else if error.is_parse() {
        HttpError::Malformed(error.to_string())
    } else {
        HttpError::Closed { to: to.clone(), sent: sent.load(Ordering::Relaxed) }
    }
}

/// A client's stream, which notes when bytes of the request have left.
struct ClientWire {
    wire: Wire,
    sent: Arc<AtomicBool>,
}

impl Read for ClientWire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.poll_read(cx, buf).map_ok(drop)
    }
}

impl Write for ClientWire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.wire.poll_flush(cx))?;
        let taken = &buf[..buf.len().min(WRITE_BYTES_MAX)];
        self.sent.store(true, Ordering::Relaxed);
        self.wire.give(Bytes::copy_from_slice(taken));
        let _ = self.wire.poll_flush(cx)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.wire.poll_flush(cx))?;
        self.wire.close();
        Poll::Ready(Ok(()))
    }
}
