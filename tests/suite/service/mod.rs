//! A world with one service's server in it, for the tests of services.

use futures::channel::oneshot;
use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Draws, Event, Host, NodeAddress,
        sim::{
            Delay, DiskEffect, DiskFault, DiskOp, Hardware, LinkEffect, LinkRule, NodeId, NodeSet,
            Observer, ProcessEnd, RuleId, Stamp, World, WorldConfig, simulate,
        },
    },
    system::rpc::{RpcService, RpcSystem},
};

pub const ALWAYS: u32 = 1_000_000;
pub const PORT: u16 = 1;

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn server_address() -> NodeAddress {
    NodeAddress::new("server", PORT)
}

/// What the tests of a service need to know of it.
pub trait Service: 'static {
    type Event: Event + Clone;
    /// What clients note of themselves.
    type Note: Clone + fmt::Debug + Send;

    /// Runs until the server ends.
    fn serve(service: RpcService) -> impl Future<Output = ()> + Send;

    fn is_recovery(event: &Self::Event) -> bool;
}

#[derive(Clone, Debug)]
pub enum Entry<E, N> {
    Server(E),
    Ended(ProcessEnd),
    Note(N),
}

/// Acts on the world at the instant of a server's event.
type Trigger<E> = Box<dyn FnMut(&World, &E) + Send>;

/// What happened in a run, in one order.
pub struct History<S: Service> {
    entries: Mutex<Vec<Entry<S::Event, S::Note>>>,
    trigger: Mutex<Option<Trigger<S::Event>>>,
}

impl<S: Service> Observer for History<S> {
    fn observe(&self, world: &World, _: Stamp, event: &dyn Event) {
        if let Some(Hardware::Ended(end)) = event.as_any().downcast_ref() {
            self.push(Entry::Ended(end.clone()));
        }
        let Some(event) = event.as_any().downcast_ref::<S::Event>() else { return };
        self.push(Entry::Server(event.clone()));
        let trigger = self.trigger.lock().unwrap().take();
        if let Some(mut trigger) = trigger {
            trigger(world, event);
            self.trigger.lock().unwrap().get_or_insert(trigger);
        }
    }
}

impl<S: Service> History<S> {
    fn push(&self, entry: Entry<S::Event, S::Note>) {
        self.entries.lock().unwrap().push(entry);
    }

    pub fn note(&self, note: S::Note) {
        self.push(Entry::Note(note));
    }

