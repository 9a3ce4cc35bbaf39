//! One simulated world: what its devices share, the driver that makes due things happen, and the
//! harness's handle to it.

use super::{
    branch::Branch,
    cause::{Cause, CurrentCause},
    clock::Nanos,
    digest::TraceDigest,
    disk::Unsynced,
    entry::{Entry, MachineStep},
    hardware::{Hardware, ProcessEnd},
    link::{Delay, FrameFate},
    panic,
    stamp::{NodeId, Stamp},
    state::State,
    trace::TraceLine,
};
use crate::host::{Event, Property, Sabotage};
use std::{
    collections::BTreeSet,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

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
    /// Whether to note which switches are asked for.
    pub notes_asked: bool,
    /// Whether to keep the whole trace in memory.
    pub trace: bool,
    /// From where on it goes another way than the seeds say.
    pub branch: Option<Branch>,
}

impl WorldConfig {
    /// One seed for everything, links of 0.5 to 2 ms, no sabotage, no trace.
    pub fn new(seed: u64) -> Self {
        WorldConfig {
            seed,
            scheduling_seed: crate::host::mix(seed, 0x5ced),
            latency: Delay::Uniform(Duration::from_micros(500), Duration::from_millis(2)),
            sabotage: None,
            notes_asked: false,
            trace: false,
            branch: None,
        }
    }
}

/// Sees every announced event at the instant of its announcement, and may act on the world there.
pub trait Observer: Send + Sync {
    /// Called with no lock held; may crash the announcing node.
    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event);

    /// Called with no lock held, often: an `always!` held, or a `sometimes!` was false. All that others
    /// come to is announced.
    fn evaluated(&self, property: &'static Property) {
        let _ = property;
    }
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
    /// The switches that were asked for, if that was to be noted: with any other one the run would be the same.
    pub asked: BTreeSet<Sabotage>,
    /// The digest up to the last branch that was taken, if any was.
    pub branched: Option<TraceDigest>,
}

/// A running simulation. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct World {
    shared: Arc<Shared>,
}

/// From count to count of the tasks that are left.
const SPAWNS_PER_COUNT: u32 = 16_384;

pub(in crate::host) struct Shared {
    inner: Mutex<Inner>,
    time: madsim::time::TimeHandle,
    madsim: madsim::runtime::Handle,
    /// madsim's own node, on which the harness runs.
    main: madsim::task::NodeId,
    observer: Arc<dyn Observer>,
    closed: AtomicBool,
    sabotage: Option<Sabotage>,
    notes_asked: bool,
    cause: CurrentCause,
    spawned: AtomicU32,
}

/// What the lock guards: the devices, and what drives them.
struct Inner {
    state: State,
    driver: Option<Waker>,
    /// The tasks beside the harness.
    beside: Vec<madsim::task::AbortHandle>,
    /// The times at which the driver is going to wake, the earliest last.
    wakes: Vec<Nanos>,
}

impl Shared {
    /// madsim's handle to this run.
    pub fn madsim(&self) -> &madsim::runtime::Handle {
        &self.madsim
    }

    /// The switch that is on in this run.
    pub fn sabotage(&self) -> Option<Sabotage> {
        self.sabotage
    }

    /// Whether to note which switches are asked for.
    pub fn notes_asked(&self) -> bool {
        self.notes_asked
    }

    /// A task was spawned. madsim keeps a record of each until it counts those that are left.
    pub fn note_spawn(&self) {
        let before = self.spawned.fetch_add(1, Ordering::Relaxed);
        if before % SPAWNS_PER_COUNT == SPAWNS_PER_COUNT - 1 {
            self.madsim.metrics().num_tasks();
        }
    }

    /// The current cause.
    pub fn cause(&self) -> &CurrentCause {
        &self.cause
    }

    pub fn lock(&self) -> Locked<'_> {
        let inner = self.inner.lock().expect("nothing panics under the world's lock");
        Locked { shared: self, inner }
    }

    pub fn now(&self) -> Nanos {
        u64::try_from(self.time.elapsed().as_nanos()).expect("a run is shorter than 500 years")
    }

    /// Makes an event known: digest first, then the observer, with no lock held.
    pub fn emit(self: &Arc<Self>, node: NodeId, incarnation: u64, event: &dyn Event) -> Stamp {
        let now = self.now();
        let stamp = self.lock().stamp_event(now, node, incarnation, event);
        self.show(stamp, event);
        stamp
    }

    /// Lets the observer see an event. What it does then is done because of it.
    fn show(self: &Arc<Self>, stamp: Stamp, event: &dyn Event) {
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let _entered = self.cause.enter(Cause::of(stamp.entry));
        self.observer.observe(&World { shared: self.clone() }, stamp, event);
    }

    /// Lets the observer count a property of which nothing is announced.
    pub fn evaluated(&self, property: &'static Property) {
        if !self.closed.load(Ordering::Relaxed) {
            self.observer.evaluated(property);
        }
    }

    fn drive(&self, woken: &mut Vec<(Waker, Cause)>) {
        let now = self.now();
        let mut locked = self.lock();
        while locked.inner.wakes.pop_if(|wake| *wake <= now).is_some() {}
        locked.perform_due(now, woken);
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
    inner: MutexGuard<'a, Inner>,
}

impl std::ops::Deref for Locked<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.inner.state
    }
}

impl std::ops::DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.inner.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let Inner { state, driver, wakes, .. } = &mut *self.inner;
        state.branch_if_due();
        if let Some(next) = state.next_time()
            && wakes.last().is_none_or(|wake| next < *wake)
            && let Some(driver) = driver
        {
            wakes.push(next);
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
    panic::capture();
    let seed = config.scheduling_seed;
    let runtime = madsim::runtime::Runtime::with_seed_and_config(seed, madsim::Config::default());
    runtime.block_on(async {
        let world = World::new(config, observer);
        // Nothing in the run leads to what the harness does, whatever it waits for.
        let mut body = pin!(body(world.clone()));
        let body = poll_fn(|cx| {
            let _entered = world.shared.cause.enter(Cause::NONE);
            body.as_mut().poll(cx)
        });
        let output = body.await;
        let report = world.close().await;
        (output, report)
    })
}

