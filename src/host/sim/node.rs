//! The simulated side of [`Host`](crate::host::Host): one incarnation of a process.

use super::{
    cause::Cause,
    hardware::{Hardware, ProcessEnd},
    stamp::{NodeId, Stamp},
    thread::Thread,
    world::{Locked, Shared, World},
};
use crate::host::{
    Event, InjectedError, Instant, Property, PropertyEvent, PropertyKind, Sabotage, WallTime,
};
use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

/// From this time on it is an event that a thread is held.
const HELD_MIN: Duration = Duration::from_millis(100);

/// What all handles to one incarnation share.
struct Incarnation {
    shared: Arc<Shared>,
    node: NodeId,
    name: Arc<str>,
    number: u64,
    dead: Arc<AtomicBool>,
    versions_ahead: u16,
    spawner: madsim::runtime::NodeHandle,
    main_thread: Arc<Thread>,
}

/// One incarnation's view of the world.
#[derive(Clone)]
pub(in crate::host) struct Node {
    incarnation: Arc<Incarnation>,
}

thread_local! {
    static CURRENT: RefCell<Option<Node>> = const { RefCell::new(None) };
    /// Whose log lines these are, whatever runs.
    static STAMPED: RefCell<Option<(Arc<str>, Stamp)>> = const { RefCell::new(None) };
}

/// Runs `f`, whose log lines are those of a node at a time: of what happens to a node, not in it.
pub(super) fn stamped<T>(name: Arc<str>, stamp: Stamp, f: impl FnOnce() -> T) -> T {
    let outer = STAMPED.replace(Some((name, stamp)));
    let output = f();
    STAMPED.set(outer);
    output
}

/// The node whose task runs on this thread now and the simulated time, for log lines.
pub fn current_stamp() -> Option<(Arc<str>, Stamp)> {
    if let Some(stamped) = STAMPED.with_borrow(Clone::clone) {
        return Some(stamped);
    }
    CURRENT.with_borrow(|current| {
        let Incarnation { shared, node, name, number, .. } = &*current.as_ref()?.incarnation;
        let time = Duration::from_nanos(shared.now());
        Some((name.clone(), Stamp::new(time, *node, *number)))
    })
}

/// Life, for the handles and the world.
impl Node {
    /// Starts a new incarnation on a machine without one; the machine is powered on if need be.
    ///
    /// # Panics
    /// When a process runs there already.
    pub fn boot(shared: &Arc<Shared>, node: NodeId, spawner: madsim::runtime::NodeHandle) -> Self {
        let mut locked = shared.lock();
        let name = locked.network().name(node).clone();
        let (number, dead) = locked.boot(node);
        let versions_ahead = locked.machine(node).versions_ahead;
        drop(locked);
        let shared = shared.clone();
        let incarnation = Incarnation {
            shared,
            node,
            name,
            number,
            dead,
            versions_ahead,
            spawner,
            main_thread: Arc::default(),
        };
        Node { incarnation: Arc::new(incarnation) }
    }

    pub fn dead(&self) -> bool {
        // A panic unwinds through destructors before it is met as the death of the process.
        self.incarnation.dead.load(Ordering::Relaxed) || std::thread::panicking()
    }

    pub fn id(&self) -> NodeId {
        self.incarnation.node
    }

    /// Which life of the process on its machine this is, from 1.
    pub fn number(&self) -> u64 {
        self.incarnation.number
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.incarnation.shared
    }

    /// Where its tasks run.
    pub fn spawner(&self) -> &madsim::runtime::NodeHandle {
        &self.incarnation.spawner
    }

    /// The thread of all tasks that have none of their own.
    pub(super) fn main_thread(&self) -> &Arc<Thread> {
        &self.incarnation.main_thread
    }

    /// The world's state, for a call that a dead incarnation may not make.
    pub fn lock_alive(&self) -> Option<Locked<'_>> {
        (!self.dead()).then(|| self.shared().lock())
    }

    /// Runs `f` as this incarnation, for log lines.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> T {
        let outer = CURRENT.replace(Some(self.clone()));
        let output = f();
        CURRENT.set(outer);
        output
    }

    /// Ends the process, if it still runs.
    pub fn end(&self, end: ProcessEnd) {
        if !self.dead() {
            World::of(self.shared()).end_process(self.id(), end);
        }
    }

    /// Never completes for a dead incarnation.
    pub async fn alive(&self) {
        if self.dead() {
            futures::future::pending::<()>().await;
        }
    }
}

/// What [`Host`](crate::host::Host) documents.
impl Node {
    pub fn name(&self) -> &str {
        &self.incarnation.name
    }

    pub fn hostname(&self) -> &str {
        &self.incarnation.name
    }

    pub fn incarnation(&self) -> u64 {
        (self.id().key() << 32) | self.number()
    }

    pub fn versions_ahead(&self) -> u16 {
        self.incarnation.versions_ahead
    }

    pub fn now(&self) -> Instant {
        let sim = self.shared().now();
        self.shared().lock().machine(self.id()).clock.now(sim)
    }

    pub fn wall(&self) -> WallTime {
        let sim = self.shared().now();
        self.shared().lock().machine(self.id()).clock.wall(sim)
    }

    /// Answers until when.
    pub fn hold_thread(&self, time: Duration) -> Option<Instant> {
        let until = self.now() + time;
        let others = Thread::hold_current(until).expect("a task takes this step");
        if time >= HELD_MIN {
            let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.announce(&Hardware::ThreadHeld { nanos, others });
        }
        Some(until)
    }

    pub fn exit(&self, reason: &str) {
        self.end(ProcessEnd::Exited { reason: reason.to_string() });
    }

    pub fn random_u64(&self) -> u64 {
        self.lock_alive().map_or(0, |mut locked| locked.draw(self.id()))
    }

    pub fn announce(&self, event: &dyn Event) {
        if !self.dead() {
            self.shared().emit(self.id(), self.number(), event);
        }
    }

    /// What is expected of a property is counted only; the rest is announced.
    pub fn evaluate(
        &self,
        property: &'static Property,
        held: bool,
        details: impl FnOnce() -> String,
    ) {
        if self.dead() {
            return;
        }
        if held == (property.kind() == PropertyKind::Always) {
            return self.shared().evaluated(property);
        }
        self.announce(&PropertyEvent { property, held, details: details() });
    }

    pub fn cause(&self) -> Cause {
        self.shared().cause().get()
    }

    pub fn continue_from(&self, cause: Cause) {
        self.shared().cause().set(cause);
    }

    pub fn with_cause<T>(&self, cause: Cause, f: impl FnOnce() -> T) -> T {
        let _entered = self.shared().cause().enter(cause);
        f()
    }

    pub fn sabotaged(&self, switch: Sabotage) -> bool {
        if self.shared().notes_asked() && !self.dead() {
            self.shared().lock().note_asked(switch);
        }
        let on = self.shared().sabotage().is_some_and(|on| on.includes(switch)) && !self.dead();
        if on {
            self.shared().lock().count_sabotage();
        }
        on
    }

    pub async fn next_line(&self) -> String {
        std::future::poll_fn(|context| match self.lock_alive() {
            Some(mut locked) => locked.machine(self.id()).console.poll(context),
            None => Poll::Pending,
        })
        .await
    }

    pub fn injected_error(&self, call: &str) -> Option<InjectedError> {
        let now = self.shared().now();
        self.lock_alive()?.draw_injected_error(now, self.id(), call)
    }
}
