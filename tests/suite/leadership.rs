//! Election and its service, shown in simulation through the public API alone.
use futures::{
    FutureExt,
    channel::oneshot,
    future::{BoxFuture, join, pending},
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Event, Host, NodeAddress,
        sim::{
            LinkEffect, LinkRule, NodeId, NodeSet, Observer, ProcessEnd, Stamp, World, WorldConfig,
            simulate,
        },
    },
    system::{
        cluster::run_coordination_node,
        leadership::{
            BegunProcess, CoordinationElectionDriver, ElectionEvents, LeaderAddress,
            LeaderContender, LeaderElectionDriver, LeaderElectionService, LeaderInformation,
            LeaderProcess, LeaderProcessFactory, LeaderRetrievalListener, LeaderRetrievalService,
            LeaderRunner, LeaderSessionId, election_keys, epoch_key, leader_key,
        },
        rpc::{RpcAddress, RpcSystem},
        service::coordination::{
            Change, Coordination, CoordinationClient, CoordinationConfig, CoordinationEvent,
            Session, Transaction,
        },
    },
};

const PORT: u16 = 1;

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address(name: &str) -> LeaderAddress {
    LeaderAddress::Rpc(RpcAddress::new(NodeAddress::new(name, PORT), "endpoint"))
}

/// Every transaction that the server made durable.
#[derive(Default)]
pub struct Writes(Mutex<Vec<Vec<Change>>>);

impl Observer for Writes {
    fn observe(&self, _: &World, _: Stamp, event: &dyn Event) {
        if let Some(CoordinationEvent::Committed { changes, .. }) = event.as_any().downcast_ref() {
            self.0.lock().unwrap().push(changes.clone());
        }
    }
}

impl Writes {
    /// How often the component's leader record was put.
    fn records(&self) -> usize {
        let is_record =
            |change: &&Change| matches!(change, Change::Put { key, .. } if *key == leader_key("c"));
        self.0.lock().unwrap().iter().flatten().filter(is_record).count()
    }
}

#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
pub fn in_simulation(body: impl AsyncFnOnce(World, Arc<Writes>) + Send + 'static) {
    let run = move || {
        let writes = Arc::<Writes>::default();
        simulate(WorldConfig::new(1), writes.clone(), async move |world| body(world, writes).await)
            .0
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Writes down what it is told, as contender and as listener.
#[derive(Default)]
struct Diary {
    granted: Mutex<Vec<LeaderSessionId>>,
    lines: Mutex<Vec<String>>,
    leaders: Mutex<Vec<Option<LeaderInformation>>>,
}

impl Diary {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn write(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_string());
    }

    fn leaders(&self) -> Vec<Option<LeaderInformation>> {
        self.leaders.lock().unwrap().clone()
    }
}

impl LeaderContender for Diary {
    fn grant_leadership(&self, session: LeaderSessionId) {
        self.granted.lock().unwrap().push(session);
        self.write("grant");
    }

    fn revoke_leadership(&self) {
        self.write("revoke");
    }

    fn handle_error(&self, error: String) {
        self.write(&error);
    }
}

impl LeaderRetrievalListener for Diary {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        self.leaders.lock().unwrap().push(leader);
    }
}

/// A driver in the test's hands.
#[derive(Default)]
pub struct Puppet {
    pub leads: Mutex<bool>,
    published: Mutex<Vec<LeaderInformation>>,
    pub events: Mutex<Option<Arc<dyn ElectionEvents>>>,
    closed: Mutex<bool>,
    /// What a close waits for.
    close: Mutex<Option<oneshot::Receiver<()>>>,
}

/// The driver as its service sees it.
pub struct Strings(pub Arc<Puppet>);

impl LeaderElectionDriver for Strings {
    fn has_leadership(&self) -> bool {
        *self.0.leads.lock().unwrap()
    }

    fn publish(&self, leader: LeaderInformation) {
        self.0.published.lock().unwrap().push(leader);
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        let puppet = self.0.clone();
        // A callback from within would dead-lock if the service held its lock now.
        puppet.events().on_revoke_leadership();
        puppet.events().on_grant_leadership(LeaderSessionId(99));
        let close = puppet.close.lock().unwrap().take();
        async move {
            if let Some(close) = close {
                let _ = close.await;
            }
            *puppet.closed.lock().unwrap() = true;
        }
        .boxed()
    }
}

