//! A coordination server, a process of stubs, and what is tried between them.

use crate::leadership::{host, in_simulation, ms};
use std::sync::Arc;
use wavetank::{
    host::{NodeAddress, sim::World},
    system::{
        cluster::run_coordination_node,
        leadership::{LeaderAddress, LeaderInformation, LeaderSessionId, latch_key, leader_key},
        rpc::{RpcAddress, RpcEndpoint, RpcService, RpcSystem},
        service::coordination::{
            Coordination, CoordinationClient, CoordinationConfig, Transaction,
        },
    },
};

pub const PORT: u16 = 1;

/// A world with a coordination server, and a process in it for stubs.
pub struct Bench {
    pub world: World,
    /// Of the process of the stubs.
    pub service: RpcService,
    pub coordination: Arc<dyn Coordination>,
}

pub fn bench(body: impl AsyncFnOnce(Bench) + Send + 'static) {
    in_simulation(async |world, _| {
        let server = world.add_node("server");
        world.boot(server, |host| run_coordination_node(host, PORT));
        let service = service(&world, "stubs").await;
        let coordination = coordination(&service);
        world.sleep(ms(100)).await;
        body(Bench { world, service, coordination }).await;
    });
}

/// A service on a machine of its own.
pub async fn service(world: &World, name: &str) -> RpcService {
    let host = host(world, world.add_node(name)).await;
    RpcSystem::default().bind(&host, PORT).await.expect("a free port")
}

/// A client on that service.
pub fn coordination(service: &RpcService) -> Arc<dyn Coordination> {
    let config = CoordinationConfig::new(NodeAddress::new("server", PORT));
    Arc::new(CoordinationClient::new(service, config))
}

impl Bench {
    pub async fn put(&self, key: String, value: Vec<u8>) {
        let put = Transaction::new().put(key, value);
        self.coordination.transact(put).await.expect("no condition");
    }

    /// Makes an endpoint of the stubs' process the leader of a component, which no other contender becomes.
    pub async fn lead<E: RpcEndpoint>(&self, component: &str, session: u128, endpoint: E) {
        let session = LeaderSessionId(session);
        let name = format!("{component}-{}", session.0);
        let started =
            self.service.start_permanently_fenced_server(&name, endpoint, session.token());
        let server = started.expect("a free name");
        server.start();
        let address = LeaderAddress::Rpc(RpcAddress::new(self.service.address().clone(), &name));
        let leader = LeaderInformation { session, address };
        self.put(latch_key(component), session.to_bytes()).await;
        let record = postcard::to_allocvec(&leader).expect("it can be encoded");
        self.put(leader_key(component), record).await;
    }

    /// Long enough for whatever needs no time-out.
    pub async fn settle(&self) {
        self.world.sleep(ms(800)).await;
    }
}
