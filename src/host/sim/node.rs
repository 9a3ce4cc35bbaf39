//! The simulated side of [`Host`](crate::host::Host): one incarnation of a process.

use super::{
    disk::Disk,
    message::{MessageReceiver, MessageSender},
    stream::{Stream, StreamListener},
    task::{Sleep, Task},
    world::{Locked, Shared, Stamp},
};
use crate::host::{Event, InjectedError, Instant, NodeAddress, Sabotage, WallTime};
use std::{
    cell::RefCell,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A simulated machine, counted from 0 in the order in which they were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(in crate::host) u32);

impl NodeId {
    /// A node of a synthetic history.
    #[cfg(test)]
    pub(crate) fn for_tests(index: usize) -> Self {
        NodeId(u32::try_from(index).expect("few nodes"))
    }

    /// A key for draws that are the node's own.
    pub fn key(self) -> u64 {
        u64::from(self.0)
    }

    pub(in crate::host) fn index(self) -> usize {
        self.0 as usize
    }

    /// A key for the directed link from this node to another.
    pub(in crate::host) fn link_key(self, to: NodeId) -> u64 {
        (u64::from(self.0) << 32) | u64::from(to.0)
    }
}

impl std::fmt::Debug for NodeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node-{}", self.0)
    }
}

/// What all handles to one incarnation share.
pub(in crate::host) struct Incarnation {
    pub shared: Arc<Shared>,
    pub node: NodeId,
    pub name: Arc<str>,
    pub number: u64,
    pub dead: AtomicBool,
    pub spawner: madsim::runtime::NodeHandle,
}

/// One incarnation's view of the world.
#[derive(Clone)]
pub(in crate::host) struct Node {
    pub incarnation: Arc<Incarnation>,
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Incarnation>>> = const { RefCell::new(None) };
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

/// Runs `f` as this incarnation, for log lines and panics.
pub(super) fn enter<T>(incarnation: &Arc<Incarnation>, f: impl FnOnce() -> T) -> T {
    let outer = CURRENT.replace(Some(incarnation.clone()));
    let output = f();
    CURRENT.set(outer);
    output
}

/// The node whose task runs on this thread now and the simulated time, for log lines.
pub fn current_stamp() -> Option<(Arc<str>, Stamp)> {
    if let Some(stamped) = STAMPED.with_borrow(Clone::clone) {
        return Some(stamped);
    }
    CURRENT.with_borrow(|current| {
        let incarnation = current.as_ref()?;
        let time = Duration::from_nanos(incarnation.shared.now());
        let stamp = Stamp { time, node: incarnation.node, incarnation: incarnation.number };
        Some((incarnation.name.clone(), stamp))
    })
}

impl Node {
    pub fn dead(&self) -> bool {
        // A panic unwinds through destructors before it is met as the death of the process.
        self.incarnation.dead.load(Ordering::Relaxed) || std::thread::panicking()
    }

    pub fn id(&self) -> NodeId {
        self.incarnation.node
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.incarnation.shared
    }

    /// The world's state, for a call that a dead incarnation may not make.
    pub fn lock_alive(&self) -> Option<Locked<'_>> {
        (!self.dead()).then(|| self.shared().lock())
    }

    pub fn name(&self) -> &str {
        &self.incarnation.name
    }

    pub fn hostname(&self) -> &str {
        &self.incarnation.name
    }

    pub fn incarnation(&self) -> u64 {
        (u64::from(self.id().0) << 32) | self.incarnation.number
    }

    pub fn now(&self) -> Instant {
        let sim = self.shared().now();
        self.shared().lock().node(self.id()).clock.now(sim)
    }

    pub fn wall(&self) -> WallTime {
        let sim = self.shared().now();
        self.shared().lock().node(self.id()).clock.wall(sim)
    }

    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(self.clone(), deadline)
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Task {
        Task::spawn(self, future)
    }

    pub fn exit(&self, reason: &str) {
        if !self.dead() {
            let world = super::World { shared: self.shared().clone() };
            world.end_process(self.id(), super::ProcessEnd::Exited { reason: reason.to_string() });
        }
    }

    pub fn random_u64(&self) -> u64 {
        let Some(mut locked) = self.lock_alive() else { return 0 };
        locked.draws += 1;
        locked.node(self.id()).draws.next_u64()
    }

    pub fn announce(&self, event: &dyn Event) {
        if !self.dead() {
            self.shared().emit(self.id(), self.incarnation.number, event);
        }
    }

    pub fn sabotaged(&self, switch: Sabotage) -> bool {
        let on = self.shared().sabotage == Some(switch) && !self.dead();
        if on {
            self.shared().lock().sabotage_executions += 1;
        }
        on
    }

    pub fn injected_error(&self) -> Option<InjectedError> {
        super::injected_error::draw(&mut self.lock_alive()?, self.id(), self.shared().now())
    }

    pub async fn bind(&self, port: u16) -> io::Result<(MessageSender, MessageReceiver)> {
        self.alive().await;
        super::message::bind(self, port)
    }

    pub async fn listen(&self, port: u16) -> io::Result<StreamListener> {
        self.alive().await;
        super::stream::listen(self, port)
    }

    pub async fn connect(&self, to: &NodeAddress) -> io::Result<Stream> {
        self.alive().await;
        super::stream::connect(self, to).await
    }

    pub fn disk(&self) -> Disk {
        Disk::new(self.clone())
    }

    /// Never completes for a dead incarnation.
    pub async fn alive(&self) {
        if self.dead() {
            futures::future::pending::<()>().await;
        }
    }
}
