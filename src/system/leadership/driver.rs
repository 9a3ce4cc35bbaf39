//! The driver of an election on the coordination service.

use super::{
    LeaderInformation, LeaderSession, LeaderSessionId, election_keys, epoch_key, latch_key,
    leader_key,
};
use crate::{
    host::{Host, Task},
    system::{
        sabotage,
        service::coordination::{
            Change, Compare, Coordination, CoordinationError, KeyValue, LeaseId, Revision, Session,
            SessionState, Transaction, Update, Watch,
        },
        watch::WatchSender,
    },
};
use futures::{FutureExt, future::BoxFuture};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// What a driver tells its election service. Calls never block.
pub trait ElectionEvents: Send + Sync {
    /// The backend made this contender the leader, in a term never named before.
    fn on_grant_leadership(&self, session: LeaderSessionId);
    /// The backend has another leader, or none that is known.
    fn on_revoke_leadership(&self);
    /// The backend failed for good.
    fn on_error(&self, error: String);
}

/// Knows the backend of an election.
pub trait LeaderElectionDriver: Send + Sync {
    /// Whether the backend, as far as is known here, has this contender as its leader.
    fn has_leadership(&self) -> bool;
    /// What the leader record should say: written, and written again whenever it says something
    /// else, as long as the backend has this contender as its leader.
    fn publish(&self, leader: LeaderInformation);
    /// Ends the driver and gives the leadership up.
    fn close(&self) -> BoxFuture<'static, ()>;
}

/// The term that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    session: LeaderSessionId,
    lease: LeaseId,
}

/// An attempt at the latch whose outcome may be unknown. It can succeed only while nothing has written
/// or removed the epoch after the revision that it names, so it succeeds once at most, however late
/// it arrives, and never once the component was cleaned up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    held: Held,
    since: Revision,
}

struct Shared {
    session: Arc<Session>,
    held: Mutex<Option<Held>>,
    /// The attempt at the latch whose outcome is not known yet.
    attempt: Mutex<Option<Attempt>>,
    /// What the leader record should say.
    wanted: WatchSender<Option<LeaderInformation>>,
}

impl Shared {
    fn held(&self) -> Option<Held> {
        *self.held.lock().expect("no panic under this lock")
    }

    fn attempt(&self) -> Option<Attempt> {
        *self.attempt.lock().expect("no panic under this lock")
    }

    fn set_attempt(&self, attempt: Option<Attempt>) {
        *self.attempt.lock().expect("no panic under this lock") = attempt;
    }
}

/// Elects through a latch that goes with the lease of the process's session. Losing contact is
/// tolerated for as long as the lease may live.
pub struct CoordinationElectionDriver {
    component: String,
    client: Arc<dyn Coordination>,
    shared: Arc<Shared>,
    task: Task,
}

impl CoordinationElectionDriver {
    /// Begins to compete for the component's latch.
    pub fn start(
        component: &str,
        client: &Arc<dyn Coordination>,
        session: &Arc<Session>,
        events: Arc<dyn ElectionEvents>,
    ) -> Arc<dyn LeaderElectionDriver> {
        Self::start_while(Vec::new(), component, client, session, events)
    }

    /// The same; the latch is taken only while these conditions hold.
    pub fn start_while(
        conditions: Vec<Compare>,
        component: &str,
        client: &Arc<dyn Coordination>,
        session: &Arc<Session>,
        events: Arc<dyn ElectionEvents>,
    ) -> Arc<dyn LeaderElectionDriver> {
        let shared = Arc::new(Shared {
            session: session.clone(),
            held: Mutex::new(None),
            attempt: Mutex::new(None),
            wanted: WatchSender::new(None),
        });
        let runner = Competition {
            component: component.to_string(),
            client: client.clone(),
            shared: shared.clone(),
            conditions,
            events,
            keys: None,
            known: Revision::default(),
        };
        let task = client.host().spawn(runner.run());
        let component = component.to_string();
        Arc::new(CoordinationElectionDriver { component, client: client.clone(), shared, task })
    }
}

impl LeaderElectionDriver for CoordinationElectionDriver {
    fn has_leadership(&self) -> bool {
        let held = self.shared.held();
        held.is_some_and(|held| self.shared.session.state().lease() == Some(held.lease))
    }

    fn publish(&self, leader: LeaderInformation) {
        self.shared.wanted.set(Some(leader));
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        self.task.cancel();
        let held = self.shared.held.lock().expect("no panic under this lock").take();
        let attempt = self.shared.attempt();
        let resignation = Resignation {
            component: self.component.clone(),
            client: self.client.clone(),
            session: self.shared.session.clone(),
        };
        async move {
            if let Some(attempt) = attempt {
                resignation.withdraw(attempt).await;
            }
            if let Some(held) = held {
                resignation.resign(held).await;
            }
        }
        .boxed()
    }
}

