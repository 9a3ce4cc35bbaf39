//! What one peer may take of a server or a client.

use std::time::Duration;

/// The least that hyper reads into, and so the least bound of a head, in bytes.
pub const HEADER_BYTES_MIN: usize = 8 * 1024;

/// What whoever reaches a server's port may take of it. All of it together is at most `connections` times
/// (`header_bytes` + `body_bytes` + one read of a stream + an answer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of a request's head: its first line and all headers. More are answered 431. At least 8 KiB; 16 KiB
    /// by default.
    pub header_bytes: usize,
    /// Headers of a request. More are answered 431. 64 by default.
    pub headers: usize,
    /// Bytes of a request's target, path and query. A longer one in a head that fits is answered 414. 8 KiB by default.
    pub target_bytes: usize,
    /// Bytes of a request's body, without what frames its chunks. More are answered 413, and not asked for with
    /// `100 Continue`. 1 MiB by default.
    pub body_bytes: usize,
    /// Connections at once. A further one is answered 503 without being read from, and closed; when as many as
    /// that are being answered so too, it is closed without a word. 256 by default.
    pub connections: usize,
    /// How long a connection may stay without a byte of a next request. Then it is closed without an answer.
    /// 60 s by default.
    pub idle_time: Duration,
    /// How long a request may take from its first byte to its last. Then it is answered 408. 10 s by default.
    pub request_time: Duration,
    /// How long a handler may take. Then it is dropped, and 503 is answered. 30 s by default.
    pub handler_time: Duration,
    /// How long the peer may take to accept an answer into its window. Then the connection is cut. 10 s by default.
    pub answer_time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        HttpLimits {
            header_bytes: 16 * 1024,
            headers: 64,
            target_bytes: 8 * 1024,
            body_bytes: 1024 * 1024,
            connections: 256,
            idle_time: Duration::from_secs(60),
            request_time: Duration::from_secs(10),
            handler_time: Duration::from_secs(30),
            answer_time: Duration::from_secs(10),
        }
    }
}

/// What a server may take of a client, for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpClientLimits {
    /// Bytes of an answer's head. At least 8 KiB; 16 KiB by default.
    pub header_bytes: usize,
    /// Headers of an answer. 64 by default.
    pub headers: usize,
    /// Bytes of an answer's body. 8 MiB by default.
    pub body_bytes: usize,
    /// The time for all of it, connecting included. 10 s by default.
    pub total_time: Duration,
}

impl Default for HttpClientLimits {
    fn default() -> Self {
        HttpClientLimits {
            header_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 8 * 1024 * 1024,
            total_time: Duration::from_secs(10),
        }
    }
}