impl World {
    fn new(config: WorldConfig, observer: Arc<dyn Observer>) -> Self {
        let state = State::new(config.seed, config.latency, config.trace, config.branch);
        let cause = state.cause().clone();
        let inner = Inner { state, driver: None, beside: Vec::new(), wakes: Vec::new() };
        let shared = Arc::new(Shared {
            inner: Mutex::new(inner),
            time: madsim::time::TimeHandle::current(),
            madsim: madsim::runtime::Handle::current(),
            main: madsim::plugin::node(),
            observer,
            closed: AtomicBool::new(false),
            sabotage: config.sabotage,
            notes_asked: config.notes_asked,
            cause,
            spawned: AtomicU32::new(0),
        });
        madsim::task::spawn(driver(shared.clone()));
        World { shared }
    }

    /// The world of a handle to it.
    pub(in crate::host) fn of(shared: &Arc<Shared>) -> Self {
        World { shared: shared.clone() }
    }

    /// What its processes share.
    pub(in crate::host) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Simulated time since the run began.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.now())
    }

    /// From now on the run goes the other way of that number than its seeds say: tasks are scheduled otherwise, and
    /// whatever links, disks and nodes draw is drawn otherwise. 0 changes nothing.
    pub fn branch(&self, number: u32) {
        self.shared.lock().branch(number);
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

    /// Runs `future` beside the harness, on no node; also when called from a node's own task. The
    /// current cause is its cause.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let main = self.shared.madsim.get_node(self.shared.main).expect("it is always there");
        let (current, cause) = (self.shared.cause.clone(), self.shared.cause.get());
        let mut future = Box::pin(future);
        let future = poll_fn(move |cx| {
            let _entered = current.enter(cause);
            future.as_mut().poll(cx)
        });
        let task = main.spawn(future).abort_handle();
        self.shared.lock().inner.beside.push(task);
    }

    /// How often the sabotage's switched line has run.
    pub fn sabotage_executions(&self) -> u64 {
        self.shared.lock().sabotage_executions()
    }

    /// Every machine.
    pub fn nodes(&self) -> Vec<NodeId> {
        let count = self.shared.lock().machines();
        (0..count).map(|index| NodeId(u32::try_from(index).expect("few nodes"))).collect()
    }

    /// Ends the machine's process, if one runs.
    pub fn end_process(&self, node: NodeId, end: ProcessEnd) {
        self.end(node, end, Unsynced::Drawn);
    }

    /// Takes the machine's power away, and says what becomes of what was not synced.
    pub fn cut_power(&self, node: NodeId, unsynced: Unsynced) {
        let now = self.shared.now();
        let lost = Entry::Machine(node, MachineStep::PowerLost { unsynced });
        let lost = self.shared.lock().note(now, &lost);
        let _entered = self.shared.cause.enter(lost.into());
        self.end(node, ProcessEnd::PowerCut, unsynced);
    }

    fn end(&self, node: NodeId, end: ProcessEnd, unsynced: Unsynced) {
        let now = self.shared.now();
        let mut locked = self.shared.lock();
        let running = locked.machine(node).running();
        let event = Hardware::Ended(end.clone());
        let stamp = running.map(|number| locked.stamp_event(now, node, number, &event));
        // The peers of its streams hear of its end because of that.
        let entered = stamp.map(|stamp| self.shared.cause.enter(Cause::of(stamp.entry)));
        let ended = locked.end_process(now, node, &end, unsynced);
        drop((locked, entered));
        let (Some(ended), Some(stamp)) = (ended, stamp) else { return };
        let madsim = ended.madsim;
        drop(ended);
        self.shared.show(stamp, &event);
        self.shared.madsim.kill(madsim);
    }

    async fn close(self) -> WorldReport {
        let simulated = self.elapsed();
        self.shared.closed.store(true, Ordering::Relaxed);
        let report = {
            let mut locked = self.shared.lock();
            let (digest, entries) = locked.digest();
            let (trace, fates) = locked.take_trace();
            let asked = locked.take_asked();
            let branched = locked.branched();
            WorldReport {
                digest,
                entries,
                trace,
                fates,
                simulated,
                messages: locked.network().frames(),
                sabotage_executions: locked.sabotage_executions(),
                asked,
                branched,
            }
        };
        for node in self.nodes() {
            self.end_process(node, ProcessEnd::PowerCut);
        }
        // One that sleeps on would hold the world, and the world the clock on which it sleeps.
        let beside = std::mem::take(&mut self.shared.lock().inner.beside);
        beside.iter().for_each(madsim::task::AbortHandle::abort);
        // Unfinished tasks are dropped only when the executor meets them once more.
        self.shared.time.sleep(Duration::from_millis(1)).await;
        let driver = self.shared.lock().inner.driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
        self.shared.time.sleep(Duration::from_millis(1)).await;
        report
    }
}

/// Lets due actions happen; woken by the timers that `arm` sets.
async fn driver(shared: Arc<Shared>) {
    let mut woken = Vec::new();
    poll_fn(move |cx| {
        if shared.closed.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        shared.lock().inner.driver.get_or_insert_with(|| cx.waker().clone());
        shared.drive(&mut woken);
        for (waker, cause) in woken.drain(..) {
            let _entered = shared.cause.enter(cause);
            waker.wake();
        }
        Poll::Pending
    })
    .await;
}