    pub fn all(&self) -> Vec<Entry<S::Event, S::Note>> {
        self.entries.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<S::Event> {
        let server = |entry| match entry {
            Entry::Server(event) => Some(event),
            _ => None,
        };
        self.all().into_iter().filter_map(server).collect()
    }

    pub fn recoveries(&self) -> Vec<S::Event> {
        self.events().into_iter().filter(S::is_recovery).collect()
    }

    pub fn on_event(&self, trigger: impl FnMut(&World, &S::Event) + Send + 'static) {
        *self.trigger.lock().unwrap() = Some(Box::new(trigger));
    }

    /// What the server's process said when it ended by itself.
    pub fn exit_reasons(&self) -> Vec<String> {
        let exits = self.all().into_iter().filter_map(|entry| match entry {
            Entry::Ended(ProcessEnd::Exited { reason }) => Some(reason),
            Entry::Ended(ProcessEnd::Panicked { message }) => panic!("{message}"),
            _ => None,
        });
        exits.collect()
    }
}

/// A world with the server's machine in it.
pub struct Cell<S: Service> {
    pub world: World,
    pub history: Arc<History<S>>,
    pub server: NodeId,
}

impl<S: Service> Clone for Cell<S> {
    fn clone(&self) -> Self {
        let (world, history) = (self.world.clone(), self.history.clone());
        Cell { world, history, server: self.server }
    }
}

/// Runs `body` in a new world on a new thread.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
pub fn in_simulation<S: Service, T: Send + 'static>(
    config: WorldConfig,
    body: impl AsyncFnOnce(Cell<S>) -> T + Send + 'static,
) -> T {
    let run = move || {
        let (entries, trigger) = (Mutex::default(), Mutex::default());
        let history = Arc::new(History::<S> { entries, trigger });
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

impl<S: Service> Cell<S> {
    pub fn boot_server(&self) {
        self.world.boot(self.server, |host| async move {
            S::serve(RpcSystem::default().bind(&host, PORT).await.expect("a free port")).await;
        });
    }

    /// Ends the server's process and starts the next one.
    pub fn restart_server(&self, end: ProcessEnd) {
        self.world.end_process(self.server, end);
        self.boot_server();
    }

    /// Runs something else on the server's machine, which must be down, until it is done.
    #[allow(dead_code, reason = "not every service needs it")]
    pub async fn meddle<F>(&self, meddle: impl FnOnce(Host) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (done, is_done) = oneshot::channel();
        self.world.boot(self.server, |host| {
            let meddle = meddle(host);
            async move {
                meddle.await;
                let _ = done.send(());
            }
        });
        is_done.await.expect("the process lives");
        self.world.end_process(self.server, ProcessEnd::Killed);
    }

    pub async fn client(&self, name: &str) -> (NodeId, RpcService) {
        let node = self.world.add_node(name);
        let (ready, service) = oneshot::channel();
        self.world.boot(node, |host| async move {
            let _ = ready.send(RpcSystem::default().bind(&host, PORT).await.expect("a free port"));
        });
        (node, service.await.expect("the process lives"))
    }

    /// Waits until the server serves after its n-th recovery; returns what that announced.
    pub async fn recovered(&self, times: usize) -> S::Event {
        for _ in 0..1000 {
            if let Some(event) = self.history.recoveries().get(times - 1) {
                self.world.sleep(ms(5)).await;
                return event.clone();
            }
            self.world.sleep(ms(5)).await;
        }
        panic!("the server does not come up");
    }

    /// Restarts the server after a power cut; returns what it recovered.
    pub async fn after_power_cut(&self) -> S::Event {
        let times = self.history.recoveries().len();
        self.restart_server(ProcessEnd::PowerCut);
        self.recovered(times + 1).await
    }

    pub fn fail_syncs(&self, per_million: u32) {
        let effect = DiskEffect::Error { per_million };
        self.world.set_disk_fault(self.server, DiskFault { on: DiskOp::Sync, effect });
    }

    pub fn link(&self, effect: LinkEffect) -> RuleId {
        let rule = LinkRule { from: NodeSet::All, to: NodeSet::All, kind: None, nth: None, effect };
        self.world.add_rule(rule)
    }

    /// Lossy, repeating, reordering links.
    pub fn bad_links(&self, draws: &mut Draws) -> Vec<RuleId> {
        let loss = u32::try_from(draws.below(150_000)).unwrap();
        let copies = u32::try_from(draws.below(400_000)).unwrap();
        let delay = draws.duration(ms(0), ms(40));
        let effects = [
            LinkEffect::Loss { per_million: loss },
            LinkEffect::Duplicate { per_million: copies },
            LinkEffect::Delay(Delay::Exponential(delay)),
        ];
        effects.into_iter().map(|effect| self.link(effect)).collect()
    }

    /// Kills, power cuts and failing syncs until `end`; the server runs after it.
    pub async fn strike(&self, draws: &mut Draws, end: Duration) {
        while self.world.elapsed() < end {
            self.world.sleep(draws.duration(ms(0), ms(600))).await;
            match draws.below(4) {
                0 => self.world.end_process(self.server, ProcessEnd::Killed),
                1 | 2 => self.world.end_process(self.server, ProcessEnd::PowerCut),
                _ => self.fail_syncs(u32::try_from(draws.between(100_000, 1_000_000)).unwrap()),
            }
            self.world.sleep(draws.duration(ms(0), ms(60))).await;
            self.world.clear_disk_faults(self.server);
            if !self.world.is_running(self.server) {
                self.boot_server();
            }
        }
    }
}
