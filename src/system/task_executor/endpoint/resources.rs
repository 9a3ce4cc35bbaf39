//! The way to the leading resource manager: registration, slot reports, beats.

use super::{SlotEvent, TaskExecutor, masters::next};
use crate::system::{
    heartbeat::{Beat, HeartbeatListener, HeartbeatManager, HeartbeatSession, HeartbeatTarget},
    ids::InstanceId,
    leadership::{
        LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService, LeaderSessionId,
    },
    protocol::{RESOURCE_MANAGER, ResourceManagerGateway, SlotReport},
    registration::register,
    rpc::{Context, EndpointHandle, Gateway, RpcError},
    scope::Scope,
};
use futures::{FutureExt, future::BoxFuture};
use std::sync::{Arc, atomic::AtomicU64};

/// The role of the beats with the resource manager.
pub(super) struct ToResourceManager;

/// Where the way to the resource manager stands.
#[derive(Default)]
pub(super) struct ResourceLink {
    retrieval: Option<LeaderRetrievalService>,
    leader: Option<LeaderInformation>,
    /// Tries to register anywhere within this life.
    attempts: Arc<AtomicU64>,
    /// Counts connections, so that what belongs to an earlier one is ignored.
    connection: u64,
    /// Ends the registration that is under way, and later what belongs to the connection.
    scope: Scope,
    connected: Option<Connected>,
}

struct Connected {
    gateway: ResourceManagerGateway,
    session: LeaderSessionId,
    instance: InstanceId,
}

impl ResourceLink {
    /// Whether that is the resource manager, and the registration there, of now.
    pub fn is_connected_to(&self, session: LeaderSessionId, instance: InstanceId) -> bool {
        let connected = self.connected.as_ref();
        connected.is_some_and(|c| (c.session, c.instance) == (session, instance))
    }

    /// The counter of tries to register.
    pub fn attempts(&self) -> Arc<AtomicU64> {
        self.attempts.clone()
    }
}

struct Listener(EndpointHandle<TaskExecutor>);

impl LeaderRetrievalListener for Listener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        self.0.run_without_fencing(|executor, context| {
            executor.resources.leader = leader;
            executor.connect_resource_manager(context, None);
        });
    }
}

/// Sends beats through a gateway.
struct Target(ResourceManagerGateway);

impl HeartbeatTarget<SlotReport> for Target {
    fn receive_heartbeat(
        &self,
        beat: Beat<SlotReport>,
    ) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_task_executor(beat).boxed()
    }
}

impl TaskExecutor {
    pub(super) fn follow_resource_manager(&mut self, context: &Context<Self>) {
        let listener = Arc::new(Listener(context.handle()));
        let client = &self.services.coordination;
        let retrieval = LeaderRetrievalService::start(RESOURCE_MANAGER, client, listener);
        self.resources.retrieval = Some(retrieval);
    }

    pub(super) fn leave_resource_manager(&mut self) {
        self.resources.retrieval = None;
        self.resources.scope = Scope::default();
        if let Some(connected) = self.resources.connected.take() {
            let cause = "the task executor is stopping".to_string();
            connected.gateway.disconnect_task_executor(connected.instance, cause);
        }
    }

    /// Connects to the present leader, from the beginning. `told` is the registration that the
    /// resource manager said it had dropped, if it did.
    pub(super) fn connect_resource_manager(
        &mut self,
        context: &mut Context<Self>,
        told: Option<InstanceId>,
    ) {
        self.resources.connection += 1;
        self.resources.scope = Scope::default();
        if let Some(connected) = self.resources.connected.take() {
            let heartbeat = HeartbeatSession(connected.instance.0);
            self.resource_beats.unmonitor_target(context, RESOURCE_MANAGER, heartbeat);
            let (resource, instance) = (self.info.resource.clone(), connected.instance);
            let gone = SlotEvent::ResourceManagerDisconnected { resource, instance, told };
            context.host().announce(&gone);
        }
        let Some(leader) = self.resources.leader.clone() else { return };
        let (connection, session) = (self.resources.connection, leader.session);
        let (service, info) = (context.service().clone(), self.info.clone());
        let config = self.services.config.registration;
        let attempts = self.resources.attempts();
        let work = self.resources.scope.wrap(async move {
            let call = move |gateway: &ResourceManagerGateway| {
                gateway.register_task_executor(info.clone(), next(&attempts))
            };
            register(&service, &leader, config, call).await
        });
        context.spawn_then(work, move |executor, context, registered| {
            if executor.resources.connection != connection {
                return;
            }
            match registered {
                Some(Ok((gateway, instance))) => {
                    executor.registered(context, session, gateway, instance);
                }
                Some(Err(why)) => {
                    context.host().exit(&format!("the resource manager rejects it: {why}"));
                }
                None => {}
            }
        });
    }

    fn registered(
        &mut self,
        context: &mut Context<Self>,
        session: LeaderSessionId,
        gateway: ResourceManagerGateway,
        instance: InstanceId,
    ) {
        let resource = self.info.resource.clone();
        context.host().announce(&SlotEvent::Registered { resource, session, instance });
        let gateway = gateway.with_timeout(self.services.config.call_timeout);
        let target = Arc::new(Target(gateway.clone()));
        let heartbeat = HeartbeatSession(instance.0);
        self.resource_beats.monitor_target(context, RESOURCE_MANAGER, heartbeat, target);
        self.resources.connected = Some(Connected { gateway, session, instance });
        self.report_slots(context);
    }

    /// Tells the resource manager who holds the slots. A report that is lost is made up for by the
    /// next beat.
    pub(super) fn report_slots(&mut self, context: &mut Context<Self>) {
        let Some(connected) = &self.resources.connected else { return };
        let report = self.slots.report(self.version);
        let ask = connected.gateway.report_slots(connected.instance, report);
        let connection = self.resources.connection;
        let work = self.resources.scope.wrap(ask);
        context.spawn_then(work, move |executor, context, answer| {
            // Not at once: a resource manager that has just forgotten it may do so again.
            if matches!(answer, Some(Ok(false))) {
                let delay = executor.services.config.registration.refused_delay;
                context.schedule(delay, move |executor, context| {
                    if executor.resources.connection == connection {
                        executor.connect_resource_manager(context, None);
                    }
                });
            }
        });
    }
}

impl HeartbeatListener<ToResourceManager> for TaskExecutor {
    type In = ();
    type Out = SlotReport;

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToResourceManager> {
        &mut self.resource_beats
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        _: &str,
        session: HeartbeatSession,
    ) {
        let connected = self.resources.connected.as_ref();
        if connected.is_some_and(|connected| connected.instance.0 == session.0) {
            // Also to the same leader: it may not have changed.
            self.connect_resource_manager(context, None);
        }
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {}

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) -> SlotReport {
        self.slots.report(self.version)
    }
}
