//! An answer, as a handler gives it and a client gets it.

use super::headers::Headers;
use bytes::Bytes;
use hyper::StatusCode;
use serde::{Serialize, de::DeserializeOwned};

/// What errors are answered as.
#[derive(Serialize)]
struct Errors<'a> {
    errors: [&'a str; 1],
}

/// An answer with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status, 200 to 599 from a handler.
    pub status: u16,
    /// The headers. A handler's `connection`, `content-length`, `date`, `host` and `transfer-encoding` are left
    /// out: the server says them itself.
    pub headers: Headers,
    /// The body. It is not sent to `HEAD`, nor with the statuses 204 and 304.
    pub body: Bytes,
}

impl HttpResponse {
    /// An answer without a body.
    pub fn new(status: u16) -> Self {
        HttpResponse { status, headers: Headers::default(), body: Bytes::new() }
    }

    /// An answer in plain text.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let answer = Self::new(status).with_header("content-type", "text/plain; charset=utf-8");
        HttpResponse { body: text.into().into(), ..answer }
    }

    /// An answer in JSON.
    ///
    /// # Panics
    /// When the value can't be written as JSON, such as a map whose keys are no texts.
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("it can be written as JSON");
        let answer = Self::new(status).with_header("content-type", "application/json");
        HttpResponse { body: body.into(), ..answer }
    }

    /// An answer in the shape in which all errors are answered: `{"errors": ["…"]}`.
    pub fn error(status: u16, message: &str) -> Self {
        Self::json(status, &Errors { errors: [message] })
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// When it is no JSON of a `T`.
    pub fn read_json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// Whether the protocol gives it a body at all.
    pub(super) fn may_have_body(&self) -> bool {
        ![204, 304].contains(&self.status)
    }

    /// The status, if a handler may answer with it.
    pub(super) fn final_status(&self) -> Option<StatusCode> {
        (200..=599).contains(&self.status).then(|| StatusCode::from_u16(self.status).ok())?
    }
}

/// So that a handler can use `?` on what a request said.
impl<E: Into<HttpResponse>> From<Result<HttpResponse, E>> for HttpResponse {
    fn from(result: Result<HttpResponse, E>) -> Self {
        result.unwrap_or_else(Into::into)
    }
}
