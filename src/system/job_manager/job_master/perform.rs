//! What the core wants done: its effects as messages, writes and events.

use super::{
    JobMaster,
    core::{Draw, Effect, Notice, Timer},
};
use crate::host::{Host, NodeAddress};
use crate::system::{
    graph::TaskDeployment,
    heartbeat::{Beat, HeartbeatSession, HeartbeatTarget},
    ids::{CheckpointId, ExecutionAttemptId, ResourceId},
    protocol::{
        MasterReport, RegistrationRefusal, SavepointRequest, TaskExecutorGateway, TaskExecutorInfo,
    },
    rpc::{Context, RpcError},
    sabotage,
    savepoint::{self, Savepoint},
    scope::Scope,
    store::{CompletedCheckpoint, Settled, StoreError, object_prefix},
    task_executor::until_connection_breaks,
};
use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use std::{future::Future, sync::Arc, time::Duration};

/// The role of the beats towards task executors.
pub(super) struct ToExecutors;

/// Sends beats through a gateway, and watches a connection to the task executor's port for streams.
struct Target {
    gateway: TaskExecutorGateway,
    host: Host,
    data: NodeAddress,
}

impl HeartbeatTarget<MasterReport> for Target {
    fn request_heartbeat(
        &self,
        beat: Beat<MasterReport>,
    ) -> BoxFuture<'static, Result<(), RpcError>> {
        self.gateway.heartbeat_from_job_master(beat).boxed()
    }

    fn connection_broken(&self) -> BoxFuture<'static, ()> {
        until_connection_breaks(self.host.clone(), self.data.clone()).boxed()
    }
}

impl JobMaster {
    pub(super) fn perform(&mut self, context: &mut Context<Self>, effect: Effect) {
        match effect {
            Effect::Announce(event) => context.host().announce(&event),
            Effect::Notice(notice) => self.note(context, &notice),
            Effect::Schedule(delay, timer) => schedule(context, delay, timer),
            Effect::Draw(draw, count) => self.draw(context, draw, count),
            Effect::Submit(resource, deployment) => self.submit(context, &resource, *deployment),
            Effect::Cancel(resource, attempt) => self.cancel_task(context, &resource, attempt),
            Effect::CancelUnknown(resource, attempt) => {
                let ask = self.gateways[&resource].cancel_task(attempt);
                context.host().spawn(async move { drop(ask.await) });
            }
            Effect::Trigger(resource, attempt, checkpoint, stops) => {
                self.gateways[&resource].trigger_checkpoint(attempt, checkpoint, stops);
            }
            Effect::Drain(resource, attempt) => self.gateways[&resource].drain_source(attempt),
            Effect::Confirm(resource, attempt, checkpoint, finality) => {
                self.gateways[&resource].confirm_checkpoint(attempt, checkpoint, finality);
            }
            Effect::Abort(resource, attempt, checkpoint) => {
                self.gateways[&resource].abort_checkpoint(attempt, checkpoint);
            }
            Effect::StoreMetadata(checkpoint) => self.store_metadata(context, &checkpoint),
            Effect::AddPointer { since, pointer, subsumed } => {
                let (store, id) = (self.store.clone(), pointer.id);
                let add = async move { store.add(since, &pointer, &subsumed).await };
                self.settle_pointer(context, id, add);
            }
            Effect::FencePointer(since, id, newest) => {
                let store = self.store.clone();
                let newest = newest
                    .filter(|_| !context.host().sabotaged(sabotage::FENCE_FORGETS_THE_NEWEST));
                let fence = async move { store.fence(since, id, newest).await };
                self.settle_pointer(context, id, fence);
            }
            Effect::EndStoring => self.storing = Scope::default(),
            Effect::PublishSavepoint(request, checkpoint) => {
                self.publish_savepoint(context, request, &checkpoint);
            }
            Effect::Discard(objects) => self.discard(context, objects),
            Effect::ListObjects => self.list_objects(context),
            Effect::Connect(resource, heartbeat) => {
                let (gateway, host) = (self.gateways[&resource].clone(), context.host().clone());
                let data = self.core.data_port(&resource).expect("it is connected");
                let target = Arc::new(Target { gateway, host, data });
                let beats = self.executor_beats.manager();
                beats.monitor_target(context, &resource.0, heartbeat, target);
            }
            Effect::Unmonitor(resource, heartbeat) => {
                self.executor_beats.manager().unmonitor_target(context, &resource.0, heartbeat);
            }
            Effect::Disconnect(resource, connection, cause) => {
                let gateway = self.gateways.remove(&resource).expect("a connected one has a way");
                gateway.disconnect_job_master(self.id(), connection, cause);
            }
            Effect::DeclareRequirements => self.declare_requirements(context),
            Effect::LeaveResourceManager(status) => self.leave_resource_manager(context, status),
            Effect::Close => {
                self.scope.close();
                self.storing.close();
            }
            Effect::Exit(why) => context.host().exit(&why),
            Effect::End(result, details) => {
                if let Some(waiting) = self.result.take() {
                    // The runner waits for nothing any more when it was stopped.
                    let _ = waiting.send((result, details));
                }
            }
        }
    }

