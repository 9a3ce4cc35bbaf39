//! A request, as a client sends it and a handler gets it.

use super::{
    headers::Headers,
    percent::{decode_query, encode_query},
    response::HttpResponse,
};
use bytes::Bytes;
use hyper::Method;
use serde::{Serialize, de::DeserializeOwned};
use std::str::FromStr;

/// A request with its whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The path as it is sent: it begins with `/`, and is percent-encoded.
    pub path: String,
    /// The pairs of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The headers, without those by which a client frames the message when it is to be sent.
    pub headers: Headers,
    /// The body, without what framed its chunks.
    pub body: Bytes,
}

/// What a request said can't be used; its answer is 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RequestError(pub String);

impl From<RequestError> for HttpResponse {
    fn from(error: RequestError) -> Self {
        HttpResponse::error(400, &error.0)
    }
}

impl HttpRequest {
    /// A request without a body. Parts of the path that are not literal go through
    /// [`encode_segment`](super::encode_segment).
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let (path, query, headers) = (path.into(), Vec::new(), Headers::default());
        HttpRequest { method, path, query, headers, body: Bytes::new() }
    }

    /// A `GET`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `POST` with this value as its JSON.
    ///
    /// # Panics
    /// When the value can't be written as JSON.
    pub fn post_json(path: impl Into<String>, value: &impl Serialize) -> Self {
        let body = serde_json::to_vec(value).expect("it can be written as JSON");
        Self::new(Method::POST, path)
            .with_header("content-type", "application/json")
            .with_body(body)
    }

    /// The same with one more pair in the query.
    #[must_use]
    pub fn with_query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// The same with this body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// The first value of that name in the query; `None` when there is none.
    ///
    /// # Errors
    /// When it can't be read as a `T`.
    pub fn query_parameter<T: FromStr>(&self, name: &str) -> Result<Option<T>, RequestError> {
        let value = self.query.iter().find(|(of, _)| of == name);
        let read = |(_, value): &(String, String)| {
            let wrong = || RequestError(format!("query parameter {name:?} can't be {value:?}"));
            value.parse().map_err(|_| wrong())
        };
        value.map(read).transpose()
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    /// When it is no JSON of a `T`; it says where.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RequestError> {
        let wrong = |error| RequestError(format!("the body is not the JSON expected: {error}"));
        serde_json::from_slice(&self.body).map_err(wrong)
    }

    /// Path and query as they are sent.
    pub(super) fn target(&self) -> String {
        match &self.query[..] {
            [] => self.path.clone(),
            pairs => format!("{}?{}", self.path, encode_query(pairs)),
        }
    }

    /// What was received, once its body is whole.
    ///
    /// # Errors
    /// When its query can't be decoded.
    pub(super) fn received(
        head: &hyper::http::request::Parts,
        body: Bytes,
    ) -> Result<Self, RequestError> {
        let query = decode_query(head.uri.query().unwrap_or_default());
        let query = query.ok_or_else(|| RequestError("the query is not percent-encoded".into()))?;
        let (method, path) = (head.method.clone(), head.uri.path().to_string());
        Ok(HttpRequest { method, path, query, headers: Headers::received(&head.headers), body })
    }
}