/// Gives up what a driver holds. The process and its lease may live on, so nobody else would.
struct Resignation {
    component: String,
    client: Arc<dyn Coordination>,
    session: Arc<Session>,
}

impl Resignation {
    /// The end of the lease does the same.
    fn is_needed(&self, held: Held) -> bool {
        self.session.state().lease() == Some(held.lease)
    }

    /// Removes the latch, if it is that of this term.
    async fn resign(&self, held: Held) {
        let term = LeaderSession { component: self.component.clone(), session: held.session };
        let resign = Transaction::new()
            .when(term.guard())
            .then(Change::Delete { key: leader_key(&self.component) })
            .then(Change::Delete { key: latch_key(&self.component) });
        while self.is_needed(held) {
            match self.client.transact(resign.clone()).await {
                Ok(_) | Err(CoordinationError::Refused(_)) => return,
                Err(_) => self.back_off().await,
            }
        }
    }

    /// Sees to it that an attempt that may still arrive comes to nothing.
    async fn withdraw(&self, attempt: Attempt) {
        let epoch = epoch_key(&self.component);
        // Written and removed at once: that passes the epoch and leaves nothing of a component that
        // was cleaned up before the attempt began.
        let pass = Transaction::new()
            .when(Compare::Unchanged { key: epoch.clone(), since: attempt.since })
            .put(epoch.clone(), attempt.held.session.to_bytes())
            .then(Change::Delete { key: epoch });
        while self.is_needed(attempt.held) {
            match self.client.transact(pass.clone()).await {
                // The epoch has passed: the attempt has succeeded, or never will.
                Ok(_) => return self.resign(attempt.held).await,
                Err(CoordinationError::Refused(refusal)) if refusal.is_lasting() => {
                    return self.resign(attempt.held).await;
                }
                Err(_) => self.back_off().await,
            }
        }
    }

    async fn back_off(&self) {
        self.client.host().sleep(self.client.retry_delay()).await;
    }
}

/// What wakes the competition.
enum Wake {
    Session,
    Wanted,
    Keys(Result<Update, CoordinationError>),
}

struct Competition {
    component: String,
    client: Arc<dyn Coordination>,
    shared: Arc<Shared>,
    /// What must hold, beside a free latch, for the latch to be taken.
    conditions: Vec<Compare>,
    events: Arc<dyn ElectionEvents>,
    /// The component's election keys; `None` before they were first seen.
    keys: Option<BTreeMap<String, KeyValue>>,
    /// The revision at which `keys` was true.
    known: Revision,
}

impl Competition {
    fn host(&self) -> &Host {
        self.client.host()
    }

    async fn run(mut self) {
        let mut session = self.shared.session.observe();
        let mut wanted = self.shared.wanted.observe();
        let mut watch = Watch::new(&self.client, election_keys(&self.component));
        let mut next_keys = next_update(watch);
        loop {
            let wake = futures::select_biased! {
                _ = session.changed().fuse() => Wake::Session,
                _ = wanted.changed().fuse() => Wake::Wanted,
                (update, returned) = next_keys => {
                    watch = returned;
                    next_keys = next_update(watch);
                    Wake::Keys(update)
                }
            };
            if let Wake::Keys(Ok(update)) = wake {
                self.take(update);
            }
            while self.step().await {}
        }
    }

    fn take(&mut self, update: Update) {
        if self.keys.is_some() && update.revision <= self.known {
            return;
        }
        self.known = update.revision;
        let keys = self.keys.get_or_insert_default();
        if update.whole {
            keys.clear();
        }
        for found in update.keys {
            keys.insert(found.key.clone(), found);
        }
        for key in update.removed {
            keys.remove(&key);
        }
    }

    fn key(&self, key: &str) -> Option<&KeyValue> {
        self.keys.as_ref()?.get(key)
    }

    fn latch(&self) -> Option<&KeyValue> {
        self.key(&latch_key(&self.component))
    }

    fn latch_is(&self, held: Held) -> bool {
        self.latch().is_some_and(|latch| latch.value == held.session.to_bytes())
    }

    /// Does what the newest knowledge asks for; true when there may be more to do at once.
    async fn step(&mut self) -> bool {
        let state = self.shared.session.state();
        match self.shared.held() {
            Some(held) if state.lease() != Some(held.lease) || !self.latch_is(held) => {
                self.give_up();
            }
            Some(held) => return self.lead(held).await,
            None => {}
        }
        match state {
            SessionState::Connected(lease) => self.compete(lease).await,
            SessionState::Connecting | SessionState::Suspended(_) => false,
        }
    }

    fn give_up(&mut self) {
        if self.host().sabotaged(sabotage::RECORD_ERASED_AT_A_REVOKE) {
            self.erase_record();
        }
        *self.shared.held.lock().expect("no panic under this lock") = None;
        self.shared.wanted.set(None);
        self.events.on_revoke_leadership();
    }