    fn note(&self, context: &Context<Self>, notice: &Notice) {
        let host = context.host();
        match notice {
            Notice::LateAcknowledgement(id) => {
                crate::reachable!(host, "late-acknowledgement-ignored", "of {id:?}");
            }
            Notice::OldRoundOfOffers => crate::reachable!(host, "old-round-of-offers-refused"),
            Notice::PointerInDoubtStands(id) => {
                crate::reachable!(host, "pointer-in-doubt-stands", "{id:?}");
            }
            Notice::DeploymentWaitsForStoring => {
                crate::reachable!(host, "deployment-waits-for-storing");
            }
            Notice::RegionalFailover(count) => {
                crate::reachable!(host, "regional-failover", "of {count} regions");
            }
            Notice::Failure(times, cause) => {
                let (node, job) = (host.name(), self.id());
                tracing::warn!(node, %job, times, cause, "the job has failed");
            }
        }
    }

    /// The new way to a task executor takes the place of an old one, once that was told.
    pub(super) fn connected(
        &mut self,
        context: &mut Context<Self>,
        info: TaskExecutorInfo,
        attempt: u64,
        heartbeat: HeartbeatSession,
        gateway: TaskExecutorGateway,
    ) -> Result<HeartbeatSession, RegistrationRefusal> {
        let (resource, now) = (info.resource.clone(), context.host().now());
        let answer = self.core.on_connected(now, info, attempt, heartbeat);
        let mut gateway = Some(gateway);
        for effect in self.core.take_effects() {
            if matches!(&effect, Effect::Connect(of, _) if *of == resource) {
                let gateway = gateway.take().expect("one connects at a time");
                self.gateways.insert(resource.clone(), gateway);
            }
            self.perform(context, effect);
        }
        answer
    }

