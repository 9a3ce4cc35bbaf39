//! One simulated world: what its devices share, the driver that makes due things happen, and the
//! harness's handle to it.

use super::{
    clock::Clock,
    digest::{Digest, TraceDigest, TraceLine},
    disk::DiskState,
    link::{Delay, Fate, FrameFate, LinkRule, Links, NodeSet, RuleId},
    message::{Datagram, Ports},
    node::{Incarnation, NodeId},
    queue::Queue,
    stream::Streams,
    timer::{TimerKey, Timers},
};
use crate::host::{Event, Sabotage, random::Draws};
use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, atomic::AtomicBool, atomic::Ordering},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// Simulated nanoseconds since the run began.
pub(in crate::host) type Nanos = u64;

/// What a run's hardware is drawn from.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Seeds links, disks, clocks and the nodes' randomness.
    pub seed: u64,
    /// Seeds madsim's scheduling of tasks.
    pub scheduling_seed: u64,
    /// The latency of every link when no rule adds to it.
    pub latency: Delay,
    /// The switch that is on in this run.
    pub sabotage: Option<Sabotage>,
    /// Whether to keep the whole trace in memory.
    pub trace: bool,
}

impl WorldConfig {
    /// One seed for everything, links of 0.5 to 2 ms, no sabotage, no trace.
    pub fn new(seed: u64) -> Self {
        WorldConfig {
            seed,
            scheduling_seed: crate::host::mix(seed, 0x5ced),
            latency: Delay::Uniform(Duration::from_micros(500), Duration::from_millis(2)),
            sabotage: None,
            trace: false,
        }
    }
}

/// When and where an event was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Simulated time since the run began.
    pub time: Duration,
    /// The node that announced it, or that it happened to.
    pub node: NodeId,
    /// The node's incarnation at that moment, from 1.
    pub incarnation: u64,
}

/// Sees every announced event at the instant of its announcement, and may act on the world there.
pub trait Observer: Send + Sync {
    /// Called with no lock held; may crash the announcing node.
    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event);
}

/// What is left of a world that has ended.
#[derive(Debug)]
pub struct WorldReport {
    /// The digest over every entry.
    pub digest: TraceDigest,
    /// How many entries it covers.
    pub entries: u64,
    /// The entries themselves, if they were to be kept.
    pub trace: Vec<TraceLine>,
    /// The frames that did not plainly arrive, if the trace was to be kept.
    pub fates: Vec<FrameFate>,
    /// Simulated time at the end.
    pub simulated: Duration,
    /// Frames sent over links.
    pub messages: u64,
    /// How often the switched line of the sabotage ran.
    pub sabotage_executions: u64,
}

/// A running simulation. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct World {
    pub(in crate::host) shared: Arc<Shared>,
}

pub(in crate::host) struct Shared {
    state: Mutex<State>,
    time: madsim::time::TimeHandle,
    pub madsim: madsim::runtime::Handle,
    /// madsim's own node, on which the harness runs.
    main: madsim::task::NodeId,
    observer: Arc<dyn Observer>,
    closed: AtomicBool,
    pub sabotage: Option<Sabotage>,
}

/// Everything that can happen by itself.
pub(in crate::host) enum Action {
    Timer(TimerKey),
    Arrive(Datagram),
    Stream(super::stream::StreamAction),
}

pub(in crate::host) struct State {
    pub seed: u64,
    pub nodes: Vec<NodeState>,
    pub by_name: BTreeMap<Arc<str>, NodeId>,
    pub queue: Queue<Action>,
    pub timers: Timers,
    pub links: Links,
    pub streams: Streams,
    pub held: BTreeMap<RuleId, Vec<Datagram>>,
    pub digest: Digest,
    pub draws: u64,
    pub sabotage_executions: u64,
    driver: Option<Waker>,
    /// The tasks beside the harness.
    beside: Vec<madsim::task::AbortHandle>,
    /// The times at which the driver is going to wake, the earliest last.
    wakes: Vec<Nanos>,
}

/// One machine and the process on it.
pub(in crate::host) struct NodeState {
    pub name: Arc<str>,
    pub madsim: madsim::task::NodeId,
    pub incarnations: u64,
    pub process: Option<Arc<Incarnation>>,
    pub powered: bool,
    pub paused: bool,
    /// Whether that it is paused is an event of the history.
    pub paused_openly: bool,
    pub clock: Clock,
    pub draws: Draws,
    pub ports: Ports,
    pub disk: DiskState,
    pub injected_errors: super::injected_error::InjectedErrors,
}

impl State {
    pub fn node(&mut self, id: NodeId) -> &mut NodeState {
        &mut self.nodes[id.index()]
    }