impl Puppet {
    fn events(&self) -> Arc<dyn ElectionEvents> {
        self.events.lock().unwrap().clone().expect("the service was started")
    }

    pub fn lead(&self, session: u128) -> LeaderSessionId {
        *self.leads.lock().unwrap() = true;
        self.events().on_grant_leadership(LeaderSessionId(session));
        LeaderSessionId(session)
    }

    pub fn lose(&self) {
        *self.leads.lock().unwrap() = false;
        self.events().on_revoke_leadership();
    }

    pub fn published(&self) -> Vec<LeaderInformation> {
        self.published.lock().unwrap().clone()
    }
}

fn puppet(body: impl AsyncFnOnce(LeaderElectionService, Arc<Puppet>, Arc<Diary>) + Send + 'static) {
    in_simulation(async |world, _| {
        let host = host(&world, world.add_node("node")).await;
        let (puppet, diary) = (Arc::<Puppet>::default(), Arc::<Diary>::default());
        let service = LeaderElectionService::start(&host, "c", diary.clone(), |events| {
            *puppet.events.lock().unwrap() = Some(events);
            Arc::new(Strings(puppet.clone()))
        });
        body(service, puppet, diary).await;
    });
}

pub async fn host(world: &World, node: NodeId) -> Host {
    let (ready, host) = oneshot::channel();
    world.boot(node, |host| async move { drop(ready.send(host)) });
    host.await.expect("the process lives")
}

#[test]
fn confirming_publishes_the_term_and_its_address_and_nothing_else_does() {
    puppet(async |service, puppet, diary| {
        let session = puppet.lead(7);
        assert_eq!(*diary.granted.lock().unwrap(), [session]);
        assert_eq!(puppet.published(), []);
        service.confirm_leadership(session, address("a"));
        assert_eq!(puppet.published(), [LeaderInformation { session, address: address("a") }]);
    });
}

#[test]
fn late_confirmations_change_nothing() {
    puppet(async |service, puppet, diary| {
        let first = puppet.lead(1);
        puppet.lose();
        service.confirm_leadership(first, address("after the loss"));
        puppet.lead(2);
        service.confirm_leadership(first, address("in another term"));
        *puppet.leads.lock().unwrap() = false;
        service.confirm_leadership(LeaderSessionId(2), address("lost, not yet revoked"));
        *puppet.leads.lock().unwrap() = true;
        service.stop().await;
        service.confirm_leadership(LeaderSessionId(2), address("after the stop"));
        assert_eq!(puppet.published(), []);
        assert_eq!(diary.lines(), ["grant", "revoke", "grant", "revoke"]);
    });
}

#[test]
fn leadership_is_that_of_the_issued_term_while_the_driver_leads() {
    puppet(async |service, puppet, _| {
        *puppet.leads.lock().unwrap() = true;
        assert!(!service.has_leadership(LeaderSessionId(1)), "no grant was handled");
        let first = puppet.lead(1);
        assert!(service.has_leadership(first));
        assert!(!service.has_leadership(LeaderSessionId(2)));
        *puppet.leads.lock().unwrap() = false;
        assert!(!service.has_leadership(first), "lost, though no revoke was handled");
        puppet.lose();
        let second = puppet.lead(2);
        assert!(!service.has_leadership(first) && service.has_leadership(second));
        service.stop().await;
        assert!(!service.has_leadership(second));
    });
}

#[test]
fn a_stop_while_leading_revokes_closes_the_driver_and_is_the_last_word() {
    puppet(async |service, puppet, diary| {
        puppet.lead(1);
        puppet.events().on_error("first".to_string());
        service.stop().await;
        assert!(*puppet.closed.lock().unwrap());
        puppet.events().on_error("second".to_string());
        puppet.events().on_grant_leadership(LeaderSessionId(3));
        puppet.events().on_revoke_leadership();
        service.stop().await;
        assert_eq!(diary.lines(), ["grant", "first", "revoke"]);
    });
}