    /// Does a piece of work beside the main thread, unless the term ends, and lets the core decide on what it
    /// came to.
    fn work<T: Send + 'static>(
        scope: &Scope,
        context: &Context<Self>,
        work: impl Future<Output = T> + Send + 'static,
        then: impl FnOnce(&mut Self, &mut Context<Self>, T) + Send + 'static,
    ) {
        context.spawn_then(scope.wrap(work), move |master, context, output| {
            if let Some(output) = output {
                then(master, context, output);
            }
        });
    }

    fn draw(&self, context: &Context<Self>, draw: Draw, count: u64) {
        let (counter, above) = (self.counter.clone(), self.core.least_id());
        let numbers = async move { counter.draw(count, above).await };
        Self::work(&self.scope, context, numbers, move |master, context, drawn| {
            master.decide(context, |core, now| core.on_drawn(now, draw, drawn));
        });
    }

    fn submit(&self, context: &Context<Self>, to: &ResourceId, deployment: TaskDeployment) {
        let attempt = deployment.attempt;
        let ask = self.gateways[to].submit_task(deployment);
        Self::work(&self.scope, context, ask, move |master, context, answer| {
            master.decide(context, |core, now| core.on_submitted(now, attempt, answer));
        });
    }

    fn cancel_task(&self, context: &Context<Self>, at: &ResourceId, attempt: ExecutionAttemptId) {
        let ask = self.gateways[at].cancel_task(attempt);
        Self::work(&self.scope, context, ask, move |master, context, answer| {
            master.decide(context, |core, now| core.on_cancel_answered(now, attempt, answer));
        });
    }

    fn store_metadata(&mut self, context: &Context<Self>, checkpoint: &CompletedCheckpoint) {
        let id = checkpoint.id;
        let bytes = Bytes::from(postcard::to_allocvec(checkpoint).expect("it can be encoded"));
        let (objects, metadata) =
            (self.services.objects.clone(), super::core::metadata_object(self.id(), id));
        self.storing = Scope::default();
        let first = match context.host().sabotaged(sabotage::REMOVAL_BLOCKS_STORING) {
            true => self.removals.all(),
            false => Vec::new(),
        };
        let put = async move {
            if !first.is_empty() {
                let _ = objects.delete_until_acknowledged(&first).await;
            }
            objects.put_until_acknowledged(&metadata, bytes).await
        };
        Self::work(&self.storing, context, put, move |master, context, stored| {
            master.decide(context, |core, now| core.on_metadata_stored(now, id, stored));
        });
    }

    fn settle_pointer(
        &mut self,
        context: &Context<Self>,
        id: CheckpointId,
        settle: impl Future<Output = Result<Settled, StoreError>> + Send + 'static,
    ) {
        self.storing = Scope::default();
        Self::work(&self.storing, context, settle, move |master, context, settled| {
            master.decide(context, |core, now| core.on_pointer_settled(now, id, settled));
        });
    }

    fn publish_savepoint(
        &self,
        context: &Context<Self>,
        request: SavepointRequest,
        checkpoint: &CompletedCheckpoint,
    ) {
        let savepoint = Savepoint::of(self.core.job(), checkpoint, request.then, self.term.session);
        let parts: Vec<_> = checkpoint.states.iter().map(|(_, state)| state.clone()).collect();
        let (objects, path) = (self.services.objects.clone(), request.path.clone());
        let copy = async move { savepoint::publish(&*objects, &path, savepoint, &parts).await };
        Self::work(&self.scope, context, copy, move |master, context, published| {
            master.decide(context, |core, now| {
                core.on_savepoint_published(now, &request.path, published);
            });
        });
    }

    fn list_objects(&self, context: &Context<Self>) {
        let (objects, prefix) = (self.services.objects.clone(), object_prefix(self.id()));
        let list = async move { objects.list_until_acknowledged(&prefix).await };
        Self::work(&self.scope, context, list, move |master, context, listed| {
            // A prefix that is sealed has nothing under it.
            let objects = listed.unwrap_or_default();
            master.decide(context, |core, _| core.on_objects_listed(objects));
        });
    }

    /// Removes objects that nothing refers to. What is left when the term ends goes with the job.
    fn discard(&mut self, context: &Context<Self>, objects: Vec<String>) {
        if let Some(some) = self.removals.add(objects) {
            self.remove(context, some);
        }
        let left = self.removals.take_left();
        if left > 0 {
            let (node, job) = (context.host().name(), self.id());
            tracing::warn!(node, %job, left, "too many objects wait to be removed: these go with the job");
        }
    }

    fn remove(&self, context: &Context<Self>, objects: Vec<String>) {
        let client = self.services.objects.clone();
        // A name that is refused would be so again.
        let removal = async move { client.delete_until_acknowledged(&objects).await.is_ok() };
        Self::work(&self.scope, context, removal, |master, context, _| {
            if let Some(next) = master.removals.on_removed() {
                master.remove(context, next);
            }
        });
    }
}

fn schedule(context: &Context<JobMaster>, delay: Duration, timer: Timer) {
    context.schedule(delay, move |master, context| {
        master.decide(context, |core, now| core.on_timer(now, timer));
    });
}
