//! The promises of the RPC layer under everything at once.

use super::{Events, PORT, Probe, ProbeGateway, boot, in_simulation, ms, text};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use wavetank::{
    host::{
        Draws, NodeAddress,
        sim::{Delay, LinkEffect, LinkRule, NodeId, NodeSet, ProcessEnd, World, WorldConfig},
    },
    system::rpc::{AskOutcome, RpcAddress, RpcConfig, RpcEvent, RpcService},
};

const SEEDS: u64 = 300;
const NODES: u32 = 3;
const STORM: Duration = ms(3000);
/// Of a connect, and of an ask.
const TIMEOUT: Duration = ms(400);

/// One incarnation of one process.
type Life = (NodeId, u64);

/// Loss, copies, delays and damage on all links.
fn make_waves(world: &World, draws: &mut Draws) {
    let effects = [
        LinkEffect::Loss { per_million: 150_000 },
        LinkEffect::Duplicate { per_million: 300_000 },
        LinkEffect::Corrupt { per_million: 50_000 },
        LinkEffect::Delay(Delay::Exponential(ms(draws.between(1, 200)))),
    ];
    for effect in effects {
        world.add_rule(LinkRule {
            from: NodeSet::All,
            to: NodeSet::All,
            kind: None,
            nth: None,
            effect,
        });
    }
}

/// Starts a process that hosts a probe and asks random peers until the storm is over.
async fn launch(world: &World, node: NodeId, peers: &[String], mut draws: Draws) {
    let config =
        RpcConfig { ask_timeout: TIMEOUT, connect_timeout: TIMEOUT, ..RpcConfig::default() };
    let service = boot(world, node, config).await;
    let server = service.start_server("probe", Probe::default()).expect("a free name");
    server.start();
    let (world, host, peers) = (world.clone(), service.host().clone(), peers.to_vec());
    host.clone().spawn(async move {
        while world.elapsed() < STORM {
            let peer = draws.pick(&peers).clone();
            host.spawn(talk(service.clone(), peer, draws.below(1000)));
            host.sleep(draws.duration(ms(1), ms(20))).await;
        }
    });
}

/// Connects and asks; the answer must be that of this very ask.
async fn talk(service: RpcService, peer: String, number: u64) {
    let address = RpcAddress::new(NodeAddress::new(peer, PORT), "probe");
    let Ok(gateway) = service.connect::<ProbeGateway>(&address).await else { return };
    gateway.note(text("tell"));
    let sent = format!("{number} of {}", service.host().name());
    if number.is_multiple_of(2) {
        // Given up at once.
        return drop(gateway.echo(sent));
    }
    if let Ok(answer) = gateway.echo(sent.clone()).await {
        assert_eq!(answer, sent);
    }
}

async fn run_storm(world: &World, seed: u64) {
    let mut draws = Draws::new(seed, "storm", [0, 0]);
    let names: Vec<String> = (0..NODES).map(|number| format!("node{number}")).collect();
    let nodes: Vec<NodeId> = names.iter().map(|name| world.add_node(name)).collect();
    make_waves(world, &mut draws);
    for (key, node) in (0..).zip(&nodes) {
        launch(world, *node, &names, Draws::new(seed, "talk", [key, 0])).await;
    }
    let mut restarts = 0;
    while world.elapsed() < STORM {
        world.sleep(draws.duration(ms(50), ms(600))).await;
        let node = *draws.pick(&nodes);
        let end = [ProcessEnd::Killed, ProcessEnd::PowerCut];
        world.end_process(node, draws.pick(&end).clone());
        world.sleep(draws.duration(ms(0), ms(300))).await;
        restarts += 1;
        launch(world, node, &names, Draws::new(seed, "talk", [restarts, 1])).await;
    }
    // A talk connects, then asks.
    world.sleep(TIMEOUT + TIMEOUT + ms(100)).await;
    assert!(nodes.iter().all(|node| world.is_running(*node)), "nobody panicked");
}

#[derive(Debug, Default)]
struct Tally {
    handled: usize,
    values: usize,
    failures: BTreeSet<&'static str>,
    cut_short: usize,
}

/// Judges a run: one outcome an ask, one handling a call.
fn check(seed: u64, events: &Events, last_lives: &BTreeSet<Life>, tally: &mut Tally) {
    let mut asks: BTreeMap<(Life, u64), Option<AskOutcome>> = BTreeMap::new();
    let mut handled: BTreeSet<(Life, u64, u64)> = BTreeSet::new();
    for (stamp, event) in events.all() {
        let life = (stamp.node, stamp.incarnation);
        match event {
            RpcEvent::AskSent { call, .. } => {
                let again = asks.insert((life, call), None);
                assert!(again.is_none(), "seed {seed}: two asks of {life:?} are numbered {call}");
            }
            RpcEvent::AskResolved { call, outcome } => {
                let before = asks.get_mut(&(life, call)).expect("it was sent").replace(outcome);
                assert!(before.is_none(), "seed {seed}: {life:?} {call} ended twice");
            }
            RpcEvent::HandlerStarted { sender, call, .. } => {
                let fresh = handled.insert((life, sender, call));
                assert!(fresh, "seed {seed}: call {call} of {sender} was handled twice");
            }
            _ => {}
        }
    }
    for ((life, call), outcome) in asks {
        match outcome {
            Some(AskOutcome::Value) => tally.values += 1,
            Some(AskOutcome::Failed(name)) => drop(tally.failures.insert(name)),
            None => {
                assert!(!last_lives.contains(&life), "seed {seed}: {life:?} {call} never ended");
                tally.cut_short += 1;
            }
        }
    }
    tally.handled += handled.len();
}

#[test]
fn every_ask_ends_once_and_every_call_is_handled_at_most_once() {
    let mut tally = Tally::default();
    for seed in 0..SEEDS {
        let (events, last_lives) =
            in_simulation(WorldConfig::new(seed), async move |world, events| {
                run_storm(&world, seed).await;
                let mut lives = BTreeMap::new();
                for (stamp, _) in events.all() {
                    lives.insert(stamp.node, stamp.incarnation);
                }
                (events, lives.into_iter().collect())
            });
        check(seed, &events, &last_lives, &mut tally);
    }
    assert!(tally.values > 50_000 && tally.handled > 100_000, "{tally:?}");
    assert!(tally.cut_short > 1000, "processes died while they waited: {tally:?}");
    for failure in ["timeout", "unreachable", "no reply", "malformed"] {
        assert!(tally.failures.contains(failure), "{tally:?}");
    }
}
