//! What is known of one target.

use super::{HeartbeatSession, HeartbeatTarget};
use crate::host::Instant;
use futures::channel::oneshot;
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

/// What became of a monitored target. Only a running one changes, and once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorState {
    /// It beats.
    Running,
    /// It has been silent for too long.
    Timeout,
    /// The target is unreachable.
    Unreachable,
    /// It is no longer monitored.
    Canceled,
}

/// Watches one session of one target.
pub struct HeartbeatMonitor<P> {
    session: HeartbeatSession,
    target: Arc<dyn HeartbeatTarget<P>>,
    state: MonitorState,
    since: Instant,
    last_heartbeat: Option<Instant>,
    /// Owned here alone; what is under way for the monitor dies with it.
    calls: Arc<CallsInARow>,
    /// Dropped with the monitor, which ends the watch of its connection.
    _watch: oneshot::Sender<()>,
}

impl<P: Send + 'static> HeartbeatMonitor<P> {
    pub(super) fn new(
        session: HeartbeatSession,
        target: Arc<dyn HeartbeatTarget<P>>,
        since: Instant,
        watch: oneshot::Sender<()>,
    ) -> Self {
        HeartbeatMonitor {
            session,
            target,
            state: MonitorState::Running,
            since,
            last_heartbeat: None,
            calls: Arc::default(),
            _watch: watch,
        }
    }

    /// The session that it watches.
    pub fn session(&self) -> HeartbeatSession {
        self.session
    }

    /// What became of it.
    pub fn state(&self) -> MonitorState {
        self.state
    }

    /// When the last beat came, on the node's clock; `None` before the first.
    pub fn last_heartbeat(&self) -> Option<Instant> {
        self.last_heartbeat
    }

    pub(super) fn target(&self) -> &dyn HeartbeatTarget<P> {
        self.target.as_ref()
    }

    pub(super) fn calls(&self) -> Weak<CallsInARow> {
        Arc::downgrade(&self.calls)
    }

    pub(super) fn report_heartbeat(&mut self, now: Instant) {
        self.last_heartbeat = Some(now);
    }

    /// When it will have been silent for too long if nothing comes.
    pub(super) fn deadline(&self, timeout: Duration) -> Instant {
        self.last_heartbeat.unwrap_or(self.since) + timeout
    }

    /// Leaves the running state; false when it was left before.
    pub(super) fn end(&mut self, state: MonitorState) -> bool {
        let ends = self.state == MonitorState::Running;
        if ends {
            self.state = state;
        }
        ends
    }
}

/// How many calls in a row found the target unreachable, in the order of their outcomes.
#[derive(Default)]
pub(super) struct CallsInARow {
    unreachable: AtomicU32,
    /// The connection to the target has broken, and no call has succeeded since.
    suspected: AtomicBool,
}

impl CallsInARow {
    /// A call was answered, which ends the row; whether there was one, or a suspicion.
    pub fn succeeded(&self) -> bool {
        let row = self.unreachable.swap(0, Ordering::Relaxed) > 0;
        self.suspected.swap(false, Ordering::Relaxed) || row
    }

    /// Its connection has broken: one call that finds nobody is enough.
    pub fn suspect(&self) {
        self.suspected.store(true, Ordering::Relaxed);
    }

    /// Counts a call that found nobody; whether that is one too many.
    pub fn unreachable(&self, threshold: u32) -> bool {
        let count = self.unreachable.fetch_add(1, Ordering::Relaxed) + 1;
        count >= threshold || self.suspected.load(Ordering::Relaxed)
    }
}
