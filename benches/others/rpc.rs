//! Asks in simulation, time-outs and checks on, beside madsim's own rpc without either.

use crate::measure::{Effort, interleave, median, ratio, row, seconds};
use futures::{channel::oneshot, future::join_all};
use madsim::{
    net::{Endpoint, rpc::Request},
    runtime::Runtime,
};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use wavetank::{
    gateway,
    harness::event::Moment,
    host::sim::{NodeId, World, WorldConfig, simulate},
    system::rpc::{Context, Reply, RpcAddress, RpcEndpoint, RpcService, RpcSystem},
    under_test::cluster::{TimeBounds, checker_of_foundation},
};

const CALLS: u32 = 48_000;
const TEXT: &str = "a short string";

gateway! {
    /// Says what it is told.
    pub gateway EchoGateway serves EchoHandler {
        /// The same text.
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

/// Starts a process that is nothing but an RPC service.
pub async fn boot(world: &World, node: NodeId) -> RpcService {
    let (ready, service) = oneshot::channel();
    world.boot(node, |host| async move {
        let _ = ready.send(RpcSystem::default().bind(&host, 1).await.expect("a free port"));
    });
    service.await.expect("the process lives")
}

/// Asks that many times with that many under way, and lets the checker look on.
fn ask_in_simulation(in_flight: u32, calls: u32) {
    let checker = Arc::new(checker_of_foundation(&TimeBounds::default()));
    let (end, _) = simulate(WorldConfig::new(1), checker.clone(), async |world| {
        let (client_node, server_node) = (world.add_node("client"), world.add_node("server"));
        let client = boot(&world, client_node).await;
        let server = boot(&world, server_node).await;
        let echo = server.start_server("echo", Echo).expect("a free name");
        echo.start();
        let address = RpcAddress::new(server.address().clone(), "echo");
        let gateway: EchoGateway = client.connect(&address).await.expect("a server");
        let askers = (0..in_flight).map(|_| {
            let (gateway, (done, finished)) = (gateway.clone(), oneshot::channel());
            client.host().spawn(async move {
                for _ in 0..calls / in_flight {
                    let answer = gateway.echo(TEXT.to_string()).await;
                    assert_eq!(answer.as_deref(), Ok(TEXT));
                }
                let _ = done.send(());
            });
            finished
        });
        join_all(askers.collect::<Vec<_>>()).await;
        Moment::new(world.elapsed(), (client_node, 1))
    });
    let report = checker.close(end);
    assert!(report.violations.is_empty(), "{:?}", report.violations);
    assert!(report.evaluations["R4"] >= u64::from(2 * calls), "the asks were judged");
}

#[derive(Serialize, Deserialize)]
struct RawEcho(String);

impl Request for RawEcho {
    type Response = String;
    const ID: u64 = 1;
}

/// The same over madsim's endpoints; `timeout` puts its time-out around each call.
fn ask_raw(in_flight: u32, calls: u32, timeout: bool) {
    let runtime = Runtime::with_seed_and_config(1, madsim::Config::default());
    let server_address: SocketAddr = "10.0.0.1:1".parse().expect("an address");
    let client_address: SocketAddr = "10.0.0.2:1".parse().expect("an address");
    let server = runtime.create_node().ip(server_address.ip()).build();
    let client = runtime.create_node().ip(client_address.ip()).build();
    let listening = server.spawn(async move {
        let endpoint = Endpoint::bind(server_address).await.expect("a free port");
        endpoint.add_rpc_handler(|request: RawEcho| async move { request.0 });
    });
    let asking = client.spawn(async move {
        listening.await.expect("it listens");
        let endpoint = Arc::new(Endpoint::bind(client_address).await.expect("a free port"));
        let askers = (0..in_flight).map(|_| {
            let endpoint = endpoint.clone();
            madsim::task::spawn(async move {
                for _ in 0..calls / in_flight {
                    let request = RawEcho(TEXT.to_string());
                    let answer = match timeout {
                        true => {
                            endpoint
                                .call_timeout(server_address, request, Duration::from_secs(10))
                                .await
                        }
                        false => endpoint.call(server_address, request).await,
                    };
                    assert_eq!(answer.expect("an answer"), TEXT);
                }
            })
        });
        join_all(askers.collect::<Vec<_>>()).await;
    });
    runtime.block_on(asking).expect("no panic");
}

pub fn compare(effort: Effort) {
    let calls = CALLS / effort.divisor;
    println!("rpc: round trips per wall second; aim: at least 0.7, better 1.0, times raw madsim");
    for in_flight in [1, 16] {
        let [simulated, raw, timed] = interleave(
            effort.rounds,
            [
                &mut || seconds(|| ask_in_simulation(in_flight, calls)),
                &mut || seconds(|| ask_raw(in_flight, calls, false)),
                &mut || seconds(|| ask_raw(in_flight, calls, true)),
            ],
        );
        let rate = |times: &[f64]| format!("{:.0} k/s", f64::from(calls) / median(times) / 1e3);
        row(
            &format!("{in_flight} in flight, simulated with time-outs and checks"),
            rate(&simulated),
        );
        row(&format!("{in_flight} in flight, raw madsim"), rate(&raw));
        row(&format!("{in_flight} in flight, raw madsim with time-outs"), rate(&timed));
        row("simulated / raw", format!("{:.2}", ratio(&raw, &simulated)));
        row("simulated / raw with time-outs", format!("{:.2}", ratio(&timed, &simulated)));
    }
}
