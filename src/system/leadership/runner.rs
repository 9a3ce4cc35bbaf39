//! One process per term: started when a term is granted and the former one's process has ended
//! wholly, confirmed when it is ready, stopped when the term is over.

use super::{
    LeaderAddress, LeaderContender, LeaderElectionDriver, LeaderElectionService, LeaderSessionId,
    LeadershipEvent, driver::ElectionEvents,
};
use crate::{
    host::Host,
    system::{sabotage, watch::WatchSender},
};
use futures::{
    FutureExt,
    future::{BoxFuture, Either, pending, select},
};
use std::{convert::Infallible, sync::Arc, time::Duration};

/// How long the end of a term's process takes that nobody waits for.
const SLOW_STOP: Duration = Duration::from_secs(3);

/// What does a leader's work during one term.
pub trait LeaderProcess: Send {
    /// Ends it. Ready when nothing of it runs any more.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
}

/// The process of a term that has begun. An error of it is fatal for the node, as long as the term holds.
pub struct BegunProcess {
    /// The process.
    pub process: Box<dyn LeaderProcess>,
    /// Ready when it serves at the address, or can't; it stays pending when stopped before.
    pub ready: BoxFuture<'static, Result<LeaderAddress, String>>,
    /// Ready, with the reason, when it has ended though nobody stopped it.
    pub failed: BoxFuture<'static, String>,
}

/// Makes the processes of a contender.
pub trait LeaderProcessFactory: Send + Sync + 'static {
    /// Begins the process of a term.
    fn start(&self, session: LeaderSessionId) -> BegunProcess;
}

/// Runs a contender's processes one after the other.
pub struct LeaderRunner {
    election: LeaderElectionService,
    wanted: Arc<WatchSender<Wanted>>,
    ended: Arc<WatchSender<bool>>,
}

/// What should run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Nothing,
    Term(LeaderSessionId),
    /// Nothing, and the runner's task should end.
    End,
}

struct Contender {
    host: Host,
    wanted: Arc<WatchSender<Wanted>>,
}

impl LeaderContender for Contender {
    fn grant_leadership(&self, session: LeaderSessionId) {
        self.wanted.set(Wanted::Term(session));
    }

    fn revoke_leadership(&self) {
        self.wanted.set(Wanted::Nothing);
    }

    fn handle_error(&self, error: String) {
        self.host.exit(&error);
    }
}

impl LeaderRunner {
    /// Starts the component's election with a process per term.
    pub fn start(
        host: &Host,
        component: &str,
        factory: Arc<dyn LeaderProcessFactory>,
        make_driver: impl FnOnce(Arc<dyn ElectionEvents>) -> Arc<dyn LeaderElectionDriver>,
    ) -> Self {
        let wanted = Arc::new(WatchSender::new(Wanted::Nothing));
        let ended = Arc::new(WatchSender::new(false));
        let contender = Contender { host: host.clone(), wanted: wanted.clone() };
        let election =
            LeaderElectionService::start(host, component, Arc::new(contender), make_driver);
        let runner = Runner {
            host: host.clone(),
            component: component.to_string(),
            factory,
            election: election.clone(),
        };
        host.spawn(runner.run(wanted.clone(), ended.clone()));
        LeaderRunner { election, wanted, ended }
    }

    /// The election under it.
    pub fn election(&self) -> &LeaderElectionService {
        &self.election
    }

    /// Ends the election and the process. Ready when nothing of it runs any more.
    pub async fn stop(&self) {
        self.election.stop().await;
        self.wanted.set(Wanted::End);
        let mut ended = self.ended.observe();
        while !ended.changed().await {}
    }
}

struct Runner {
    host: Host,
    component: String,
    factory: Arc<dyn LeaderProcessFactory>,
    election: LeaderElectionService,
}

impl Runner {
    async fn run(self, wanted: Arc<WatchSender<Wanted>>, ended: Arc<WatchSender<bool>>) {
        let mut observed = wanted.observe();
        let mut running: Option<(LeaderSessionId, Box<dyn LeaderProcess>)> = None;
        loop {
            let now_wanted = observed.changed().await;
            if let Some((session, process)) = running.take() {
                if now_wanted == Wanted::Term(session) {
                    running = Some((session, process));
                    continue;
                }
                let ended = self.end(session, process);
                if now_wanted != Wanted::End && self.host.sabotaged(sabotage::TERMS_OVERLAP) {
                    let host = self.host.clone();
                    self.host.spawn(async move {
                        host.sleep(SLOW_STOP).await;
                        ended.await;
                    });
                } else {
                    ended.await;
                }
            }
            // While the process ended, another change may have come.
            match wanted.get() {
                Wanted::Term(session) => running = Some((session, self.begin(session))),
                Wanted::Nothing => {}
                Wanted::End => return ended.set(true),
            }
        }
    }

    /// Ends the process of a term. Ready when nothing of it runs any more.
    fn end(
        &self,
        session: LeaderSessionId,
        process: Box<dyn LeaderProcess>,
    ) -> BoxFuture<'static, ()> {
        let (host, component) = (self.host.clone(), self.component.clone());
        let stop = process.stop();
        async move {
            stop.await;
            host.announce(&LeadershipEvent::ProcessTerminated { component, session });
        }
        .boxed()
    }

    fn begin(&self, session: LeaderSessionId) -> Box<dyn LeaderProcess> {
        let component = self.component.clone();
        self.host.announce(&LeadershipEvent::ProcessStarted { component, session });
        let BegunProcess { process, ready, failed } = self.factory.start(session);
        let (host, election) = (self.host.clone(), self.election.clone());
        let confirm = async move {
            let address = ready.await?;
            // Whether the term still holds is for the election to say.
            election.confirm_leadership(session, address);
            pending().await
        };
        let election = self.election.clone();
        self.host.spawn(async move {
            let error = match select(confirm.boxed(), failed).await {
                Either::Left((Err::<Infallible, String>(error), _)) => error,
                Either::Left((Ok(never), _)) => match never {},
                Either::Right((error, _)) => error,
            };
            // What goes wrong with a term that is over is nothing to end the process for: another one leads.
            match election.has_leadership(session) {
                true => host.exit(&error),
                false => {
                    tracing::warn!(error, ?session, "the process of a term that is over failed")
                }
            }
        });
        process
    }
}