    /// Whether this very incarnation still runs.
    pub fn runs(&self, node: NodeId, incarnation: u64) -> bool {
        let process = self.nodes[node.index()].process.as_ref();
        process.is_some_and(|process| process.number == incarnation)
    }

    fn perform(&mut self, now: Nanos, action: Action, wakers: &mut Vec<Waker>) {
        match action {
            Action::Timer(key) => self.fire_timer(now, key, wakers),
            Action::Arrive(datagram) => self.arrive(now, datagram, wakers),
            Action::Stream(action) => self.perform_stream(now, action, wakers),
        }
    }

    /// Puts a frame on its link.
    pub fn transmit(&mut self, now: Nanos, mut datagram: Datagram) {
        let (ordinal, fate) = self.links.fate(now, &datagram.traversal(now));
        datagram.ordinal = ordinal;
        match fate {
            Fate::Lost(why) => self.note_datagram(now, 2, &datagram, why),
            Fate::Held(rule) => {
                self.note_datagram(now, 3, &datagram, "held");
                self.held.entry(rule).or_default().push(datagram);
            }
            Fate::Delivered { delay, copy, corrupt } => {
                if let Some(delay) = copy {
                    self.note_datagram(now, 4, &datagram, "duplicated");
                    self.queue.push(now + delay, Action::Arrive(datagram.clone()));
                }
                let datagram = match corrupt {
                    Some(place) => {
                        self.note_datagram(now, 5, &datagram, "corrupted");
                        datagram.damaged(place)
                    }
                    None => datagram,
                };
                self.queue.push(now + delay, Action::Arrive(datagram));
            }
        }
    }
}

impl Shared {
    pub fn lock(&self) -> Locked<'_> {
        let state = self.state.lock().expect("nothing panics under the world's lock");
        Locked { shared: self, state }
    }

    pub fn now(&self) -> Nanos {
        u64::try_from(self.time.elapsed().as_nanos()).expect("a run is shorter than 500 years")
    }

    /// Makes an event known: digest first, then the observer, with no lock held.
    pub fn emit(self: &Arc<Self>, node: NodeId, incarnation: u64, event: &dyn Event) {
        let now = self.now();
        {
            let mut locked = self.lock();
            let State { digest, nodes, draws, .. } = &mut *locked;
            event.fold(digest);
            let words = [u64::from(node.0), incarnation, *draws];
            let name = || &nodes[node.index()].name;
            digest.entry(now, 6, &words, || format!("{}/{incarnation} {event:?}", name()));
        }
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let stamp = Stamp { time: Duration::from_nanos(now), node, incarnation };
        self.observer.observe(&World { shared: self.clone() }, stamp, event);
    }

    fn drive(&self, wakers: &mut Vec<Waker>) {
        let now = self.now();
        let mut locked = self.lock();
        while locked.wakes.pop_if(|wake| *wake <= now).is_some() {}
        while let Some(action) = locked.queue.pop_due(now) {
            locked.perform(now, action, wakers);
        }
    }

    /// Wakes the driver at `time`.
    fn arm(&self, time: Nanos, driver: &Waker) {
        let now = self.now();
        if time <= now {
            return driver.wake_by_ref();
        }
        // `reset` escapes the least sleep of 1 ms.
        let mut sleep = self.time.sleep(Duration::ZERO);
        let mut sleep = Pin::new(&mut sleep);
        sleep.as_mut().reset(self.time.now_instant() + Duration::from_nanos(time - now));
        if sleep.poll(&mut Context::from_waker(driver)).is_ready() {
            driver.wake_by_ref();
        }
    }
}

/// The locked state; arms the driver for what was scheduled when it is let go.
pub(in crate::host) struct Locked<'a> {
    shared: &'a Shared,
    state: MutexGuard<'a, State>,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let state = &mut *self.state;
        if let Some(next) = state.queue.next_time()
            && state.wakes.last().is_none_or(|wake| next < *wake)
            && let Some(driver) = &state.driver
        {
            state.wakes.push(next);
            self.shared.arm(next, driver);
        }
    }
}

/// Runs `body` in a new world on this thread and returns what it returned, with what is left.
///
/// Start each run on a fresh thread: the seeds of std's hash maps are drawn once per thread.
pub fn simulate<T>(
    config: WorldConfig,
    observer: Arc<dyn Observer>,
    body: impl AsyncFnOnce(World) -> T,
) -> (T, WorldReport) {
    super::task::capture_panics();
    let seed = config.scheduling_seed;
    let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(async {
        let world = World::new(config, observer);
        let output = body(world.clone()).await;
        let report = world.close().await;
        (output, report)
    })
}

