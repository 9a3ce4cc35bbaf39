//! What a node stands on: clock, network, disk, tasks, randomness, announcements, sabotage
//! switches, injected errors of services.
//!
//! A [`Host`] is an explicit, cloneable value, one per incarnation of a process. Everything that the
//! system does to the outside goes through it, so the same system runs in simulation (`cfg(madsim)`,
//! the hardware of [`sim`]) and live (without it: tokio, TCP and a folder). No
//! part of the system names tokio, madsim, `std::fs`, `std::net` or a clock of `std::time`.
//!
//! Deliberately absent: ambient access. There is no `now()` without a host, no global generator and
//! no current node; several nodes live in one process in both worlds.

mod announce;
mod clock;
mod disk;
mod inbound;
mod injected_error;
mod interval;
mod net;
pub mod property;
mod random;
mod sabotage;

#[cfg(not(madsim))]
pub mod live;
#[cfg(madsim)]
pub mod sim;

#[cfg(not(madsim))]
use live as imp;
#[cfg(madsim)]
use sim as imp;

use std::{future::Future, io, time::Duration};

pub use announce::{Event, Evidence};
pub use clock::{Elapsed, Instant, WallTime, millis};
pub use disk::{FileWrite, OpenMode};
pub use imp::run_two;
pub use imp::{
    cause::Cause,
    disk::{Disk, File, SyncDisk, SyncFile},
    message::{MessageReceiver, MessageSender, Peer},
    stream::{Stream, StreamListener, StreamReader, StreamWriter},
    task::{Sleep, Task},
};
pub use inbound::Inbound;
pub use injected_error::InjectedError;
pub use interval::Interval;
pub use net::{Kind, MESSAGE_BYTES_MAX, NodeAddress, ParseAddressError};
pub use property::{Property, PropertyEvent, PropertyKind};
pub use random::{Draws, mix, name_hash};
pub use sabotage::Sabotage;

/// What one incarnation of a process stands on.
///
/// After the incarnation has crashed, every call on its host has no effect and every future of it
/// stays pending for ever; destructors included. A new incarnation is given a new `Host`.
#[derive(Clone)]
pub struct Host {
    imp: imp::Node,
}

impl Host {
    pub(in crate::host) fn from_imp(imp: imp::Node) -> Self {
        Host { imp }
    }

    /// The node's name. In simulation it is also its host name on the network.
    pub fn name(&self) -> &str {
        self.imp.name()
    }

    /// The host name under which other nodes reach this one.
    pub fn hostname(&self) -> &str {
        self.imp.hostname()
    }

    /// Distinguishes this life of the process from its earlier and later ones.
    pub fn incarnation(&self) -> u64 {
        self.imp.incarnation()
    }

    /// By how many versions of what it speaks with others this process's binary is ahead of this source: 0 but
    /// where a simulation lets old and new binaries meet.
    pub fn versions_ahead(&self) -> u16 {
        self.imp.versions_ahead()
    }

    /// The node's monotonic clock; comparable only with values of the same host.
    pub fn now(&self) -> Instant {
        self.imp.now()
    }

    /// The node's wall clock, which may be wrong and may jump.
    pub fn wall(&self) -> WallTime {
        self.imp.wall()
    }

