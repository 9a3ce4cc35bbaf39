//! Runs one job's masters in this process, one per term of the job's election.

use crate::system::{
    graph::JobGraph,
    job_manager::job_master::{
        Checkpoints, JobEnd, JobMaster, JobMasterServices, Recovery, RecoveryTrouble,
        recover_checkpoints,
    },
    leadership::{
        CoordinationElectionDriver, EndpointTerms, LeaderElectionService, LeaderRunner,
        LeaderSession, LeaderSessionId, Recovered,
    },
    protocol::{JobMasterGateway, job_component},
    rpc::RpcService,
    service::coordination::{Compare, Session},
    store::{CompletedCheckpointStore, cancellation_requested, result_key, until_canceled},
};
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, select},
};
use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

/// The pause before checkpoints are read again that can't be read, doubled each time.
const RECOVERY_PAUSE: Duration = Duration::from_secs(1);
const RECOVERY_PAUSE_MAX: Duration = Duration::from_secs(60);

type Shared<T> = Arc<Mutex<Option<T>>>;

/// Hands the end of a job on: once, and from the master of the present term alone. What one of a former term says
/// may long be otherwise.
struct EndReport {
    waiting: Mutex<Option<oneshot::Sender<JobEnd>>>,
    election: OnceLock<LeaderElectionService>,
}

impl EndReport {
    fn new() -> (Arc<Self>, oneshot::Receiver<JobEnd>) {
        let (waiting, ended) = oneshot::channel();
        let waiting = Mutex::new(Some(waiting));
        (Arc::new(EndReport { waiting, election: OnceLock::new() }), ended)
    }

    /// Who knows which term holds.
    fn judged_by(&self, election: &LeaderElectionService) {
        let first = self.election.set(election.clone());
        assert!(first.is_ok(), "a job has one election here");
    }

    fn tell(&self, session: LeaderSessionId, end: JobEnd) {
        if !self.election.get().is_some_and(|election| election.has_leadership(session)) {
            return tracing::debug!(?session, "the end that a former master told is ignored");
        }
        if let Some(waiting) = self.waiting.lock().expect("no panic under this lock").take() {
            // The dispatcher's term may be over.
            let _ = waiting.send(end);
        }
    }
}

/// The runner of one job.
pub(super) struct JobRunner {
    leader: LeaderRunner,
    /// The master of the present term, while there is one.
    master: Shared<JobMasterGateway>,
    /// Why there is none, where it can't go on.
    trouble: RecoveryTrouble,
    job: Arc<JobGraph>,
}

impl JobRunner {
    /// Begins to compete for the job. The receiver is told what becomes of it, once.
    pub fn start(
        service: &RpcService,
        services: &JobMasterServices,
        session: &Arc<Session>,
        job: JobGraph,
    ) -> (Self, oneshot::Receiver<JobEnd>) {
        let (report, ended) = EndReport::new();
        let component = job_component(job.id);
        let id = job.id;
        let (trouble, job) = (RecoveryTrouble::default(), Arc::new(job));
        let recover = recovery(services.clone(), job.clone(), report.clone(), trouble.clone());
        let master: Shared<JobMasterGateway> = Arc::default();
        let slot = master.clone();
        let terms = EndpointTerms::new(service, &component, recover).watched(move |server| {
            let gateway = server.map(|server| server.self_gateway());
            *slot.lock().expect("no panic under this lock") = gateway;
        });
        let leader = LeaderRunner::start(service.host(), &component, Arc::new(terms), |events| {
            // A job that has ended has no master ever again.
            let conditions = vec![Compare::Absent { key: result_key(id) }];
            let client = &services.coordination;
            CoordinationElectionDriver::start_while(conditions, &component, client, session, events)
        });
        report.judged_by(leader.election());
        (JobRunner { leader, master, trouble, job }, ended)
    }

    /// The master of the present term, while there is one.
    pub fn master(&self) -> Option<JobMasterGateway> {
        self.master.lock().expect("no panic under this lock").clone()
    }

    /// Why the job has no master: what is kept of it can't be read, or a service gives no answer.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.told()
    }

    /// Why the job does not go on before somebody does something about it, if that is so.
    pub fn refusal(&self) -> Option<String> {
        self.trouble.refusal()
    }

    /// The job.
    pub fn job(&self) -> &Arc<JobGraph> {
        &self.job
    }

    /// Ends the master and its election. The job goes on elsewhere, unless it has ended.
    pub async fn stop(&self) {
        self.leader.stop().await;
    }
}

/// Reads the job's checkpoints in each term, and makes its master.
fn recovery(
    services: JobMasterServices,
    job: Arc<JobGraph>,
    report: Arc<EndReport>,
    trouble: RecoveryTrouble,
) -> crate::system::leadership::RecoverEndpoint<JobMaster> {
    Box::new(move |term: LeaderSession| {
        let (services, job, report) = (services.clone(), job.clone(), report.clone());
        let trouble = trouble.clone();
        async move {
            let (ended, end) = oneshot::channel();
            let host = services.coordination.host().clone();
            let (checkpoints, canceled) = checkpoints(&services, &term, &job, &trouble).await;
            let session = term.session;
            let master = JobMaster::new(services, term, job, checkpoints, canceled, ended);
            host.spawn(async move {
                // A master whose term ends first reports nothing.
                if let Ok(end) = end.await {
                    report.tell(session, end);
                }
            });
            Ok(Recovered::serving(master))
        }
        .boxed()
    })
}

/// The checkpoints of a job, and whether a user wants it to end. To end a job none is needed, so what
/// can't be read at the moment holds no cancellation up.
async fn checkpoints(
    services: &JobMasterServices,
    term: &LeaderSession,
    job: &JobGraph,
    trouble: &RecoveryTrouble,
) -> (Checkpoints, bool) {
    let client = &services.coordination;
    let recovery = Recovery::begin(client.host(), job.id, term.session, trouble);
    // What was recorded before the term began must be seen, and by the watch may be seen too late.
    let what = "the coordination service, whether it is to be canceled";
    if recovery.waits_for(what, cancellation_requested(&**client, job.id)).await {
        return (Checkpoints::default(), true);
    }
    let recovered = recovered(services, term, job, &recovery).boxed();
    match select(until_canceled(client, job.id).boxed(), recovered).await {
        Either::Left(_) => (Checkpoints::default(), true),
        Either::Right((recovered, _)) => (recovered, false),
    }
}

/// Reads the checkpoints of a job until that succeeds. What can't be understood is no reason to forget anything, nor
/// to end the process, in which other jobs run: somebody may mend it, or end the job.
async fn recovered(
    services: &JobMasterServices,
    term: &LeaderSession,
    job: &JobGraph,
    recovery: &Recovery<'_>,
) -> Checkpoints {
    let client = &services.coordination;
    let store = CompletedCheckpointStore::new(client, term, job.id);
    let mut pause = RECOVERY_PAUSE;
    loop {
        match recover_checkpoints(recovery, &store, &*services.objects, job).await {
            Ok(checkpoints) => return checkpoints,
            Err(error) => {
                recovery.failed(&error);
                client.host().sleep(pause).await;
                pause = (pause * 2).min(RECOVERY_PAUSE_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests;
