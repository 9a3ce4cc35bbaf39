//! Remote calls between actors.
//!
//! An [`RpcEndpoint`] is an actor: its *main thread* is one task that owns the endpoint's state and
//! handles one message at a time, so a handler takes `&mut self` and never waits. A protocol is
//! declared once with [`gateway!`](crate::gateway); that makes the typed client (the
//! [`Gateway`]), whose calls read like local ones, and the trait that the endpoint implements. An
//! [`RpcService`] hosts the endpoints of a process and connects to those of others.
//!
//! An endpoint is *created*, then *started* and *stopped* as often as its owner likes, and *terminated* once:
//! `on_start` runs at the first start, `on_stop` at the termination, both on the main thread, and the name is free
//! when the future of `on_stop` is done. Calls to one that doesn't run are answered with an error, never stored;
//! between `on_stop` and the end they are answered with *going away*, unless the endpoint
//! [serves on](RpcEndpoint::SERVES_WHILE_STOPPING). Endpoints start others on [`Context::service`] and wait for their
//! ends in `on_stop`; [`RpcService::stop`] ends all of them, then the asks, then closes the port.
//!
//! Calls to a *fenced* endpoint carry its token, which is [fixed](RpcService::start_permanently_fenced_server) or
//! [changes](RpcService::start_fenced_server) on its main thread. Work that is put off (`schedule`, `schedule_every`,
//! `spawn_then`) belongs to the token under which that was done. A handler that holds its main thread
//! [too long](RpcConfig::handler_time_max) is announced.
//!
//! Handlers see a call **at most once, in no order**. An ask ends exactly once: with a value, an
//! error of the application, a time-out on the asker's clock, or *recipient unreachable*. Only an
//! error that the endpoint itself gave says that nothing was done; a time-out and an unreachable
//! recipient mean *maybe*.
//!
//! ```
//! use wavetank::{gateway, host::run_two, system::rpc::*};
//!
//! // 1. Define the protocol.
//! gateway! {
//!     /// Says hello.
//!     pub gateway HelloGateway serves HelloHandler {
//!         /// A greeting.
//!         ask say_hello(name: String) -> String;
//!     }
//! }
//!
//! // 2. Implement the endpoint.
//! struct HelloEndpoint;
//!
//! impl RpcEndpoint for HelloEndpoint {
//!     type Gateway = HelloGateway;
//! }
//!
//! impl HelloHandler for HelloEndpoint {
//!     fn say_hello(&mut self, _: &mut Context<Self>, name: String, reply: Reply<String>) {
//!         reply.ok(format!("Hello {name}"));
//!     }
//! }
//!
//! // The same two processes on the simulated and on the real network.
//! let (tell_address, address) = futures::channel::oneshot::channel();
//! run_two(
//!     |host| async move {
//!         // 3. Start it: its address is rpc://host:port/hello.
//!         let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
//!         let server = service.start_server("hello", HelloEndpoint).expect("a free name");
//!         server.start();
//!         tell_address.send(server.address().clone()).expect("the client waits");
//!         server.termination().await.expect("nobody ends it");
//!     },
//!     |host| async move {
//!         // 4. Connect, and call it as if it were here.
//!         let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
//!         let address = address.await.expect("the server started");
//!         let hello: HelloGateway = service.connect(&address).await.expect("a server");
//!         assert_eq!(hello.say_hello("World".to_string()).await.as_deref(), Ok("Hello World"));
//!     },
//! );
//! ```
//!
//! Deliberately absent: retries (they belong to the protocols above) and any order between calls.

mod address;
mod call;
mod calls;
mod declare;
mod end;
mod endpoint;
mod error;
mod event;
mod fence;
mod gateway;
mod handshake;
mod ids;
mod mailbox;
mod main_thread;
mod protocol;
mod recipient;
mod scheduled;
mod server;
mod service;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod transport;
mod window;
mod wire;

pub use address::{ParseRpcAddressError, RpcAddress};
pub use call::{Answer, Call, Reply};
pub use calls::Ask;
pub use endpoint::{Context, EndpointHandle, MainThreadExecutor, RpcEndpoint, Serves, StopFuture};
pub use error::RpcError;
pub use event::{AskOutcome, RpcEvent};
pub use gateway::{Gateway, RpcClient};
pub use handshake::SERVICE_KINDS;
pub use ids::{EndpointId, FencingToken};
pub use protocol::{Method, Protocol, method_number};
pub use scheduled::Scheduled;
pub use server::RpcServer;
pub use service::{HANDLER_TIME_MAX, RpcConfig, RpcService, RpcSystem};
pub use transport::{LOCAL, LoadError, MESSAGES};
pub use wire::PROTOCOL_VERSION;
