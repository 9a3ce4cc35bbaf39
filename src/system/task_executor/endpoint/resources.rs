//! The way to the leading resource manager: registration, slot reports, beats.

use super::{ManagerCause, SlotEvent, TaskExecutor};
use crate::system::{
    heartbeat::{Beat, HeartbeatListener, HeartbeatManager, HeartbeatSession, HeartbeatTarget},
    ids::InstanceId,
    leadership::{
        LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService, LeaderSessionId,
    },
    protocol::{RESOURCE_MANAGER, ResourceManagerGateway, SlotReport},
    registration::{LeaderLink, Numbers, connect},
    rpc::{Context, EndpointHandle, Gateway, RpcError},
    sabotage,
};
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;

/// The role of the beats with the resource manager.
pub(super) struct ToResourceManager;

/// The way to the resource manager.
pub(super) struct ResourceLink {
    retrieval: Option<LeaderRetrievalService>,
    link: LeaderLink<Connected>,
    /// The last report.
    told: Option<SlotReport>,
}

struct Connected {
    gateway: ResourceManagerGateway,
    session: LeaderSessionId,
    instance: InstanceId,
}

impl ResourceLink {
    /// Nobody is known to lead.
    pub fn new(numbers: &Numbers) -> Self {
        ResourceLink { retrieval: None, link: LeaderLink::new(numbers), told: None }
    }

    /// Whether that is the resource manager, and the registration there, of now.
    pub fn is_connected_to(&self, session: LeaderSessionId, instance: InstanceId) -> bool {
        let connected = self.link.connected();
        connected.is_some_and(|c| (c.session, c.instance) == (session, instance))
    }
}

struct Listener(EndpointHandle<TaskExecutor>);

impl LeaderRetrievalListener for Listener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        self.0.run_without_fencing(|executor, context| {
            let keeps =
                leader.is_none() && context.host().sabotaged(sabotage::LEADER_KEPT_THOUGH_UNKNOWN);
            let session = leader.as_ref().map(|leader| leader.session);
            if !keeps {
                executor.resources.link.follow(leader);
            }
            executor.connect_resource_manager(context, ManagerCause::Leader(session));
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
        let client = &self.services.services.coordination;
        let retrieval = LeaderRetrievalService::start(RESOURCE_MANAGER, client, listener);
        self.resources.retrieval = Some(retrieval);
    }

    pub(super) fn leave_resource_manager(&mut self) {
        self.resources.retrieval = None;
        if let Some(connected) = self.resources.link.disconnect() {
            let cause = "the task executor is stopping".to_string();
            connected.gateway.disconnect_task_executor(connected.instance, cause);
        }
    }

    /// Connects to the present leader, from the beginning. Of a connection that stands, the cause is why it ends.
    pub(super) fn connect_resource_manager(
        &mut self,
        context: &mut Context<Self>,
        cause: ManagerCause,
    ) {
        if let Some(connected) = self.resources.link.disconnect() {
            let heartbeat = HeartbeatSession(connected.instance.0);
            self.resource_beats.unmonitor_target(context, RESOURCE_MANAGER, heartbeat);
            let (resource, instance) = (self.info.resource.clone(), connected.instance);
            let gone = SlotEvent::ResourceManagerDisconnected { resource, instance, cause };
            context.host().announce(&gone);
        }
        let (config, info) = (self.services.config.registration, self.info.clone());
        let call = move |gateway: &ResourceManagerGateway, attempt| {
            gateway.register_task_executor(info.clone(), attempt)
        };
        let find = |executor: &TaskExecutor| Some(executor.resources.link.connection());
        let link = &self.resources.link;
        connect(
            context,
            link,
            config,
            find,
            call,
            |executor, context, registered| match registered {
                Ok((session, gateway, instance)) => {
                    executor.registered(context, session, gateway, instance);
                }
                Err(why) => {
                    context.host().exit(&format!("the resource manager rejects it: {why}"));
                }
            },
        );
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
        self.resources.link.set_connected(Connected { gateway, session, instance });
        self.report_slots(context);
    }

    /// Who holds the slots. Whoever knows a version takes no report of the same one for news, so it stands for one state.
    fn slot_report(&mut self) -> SlotReport {
        let report = self.slots.report(self.version);
        if let Some(told) = self.resources.told.replace(report.clone()) {
            assert!(told.version < report.version || told == report, "{told:?} is not {report:?}");
        }
        report
    }

    /// Tells the resource manager who holds the slots. A report that is lost is made up for by the
    /// next beat.
    pub(super) fn report_slots(&mut self, context: &mut Context<Self>) {
        let report = self.slot_report();
        let Some(connected) = self.resources.link.connected() else { return };
        let ask = connected.gateway.report_slots(connected.instance, report);
        let connection = self.resources.link.connection();
        let work = self.resources.link.scope().wrap(ask);
        context.spawn_then(work, move |executor, context, answer| {
            // Not at once: a resource manager that has just forgotten it may do so again.
            if matches!(answer, Some(Ok(false))) {
                let delay = executor.services.config.registration.refused_delay;
                context.schedule(delay, move |executor, context| {
                    if executor.resources.link.connection() == connection {
                        executor.connect_resource_manager(context, ManagerCause::ReportRefused);
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
        let connected = self.resources.link.connected();
        if connected.is_some_and(|connected| connected.instance.0 == session.0) {
            if context.host().sabotaged(sabotage::ONLY_ANOTHER_LEADER_FOLLOWED) {
                self.resources.link.follow(None);
            }
            // Also to the same leader: it may not have changed.
            let silent = ManagerCause::Silent(InstanceId(session.0));
            self.connect_resource_manager(context, silent);
        }
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {}

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) -> SlotReport {
        self.slot_report()
    }
}
