//! HTTP/1.1 over the streams of a [`Host`](crate::host::Host): a server, a router, a small client.
//!
//! hyper parses and writes the protocol. It is handed bytes, and gives bytes; all else is done around it, so that
//! both worlds run the same and send the same: time comes from the host, so does `Date`, and no timer, task or
//! clock of hyper's own is used. Headers are sent in the order in which they were added.
//!
//! Whoever reaches the port can only take what is bounded ([`HttpLimits`]): connections, bytes of a head and of a
//! body, and the time of each phase of a request. What goes beyond is answered with the status that HTTP has for
//! it, and the connection ends. A request is read whole before its handler is called, and an answer is whole
//! before it is sent.
//!
//! To follow a request start at [`HttpServer`] (`server.rs` accepts, `connection.rs` drives one connection), then
//! `service.rs` for what is asked of a request, and [`Router`] for whose handler it is.
//!
//! Deliberately absent: TLS, HTTP/2, upgrades, compression, bodies that are streamed, kept connections of a client,
//! and the meaning of any path.
//!
//! ```
//! use futures::channel::oneshot;
//! use std::time::Duration;
//! use wavetank::{host::run_two, system::http::*};
//!
//! let (tell_address, address) = oneshot::channel();
//! let (stop, stopped) = oneshot::channel::<()>();
//! run_two(
//!     async move |host| {
//!         let router = Router::new().get("/jobs/:job", async |request: RoutedRequest| {
//!             let job: u64 = request.parameter("job")?;
//!             Ok(HttpResponse::json(200, &serde_json::json!({ "id": job })))
//!         });
//!         let limits = HttpLimits::default();
//!         let server = HttpServer::start(&host, 0, limits, router.into_handler()).await;
//!         let server = server.expect("a free port");
//!         tell_address.send(server.address().clone()).expect("the client waits");
//!         stopped.await.expect("the client says so");
//!         assert!(server.drain(host.now() + Duration::from_secs(5)).await);
//!     },
//!     async move |host| {
//!         let to = address.await.expect("the server started");
//!         let client = HttpClient::new(&host, HttpClientLimits::default());
//!         let answer = client.request(&to, HttpRequest::get("/jobs/7")).await;
//!         assert_eq!(answer.expect("an answer").body, r#"{"id":7}"#);
//!         let answer = client.request(&to, HttpRequest::get("/jobs/seven")).await;
//!         assert_eq!(answer.expect("an answer").status, 400);
//!         stop.send(()).expect("the server waits");
//!     },
//! );
//! ```

mod answer;
mod body;
mod client;
mod connection;
mod date;
mod error;
mod exchange;
mod headers;
mod limits;
mod pattern;
mod percent;
mod refusal;
mod request;
mod response;
mod router;
mod server;
mod service;
mod wire;

#[cfg(test)]
mod tests;

pub use client::HttpClient;
pub use error::HttpError;
pub use headers::Headers;
pub use hyper::Method;
pub use limits::{HttpClientLimits, HttpLimits};
pub use percent::encode_segment;
pub use request::{HttpRequest, RequestError};
pub use response::HttpResponse;
pub use router::{RoutedRequest, Router};
pub use server::HttpServer;
pub use service::HttpHandler;
