//! A client's session: a lease that is kept alive, and word of its state.

use super::{
    CoordinationEvent, LeaseId,
    api::{Coordination, CoordinationError},
};
use crate::{
    host::{Host, Instant, Task},
    system::sabotage,
    system::watch::{WatchReceiver, WatchSender},
};
use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// It has no lease.
    Connecting,
    /// Its lease lives.
    Connected(LeaseId),
    /// There is no contact; its lease may live.
    Suspended(LeaseId),
}

impl SessionState {
    /// The lease that lives, or may.
    pub fn lease(self) -> Option<LeaseId> {
        match self {
            SessionState::Connecting => None,
            SessionState::Connected(lease) | SessionState::Suspended(lease) => Some(lease),
        }
    }
}

/// Keeps a lease alive; takes a new one when it is lost. Ends when dropped.
pub struct Session {
    client: Arc<dyn Coordination>,
    shared: Arc<Shared>,
    task: Task,
}

struct Shared {
    host: Host,
    state: WatchSender<SessionState>,
    /// When the lease is over by this node's clock.
    end: Mutex<Option<Instant>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.end.lock().expect("no panic under this lock")
    }

    /// Whether a lost lease is treated as lost.
    fn heeds_loss(&self) -> bool {
        !self.host.sabotaged(sabotage::LOST_LEASE_TREATED_AS_ALIVE)
    }

    /// The state now. After a pause others may ask before the keeper has looked at the clock; what
    /// they are told then holds for the keeper too.
    fn look(&self) -> SessionState {
        let mut end = self.lock();
        if end.is_some_and(|end| self.host.now() >= end) && self.heeds_loss() {
            *end = None;
            self.state.set(SessionState::Connecting);
        }
        self.state.get()
    }

    /// Goes on with a lease that nobody was told is lost.
    fn go_on(&self, state: SessionState, until: Instant) {
        let mut end = self.lock();
        if end.is_some() {
            *end = Some(until);
            self.state.set(state);
        }
    }
}

impl Session {
    /// Opens a session with the client's [`session_timeout`](Coordination::session_timeout).
    pub fn open(client: &Arc<dyn Coordination>) -> Self {
        let shared = Arc::new(Shared {
            host: client.host().clone(),
            state: WatchSender::new(SessionState::Connecting),
            end: Mutex::new(None),
        });
        let keeper = Keeper { client: client.clone(), shared: shared.clone() };
        let task = client.host().spawn(keeper.run());
        Session { client: client.clone(), shared, task }
    }

    /// Gives the lease up and takes no other. Ready when the server knows; where it gives no answer, the lease runs
    /// out.
    pub async fn close(&self) {
        self.task.cancel();
        let lease = self.state().lease();
        *self.shared.lock() = None;
        self.shared.state.set(SessionState::Connecting);
        if let Some(lease) = lease {
            self.shared.host.announce(&CoordinationEvent::SessionLost { lease });
            let _ = self.client.revoke_lease(lease).await;
        }
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.shared.look()
    }

    /// Follows the state; states in between may be missed, but a lost lease never comes back.
    pub fn observe(&self) -> WatchReceiver<SessionState> {
        self.shared.state.observe()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.cancel();
    }
}

struct Keeper {
    client: Arc<dyn Coordination>,
    shared: Arc<Shared>,
}

impl Keeper {
    fn host(&self) -> &Host {
        self.client.host()
    }

    async fn run(self) {
        loop {
            let (lease, lives, since) = self.obtain().await;
            self.host().announce(&CoordinationEvent::SessionConnected { lease });
            *self.shared.lock() = Some(since + lives);
            self.shared.state.set(SessionState::Connected(lease));
            self.keep(lease, lives, since).await;
            self.host().announce(&CoordinationEvent::SessionLost { lease });
            *self.shared.lock() = None;
            self.shared.state.set(SessionState::Connecting);
            // The server may still hold it, and its keys would be in our own way.
            let _ = self.client.revoke_lease(lease).await;
        }
    }

    /// A new lease, how long it lives, and a moment before its time began.
    async fn obtain(&self) -> (LeaseId, Duration, Instant) {
        let timeout = self.client.session_timeout();
        loop {
            let asked = self.host().now();
            match self.client.grant_lease(timeout).await {
                Ok(lease) => {
                    // The service may grant less than was asked for.
                    let lives = timeout.min(lease.ttl());
                    if self.host().now() < asked + lives {
                        return (lease.id, lives, asked);
                    }
                }
                Err(_) => self.host().sleep(self.client.retry_delay()).await,
            }
        }
    }

    /// Keeps the lease alive until it is lost. The time is counted from when a keep-alive that
    /// was answered had been *sent*, so that this side never believes in it longer than the server
    /// by equal clocks.
    async fn keep(&self, lease: LeaseId, lives: Duration, mut alive_since: Instant) {
        let mut suspended = false;
        loop {
            let end = alive_since + lives;
            let next = match suspended {
                true => self.host().now() + self.client.retry_delay(),
                false => alive_since + lives / 3,
            };
            self.host().sleep_until(next.min(end)).await;
            let sent = self.host().now();
            let answer = match sent < end {
                true => {
                    let beat = self.client.keep_alive(lease);
                    self.host().timeout((end - sent).min(lives / 3), beat).await
                }
                false => Err(crate::host::Elapsed),
            };
            let refused = matches!(answer, Ok(Err(CoordinationError::Refused(_))));
            let is_kept = matches!(answer, Ok(Ok(())));
            let is_unanswered = !is_kept && !refused && sent < end;
            if is_kept || is_unanswered && self.host().sabotaged(sabotage::UNANSWERED_LEASE_KEPT) {
                alive_since = sent;
            }
            let told_lost = self.shared.lock().is_none();
            let is_over = refused || told_lost || self.host().now() >= alive_since + lives;
            let is_missed = !is_over && alive_since != sent;
            if is_over || is_missed && self.host().sabotaged(sabotage::SUSPENSION_TAKEN_FOR_LOSS) {
                if told_lost || self.shared.heeds_loss() {
                    return;
                }
                alive_since = self.host().now();
            } else if suspended && alive_since == sent {
                suspended = false;
                self.host().announce(&CoordinationEvent::SessionReconnected { lease });
            } else if !suspended && alive_since != sent {
                suspended = true;
                self.host().announce(&CoordinationEvent::SessionSuspended { lease });
            }
            let state = match suspended {
                true => SessionState::Suspended(lease),
                false => SessionState::Connected(lease),
            };
            self.shared.go_on(state, alive_since + lives);
        }
    }
}
