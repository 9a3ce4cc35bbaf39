//! Remote calls between actors.
//!
//! An [`RpcEndpoint`] is an actor: its *main thread* is one task that owns the endpoint's state and
//! handles one message at a time, so a handler takes `&mut self` and never waits. A protocol is
//! declared once with [`gateway!`](crate::gateway); that makes the typed client (the
//! [`Gateway`]), whose calls read like local ones, and the trait that the endpoint implements. An
//! [`RpcService`] hosts the endpoints of a process and connects to those of others.
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
//!         let service = RpcSystem::load(&host).bind(0).await.expect("a free port");
//!         let server = service.start_server("hello", HelloEndpoint).expect("a free name");
//!         server.start();
//!         tell_address.send(server.address().clone()).expect("the client waits");
//!         server.termination().await.expect("nobody ends it");
//!     },
//!     |host| async move {
//!         // 4. Connect, and call it as if it were here.
//!         let service = RpcSystem::load(&host).bind(0).await.expect("a free port");
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
mod endpoint;
mod error;
mod event;
mod gateway;
mod handshake;
mod ids;
mod mailbox;
mod protocol;
mod recipient;
mod server;
mod service;
mod socket;
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
pub use server::RpcServer;
pub use service::{RpcConfig, RpcService, RpcSystem};
pub use wire::PROTOCOL_VERSION;
