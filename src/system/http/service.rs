//! One request: what is asked of it before a handler sees it, and what becomes of the handler's answer.

use super::{
    body::{BodyError, WholeBody, collect},
    date::http_date,
    exchange::SharedExchange,
    limits::HttpLimits,
    refusal::Refusal,
    request::HttpRequest,
    response::HttpResponse,
};
use crate::host::Host;
use futures::future::BoxFuture;
use hyper::{
    Method, StatusCode, Version,
    body::Incoming,
    header::{CONNECTION, CONTENT_LENGTH, DATE, HOST, HeaderValue},
    http::request::Parts,
};
use std::sync::Arc;

/// Answers requests. Its future is dropped when the connection ends or the limit of its time is reached; a panic
/// in it is the death of the process.
pub type HttpHandler =
    Arc<dyn Fn(HttpRequest) -> BoxFuture<'static, HttpResponse> + Send + Sync + 'static>;

/// The reason lies in the exchange.
#[derive(Debug, thiserror::Error)]
#[error("the request was refused")]
pub struct Refused;

/// What all connections of a server share.
pub struct Service {
    /// The server's host.
    pub host: Host,
    /// What each of them may take.
    pub limits: HttpLimits,
    /// Who answers.
    pub handler: HttpHandler,
}

impl Service {
    /// Answers one request of a connection.
    pub async fn answer(
        self: Arc<Self>,
        exchange: SharedExchange,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<WholeBody>, Refused> {
        exchange.lock().begin();
        match self.receive(request).await {
            Ok(request) => {
                exchange.lock().handle();
                let is_head = request.method == Method::HEAD;
                let response = (self.handler)(request).await;
                Ok(self.respond(&exchange, response, is_head))
            }
            Err(refusal) => {
                exchange.lock().refusal = Some(refusal);
                Err(Refused)
            }
        }
    }

    async fn receive(&self, request: hyper::Request<Incoming>) -> Result<HttpRequest, Refusal> {
        let (head, body) = request.into_parts();
        check(&head, &self.limits)?;
        let body = collect(body, self.limits.body_bytes).await.map_err(|error| match error {
            BodyError::TooLarge => {
                let message =
                    format!("the request's body is larger than {} bytes", self.limits.body_bytes);
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            BodyError::Broken(_) => bad("the request's body is malformed or incomplete"),
        })?;
        HttpRequest::received(&head, body).map_err(|error| bad(error.0))
    }

    fn respond(
        &self,
        exchange: &SharedExchange,
        response: HttpResponse,
        is_head: bool,
    ) -> hyper::Response<WholeBody> {
        let sendable = response.final_status().zip(response.headers.to_send().ok());
        let Some((status, mut headers)) = sendable else {
            tracing::warn!(status = response.status, "a handler's answer can't be sent");
            let instead = HttpResponse::error(500, "the answer can't be sent");
            return self.respond(exchange, instead, is_head);
        };
        let has_body = response.may_have_body();
        if has_body {
            headers.insert(CONTENT_LENGTH, response.body.len().into());
        }
        let date = HeaderValue::from_str(&http_date(&self.host)).expect("a date is plain text");
        headers.insert(DATE, date);
        let body = if has_body && !is_head { response.body } else { bytes::Bytes::new() };
        let mut exchange = exchange.lock();
        if exchange.closing {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        exchange.answer(body.len());
        let mut sent = hyper::Response::new(WholeBody::new(body));
        (*sent.status_mut(), *sent.headers_mut()) = (status, headers);
        sent
    }
}

/// What the parser does not ask of a head (RFC 9112, 3.2 and 6.1).
fn check(head: &Parts, limits: &HttpLimits) -> Result<(), Refusal> {
    let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > limits.target_bytes {
        return Err(Refusal::of_head(StatusCode::URI_TOO_LONG));
    }
    if head.method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this is no proxy"));
    }
    let hosts = head.headers.get_all(HOST).iter().count();
    if hosts > 1 || (hosts == 0 && head.version == Version::HTTP_11) {
        return Err(bad("a request names its host once"));
    }
    Ok(())
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, message)
}
