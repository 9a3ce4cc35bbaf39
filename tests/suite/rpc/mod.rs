//! The RPC layer, shown in simulation through its public API alone.
mod causes;
mod connect;
mod delivery;
mod fencing;
mod lifecycle;
mod main_thread;
mod probe;
mod registration;
mod shutdown;
mod storm;
mod transport;

use probe::{Probe, ProbeGateway};
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Event,
        sim::{
            LinkEffect, LinkRule, NodeId, NodeSet, Observer, Stamp, World, WorldConfig,
            WorldReport, simulate,
        },
    },
    system::rpc::{
        FencingToken, RpcAddress, RpcConfig, RpcError, RpcEvent, RpcServer, RpcService, RpcSystem,
    },
};

const ALWAYS: u32 = 1_000_000;
const PORT: u16 = 1;

/// Far more than a round trip of at most 4 ms takes, far less than any time-out.
const AT_ONCE: Duration = ms(20);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn token(number: u128) -> FencingToken {
    FencingToken(number << 96)
}

/// Every RPC event of a run, in order.
#[derive(Default)]
struct Events(Mutex<Vec<(Stamp, RpcEvent)>>);

impl Observer for Events {
    fn observe(&self, _: &World, stamp: Stamp, event: &dyn Event) {
        if let Some(event) = event.as_any().downcast_ref::<RpcEvent>() {
            self.0.lock().unwrap().push((stamp, event.clone()));
        }
    }
}

impl Events {
    fn all(&self) -> Vec<(Stamp, RpcEvent)> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, wanted: impl Fn(&RpcEvent) -> bool) -> usize {
        self.0.lock().unwrap().iter().filter(|(_, event)| wanted(event)).count()
    }

    fn refused(&self, why: &str) -> usize {
        self.count(|event| matches!(event, RpcEvent::CallRefused { reason, .. } if *reason == why))
    }

    fn dropped(&self, why: &str) -> usize {
        self.count(|event| matches!(event, RpcEvent::FrameDropped { reason } if *reason == why))
    }
}

/// Runs `body` in a new world on a new thread.
fn in_simulation<T: Send + 'static>(
    config: WorldConfig,
    body: impl AsyncFnOnce(World, Arc<Events>) -> T + Send + 'static,
) -> T {
    reported(config, body).0
}

/// The same, with what is left of the world.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
fn reported<T: Send + 'static>(
    config: WorldConfig,
    body: impl AsyncFnOnce(World, Arc<Events>) -> T + Send + 'static,
) -> (T, WorldReport) {
    let run = move || {
        let events = Arc::<Events>::default();
        simulate(config, events.clone(), async move |world| body(world, events).await)
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A client's and a server's process, each on a machine of its own.
struct Pair {
    world: World,
    events: Arc<Events>,
    client_node: NodeId,
    server_node: NodeId,
    client: RpcService,
    server: RpcService,
}

/// Runs `body` with a pair in a new world.
fn pair(body: impl AsyncFnOnce(Pair) + Send + 'static) {
    pair_with(WorldConfig::new(1), RpcConfig::default(), body);
}

fn pair_with(
    world: WorldConfig,
    rpc: RpcConfig,
    body: impl AsyncFnOnce(Pair) + Send + 'static,
) -> WorldReport {
    let (_, report) = reported(world, async move |world, events| {
        let (client_node, server_node) = (world.add_node("client"), world.add_node("server"));
        let client = boot(&world, client_node, rpc.clone()).await;
        let server = boot(&world, server_node, rpc).await;
        body(Pair { world, events, client_node, server_node, client, server }).await;
    });
    report
}

/// Starts a process that is nothing but an RPC service.
async fn boot(world: &World, node: NodeId, config: RpcConfig) -> RpcService {
    let (ready, service) = futures::channel::oneshot::channel();
    world.boot(node, |host| async move {
        let system = RpcSystem::load(&config).expect("a transport");
        let _ = ready.send(system.bind(&host, PORT).await.expect("a free port"));
    });
    service.await.expect("the process lives")
}

impl Pair {
    /// Hosts a running, unfenced probe on the server.
    fn host(&self, name: &str, probe: &Probe) -> RpcServer<Probe> {
        let server = self.server.start_server(name, probe.twin()).expect("a free name");
        server.start();
        server
    }

    /// Hosts a running, fenced probe on the server.
    fn host_fenced(&self, probe: &Probe, token: Option<FencingToken>) -> RpcServer<Probe> {
        let server = self.server.start_fenced_server("probe", probe.twin(), token);
        let server = server.expect("a free name");
        server.start();
        server
    }

    /// The client's gateway to an endpoint of the server.
    async fn connect(&self, name: &str) -> ProbeGateway {
        let address = RpcAddress::new(self.server.address().clone(), name);
        self.client.connect(&address).await.expect("a server")
    }

    /// A running probe and the client's gateway to it.
    async fn probe(&self) -> (Probe, RpcServer<Probe>, ProbeGateway) {
        let probe = Probe::default();
        let server = self.host("probe", &probe);
        (probe, server, self.connect("probe").await)
    }

    async fn connect_fenced(&self, token: FencingToken) -> ProbeGateway {
        let address = RpcAddress::new(self.server.address().clone(), "probe");
        self.client.connect_fenced(&address, token).await.expect("a server")
    }

    /// What the future came to, and the simulated time that it took.
    async fn timed<T>(&self, future: impl Future<Output = T>) -> (T, Duration) {
        let begin = self.world.elapsed();
        let output = future.await;
        (output, self.world.elapsed() - begin)
    }

    /// What the future came to; it must be done at once.
    async fn at_once<T>(&self, future: impl Future<Output = T>) -> T {
        let (output, took) = self.timed(future).await;
        assert!(took < AT_ONCE, "took {took:?}");
        output
    }

    /// Puts a fault on the link to the server.
    fn to_server(&self, kind: Option<&str>, effect: LinkEffect) -> LinkRule {
        let (from, to) = (NodeSet::one(self.client_node), NodeSet::one(self.server_node));
        LinkRule { from, to, kind: kind.map(Into::into), nth: None, effect }
    }

    /// Puts a fault on the link to the client.
    fn to_client(&self, kind: Option<&str>, effect: LinkEffect) -> LinkRule {
        let (from, to) = (NodeSet::one(self.server_node), NodeSet::one(self.client_node));
        LinkRule { from, to, kind: kind.map(Into::into), nth: None, effect }
    }

    /// Lets everything under way arrive.
    async fn settle(&self) {
        self.world.sleep(ms(50)).await;
    }
}

fn text(text: &str) -> String {
    text.to_string()
}

fn value(text: &str) -> Result<String, RpcError> {
    Ok(text.to_string())
}
