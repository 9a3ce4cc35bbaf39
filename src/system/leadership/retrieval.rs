//! Following who leads a component.

use super::{LeaderInformation, LeadershipEvent, leader_key};
use crate::{
    host::Task,
    system::{
        sabotage,
        service::coordination::{Coordination, CoordinationError, KeyPattern, Update, Watch},
    },
};
use std::sync::{Arc, Mutex};

/// Is told who leads. The calls come under the service's lock: they must return at once and hop
/// onto a main thread of their own.
pub trait LeaderRetrievalListener: Send + Sync + 'static {
    /// The leader has changed; `None` when it is unknown.
    fn notify_leader(&self, leader: Option<LeaderInformation>);
}

struct State {
    running: bool,
    notified: Option<LeaderInformation>,
}

struct Shared {
    /// Tells it from others of its process.
    service: u64,
    component: String,
    client: Arc<dyn Coordination>,
    listener: Arc<dyn LeaderRetrievalListener>,
    state: Mutex<State>,
}

/// Tells a listener of each change of a component's leader, and of nothing else.
///
/// A leader stays known without contact to the coordination service for as long as a session would
/// live; then it is unknown until the contact is back.
pub struct LeaderRetrievalService {
    shared: Arc<Shared>,
    task: Task,
}

impl LeaderRetrievalService {
    /// Begins to follow the component's leader.
    pub fn start(
        component: &str,
        client: &Arc<dyn Coordination>,
        listener: Arc<dyn LeaderRetrievalListener>,
    ) -> Self {
        let shared = Arc::new(Shared {
            service: client.host().random_u64(),
            component: component.to_string(),
            client: client.clone(),
            listener,
            state: Mutex::new(State { running: true, notified: None }),
        });
        let task = client.host().spawn(follow(shared.clone()));
        LeaderRetrievalService { shared, task }
    }

    /// Ends it; the listener is never called again.
    pub fn stop(&self) {
        let mut state = self.shared.state.lock().expect("no panic under this lock");
        if state.running {
            state.running = false;
            self.task.cancel();
            let component = self.shared.component.clone();
            let stopped =
                LeadershipEvent::RetrievalStopped { component, service: self.shared.service };
            self.shared.client.host().announce(&stopped);
        }
    }
}

impl Drop for LeaderRetrievalService {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn notify(&self, leader: Option<LeaderInformation>) {
        let mut state = self.state.lock().expect("no panic under this lock");
        let is_known = state.notified == leader
            && !(leader.is_some() && self.client.host().sabotaged(sabotage::LEADER_TOLD_AGAIN));
        if !state.running || is_known {
            return;
        }
        state.notified.clone_from(&leader);
        let component = self.component.clone();
        let event = LeadershipEvent::LeaderNotified {
            component,
            service: self.service,
            leader: leader.clone(),
        };
        self.client.host().announce(&event);
        self.listener.notify_leader(leader);
    }

    fn take(&self, update: &Update) {
        let found = update.keys.first();
        match found.map(|found| postcard::from_bytes(&found.value)) {
            Some(Ok(leader)) => self.notify(Some(leader)),
            Some(Err(error)) => {
                let component = &self.component;
                tracing::error!(%error, component, "a leader record cannot be read");
            }
            None if update.whole || !update.removed.is_empty() => self.notify(None),
            None => {}
        }
    }
}

async fn follow(shared: Arc<Shared>) {
    let host = shared.client.host().clone();
    let watch_leader =
        || Watch::new(&shared.client, KeyPattern::Exact(leader_key(&shared.component)));
    let mut watch = watch_leader();
    let mut contact = host.now();
    loop {
        match watch.next_within_contact().await {
            Ok(update) => {
                contact = host.now();
                if let Some(update) = update {
                    shared.take(&update);
                }
            }
            Err(error) => {
                // A refusal is an answer: who gave it is there.
                if matches!(error, CoordinationError::Refused(_)) {
                    contact = host.now();
                }
                if host.now() >= contact + shared.client.session_timeout() {
                    shared.notify(None);
                    // What is read on reconnection is told even if it is the same leader.
                    watch = watch_leader();
                }
                watch.back_off().await;
            }
        }
    }
}
