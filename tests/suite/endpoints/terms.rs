//! The endpoint of a term: what becomes of it, and of its process, however the term and the endpoint end.

use crate::leadership::{Puppet, Strings, host, in_simulation, ms};
use futures::{FutureExt, channel::oneshot, future::pending};
use std::sync::{Arc, Mutex};
use wavetank::{
    gateway,
    host::{
        Host, NodeAddress,
        sim::{NodeId, World},
    },
    system::{
        leadership::{EndpointTerms, LeaderRunner, Recovered},
        rpc::{Context, Reply, RpcAddress, RpcEndpoint, RpcError, RpcService, RpcSystem},
    },
};

const PORT: u16 = 1;

gateway! {
    /// Calls to a [`Fragile`].
    pub gateway FragileGateway serves FragileHandler {
        /// Answers.
        ask here() -> ();
        /// Is never answered.
        ask hold() -> ();
        /// Fails.
        tell fail();
    }
}

/// An endpoint that ends when it is told so, or does not even start.
#[derive(Default)]
struct Fragile {
    fails_to_start: bool,
    held: Vec<Reply<()>>,
}

impl RpcEndpoint for Fragile {
    type Gateway = FragileGateway;

    fn on_start(&mut self, _: &mut Context<Self>) -> Result<(), String> {
        if self.fails_to_start { Err("not today".to_string()) } else { Ok(()) }
    }
}

impl FragileHandler for Fragile {
    fn here(&mut self, _: &mut Context<Self>, reply: Reply<()>) {
        reply.ok(());
    }

    fn hold(&mut self, _: &mut Context<Self>, reply: Reply<()>) {
        self.held.push(reply);
    }

    fn fail(&mut self, context: &mut Context<Self>) {
        context.fail("enough");
    }
}

type Recovery = oneshot::Receiver<Result<Recovered<Fragile>, String>>;

/// A contender whose recoveries and leadership are in the test's hands.
struct Bench {
    world: World,
    node: NodeId,
    service: RpcService,
    puppet: Arc<Puppet>,
    runner: LeaderRunner,
    /// Whether there is an endpoint now, as often as that was told.
    told: Arc<Mutex<Vec<bool>>>,
}

/// Runs a contender, the recoveries of whose terms are these.
fn bench(recoveries: Vec<Recovery>, body: impl AsyncFnOnce(Bench) + Send + 'static) {
    in_simulation(async move |world, _| {
        let node = world.add_node("node");
        let service = bind(host(&world, node).await).await;
        let recoveries = Mutex::new(recoveries.into_iter());
        let recover = move |_| {
            let next = recoveries.lock().unwrap().next().expect("a recovery for each term");
            async move { next.await.unwrap_or_else(|_| Err("given up".to_string())) }.boxed()
        };
        let (puppet, told) = (Arc::<Puppet>::default(), Arc::<Mutex<Vec<bool>>>::default());
        let tell = told.clone();
        let terms = EndpointTerms::new(&service, "c", Box::new(recover))
            .watched(move |server| tell.lock().unwrap().push(server.is_some()));
        let runner = LeaderRunner::start(service.host(), "c", Arc::new(terms), |events| {
            *puppet.events.lock().unwrap() = Some(events);
            Arc::new(Strings(puppet.clone()))
        });
        body(Bench { world, node, service, puppet, runner, told }).await;
    });
}

async fn bind(host: Host) -> RpcService {
    RpcSystem::default().bind(&host, PORT).await.expect("a free port")
}

impl Bench {
    /// Long enough for whatever can happen now.
    async fn settle(&self) {
        self.world.sleep(ms(10)).await;
    }

    fn lives(&self) -> bool {
        self.world.is_running(self.node)
    }

    /// A way to the endpoint of that term from another machine.
    async fn outside(&self, session: u128) -> FragileGateway {
        let service = bind(host(&self.world, self.world.add_node("outside")).await).await;
        let address = RpcAddress::new(NodeAddress::new("node", PORT), "c");
        let token = wavetank::system::leadership::LeaderSessionId(session).token();
        service.connect_fenced(&address, token).await.expect("it serves")
    }

    /// Whether there is an endpoint of the component's name.
    fn hosts(&self) -> bool {
        match self.service.start_server("c", Fragile::default()) {
            Ok(server) => {
                server.terminate();
                false
            }
            Err(_) => true,
        }
    }
}

fn serving(endpoint: Fragile) -> Recovery {
    let (recovered, recovery) = oneshot::channel();
    assert!(recovered.send(Ok(Recovered::serving(endpoint))).is_ok());
    recovery
}

