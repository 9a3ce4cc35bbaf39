//! Runs one job's masters in this process, one per term of the job's election.

use crate::system::{
    graph::JobGraph,
    ids::JobId,
    job_manager::job_master::{
        Checkpoints, JobEnd, JobMaster, JobMasterServices, recover_checkpoints,
    },
    leadership::{
        CoordinationElectionDriver, EndpointTerms, LeaderRunner, LeaderSession, Recovered,
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
use std::sync::{Arc, Mutex};

type Shared<T> = Arc<Mutex<Option<T>>>;

/// The runner of one job.
pub(super) struct JobRunner {
    leader: LeaderRunner,
    /// The master of the present term, while there is one.
    master: Shared<JobMasterGateway>,
}

impl JobRunner {
    /// Begins to compete for the job. The receiver is told what becomes of it, once.
    pub fn start(
        service: &RpcService,
        services: &JobMasterServices,
        session: &Arc<Session>,
        job: JobGraph,
    ) -> (Self, oneshot::Receiver<JobEnd>) {
        let (result, ended) = oneshot::channel();
        let result: Shared<oneshot::Sender<JobEnd>> = Arc::new(Mutex::new(Some(result)));
        let component = job_component(job.id);
        let id = job.id;
        let recover = recovery(services.clone(), Arc::new(job), result);
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
        (JobRunner { leader, master }, ended)
    }

    /// The master of the present term, while there is one.
    pub fn master(&self) -> Option<JobMasterGateway> {
        self.master.lock().expect("no panic under this lock").clone()
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
    result: Shared<oneshot::Sender<JobEnd>>,
) -> crate::system::leadership::RecoverEndpoint<JobMaster> {
    Box::new(move |term: LeaderSession| {
        let (services, job, result) = (services.clone(), job.clone(), result.clone());
        async move {
            let (ended, end) = oneshot::channel();
            let host = services.coordination.host().clone();
            let (checkpoints, canceled) = checkpoints(&services, &term, job.id).await?;
            let master = JobMaster::new(services, term, job, checkpoints, canceled, ended);
            host.spawn(async move {
                // A master whose term ends first reports nothing.
                let Ok(end) = end.await else { return };
                let waiting = result.lock().expect("no panic under this lock").take();
                if let Some(waiting) = waiting {
                    let _ = waiting.send(end);
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
    job: JobId,
) -> Result<(Checkpoints, bool), String> {
    let client = &services.coordination;
    let store = CompletedCheckpointStore::new(client, term, job);
    // What was recorded before the term began must be seen, and by the watch may be seen too late.
    if cancellation_requested(&**client, job).await {
        return Ok((Checkpoints::default(), true));
    }
    let recovery = recover_checkpoints(&store, &*services.objects).boxed();
    match select(until_canceled(client, job).boxed(), recovery).await {
        Either::Left(_) => Ok((Checkpoints::default(), true)),
        Either::Right((recovered, _)) => {
            recovered.map(|found| (found, false)).map_err(|error| format!("{job:?}: {error}"))
        }
    }
}
