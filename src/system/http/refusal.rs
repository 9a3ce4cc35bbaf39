//! The last answer on a connection that ends before its time.

use super::response::HttpResponse;
use bytes::Bytes;
use hyper::StatusCode;

/// Why a request or a connection is refused. After it the connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What it tells the peer.
    pub message: String,
}

impl Refusal {
    /// A refusal with this message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Refusal { status, message: message.into() }
    }

    /// Of what the parser refused by this status.
    pub fn of_head(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::URI_TOO_LONG => "the request's target is too long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the request's head is too large",
            _ => "this is no HTTP/1.1 request",
        };
        Refusal::new(status, message)
    }

    /// The bytes of the answer; its head is in the order of all others.
    pub fn encode(&self, date: &str) -> Bytes {
        let answer = HttpResponse::error(self.status.as_u16(), &self.message);
        let reason = self.status.canonical_reason().unwrap_or("Refused");
        let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", self.status.as_str());
        for (name, value) in answer.headers.iter() {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = answer.body.len();
        bytes.push_str(&format!(
            "content-length: {length}\r\ndate: {date}\r\nconnection: close\r\n\r\n"
        ));
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&answer.body);
        bytes.into()
    }
}
