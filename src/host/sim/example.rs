//! Two nodes and nothing else, for examples that run in both worlds.

use super::{
    hardware::{Hardware, ProcessEnd},
    stamp::Stamp,
    world::{Observer, World, WorldConfig, simulate},
};
use crate::host::{Event, Host};
use futures::channel::oneshot;
use std::{
    future::Future,
    sync::{Arc, Mutex},
};

/// Runs a server and a client, each on a node of its own, until the client is done.
///
/// # Panics
/// When either of them does.
pub fn run_two<S, C>(server: impl FnOnce(Host) -> S, client: impl FnOnce(Host) -> C)
where
    S: Future<Output = ()> + Send + 'static,
    C: Future<Output = ()> + Send + 'static,
{
    let witness = Arc::new(Witness::default());
    simulate(WorldConfig::new(0), witness.clone(), async |world| {
        let (done, finished) = oneshot::channel();
        let server_node = world.add_node("server");
        let client_node = world.add_node("client");
        world.boot(server_node, server);
        world.boot(client_node, |host| {
            let client = client(host);
            async move {
                client.await;
                let _ = done.send(());
            }
        });
        // A client that died has dropped its end.
        let _ = finished.await;
    });
    if let Some(message) = witness.panic.lock().expect("no panic under this lock").take() {
        panic!("{message}");
    }
}

/// Remembers the first panic.
#[derive(Default)]
struct Witness {
    panic: Mutex<Option<String>>,
}

impl Observer for Witness {
    fn observe(&self, _: &World, _: Stamp, event: &dyn Event) {
        if let Some(Hardware::Ended(ProcessEnd::Panicked { message })) =
            event.as_any().downcast_ref()
        {
            self.panic.lock().expect("no panic under this lock").get_or_insert(message.clone());
        }
    }
}
