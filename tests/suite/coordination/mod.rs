//! The coordination service, shown in simulation through its public API alone.
mod checker;
mod durable;
mod history;
mod limits;
mod session;
mod storm;
mod watch;

use futures::channel::oneshot;
use history::{Entry, History};
use std::{sync::Arc, time::Duration};
use wavetank::{
    host::{
        NodeAddress,
        sim::{LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd, World, WorldConfig, simulate},
    },
    system::{
        cluster::run_coordination_node,
        rpc::{RpcAddress, RpcService, RpcSystem},
        service::coordination::{
            COORDINATION_ENDPOINT, Coordination, CoordinationClient, CoordinationConfig,
            CoordinationEvent, CoordinationGateway, KeyPattern, Range, Transacted, Transaction,
        },
    },
};

const ALWAYS: u32 = 1_000_000;
const PORT: u16 = 1;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs `body` in a new world on a new thread.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
fn in_simulation<T: Send + 'static>(
    config: WorldConfig,
    body: impl AsyncFnOnce(Cell) -> T + Send + 'static,
) -> T {
    let run = move || {
        let history = Arc::<History>::default();
        simulate(config, history.clone(), async move |world| {
            let server = world.add_node("server");
            let cell = Cell { world, history, server };
            cell.boot_server();
            cell.recovered(1).await;
            body(cell).await
        })
        .0
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A world with the server's machine in it.
#[derive(Clone)]
struct Cell {
    world: World,
    history: Arc<History>,
    server: NodeId,
}

/// A client's process.
struct Client {
    node: NodeId,
    service: RpcService,
    coordination: Arc<dyn Coordination>,
}

fn server_address() -> NodeAddress {
    NodeAddress::new("server", PORT)
}

/// Every key.
fn all() -> KeyPattern {
    KeyPattern::Prefix(String::new())
}

/// The service's own settings.
fn usual() -> CoordinationConfig {
    CoordinationConfig::new(server_address())
}

impl Cell {
    fn boot_server(&self) {
        self.world.boot(self.server, |host| run_coordination_node(host, PORT));
    }

    /// Ends the server's process and starts the next one.
    fn restart_server(&self, end: ProcessEnd) {
        self.world.end_process(self.server, end);
        self.boot_server();
    }

    async fn client(&self, name: &str, config: CoordinationConfig) -> Client {
        let node = self.world.add_node(name);
        let (ready, service) = oneshot::channel();
        self.world.boot(node, |host| async move {
            let _ = ready.send(RpcSystem::default().bind(&host, PORT).await.expect("a free port"));
        });
        let service = service.await.expect("the process lives");
        let coordination = Arc::new(CoordinationClient::new(&service, config));
        Client { node, service, coordination }
    }

    /// Cuts both directions between the server and the node.
    fn cut(&self, node: NodeId) -> Vec<wavetank::host::sim::RuleId> {
        let (here, there) = (NodeSet::one(node), NodeSet::one(self.server));
        let rule = |from: &NodeSet, to: &NodeSet| {
            let (from, to) = (from.clone(), to.clone());
            self.world.add_rule(LinkRule {
                from,
                to,
                kind: None,
                nth: None,
                effect: LinkEffect::Cut,
            })
        };
        vec![rule(&here, &there), rule(&there, &here)]
    }

    fn lift(&self, rules: Vec<wavetank::host::sim::RuleId>) {
        rules.into_iter().for_each(|rule| self.world.remove_rule(rule));
    }

    /// Waits until the server serves after its n-th recovery; returns what that announced.
    async fn recovered(&self, times: usize) -> Vec<(String, Vec<u8>)> {
        for _ in 0..1000 {
            let all = self.recoveries();
            if all.len() >= times {
                self.world.sleep(ms(5)).await;
                return all[times - 1].clone();
            }
            self.world.sleep(ms(5)).await;
        }
        panic!("the server does not come up");
    }

    /// The keys and values that each recovery announced.
    fn recoveries(&self) -> Vec<Vec<(String, Vec<u8>)>> {
        let entries = self.history.all();
        let recovered = entries.into_iter().filter_map(|(_, entry)| match entry {
            Entry::Server(CoordinationEvent::Recovered { keys, .. }) => {
                Some(keys.into_iter().map(|(key, value, _)| (key, value)).collect())
            }
            _ => None,
        });
        recovered.collect()
    }
}

impl Client {
    /// The calls that a client has no function for.
    async fn gateway(&self) -> CoordinationGateway {
        let address = RpcAddress::new(server_address(), COORDINATION_ENDPOINT);
        self.service.connect(&address).await.expect("a server")
    }

    async fn put(&self, key: &str, value: &[u8]) -> Transacted {
        // A server that has begun anew wants a new handshake, and a write may not be repeated.
        self.read().await;
        let write = Transaction::new().put(key, value.to_vec());
        self.coordination.transact(write).await.expect("a quiet server")
    }

    async fn read(&self) -> Range {
        self.coordination.read(&all()).await.expect("a quiet server")
    }

    async fn value(&self, key: &str) -> Option<Vec<u8>> {
        self.read().await.get(key).map(|found| found.value.clone())
    }
}