#[test]
fn who_stops_it_again_waits_for_the_same_end_and_not_longer() {
    puppet(async |service, puppet, _| {
        puppet.lead(1);
        let (close, closed) = oneshot::channel();
        *puppet.close.lock().unwrap() = Some(closed);
        let (mut first, mut second) = (service.stop().boxed(), service.stop().boxed());
        assert_eq!((&mut first).now_or_never(), None);
        assert_eq!((&mut second).now_or_never(), None, "the driver holds the leadership yet");
        close.send(()).unwrap();
        join(first, second).await;
        assert!(*puppet.closed.lock().unwrap());
        assert_eq!(service.stop().now_or_never(), Some(()), "there is nothing left to wait for");
    });
}

#[test]
fn the_leadership_is_given_up_though_nobody_waits_for_it() {
    in_simulation(async |world, _| {
        let host = host(&world, world.add_node("node")).await;
        let (puppet, diary) = (Arc::<Puppet>::default(), Arc::<Diary>::default());
        let service = LeaderElectionService::start(&host, "c", diary, |events| {
            *puppet.events.lock().unwrap() = Some(events);
            Arc::new(Strings(puppet.clone()))
        });
        let (close, closed) = oneshot::channel();
        *puppet.close.lock().unwrap() = Some(closed);
        assert_eq!(service.stop().now_or_never(), None);
        close.send(()).unwrap();
        world.sleep(ms(1)).await;
        assert!(*puppet.closed.lock().unwrap());
    });
}

#[test]
fn a_grant_while_the_driver_is_made_is_kept() {
    in_simulation(async |world, _| {
        let host = host(&world, world.add_node("node")).await;
        let (puppet, diary) = (Arc::<Puppet>::default(), Arc::<Diary>::default());
        let service = LeaderElectionService::start(&host, "c", diary.clone(), |events| {
            *puppet.events.lock().unwrap() = Some(events);
            puppet.lead(1);
            Arc::new(Strings(puppet.clone()))
        });
        assert_eq!(diary.lines(), ["grant"]);
        assert!(service.has_leadership(LeaderSessionId(1)));
    });
}

/// A contender that confirms as soon as it is granted.
struct Member {
    node: NodeId,
    diary: Arc<Diary>,
    service: LeaderElectionService,
    client: Arc<dyn Coordination>,
}

async fn client(world: &World, name: &str) -> (NodeId, Arc<dyn Coordination>) {
    let node = world.add_node(name);
    let service =
        RpcSystem::default().bind(&host(world, node).await, PORT).await.expect("a free port");
    let config = CoordinationConfig::new(NodeAddress::new("server", PORT));
    (node, Arc::new(CoordinationClient::new(&service, config)))
}

async fn member(world: &World, name: &str) -> Member {
    let (node, client) = client(world, name).await;
    let session = Arc::new(Session::open(&client));
    let diary = Arc::<Diary>::default();
    let service = LeaderElectionService::start(client.host(), "c", diary.clone(), |events| {
        CoordinationElectionDriver::start("c", &client, &session, events)
    });
    let (host, election, granted, name) =
        (client.host().clone(), service.clone(), diary.clone(), name.to_string());
    client.host().spawn(async move {
        let mut confirmed = 0;
        loop {
            host.sleep(ms(10)).await;
            let sessions = granted.granted.lock().unwrap().clone();
            if sessions.len() > confirmed {
                confirmed = sessions.len();
                election.confirm_leadership(sessions[confirmed - 1], address(&name));
            }
        }
    });
    Member { node, diary, service, client }
}

fn cluster(
    body: impl AsyncFnOnce(World, Arc<Writes>, Vec<Member>, Arc<dyn Coordination>, Arc<Diary>)
    + Send
    + 'static,
) {
    in_simulation(async |world, writes| {
        let server = world.add_node("server");
        world.boot(server, |host| run_coordination_node(host, PORT));
        let mut members = Vec::new();
        for name in ["a", "b", "c"] {
            members.push(member(&world, name).await);
        }
        let (_, follower) = client(&world, "follower").await;
        let diary = Arc::<Diary>::default();
        let _retrieval = LeaderRetrievalService::start("c", &follower, diary.clone());
        world.sleep(ms(1000)).await;
        body(world, writes, members, follower, diary).await;
    });
}

