//! The smallest use of the RPC layer: a server that greets.

use crate::{
    gateway,
    system::rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
};

gateway! {
    /// Says hello.
    pub gateway HelloGateway serves HelloHandler {
        /// A greeting.
        ask say_hello(name: String) -> String;
    }
}

/// The name of the server's endpoint.
pub const HELLO_ENDPOINT: &str = "hello";

/// Greets whoever asks.
pub struct HelloEndpoint;

impl RpcEndpoint for HelloEndpoint {
    type Gateway = HelloGateway;
}

impl HelloHandler for HelloEndpoint {
    fn say_hello(&mut self, _: &mut Context<Self>, name: String, reply: Reply<String>) {
        reply.ok(format!("Hello {name}"));
    }
}

/// Starts a server whose address is `rpc://host:port/hello`.
///
/// # Errors
/// As [`RpcService::start_server`].
pub fn start_hello(service: &RpcService) -> Result<RpcServer<HelloEndpoint>, RpcError> {
    let server = service.start_server(HELLO_ENDPOINT, HelloEndpoint)?;
    server.start();
    Ok(server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{host::run_two, system::rpc::RpcSystem};

    #[test]
    fn a_client_on_another_node_is_greeted() {
        let (tell_address, address) = futures::channel::oneshot::channel();
        run_two(
            |host| async move {
                let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
                let server = start_hello(&service).expect("a free name");
                tell_address.send(server.address().clone()).expect("the client waits");
                server.termination().await.expect("nobody ends it");
            },
            |host| async move {
                let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
                let address = address.await.expect("the server started");
                let hello: HelloGateway = service.connect(&address).await.expect("a server");
                let greeting = hello.say_hello("World".to_string()).await;
                assert_eq!(greeting.as_deref(), Ok("Hello World"));
            },
        );
    }
}
