//! Members that beat to each other, and what they see.

use futures::{FutureExt, channel::oneshot, future::BoxFuture};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    gateway,
    host::{
        Event,
        sim::{
            LinkEffect, LinkRule, NodeId, NodeSet, Observer, RuleId, Stamp, World, WorldConfig,
            WorldReport, simulate,
        },
    },
    system::{
        heartbeat::{
            Beat, HeartbeatConfig, HeartbeatEvent, HeartbeatListener, HeartbeatManager,
            HeartbeatManagerSender, HeartbeatSession, HeartbeatTarget, MonitorState,
        },
        rpc::{
            Ask, Context, Gateway, Reply, RpcEndpoint, RpcError, RpcServer, RpcService, RpcSystem,
        },
    },
};

pub const FIRST: HeartbeatSession = HeartbeatSession(1);
pub const SECOND: HeartbeatSession = HeartbeatSession(2);
pub const CONFIG: HeartbeatConfig =
    HeartbeatConfig { interval: ms(100), timeout: ms(500), unreachable_threshold: Some(2) };
/// Two frames' latency and more.
pub const SLACK: Duration = ms(10);
/// The last beat may be an interval old when silence begins, and the next comes an interval after.
pub const SHORT: Duration = ms(500 - 2 * 100 - 10);

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

gateway! {
    /// Beats between two [`Member`]s.
    pub gateway MemberGateway serves MemberHandler {
        /// A beat that was asked for.
        ask receive(beat: Beat<String>) -> ();
        /// The request for a beat.
        ask request(beat: Beat<String>) -> ();
    }
}

/// What a member has seen, and when.
#[derive(Default)]
pub struct Diary(Mutex<Vec<(Duration, String)>>);

/// A master or a worker; only a master asks.
pub struct Member {
    pub world: World,
    pub diary: Arc<Diary>,
    pub beats: HeartbeatManagerSender<Member, Beats>,
}

/// The one role of a member's one manager.
pub struct Beats;

impl RpcEndpoint for Member {
    type Gateway = MemberGateway;
}

impl Member {
    pub fn note(&self, text: String) {
        self.diary.0.lock().unwrap().push((self.world.elapsed(), text));
    }
}

impl HeartbeatListener<Beats> for Member {
    type In = String;
    type Out = String;

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, Beats> {
        self.beats.manager()
    }

    fn notify_heartbeat_timeout(&mut self, _: &mut Context<Self>, id: &str, s: HeartbeatSession) {
        self.note(format!("timeout {id} {}", s.0));
    }

    fn notify_target_unreachable(&mut self, _: &mut Context<Self>, id: &str, s: HeartbeatSession) {
        self.note(format!("unreachable {id} {}", s.0));
    }

    fn report_payload(
        &mut self,
        _: &mut Context<Self>,
        id: &str,
        _: HeartbeatSession,
        payload: String,
    ) {
        self.note(format!("{id}: {payload}"));
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, id: &str) -> String {
        format!("for {id} at {:?}", self.world.elapsed())
    }
}

impl MemberHandler for Member {
    fn receive(&mut self, context: &mut Context<Self>, beat: Beat<String>, reply: Reply<()>) {
        HeartbeatManager::receive_heartbeat(self, context, beat);
        reply.ok(());
    }

    fn request(&mut self, context: &mut Context<Self>, beat: Beat<String>, reply: Reply<()>) {
        HeartbeatManager::request_heartbeat(self, context, beat);
        reply.ok(());
    }
}

/// A peer reached through its gateway; connects anew when nobody of that incarnation is there.
pub struct Remote {
    service: RpcService,
    gateway: MemberGateway,
}

impl Remote {
    fn call(
        &self,
        beat: Beat<String>,
        call: fn(&MemberGateway, Beat<String>) -> Ask<()>,
    ) -> BoxFuture<'static, Result<(), RpcError>> {
        let (service, address) = (self.service.clone(), self.gateway.address().clone());
        let first = call(&self.gateway, beat.clone());
        async move {
            match first.await {
                Err(RpcError::RecipientUnreachable) => {
                    let gateway: MemberGateway = service.connect(&address).await?;
                    call(&gateway, beat).await
                }
                answer => answer,
            }
        }
        .boxed()
    }
}

impl HeartbeatTarget<String> for Remote {
    fn receive_heartbeat(&self, beat: Beat<String>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.call(beat, MemberGateway::receive)
    }

    fn request_heartbeat(&self, beat: Beat<String>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.call(beat, MemberGateway::request)
    }
}

/// Every heartbeat event of a run, in order.
#[derive(Default)]
pub struct Events(pub Mutex<Vec<HeartbeatEvent>>);

impl Observer for Events {
    fn observe(&self, _: &World, _: Stamp, event: &dyn Event) {
        if let Some(event) = event.as_any().downcast_ref::<HeartbeatEvent>() {
            self.0.lock().unwrap().push(event.clone());
        }
    }
}