fn present(members: &[Member], diary: &Diary) -> usize {
    let leader = diary.leaders().last().cloned().flatten().expect("a leader is known");
    let leads = |member: &Member| {
        address(member.client.host().name()) == leader.address
            && member.service.has_leadership(leader.session)
    };
    members.iter().position(leads).expect("the leader that is retrieved leads")
}

#[test]
fn after_each_leaders_death_another_leads_and_is_retrieved() {
    cluster(async |world, writes, mut members, _, diary| {
        for round in 1..=3 {
            assert_eq!(writes.records(), round, "one write of the record a term");
            let leader = members.remove(present(&members, &diary));
            world.end_process(leader.node, ProcessEnd::PowerCut);
            world.sleep(ms(12_000)).await;
            let told_of_none = diary.leaders().iter().filter(|leader| leader.is_none()).count();
            assert_eq!(told_of_none, round, "the record goes with the session");
        }
    });
}

#[test]
fn a_foreign_leader_record_is_put_right_by_the_leader_alone() {
    cluster(async |world, writes, members, follower, diary| {
        let leader = present(&members, &diary);
        let right = diary.leaders().last().cloned().flatten();
        let overwrite = Transaction::new().put(leader_key("c"), b"nonsense".to_vec());
        follower.transact(overwrite).await.expect("no condition");
        world.sleep(ms(3000)).await;
        assert_eq!(writes.records(), 3, "the first, the foreign one and the right one again");
        let delete = Transaction::new().then(Change::Delete { key: leader_key("c") });
        follower.transact(delete).await.expect("no condition");
        world.sleep(ms(3000)).await;
        assert_eq!(writes.records(), 4);
        assert_eq!(diary.leaders().last().cloned().flatten(), right);
        for (number, member) in members.iter().enumerate() {
            assert_eq!(member.diary.lines().is_empty(), number != leader, "no term has changed");
        }
    });
}

#[test]
fn a_graceful_stop_hands_over_at_once() {
    cluster(async |world, _, mut members, _, diary| {
        let leader = members.remove(present(&members, &diary));
        leader.service.stop().await;
        assert_eq!(leader.diary.lines(), ["grant", "revoke"]);
        world.sleep(ms(500)).await;
        present(&members, &diary);
    });
}

#[test]
fn a_stop_removes_the_record_and_the_latch_of_its_term() {
    cluster(async |world, _, mut members, follower, diary| {
        let leader = members.remove(present(&members, &diary));
        for member in members {
            member.service.stop().await;
        }
        leader.service.stop().await;
        let left = follower.read(&election_keys("c")).await.expect("it answers").keys;
        let left: Vec<String> = left.into_iter().map(|found| found.key).collect();
        assert_eq!(left, [epoch_key("c")], "what keeps a late attempt from succeeding");
        world.sleep(ms(500)).await;
        assert_eq!(diary.leaders().last(), Some(&None));
    });
}

#[test]
fn a_leader_that_took_over_meanwhile_is_told_on_reconnection() {
    cluster(async |world, _, mut members, _, diary| {
        let former = members.remove(present(&members, &diary));
        let before = diary.leaders();
        let (here, there) = (world.find("follower"), world.find("server"));
        let (from, to) = (NodeSet::one(there.unwrap()), NodeSet::one(here.unwrap()));
        let effect = LinkEffect::Cut;
        let cut = world.add_rule(LinkRule { from, to, kind: None, nth: None, effect });
        former.service.stop().await;
        world.sleep(ms(1000)).await;
        assert_eq!(diary.leaders(), before, "it is not heard");
        world.remove_rule(cut);
        world.sleep(ms(8000)).await;
        present(&members, &diary);
    });
}

#[test]
fn a_listener_hears_nothing_after_its_stop_also_of_what_was_under_way() {
    cluster(async |world, _, members, follower, _| {
        for micros in (0..4_000).step_by(200) {
            let diary = Arc::<Diary>::default();
            let retrieval = LeaderRetrievalService::start("c", &follower, diary.clone());
            world.sleep(Duration::from_micros(micros)).await;
            let heard = diary.leaders();
            retrieval.stop();
            world.sleep(ms(500)).await;
            assert_eq!(diary.leaders(), heard);
        }
        assert_eq!(members.len(), 3);
    });
}

