//! The live side of [`Host`](crate::host::Host): one incarnation of a process.

use super::ports::Ports;
use crate::host::{
    Cause, Event, InjectedError, Instant, Property, PropertyKind, Sabotage, WallTime,
    property::PROPERTY_TARGET,
};
use futures::FutureExt;
use std::{
    any::Any,
    future::{Future, pending, poll_fn},
    io,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, SystemTime},
};
use tokio_util::sync::CancellationToken;

/// What a live node is started with.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The node's name.
    pub name: String,
    /// The host name on which it listens and by which other nodes reach it.
    pub hostname: String,
    /// The folder that is its disk; made when absent.
    pub data: PathBuf,
    /// The host names of the cluster's other members. Messages are taken from members alone, since
    /// answers are sent to where a message says that it comes from.
    pub members: Vec<String>,
}

/// Why a live node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Its main function came to its end.
    Returned,
    /// It ended itself with [`Host::exit`](crate::host::Host::exit).
    Exited {
        /// The reason given.
        reason: String,
    },
    /// A task of it panicked.
    Panicked {
        /// The panic's message.
        message: String,
    },
}

/// What all handles to one incarnation share.
struct Process {
    name: String,
    hostname: String,
    data: PathBuf,
    members: Vec<String>,
    incarnation: u64,
    origin: std::time::Instant,
    runtime: tokio::runtime::Handle,
    dead: AtomicBool,
    reason: OnceLock<ExitReason>,
    ended: CancellationToken,
    ports: Ports,
}

/// A node in a tokio runtime of this process.
#[derive(Clone)]
pub struct Node {
    process: Arc<Process>,
}

/// Makes a folder and its name durable, and the names of those above it: whoever made them may have
/// died before they were.
#[expect(clippy::disallowed_methods, reason = "this is what a live Host is made of")]
fn make_durable(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for parent in std::path::absolute(folder)?.ancestors().skip(1) {
        // One that can't even be opened was not made by us.
        if let Ok(parent) = std::fs::File::open(parent) {
            parent.sync_all()?;
        }
    }
    Ok(())
}

impl Node {
    /// A node in the runtime of the caller.
    #[expect(clippy::disallowed_methods, reason = "this is what a live Host is made of")]
    pub(super) fn new(config: NodeConfig) -> io::Result<Node> {
        make_durable(&config.data)?;
        let process = Process {
            name: config.name,
            hostname: config.hostname,
            data: config.data,
            members: config.members,
            incarnation: os_random(),
            origin: std::time::Instant::now(),
            runtime: tokio::runtime::Handle::current(),
            dead: AtomicBool::new(false),
            reason: OnceLock::new(),
            ended: CancellationToken::new(),
            ports: Ports::default(),
        };
        Ok(Node { process: Arc::new(process) })
    }

    /// Runs the node's main function; the node ends with it, if not before.
    pub(super) async fn run(&self, main: impl Future<Output = ()>) -> ExitReason {
        if self.guard(main).await {
            self.end(ExitReason::Returned);
        }
        self.wait_for_end().await
    }

    /// Waits until the node has ended, and says why it did.
    pub(super) async fn wait_for_end(&self) -> ExitReason {
        self.process.ended.cancelled().await;
        self.process.reason.get().expect("stored before the end is told").clone()
    }

    /// Ends the node: from here on its calls have no effect, its ports are closed, and each of its
    /// tasks is dropped when it would go on.
    pub(super) fn end(&self, reason: ExitReason) {
        if self.process.dead.swap(true, Ordering::SeqCst) {
            return;
        }
        self.process.reason.set(reason.clone()).expect("a node ends once");
        self.process.ports.close_all();
        self.process.ended.cancel();
        // Last, since a log may panic, as one does whose reader has gone.
        let name = self.name();
        match reason {
            ExitReason::Returned => tracing::info!(node = name, "the node's main has returned"),
            ExitReason::Exited { reason } => tracing::error!(node = name, reason, "exited"),
            ExitReason::Panicked { message } => tracing::error!(node = name, message, "panicked"),
        }
    }

    /// Runs `future` until the node ends; a panic in it ends the node. True if it came to its end.
    pub(super) async fn guard(&self, future: impl Future<Output = ()>) -> bool {
        let caught = AssertUnwindSafe(future).catch_unwind();
        let mut caught = pin!(self.process.ended.run_until_cancelled(caught));
        // The token alone would let a future that is ready go on after the end.
        let alive = poll_fn(|cx| match self.dead() {
            true => Poll::Ready(None),
            false => caught.as_mut().poll(cx),
        });
        match alive.await {
            Some(Ok(())) => true,
            Some(Err(panic)) => {
                self.end(ExitReason::Panicked { message: panic_text(&*panic) });
                false
            }
            None => false,
        }
    }