impl World {
    fn new(config: WorldConfig, observer: Arc<dyn Observer>) -> Self {
        let mut digest = Digest::default();
        if config.trace {
            digest.record_trace();
        }
        let mut links = Links::new(config.seed, config.latency);
        links.fates = config.trace.then(Vec::new);
        let state = State {
            seed: config.seed,
            nodes: Vec::new(),
            by_name: BTreeMap::new(),
            queue: Queue::new(),
            timers: Timers::default(),
            links,
            streams: Streams::new(),
            held: BTreeMap::new(),
            digest,
            draws: 0,
            sabotage_executions: 0,
            driver: None,
            beside: Vec::new(),
            wakes: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            time: madsim::time::TimeHandle::current(),
            madsim: madsim::runtime::Handle::current(),
            main: madsim::plugin::node(),
            observer,
            closed: AtomicBool::new(false),
            sabotage: config.sabotage,
        });
        madsim::task::spawn(driver(shared.clone()));
        World { shared }
    }

    /// Simulated time since the run began.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.now())
    }

    /// Waits in simulated time, on no node's clock.
    pub async fn sleep_until(&self, time: Duration) {
        let now = self.shared.now();
        let ahead = time.saturating_sub(Duration::from_nanos(now));
        if !ahead.is_zero() {
            self.shared.time.sleep(ahead).await;
        }
    }

    /// Waits in simulated time, on no node's clock.
    pub async fn sleep(&self, duration: Duration) {
        self.shared.time.sleep(duration).await;
    }

    /// Runs `future` beside the harness, on no node; also when called from a node's own task.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let main = self.shared.madsim.get_node(self.shared.main).expect("it is always there");
        let task = main.spawn(future).abort_handle();
        self.shared.lock().beside.push(task);
    }

    /// Puts a rule on the links.
    pub fn add_rule(&self, rule: LinkRule) -> RuleId {
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        locked.digest.entry(now, 7, &[0], || format!("link rule {rule:?}"));
        locked.links.add(rule)
    }

    /// Lifts a rule; what it held is sent on its way.
    pub fn remove_rule(&self, id: RuleId) {
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        locked.digest.entry(now, 7, &[1], || format!("lifted {id:?}"));
        locked.links.remove(id);
        for datagram in locked.held.remove(&id).unwrap_or_default() {
            locked.transmit(now, datagram);
        }
    }

    /// How many frames a rule was for so far, lifted or not.
    pub fn met(&self, id: RuleId) -> u64 {
        self.shared.lock().links.met(id)
    }

    /// Resets what stands between any of one set of nodes and any of another, as a box on the way
    /// does that forgets its connections and sends a RST both ways: at this instant open streams
    /// break for both ends with `ConnectionReset`, and messages under way either way are lost.
    /// Nobody is told of these: message sockets have no connections, only frames that may be lost.
    pub fn reset(&self, one: &NodeSet, other: &NodeSet) {
        let now = self.shared.now();
        let between = |from, to| {
            one.contains(from) && other.contains(to) || one.contains(to) && other.contains(from)
        };
        let wakers = {
            let mut locked = self.shared.lock();
            locked.digest.entry(now, 7, &[2], || format!("reset between {one:?} and {other:?}"));
            locked.lose_datagrams(now, between);
            locked.reset_streams(now, between)
        };
        for waker in wakers {
            waker.wake();
        }
    }

    /// How often the sabotage's switched line has run.
    pub fn sabotage_executions(&self) -> u64 {
        self.shared.lock().sabotage_executions
    }

    async fn close(self) -> WorldReport {
        let simulated = self.elapsed();
        self.shared.closed.store(true, Ordering::Relaxed);
        let report = {
            let mut locked = self.shared.lock();
            WorldReport {
                trace: locked.digest.take_trace(),
                fates: locked.links.fates.take().unwrap_or_default(),
                digest: locked.digest.value(),
                entries: locked.digest.entries,
                simulated,
                messages: locked.links.frames,
                sabotage_executions: locked.sabotage_executions,
            }
        };
        for node in self.nodes() {
            self.end_process(node, super::ProcessEnd::PowerCut);
        }
        // One that sleeps on would hold the world, and the world the clock on which it sleeps.
        let beside = std::mem::take(&mut self.shared.lock().beside);
        beside.iter().for_each(madsim::task::AbortHandle::abort);
        // Unfinished tasks are dropped only when the executor meets them once more.
        self.shared.time.sleep(Duration::from_millis(1)).await;
        let driver = self.shared.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
        self.shared.time.sleep(Duration::from_millis(1)).await;
        report
    }
}

/// Lets due actions happen; woken by the timers that `arm` sets.
async fn driver(shared: Arc<Shared>) {
    let mut wakers = Vec::new();
    poll_fn(move |cx| {
        if shared.closed.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        shared.lock().driver.get_or_insert_with(|| cx.waker().clone());
        shared.drive(&mut wakers);
        for waker in wakers.drain(..) {
            waker.wake();
        }
        Poll::Pending
    })
    .await;
}