#[test]
fn a_lease_that_is_over_ends_leadership_before_the_revoke_is_handled() {
    cluster(async |world, _, members, _, diary| {
        let leader = &members[present(&members, &diary)];
        let session = leader.diary.granted.lock().unwrap()[0];
        world.pause(leader.node);
        assert!(leader.service.has_leadership(session), "its lease lives");
        world.sleep(leader.client.session_timeout()).await;
        assert_eq!(leader.diary.lines(), ["grant"], "no revoke is handled in a pause");
        assert!(!leader.service.has_leadership(session));
    });
}

#[test]
fn a_listener_without_contact_is_told_of_none_and_later_of_the_same_leader_again() {
    cluster(async |world, _, members, follower, diary| {
        let leader = present(&members, &diary);
        let before = diary.leaders();
        assert_eq!(before.len(), 1, "only true changes: {before:?}");
        let (here, there) = (world.find("follower"), world.find("server"));
        let (here, there) = (NodeSet::one(here.unwrap()), NodeSet::one(there.unwrap()));
        let (to, effect) = (there, LinkEffect::Cut);
        let cut = world.add_rule(LinkRule { from: here, to, kind: None, nth: None, effect });
        let timeout = follower.session_timeout();
        world.sleep(timeout - ms(2500)).await;
        assert_eq!(diary.leaders(), before, "tolerated at first");
        world.sleep(timeout + ms(2500)).await;
        assert_eq!(diary.leaders(), [before[0].clone(), None]);
        world.remove_rule(cut);
        world.sleep(ms(5000)).await;
        assert_eq!(diary.leaders(), [before[0].clone(), None, before[0].clone()]);
        assert_eq!(present(&members, &diary), leader);
    });
}

/// Makes processes that end slowly and writes down when they run.
#[derive(Default)]
struct Slow {
    host: Mutex<Option<Host>>,
    lines: Arc<Mutex<Vec<String>>>,
}

struct SlowTerm {
    host: Host,
    lines: Arc<Mutex<Vec<String>>>,
    session: LeaderSessionId,
}

impl LeaderProcessFactory for Slow {
    fn start(&self, session: LeaderSessionId) -> BegunProcess {
        self.lines.lock().unwrap().push(format!("start {}", session.0));
        let host = self.host.lock().unwrap().clone().expect("set before the runner");
        let term = SlowTerm { host, lines: self.lines.clone(), session };
        let ready = async { Ok(address("slow")) }.boxed();
        BegunProcess { process: Box::new(term), ready, failed: pending().boxed() }
    }
}

impl LeaderProcess for SlowTerm {
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        async move {
            self.host.sleep(ms(500)).await;
            self.lines.lock().unwrap().push(format!("end {}", self.session.0));
        }
        .boxed()
    }
}

#[test]
fn processes_of_terms_follow_each_other_however_slowly_they_stop() {
    in_simulation(async |world, _| {
        let host = host(&world, world.add_node("node")).await;
        let (puppet, factory) = (Arc::<Puppet>::default(), Arc::<Slow>::default());
        *factory.host.lock().unwrap() = Some(host.clone());
        let runner = LeaderRunner::start(&host, "c", factory.clone(), |events| {
            *puppet.events.lock().unwrap() = Some(events);
            Arc::new(Strings(puppet.clone()))
        });
        puppet.lead(1);
        world.sleep(ms(10)).await;
        for session in [2, 3] {
            puppet.lose();
            world.sleep(ms(50)).await;
            puppet.lead(session);
        }
        let lines = || factory.lines.lock().unwrap().clone();
        assert_eq!(lines(), ["start 1"], "the first has not ended");
        world.sleep(ms(1000)).await;
        assert_eq!(lines(), ["start 1", "end 1", "start 3"], "2 is outdated");
        let confirmed: Vec<u128> = puppet.published().iter().map(|one| one.session.0).collect();
        assert_eq!(confirmed, [1, 3]);
        join(runner.stop(), runner.stop()).await;
        assert_eq!(lines(), ["start 1", "end 1", "start 3", "end 3"]);
        assert_eq!(runner.stop().now_or_never(), Some(()), "it has ended");
    });
}
