//! A savepoint of a job that can't go on: a checkpoint that is whole is copied for its user. Nothing of the job changes.

use super::{Dispatcher, runner::JobRunner};
use crate::system::{
    graph::JobGraph,
    ids::{CheckpointId, JobId},
    job_manager::{event::JobEvent, job_master::read_for_savepoint},
    leadership::LeaderSessionId,
    protocol::{AfterSavepoint, JobRefusal, SavepointRequest, SavepointStatus},
    rpc::{Context, Reply, RpcError},
    savepoint::{self, Savepoint},
    service::object_store::ObjectStore,
};
use std::sync::Arc;

impl Dispatcher {
    /// Copies a checkpoint of a job that has no master; who asks again while that is under way is told so.
    pub(super) fn copy_checkpoint(
        &mut self,
        context: &mut Context<Self>,
        id: CheckpointId,
        runner: &Arc<JobRunner>,
        request: SavepointRequest,
        reply: Reply<Result<SavepointStatus, JobRefusal>>,
    ) {
        let SavepointRequest { path, then, .. } = request;
        if let Err(why) = savepoint::check_path(&path) {
            return self.tell(reply, Ok(SavepointStatus::Failed(why)));
        }
        if then != AfterSavepoint::GoOn {
            let why = "a job that can't go on can't be stopped with a savepoint: copy it, then cancel the job";
            return self.tell(reply, Ok(SavepointStatus::Failed(why.to_string())));
        }
        if !self.copying.insert(path.clone()) {
            return self.tell(reply, Ok(SavepointStatus::InProgress));
        }
        let (job, session, job_id) = (runner.job().clone(), self.session, runner.job().id);
        let requested =
            JobEvent::SavepointRequested { job: job_id, session, path: path.clone(), then };
        context.host().announce(&requested);
        let (objects, to) = (self.services.masters.objects.clone(), path.clone());
        let copy = async move { copied(&*objects, &job, id, &to, session).await };
        context.spawn_then(self.scope.wrap(copy), move |dispatcher, context, copied| {
            dispatcher.copying.remove(&path);
            let Some(copied) = copied else { return reply.fail(RpcError::GoingAway) };
            context.host().announce(&told(job_id, id, path, &copied));
            let status = match copied {
                Ok(()) => SavepointStatus::Completed,
                Err(why) => SavepointStatus::Failed(why),
            };
            dispatcher.tell(reply, Ok(status));
        });
    }
}

fn told(
    job: JobId,
    checkpoint: CheckpointId,
    path: String,
    copied: &Result<(), String>,
) -> JobEvent {
    match copied {
        Ok(()) => JobEvent::SavepointCompleted { job, checkpoint, path },
        Err(why) => JobEvent::SavepointFailed { job, path, why: why.clone() },
    }
}

async fn copied(
    objects: &dyn ObjectStore,
    job: &JobGraph,
    id: CheckpointId,
    path: &str,
    session: LeaderSessionId,
) -> Result<(), String> {
    // An answer may have been lost, or a former dispatcher has made it.
    if savepoint::is_complete(objects, path).await.map_err(|refusal| refusal.to_string())? {
        return Ok(());
    }
    let checkpoint = read_for_savepoint(objects, job.id, id).await?;
    let copy = Savepoint::of(job, &checkpoint, AfterSavepoint::GoOn, session);
    let parts: Vec<_> = checkpoint.states.into_iter().map(|(_, state)| state).collect();
    savepoint::publish(objects, path, copy, &parts).await
}