    /// Waits until the node's monotonic clock has advanced by `duration`.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Waits until the node's monotonic clock reads `deadline` or later.
    pub fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::new(self.imp.clone(), deadline)
    }

    /// Runs `future` for at most `duration` of the node's monotonic clock.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is over first; the future is dropped then.
    pub async fn timeout<F: Future>(
        &self,
        duration: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let sleep = self.sleep(duration);
        futures::pin_mut!(future, sleep);
        match futures::future::select(future, sleep).await {
            futures::future::Either::Left((output, _)) => Ok(output),
            futures::future::Either::Right(_) => Err(Elapsed),
        }
    }

    /// A ticker of the given period whose first tick comes after one period.
    pub fn interval(&self, period: Duration) -> Interval {
        Interval::new(self.imp.clone(), period)
    }

    /// Runs `future` beside the caller until it ends, is cancelled or the process dies.
    ///
    /// A panic in it is the death of the process.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> Task {
        Task::spawn(&self.imp, future)
    }

    /// The same on a thread of its own, which is called `name`: what keeps it busy keeps nothing else waiting.
    ///
    /// # Errors
    /// When the operating system has no thread to give.
    pub fn spawn_on_thread(
        &self,
        name: &str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Task> {
        Task::spawn_on_thread(&self.imp, name, future)
    }

    /// Holds the calling task's thread for so long, as a function does that computes or waits: no other task on that
    /// thread takes a step meanwhile.
    pub async fn hold_thread(&self, time: Duration) {
        if let Some(until) = self.imp.hold_thread(time) {
            self.sleep_until(until).await;
        }
    }

    /// Ends this process at once, as a fatal error does; `reason` is announced.
    pub fn exit(&self, reason: &str) {
        self.imp.exit(reason);
    }

    /// 64 random bits of the node.
    pub fn random_u64(&self) -> u64 {
        self.imp.random_u64()
    }

    /// 128 random bits of the node, for identifiers.
    pub fn random_u128(&self) -> u128 {
        (u128::from(self.random_u64()) << 64) | u128::from(self.random_u64())
    }

    /// A duration drawn uniformly from `0..=max`, for jitter.
    pub fn jitter(&self, max: Duration) -> Duration {
        random::scale_duration(self.random_u64(), max)
    }

    /// Makes an event known: to the run's history in simulation, as a `tracing` event live.
    ///
    /// In simulation the checks and triggers that the event sets off run before this returns, and one
    /// of them may be this node's own death.
    pub fn announce(&self, event: &dyn Event) {
        self.imp.announce(event);
    }

    /// The current cause: the entry of the trace that led to the running code, such as a delivered message, a
    /// timer, an operation of the disk or the boot. A queue keeps it beside what waits, and enters it again
    /// when the turn of that comes. Live it is nothing.
    pub fn cause(&self) -> Cause {
        self.imp.cause()
    }

    /// Makes this the current cause until the running task waits next, instead of what woke it.
    pub fn continue_from(&self, cause: Cause) {
        self.imp.continue_from(cause);
    }

    /// Runs `f` with this as the current cause.
    pub fn with_cause<T>(&self, cause: Cause, f: impl FnOnce() -> T) -> T {
        self.imp.with_cause(cause, f)
    }

    /// What the macros expand to. The details are asked for only where somebody is told.
    #[doc(hidden)]
    pub fn evaluate(
        &self,
        property: &'static Property,
        held: bool,
        details: impl FnOnce() -> String,
    ) {
        self.imp.evaluate(property, held, details);
    }

    /// Whether the known bug `switch` is to be shown at this line. Constant `false` live.
    ///
    /// Ask only where the answer changes what happens (`safe || host.sabotaged(..)`), since each
    /// `true` counts as an execution of the switched line.
    pub fn sabotaged(&self, switch: Sabotage) -> bool {
        self.imp.sabotaged(switch)
    }

    /// Whether code should check what always holds of its state, at a cost: in simulation, not live.
    pub fn checks_invariants(&self) -> bool {
        cfg!(madsim)
    }

    /// The switches of known bugs, for code that decides and has no host.
    pub fn switches(&self) -> Switches {
        Switches(Some(self.clone()))
    }

    /// The next line that somebody enters at the node's console: one reader a process. In simulation a fault
    /// enters them, such as `cancel-job`; live nobody does.
    pub async fn next_line(&self) -> String {
        self.imp.next_line().await
    }

    /// Whether the call that a service is about to handle meets with an injected error. Never live. Its kind
    /// is that of the message by which it came: a `service-error` may be for one kind only.
    pub fn injected_error(&self, call: &str) -> Option<InjectedError> {
        self.imp.injected_error(call)
    }

    /// Opens the node's message socket on `port`; 0 takes a free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn bind(&self, port: u16) -> io::Result<(MessageSender, MessageReceiver)> {
        imp::message::bind(&self.imp, port).await
    }

    /// Listens for streams on `port`; 0 takes a free port.
    ///
    /// # Errors
    /// `AddrInUse` when the port is taken.
    pub async fn listen(&self, port: u16) -> io::Result<StreamListener> {
        imp::stream::listen(&self.imp, port).await
    }

    /// Opens a stream to a listener.
    ///
    /// # Errors
    /// `ConnectionRefused` when nothing listens there, `TimedOut` when nobody answers.
    pub async fn connect(&self, to: &NodeAddress) -> io::Result<Stream> {
        imp::stream::connect(&self.imp, to).await
    }

    /// The node's disk.
    pub fn disk(&self) -> Disk {
        Disk::new(self.imp.clone())
    }
}

/// The switches of known bugs as a process sees them, for code that decides and has no [`Host`]; off by
/// default.
#[derive(Clone, Default)]
pub struct Switches(Option<Host>);

impl Switches {
    /// As [`Host::sabotaged`].
    pub fn on(&self, switch: Sabotage) -> bool {
        self.0.as_ref().is_some_and(|host| host.sabotaged(switch))
    }
}