/// Runs `body` in a new world on a new thread.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
pub fn in_simulation(body: impl AsyncFnOnce(World, Arc<Events>) + Send + 'static) -> WorldReport {
    let run = move || {
        let events = Arc::<Events>::default();
        let body = async |world| body(world, events.clone()).await;
        simulate(WorldConfig::new(1), events.clone(), body).1
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A member on a machine of its own.
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub diary: Arc<Diary>,
    pub server: RpcServer<Member>,
}

impl Node {
    pub async fn new(world: &World, name: &str, config: HeartbeatConfig) -> Node {
        Node::boot(world, world.add_node(name), name, config).await
    }

    pub async fn boot(world: &World, id: NodeId, name: &str, config: HeartbeatConfig) -> Node {
        let (ready, service) = oneshot::channel();
        world.boot(id, |host| async move {
            let service = RpcSystem::default().bind(&host, 1).await.expect("a free port");
            let _ = ready.send(service);
        });
        let service = service.await.expect("the process lives");
        let diary = Arc::<Diary>::default();
        let beats = HeartbeatManagerSender::new(name, config);
        let member = Member { world: world.clone(), diary: diary.clone(), beats };
        let server = service.start_server("member", member).expect("a free name");
        server.start();
        Node { id, name: name.to_string(), diary, server }
    }

    pub async fn on_main<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Member, &mut Context<Member>) -> T + Send + 'static,
    ) -> T {
        let (done, output) = oneshot::channel();
        self.server.handle().run_without_fencing(move |member, context| {
            let _ = done.send(f(member, context));
        });
        output.await.expect("the endpoint runs")
    }

    /// Begins to ask.
    pub async fn start(&self) {
        self.on_main(|member, context| member.beats.start(context)).await;
    }

    pub async fn connect(&self, peer: &Node) -> MemberGateway {
        let address = peer.server.address().clone();
        let service = self.on_main(|_, context| context.service().clone()).await;
        service.connect(&address).await.expect("a member")
    }

    pub async fn monitor(&self, peer: &Node, session: HeartbeatSession) {
        let (gateway, id) = (self.connect(peer).await, peer.name.clone());
        self.on_main(move |member, context| {
            let target = Arc::new(Remote { service: context.service().clone(), gateway });
            member.beats.manager().monitor_target(context, &id, session, target);
        })
        .await;
    }

    pub async fn unmonitor(&self, peer: &Node, session: HeartbeatSession) -> bool {
        let id = peer.name.clone();
        self.on_main(move |member, context| {
            member.beats.manager().unmonitor_target(context, &id, session)
        })
        .await
    }

    pub async fn stop(&self) {
        self.on_main(|member, context| member.beats.manager().stop(context)).await;
    }

    /// The age of the last beat of a target.
    pub async fn last_heartbeat(&self, id: &'static str) -> Option<Duration> {
        self.on_main(|member, context| {
            let last = member.beats.manager().last_heartbeat(id)?;
            Some(context.host().now() - last)
        })
        .await
    }

    pub async fn state(&self, id: &'static str) -> Option<MonitorState> {
        self.on_main(|member, _| member.beats.manager().monitor(id).map(|monitor| monitor.state()))
            .await
    }

    /// What was noted since the last look.
    pub fn noted(&self) -> Vec<(Duration, String)> {
        std::mem::take(&mut self.diary.0.lock().unwrap())
    }

    /// How many beats came since the last look; anything else is a failure.
    pub fn beats(&self) -> usize {
        let noted = self.noted();
        let losses = noted.iter().filter(|(_, text)| !text.contains(": for "));
        assert_eq!(losses.collect::<Vec<_>>(), [] as [&(Duration, String); 0]);
        noted.len()
    }

    /// The only notice of a loss since the last look, and when it came.
    pub fn loss(&self) -> (Duration, String) {
        let losses = self.noted().into_iter().filter(|(_, text)| !text.contains(": for "));
        let losses: Vec<_> = losses.collect();
        assert_eq!(losses.len(), 1, "{losses:?}");
        losses[0].clone()
    }

    /// Sends a beat of a made-up origin to the peer.
    pub async fn fake(&self, peer: &Node, origin: &str, session: HeartbeatSession, request: bool) {
        let (origin, payload) = (origin.to_string(), ": for nobody".to_string());
        let (gateway, beat) = (self.connect(peer).await, Beat { origin, session, payload });
        let sent = if request { gateway.request(beat) } else { gateway.receive(beat) };
        sent.await.expect("it is acknowledged");
    }
}

/// A master that asks a worker, both monitoring each other.
pub struct Pair {
    pub world: World,
    pub events: Arc<Events>,
    pub master: Node,
    pub worker: Node,
}

pub fn pair(body: impl AsyncFnOnce(Pair) + Send + 'static) {
    pair_with(CONFIG, body);
}

pub fn pair_with(config: HeartbeatConfig, body: impl AsyncFnOnce(Pair) + Send + 'static) {
    in_simulation(async move |world, events| {
        let master = Node::new(&world, "master", config).await;
        let worker = Node::new(&world, "worker", config).await;
        worker.monitor(&master, FIRST).await;
        master.monitor(&worker, FIRST).await;
        master.start().await;
        body(Pair { world, events, master, worker }).await;
    });
}

impl Pair {
    /// Runs for a second of beats, all of them well.
    pub async fn beat(&self) {
        self.world.sleep(ms(1000)).await;
        let (master, worker) = (self.master.beats(), self.worker.beats());
        assert!((9..=11).contains(&master) && (9..=11).contains(&worker), "{master} {worker}");
    }

    /// Cuts the links both ways.
    pub fn cut(&self) -> RuleId {
        let (from, to) = (NodeSet::All, NodeSet::All);
        self.world.add_rule(LinkRule { from, to, kind: None, nth: None, effect: LinkEffect::Cut })
    }

    pub fn assert_losses(&self, expected: usize) {
        let losses = |event: &&HeartbeatEvent| {
            matches!(event, HeartbeatEvent::TimedOut { .. } | HeartbeatEvent::Unreachable { .. })
        };
        assert_eq!(self.events.0.lock().unwrap().iter().filter(losses).count(), expected);
    }
}