    /// Removes the leader record, whoever stands in it.
    fn erase_record(&self) {
        let (client, key) = (self.client.clone(), leader_key(&self.component));
        let erase = Transaction::new().then(Change::Delete { key });
        self.host().spawn(async move {
            while client.transact(erase.clone()).await.is_err() {
                client.host().sleep(client.retry_delay()).await;
            }
        });
    }

    fn won(&mut self, held: Held) {
        self.shared.set_attempt(None);
        *self.shared.held.lock().expect("no panic under this lock") = Some(held);
        self.events.on_grant_leadership(held.session);
    }

    /// Makes the leader record say what it should.
    async fn lead(&mut self, held: Held) -> bool {
        let Some(wanted) = self.shared.wanted.get() else { return false };
        let value = postcard::to_allocvec(&wanted).expect("leader information can be encoded");
        let record = leader_key(&self.component);
        if self.key(&record).is_some_and(|found| found.value == value)
            && !self.host().sabotaged(sabotage::RECORD_WRITTEN_FOR_EVER)
        {
            return false;
        }
        let component = self.component.clone();
        let guarded = match self.host().sabotaged(sabotage::RECORD_WRITTEN_UNGUARDED) {
            true => Transaction::new(),
            false => {
                Transaction::new().when(LeaderSession { component, session: held.session }.guard())
            }
        };
        let write = guarded.put_ephemeral(record, value, held.lease);
        // Whatever it came to shows in what is read then.
        let written = self.client.transact(write).await;
        let refused = matches!(written, Err(CoordinationError::Refused(_)));
        if self.read_again().await && refused && self.latch_is(held) {
            // There is no room, and will not be at once.
            self.back_off().await;
        }
        true
    }

    async fn compete(&mut self, lease: LeaseId) -> bool {
        if self.keys.is_none() {
            return false;
        }
        if let Some(Attempt { held, .. }) = self.shared.attempt()
            && held.lease == lease
            && self.latch_is(held)
        {
            self.won(held);
            return true;
        }
        if self.latch().is_some() {
            return false;
        }
        let usable = |attempt: &Attempt| attempt.held.lease == lease;
        let attempt = self.shared.attempt().filter(usable).unwrap_or_else(|| {
            let before = self.key(&epoch_key(&self.component));
            let before = before.and_then(|found| LeaderSessionId::from_bytes(&found.value));
            let session = match before {
                Some(before) if self.host().sabotaged(sabotage::TERM_ID_REUSED) => before,
                _ => LeaderSessionId(self.host().random_u128()),
            };
            Attempt { held: Held { session, lease }, since: self.known }
        });
        self.shared.set_attempt(Some(attempt));
        let latch = latch_key(&self.component);
        let free = Transaction::new()
            .when(Compare::Absent { key: latch.clone() })
            .when(Compare::Unchanged { key: epoch_key(&self.component), since: attempt.since });
        let take = (self.conditions.iter().cloned())
            .fold(free, Transaction::when)
            .put_ephemeral(latch, attempt.held.session.to_bytes(), lease)
            .put(epoch_key(&self.component), attempt.held.session.to_bytes());
        // Whatever it came to shows in what is read then.
        let taken = self.client.transact(take).await;
        let lasting = match &taken {
            Err(CoordinationError::Refused(refusal)) => Some(refusal.is_lasting()),
            _ => None,
        };
        // Refused once, it is refused for ever; an earlier try of it may have succeeded.
        if self.read_again().await && !self.latch_is(attempt.held) {
            if lasting == Some(true) {
                self.shared.set_attempt(None);
            }
            if lasting.is_some() && self.latch().is_none() {
                // Something else must hold, or there must be room, and will not at once.
                self.back_off().await;
            }
        }
        true
    }

    async fn back_off(&self) {
        self.host().sleep(self.client.retry_delay()).await;
    }

    /// Reads the keys; the watch tells of changes only, and we must not wait for one. Says whether the
    /// service answered.
    async fn read_again(&mut self) -> bool {
        match self.client.read(&election_keys(&self.component)).await {
            Ok(range) => {
                let keys = range.keys.into_iter().map(|found| (found.key.clone(), found));
                self.keys = Some(keys.collect());
                self.known = range.revision;
                true
            }
            Err(_) => {
                self.back_off().await;
                false
            }
        }
    }
}

type NextUpdate =
    futures::future::Fuse<BoxFuture<'static, (Result<Update, CoordinationError>, Watch)>>;

/// Owns the watch while it waits, so that a wake by something else does not restart the wait.
fn next_update(mut watch: Watch) -> NextUpdate {
    async move {
        let update = watch.next().await;
        if update.is_err() {
            watch.back_off().await;
        }
        (update, watch)
    }
    .boxed()
    .fuse()
}