    /// Never completes for a dead incarnation.
    pub(super) async fn while_alive<T>(&self, future: impl Future<Output = T>) -> T {
        if self.dead() {
            pending::<()>().await;
        }
        let output = future.await;
        if self.dead() {
            pending::<()>().await;
        }
        output
    }

    /// Does `work`, which may block, on another thread.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let node = self.clone();
        let work = move || (!node.dead()).then(work);
        let done = self.while_alive(self.process.runtime.spawn_blocking(work)).await;
        match done {
            Ok(Some(output)) => output,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The node or its runtime came to an end meanwhile.
            Ok(None) | Err(_) => pending().await,
        }
    }

    pub(super) fn dead(&self) -> bool {
        // A panic unwinds through destructors before it is met as the death of the process.
        self.process.dead.load(Ordering::SeqCst) || std::thread::panicking()
    }

    pub(super) fn runtime(&self) -> &tokio::runtime::Handle {
        &self.process.runtime
    }

    /// Whether a member of the cluster may listen on a host of that name.
    pub(super) fn is_member(&self, host: &str) -> bool {
        host == self.process.hostname || self.process.members.iter().any(|member| member == host)
    }

    pub(super) fn data(&self) -> &Path {
        &self.process.data
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.process.ports
    }

    /// The instant in the words of tokio's clock.
    pub(super) fn tokio_instant(&self, instant: Instant) -> tokio::time::Instant {
        (self.process.origin + Duration::from_nanos(instant.0)).into()
    }
}

/// What [`Host`](crate::host::Host) documents.
impl Node {
    pub(in crate::host) fn name(&self) -> &str {
        &self.process.name
    }

    pub(in crate::host) fn hostname(&self) -> &str {
        &self.process.hostname
    }

    pub(in crate::host) fn incarnation(&self) -> u64 {
        self.process.incarnation
    }

    pub(in crate::host) fn now(&self) -> Instant {
        Instant(nanos(self.process.origin.elapsed()))
    }

    #[expect(clippy::disallowed_methods, reason = "this is what a live Host is made of")]
    pub(in crate::host) fn wall(&self) -> WallTime {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        WallTime(nanos(since_1970.unwrap_or_default()))
    }

    /// It is over when this returns.
    #[expect(clippy::disallowed_methods, reason = "this is how a thread is held")]
    pub(in crate::host) fn hold_thread(&self, time: Duration) -> Option<Instant> {
        std::thread::sleep(time);
        None
    }

    pub(in crate::host) fn exit(&self, reason: &str) {
        self.end(ExitReason::Exited { reason: reason.to_string() });
    }

    pub(in crate::host) fn random_u64(&self) -> u64 {
        if self.dead() { 0 } else { os_random() }
    }

    pub(in crate::host) fn announce(&self, event: &dyn Event) {
        if !self.dead() {
            tracing::info!(target: "wavetank::event", node = self.name(), event = ?event);
        }
    }

    /// A process goes on in which a property does not hold: that is a line in its log.
    pub(in crate::host) fn evaluate(
        &self,
        property: &'static Property,
        held: bool,
        details: impl FnOnce() -> String,
    ) {
        let (node, title) = (self.name(), property.title());
        match (property.kind(), held) {
            _ if self.dead() => {}
            (PropertyKind::Always, true) | (PropertyKind::Sometimes, false) => {}
            (PropertyKind::Always, false) => tracing::error!(
                target: PROPERTY_TARGET,
                node,
                property = title,
                claim = property.claim(),
                place = property.place(),
                details = details(),
                "a property does not hold"
            ),
            (PropertyKind::Sometimes | PropertyKind::Reachable, _) => tracing::trace!(
                target: PROPERTY_TARGET,
                node,
                property = title,
                details = details()
            ),
        }
    }

    pub(in crate::host) const fn cause(&self) -> Cause {
        Cause
    }

    pub(in crate::host) const fn continue_from(&self, Cause: Cause) {}

    pub(in crate::host) fn with_cause<T>(&self, Cause: Cause, f: impl FnOnce() -> T) -> T {
        f()
    }

    pub(in crate::host) const fn sabotaged(&self, _: Sabotage) -> bool {
        false
    }

    pub(in crate::host) async fn next_line(&self) -> String {
        std::future::pending().await
    }

    pub(in crate::host) const fn versions_ahead(&self) -> u16 {
        0
    }

    pub(in crate::host) const fn injected_error(&self, _: &str) -> Option<InjectedError> {
        None
    }
}

fn nanos(duration: Duration) -> u64 {
    crate::host::random::nanos(duration)
}

fn os_random() -> u64 {
    getrandom::u64().expect("the operating system has randomness")
}

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a text".to_string())
}
