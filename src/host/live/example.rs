//! Two nodes and nothing else, for examples that run in both worlds.

use super::node::{ExitReason, Node, NodeConfig};
use crate::host::Host;
use std::{future::Future, path::Path};

/// Runs a server and a client, each on a node of its own, until the client is done.
///
/// # Panics
/// When either of them does, and when there is no runtime or temporary folder to be had.
pub fn run_two<S, C>(server: impl FnOnce(Host) -> S, client: impl FnOnce(Host) -> C)
where
    S: Future<Output = ()> + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the operating system gives a runtime");
    let random = getrandom::u64().expect("the operating system has randomness");
    let folder = std::env::temp_dir().join(format!("wavetank-example-{random:016x}"));
    let reasons = runtime.block_on(async {
        let (server_host, client_host) = (start(&folder, "server"), start(&folder, "client"));
        server_host.spawn(server(server_host.clone()));
        let (watched, waiting) = (server_host.clone(), client_host.clone());
        client_host.spawn(async move {
            if let ExitReason::Panicked { .. } = Node::ended(&watched).await {
                waiting.exit("the server panicked");
            }
        });
        let client_end = client_host.imp.run(client(client_host.clone())).await;
        [server_host.imp.run(async {}).await, client_end]
    });
    drop(runtime);
    std::fs::remove_dir_all(&folder).expect("the nodes' folders are still there");
    for reason in reasons {
        if let ExitReason::Panicked { message } = reason {
            panic!("{message}");
        }
    }
}

fn start(folder: &Path, name: &str) -> Host {
    let hostname = "127.0.0.1".to_string();
    let config = NodeConfig {
        name: name.to_string(),
        hostname,
        data: folder.join(name),
        members: Vec::new(),
    };
    Node::start(config).expect("a writable temporary folder")
}
