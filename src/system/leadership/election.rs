//! The election service between a contender and the driver that knows the backend.

use super::{
    LeaderAddress, LeaderInformation, LeaderSessionId, LeadershipEvent,
    driver::{ElectionEvents, LeaderElectionDriver},
};
use crate::{
    host::Host,
    system::{sabotage, watch::WatchSender},
};
use std::sync::{Arc, Mutex, MutexGuard};

/// Somebody who would lead. The calls come under the service's lock: they must return at once, hop
/// onto a main thread of their own, and not call back into the service.
pub trait LeaderContender: Send + Sync + 'static {
    /// The contender leads in this term. It confirms when it is ready to serve.
    fn grant_leadership(&self, session: LeaderSessionId);

    /// The contender no longer leads.
    fn revoke_leadership(&self);

    /// The backend failed for good; the process should end.
    fn handle_error(&self, error: String);
}

struct ElectionState {
    running: bool,
    issued: Option<LeaderSessionId>,
    confirmed: Option<LeaderInformation>,
}

struct Shared {
    host: Host,
    component: String,
    contender: Arc<dyn LeaderContender>,
    state: Mutex<ElectionState>,
    /// `None` until the driver is made and after the stop.
    driver: Mutex<Option<Arc<dyn LeaderElectionDriver>>>,
    /// Whether the driver has given everything up.
    closed: WatchSender<bool>,
}

/// Elects one contender's component. Cheap to clone.
#[derive(Clone)]
pub struct LeaderElectionService {
    shared: Arc<Shared>,
}

impl LeaderElectionService {
    /// Starts the election of `contender`. `make_driver` is given the receiver of the driver's
    /// events and may call it at once.
    pub fn start(
        host: &Host,
        component: &str,
        contender: Arc<dyn LeaderContender>,
        make_driver: impl FnOnce(Arc<dyn ElectionEvents>) -> Arc<dyn LeaderElectionDriver>,
    ) -> Self {
        let shared = Arc::new(Shared {
            host: host.clone(),
            component: component.to_string(),
            contender,
            state: Mutex::new(ElectionState { running: true, issued: None, confirmed: None }),
            driver: Mutex::new(None),
            closed: WatchSender::new(false),
        });
        let started = LeadershipEvent::ElectionStarted { component: component.to_string() };
        host.announce(&started);
        let driver = make_driver(shared.clone());
        *shared.lock_driver() = Some(driver);
        LeaderElectionService { shared }
    }

    /// The contender is ready to serve at `address` in this term. Ignored unless the term holds.
    pub fn confirm_leadership(&self, session: LeaderSessionId, address: LeaderAddress) {
        let shared = &self.shared;
        let mut state = shared.lock();
        let holds = state.running && shared.driver_leads() && state.issued == Some(session);
        let sabotaged = || shared.host.sabotaged(sabotage::STALE_CONFIRMATION_ACCEPTED);
        if !(holds || state.running && sabotaged()) {
            let is_stale = state.running && state.issued.is_some_and(|issued| issued != session);
            if is_stale && shared.host.sabotaged(sabotage::STALE_CONFIRMATION_RESETS) {
                state.issued = None;
            }
            if is_stale {
                crate::reachable!(shared.host, "confirmation-of-an-older-term-refused");
            }
            tracing::debug!(component = shared.component, ?session, "a confirmation came too late");
            return;
        }
        let leader = LeaderInformation { session, address };
        state.confirmed = Some(leader.clone());
        let component = shared.component.clone();
        shared.host.announce(&LeadershipEvent::Confirmed { component, leader: leader.clone() });
        if let Some(driver) = shared.driver() {
            driver.publish(leader);
        }
    }

    /// Whether the contender leads in this term, as far as this process can know.
    pub fn has_leadership(&self, session: LeaderSessionId) -> bool {
        let state = self.shared.lock();
        state.running && state.issued == Some(session) && self.shared.driver_leads()
    }

    /// Ends the election. A leading contender is revoked; after that it is never called again. The
    /// driver gives the leadership up, also when nobody waits for that any more. Who stops it again waits for the
    /// same end.
    pub async fn stop(&self) {
        self.begin_stop();
        let mut closed = self.shared.closed.observe();
        while !closed.changed().await {}
    }

    fn begin_stop(&self) {
        let shared = &self.shared;
        {
            let mut state = shared.lock();
            if !state.running {
                return;
            }
            let stays =
                state.issued.is_some() && shared.host.sabotaged(sabotage::STOP_WITHOUT_A_REVOKE);
            if !stays {
                shared.revoke(&mut state);
            }
            state.running = false;
            let component = shared.component.clone();
            shared.host.announce(&LeadershipEvent::ElectionStopped { component });
        }
        // Outside the lock: the driver may be calling back right now.
        let driver = shared.lock_driver().take();
        let (closing, shared) = (driver.map(|driver| driver.close()), shared.clone());
        let host = shared.host.clone();
        host.spawn(async move {
            if let Some(closing) = closing {
                closing.await;
            }
            shared.closed.set(true);
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, ElectionState> {
        self.state.lock().expect("no panic under this lock")
    }

    fn lock_driver(&self) -> MutexGuard<'_, Option<Arc<dyn LeaderElectionDriver>>> {
        self.driver.lock().expect("no panic under this lock")
    }

    fn driver(&self) -> Option<Arc<dyn LeaderElectionDriver>> {
        self.lock_driver().clone()
    }

    fn driver_leads(&self) -> bool {
        self.driver().is_some_and(|driver| driver.has_leadership())
    }

    fn revoke(&self, state: &mut ElectionState) {
        state.confirmed = None;
        if let Some(session) = state.issued.take() {
            let component = self.component.clone();
            self.host.announce(&LeadershipEvent::Revoked { component, session });
            self.contender.revoke_leadership();
        }
    }

    /// Tells the contender in a moment, when it may have stopped.
    fn revoke_later(&self, session: LeaderSessionId) {
        let (host, component) = (self.host.clone(), self.component.clone());
        let contender = self.contender.clone();
        self.host.spawn(async move {
            host.announce(&LeadershipEvent::Revoked { component, session });
            contender.revoke_leadership();
        });
    }
}

impl ElectionEvents for Shared {
    fn on_grant_leadership(&self, session: LeaderSessionId) {
        let mut state = self.lock();
        if !state.running {
            return;
        }
        assert!(state.issued.is_none(), "the driver revokes before it grants again");
        state.issued = Some(session);
        state.confirmed = None;
        let component = self.component.clone();
        self.host.announce(&LeadershipEvent::Granted { component, session });
        self.contender.grant_leadership(session);
    }

    fn on_revoke_leadership(&self) {
        let mut state = self.lock();
        let unlocked = state.running
            && state.issued.is_some()
            && self.host.sabotaged(sabotage::CONTENDER_CALLED_UNLOCKED);
        match state.issued {
            Some(session) if unlocked => {
                (state.issued, state.confirmed) = (None, None);
                self.revoke_later(session);
            }
            _ if state.running => self.revoke(&mut state),
            _ => {}
        }
    }

    fn on_error(&self, error: String) {
        if self.lock().running {
            self.contender.handle_error(error);
        }
    }
}
