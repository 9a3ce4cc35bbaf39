//! An idle cluster, one master and nine workers, beside turmoil.

use crate::{
    measure::{Effort, interleave, median, ratio, row, seconds},
    rpc::boot,
};
use futures::{FutureExt, channel::oneshot, future::BoxFuture};
use std::{net::Ipv4Addr, sync::Arc, time::Duration};
use wavetank::{
    gateway,
    host::sim::{World, WorldConfig, simulate},
    system::{
        heartbeat::{
            Beat, HeartbeatConfig, HeartbeatListener, HeartbeatManager, HeartbeatManagerSender,
            HeartbeatSession, HeartbeatTarget,
        },
        rpc::{Context, Reply, RpcEndpoint, RpcError, RpcServer, RpcService},
    },
    under_test::cluster::{TimeBounds, checker_of_foundation},
};

const WORKERS: u32 = 9;
const SIMULATED_SECONDS: u32 = 600;
const SESSION: HeartbeatSession = HeartbeatSession(1);

gateway! {
    /// Beats between two members.
    pub gateway MemberGateway serves MemberHandler {
        /// A beat that was asked for.
        ask receive(beat: Beat<()>) -> ();
        /// The request for a beat.
        ask request(beat: Beat<()>) -> ();
    }
}

struct Member {
    beats: HeartbeatManagerSender<Member, Beats>,
    received: u32,
}

struct Beats;

impl RpcEndpoint for Member {
    type Gateway = MemberGateway;
}

impl HeartbeatListener<Beats> for Member {
    type In = ();
    type Out = ();

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, Beats> {
        self.beats.manager()
    }

    fn notify_heartbeat_timeout(&mut self, _: &mut Context<Self>, id: &str, _: HeartbeatSession) {
        panic!("nothing is lost, and {id} was");
    }

    fn notify_target_unreachable(&mut self, _: &mut Context<Self>, id: &str, _: HeartbeatSession) {
        panic!("everyone is there, and {id} was not");
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {
        self.received += 1;
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) {}
}

impl MemberHandler for Member {
    fn receive(&mut self, context: &mut Context<Self>, beat: Beat<()>, reply: Reply<()>) {
        HeartbeatManager::receive_heartbeat(self, context, beat);
        reply.ok(());
    }

    fn request(&mut self, context: &mut Context<Self>, beat: Beat<()>, reply: Reply<()>) {
        HeartbeatManager::request_heartbeat(self, context, beat);
        reply.ok(());
    }
}

struct Remote(MemberGateway);

impl HeartbeatTarget<()> for Remote {
    fn receive_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.receive(beat).boxed()
    }

    fn request_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.request(beat).boxed()
    }
}

struct Node {
    name: String,
    service: RpcService,
    server: RpcServer<Member>,
}

impl Node {
    async fn boot(world: &World, name: &str) -> Node {
        let service = boot(world, world.add_node(name)).await;
        let interval = Duration::from_secs(1);
        let config = HeartbeatConfig {
            interval,
            timeout: Duration::from_secs(5),
            unreachable_threshold: Some(2),
        };
        let member = Member { beats: HeartbeatManagerSender::new(name, config), received: 0 };
        let server = service.start_server("member", member).expect("a free name");
        server.start();
        Node { name: name.to_string(), service, server }
    }

    async fn monitor(&self, peer: &Node) {
        let gateway = self.service.connect(peer.server.address()).await.expect("a member");
        let id = peer.name.clone();
        self.server.handle().run_without_fencing(move |member, context| {
            let target = Arc::new(Remote(gateway));
            member.beats.manager().monitor_target(context, &id, SESSION, target);
        });
    }

    async fn received(&self) -> u32 {
        let (tell, received) = oneshot::channel();
        self.server.handle().run_without_fencing(|member, _| {
            let _ = tell.send(member.received);
        });
        received.await.expect("the endpoint runs")
    }
}

fn idle_in_tank(simulated: u32) {
    let checker = Arc::new(checker_of_foundation(&TimeBounds::default()));
    simulate(WorldConfig::new(1), checker.clone(), async |world| {
        let master = Node::boot(&world, "master").await;
        let mut workers = Vec::new();
        for number in 0..WORKERS {
            let worker = Node::boot(&world, &format!("worker-{number}")).await;
            worker.monitor(&master).await;
            master.monitor(&worker).await;
            workers.push(worker);
        }
        master.server.handle().run_without_fencing(|member, context| member.beats.start(context));
        world.sleep(Duration::from_secs(u64::from(simulated))).await;
        assert!(master.received().await >= WORKERS * (simulated - 1), "answers came");
        assert!(workers[0].received().await >= simulated - 1, "requests came");
    });
    assert!(!checker.is_broken(), "a promise was broken");
}

/// The same over turmoil's UDP, with its usual tick of 1 ms.
fn idle_in_turmoil(simulated: u32) {
    let length = Duration::from_secs(u64::from(simulated) + 10);
    let mut sim = turmoil::Builder::new().simulation_duration(length).build();
    for number in 0..WORKERS {
        sim.host(format!("worker-{number}"), || async {
            let socket = turmoil::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 1)).await?;
            let mut buffer = [0; 64];
            loop {
                let (length, from) = socket.recv_from(&mut buffer).await?;
                socket.send_to(&buffer[..length], from).await?;
            }
        });
    }
    sim.client("master", async move {
        let socket = turmoil::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 1)).await?;
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        let mut buffer = [0; 64];
        for _ in 0..simulated {
            interval.tick().await;
            for number in 0..WORKERS {
                socket.send_to(b"a beat", (format!("worker-{number}"), 1)).await?;
            }
            for _ in 0..WORKERS {
                socket.recv_from(&mut buffer).await?;
            }
        }
        Ok(())
    });
    sim.run().expect("nothing fails");
}

pub fn compare(effort: Effort) {
    let simulated = SIMULATED_SECONDS / effort.divisor;
    println!("idle: 10 nodes, a beat each way a second, {simulated} s; aim: 50 times turmoil");
    let [simulated, turmoil] = interleave(
        effort.rounds.min(5),
        [&mut || seconds(|| idle_in_tank(simulated)), &mut || {
            seconds(|| idle_in_turmoil(simulated))
        }],
    );
    row("simulated with heartbeat room and checks", format!("{:.1} ms", median(&simulated) * 1e3));
    row("turmoil over UDP", format!("{:.1} ms", median(&turmoil) * 1e3));
    row("turmoil / simulated", format!("{:.0}", ratio(&turmoil, &simulated)));
}
