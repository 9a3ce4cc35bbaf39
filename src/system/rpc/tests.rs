//! Calls that no gateway makes, and what an endpoint costs.

use super::{
    gateway::{Gateway, RpcClient, Target},
    main_thread::MainThread,
    shared::EndpointShared,
    *,
};
use crate::{
    gateway,
    host::{Kind, run_two},
};
use futures::channel::oneshot;

gateway! {
    /// Calls to an [`Echo`].
    pub gateway EchoGateway serves EchoHandler {
        /// Answers with the text.
        ask echo(text: String) -> String;
    }
}

struct Echo;

impl RpcEndpoint for Echo {
    type Gateway = EchoGateway;
}

impl EchoHandler for Echo {
    fn echo(&mut self, _: &mut Context<Self>, text: String, reply: Reply<String>) {
        reply.ok(text);
    }
}

const KIND: Kind = Kind::new("test");

/// Runs `client` beside a process with an echo.
fn with_echo<F>(client: impl FnOnce(RpcClient) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send,
{
    let (tell_address, address) = oneshot::channel();
    run_two(
        |host| async move {
            let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
            let server = service.start_server("echo", Echo).expect("a free name");
            server.start();
            tell_address.send(server.address().clone()).expect("the client waits");
            server.termination().await.expect("nobody ends it");
        },
        |host| async move {
            let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
            let address = address.await.expect("the server started");
            let echo: EchoGateway = service.connect(&address).await.expect("a server");
            client(echo.client().clone()).await;
            assert_eq!(echo.echo("still".to_string()).await.as_deref(), Ok("still"));
        },
    );
}

#[test]
fn a_method_that_the_protocol_does_not_have_is_refused() {
    with_echo(|client| async move {
        let answer = client.ask::<String>(99, KIND, &("text",)).await;
        assert_eq!(answer, Err(RpcError::Incompatible("no method 99".to_string())));
    });
}

#[test]
fn a_call_without_a_handshake_is_refused() {
    with_echo(|client| async move {
        let Target::Remote(peer, _) = client.target.clone() else { panic!("it is remote") };
        let client = RpcClient { target: Target::Remote(peer, 0), ..client };
        let answer = client.ask::<String>(0, KIND, &("text",)).await;
        assert_eq!(answer, Err(RpcError::Incompatible("no handshake".to_string())));
    });
}

#[test]
fn arguments_of_another_type_are_malformed_and_so_are_their_answers() {
    with_echo(|client| async move {
        let answer = client.ask::<String>(0, KIND, &(u64::MAX,)).await;
        assert!(matches!(answer, Err(RpcError::Malformed(_))), "{answer:?}");
        let answer = client.ask::<(u64, u64, u64)>(0, KIND, &("\u{1f}",)).await;
        assert!(matches!(answer, Err(RpcError::Malformed(_))), "{answer:?}");
    });
}

/// A million of them take no more than 1 GB, the executor's part included (`cargo bench -- endpoints`).
#[test]
fn an_idle_endpoint_is_small() {
    let (outside, inside) = (size_of::<EndpointShared<Box<[u8]>>>(), size_of::<MainThread<Echo>>());
    assert!(outside <= 256, "what its handles share takes {outside} bytes");
    assert!(inside <= 80, "its main thread takes {inside} bytes");
}