#[test]
fn an_endpoint_that_ends_by_itself_is_the_end_of_its_process_and_of_what_was_asked() {
    bench(vec![serving(Fragile::default())], async |bench| {
        bench.puppet.lead(1);
        bench.settle().await;
        assert_eq!(bench.puppet.published().len(), 1);
        let gateway = bench.outside(1).await;
        let held = gateway.hold();
        bench.settle().await;
        gateway.fail();
        let began = bench.world.elapsed();
        assert!(matches!(held.await, Err(RpcError::NoReply | RpcError::RecipientUnreachable)));
        assert!(bench.world.elapsed() < began + ms(1000), "at once, and not by its time-out");
        assert!(!bench.lives(), "somebody else should lead");
    });
}

#[test]
fn an_endpoint_that_does_not_start_is_the_end_of_its_process() {
    let fragile = Fragile { fails_to_start: true, ..Fragile::default() };
    bench(vec![serving(fragile)], async |bench| {
        bench.puppet.lead(1);
        bench.settle().await;
        assert!(!bench.lives());
    });
}

#[test]
fn an_endpoint_that_ends_after_its_term_was_lost_ends_nothing_else() {
    bench(vec![serving(Fragile::default()), serving(Fragile::default())], async |bench| {
        bench.puppet.lead(1);
        bench.settle().await;
        let gateway = bench.outside(1).await;
        // The driver knows it, and the revoke is under way.
        *bench.puppet.leads.lock().unwrap() = false;
        gateway.fail();
        bench.settle().await;
        assert!(bench.lives());
        bench.puppet.lose();
        bench.settle().await;
        bench.puppet.lead(2);
        bench.settle().await;
        assert_eq!(bench.puppet.published().len(), 2, "the next term is served");
    });
}

/// The error comes before the revoke, together with it, or after it.
#[test]
fn a_recovery_that_fails_is_fatal_while_its_term_holds_and_nothing_to_a_standby() {
    for (lost_before, lives) in [(Some(true), true), (Some(false), true), (None, false)] {
        let (recovered, recovery) = oneshot::channel();
        bench(vec![recovery], async move |bench| {
            bench.puppet.lead(1);
            bench.settle().await;
            if lost_before == Some(true) {
                bench.puppet.lose();
                bench.settle().await;
            }
            let _ = recovered.send(Err("it can't be read".to_string()));
            if lost_before == Some(false) {
                bench.puppet.lose();
            }
            bench.settle().await;
            assert_eq!(bench.lives(), lives, "lost before: {lost_before:?}");
            assert_eq!(bench.puppet.published(), []);
        });
    }
}

#[test]
fn a_term_that_ends_while_it_recovers_makes_no_endpoint() {
    let (recovered, recovery) = oneshot::channel();
    bench(vec![recovery], async move |bench| {
        bench.puppet.lead(1);
        bench.settle().await;
        bench.puppet.lose();
        let late = recovered.send(Ok(Recovered::serving(Fragile::default())));
        bench.settle().await;
        assert!(late.is_ok() && bench.lives() && !bench.hosts());
        assert_eq!(bench.puppet.published(), []);
        assert_eq!(*bench.told.lock().unwrap(), [false]);
    });
}

#[test]
fn a_term_that_ends_before_its_endpoint_can_serve_is_not_confirmed_and_reports_nothing() {
    let (recovered, recovery) = oneshot::channel();
    bench(vec![recovery], async move |bench| {
        bench.puppet.lead(1);
        let endpoint = Fragile::default();
        let never = Recovered { endpoint, serves: pending().boxed() };
        assert!(recovered.send(Ok(never)).is_ok());
        bench.settle().await;
        assert!(bench.hosts());
        bench.puppet.lose();
        bench.settle().await;
        assert!(bench.lives() && !bench.hosts());
        assert_eq!(bench.puppet.published(), []);
    });
}

#[test]
fn the_way_to_an_endpoint_is_gone_with_its_term() {
    bench(vec![serving(Fragile::default()), serving(Fragile::default())], async |bench| {
        let told = || bench.told.lock().unwrap().clone();
        bench.puppet.lead(1);
        bench.settle().await;
        let gateway = bench.outside(1).await;
        assert_eq!(gateway.here().await, Ok(()));
        bench.puppet.lose();
        bench.settle().await;
        assert_eq!(told(), [true, false]);
        bench.puppet.lead(2);
        bench.settle().await;
        assert_eq!(told(), [true, false, true]);
        let refused = gateway.here().await;
        assert!(matches!(refused, Err(RpcError::Fencing { .. })), "{refused:?}");
        bench.runner.stop().await;
        assert_eq!(told(), [true, false, true, false]);
    });
}
