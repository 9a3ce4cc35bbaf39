//! The way to the leading resource manager: registration, requirements, beats.

use super::JobMaster;
use crate::system::{
    heartbeat::{Beat, HeartbeatListener, HeartbeatManager, HeartbeatSession, HeartbeatTarget},
    leadership::{LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService},
    protocol::{JobStatus, RESOURCE_MANAGER, ResourceManagerGateway},
    registration::{LeaderLink, Numbers, connect},
    rpc::{Context, EndpointHandle, Gateway, RpcError},
    sabotage,
};
use futures::{FutureExt, future::BoxFuture};
use std::sync::Arc;

/// The role of the beats with the resource manager.
pub(super) struct ToResourceManager;

/// The way to the resource manager, and what was said over it.
pub(super) struct ResourceLink {
    retrieval: Option<LeaderRetrievalService>,
    link: LeaderLink<(ResourceManagerGateway, HeartbeatSession)>,
    /// Grows with each declaration.
    version: u64,
}

impl Default for ResourceLink {
    fn default() -> Self {
        let link = LeaderLink::new(&Numbers::default());
        ResourceLink { retrieval: None, link, version: 0 }
    }
}

struct Listener(EndpointHandle<JobMaster>);

impl LeaderRetrievalListener for Listener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        self.0.run_without_fencing(|master, context| master.new_resource_manager(context, leader));
    }
}

/// Sends beats through a gateway.
struct Target(ResourceManagerGateway);

impl HeartbeatTarget<()> for Target {
    fn receive_heartbeat(&self, beat: Beat<()>) -> BoxFuture<'static, Result<(), RpcError>> {
        self.0.heartbeat_from_job_master(beat).boxed()
    }
}

impl JobMaster {
    pub(super) fn follow_resource_manager(&mut self, context: &Context<Self>) {
        let listener = Arc::new(Listener(context.handle()));
        let client = &self.services.coordination;
        let retrieval = LeaderRetrievalService::start(RESOURCE_MANAGER, client, listener);
        self.resources.retrieval = Some(retrieval);
    }

    fn new_resource_manager(
        &mut self,
        context: &mut Context<Self>,
        leader: Option<LeaderInformation>,
    ) {
        if self.core.is_over() {
            return;
        }
        self.resources.link.follow(leader);
        self.connect_resource_manager(context);
    }

    /// Connects to the present leader, from the beginning.
    fn connect_resource_manager(&mut self, context: &mut Context<Self>) {
        self.drop_resource_manager(context);
        let (job, session) = (self.id(), self.term.session);
        let (config, address) = (self.services.config.registration, context.address().clone());
        let call = move |gateway: &ResourceManagerGateway, attempt| {
            gateway.register_job_master(job, session, address.clone(), attempt)
        };
        let find = |master: &JobMaster| Some(master.resources.link.connection());
        connect(
            context,
            &self.resources.link,
            config,
            find,
            call,
            |master, context, registered| match registered {
                Ok((_, gateway, heartbeat)) => master.registered(context, gateway, heartbeat),
                Err(why) => tracing::warn!(why, "the resource manager rejects this master"),
            },
        );
    }

    fn registered(
        &mut self,
        context: &mut Context<Self>,
        gateway: ResourceManagerGateway,
        heartbeat: HeartbeatSession,
    ) {
        let gateway = gateway.with_timeout(self.services.config.call_timeout);
        let target = Arc::new(Target(gateway.clone()));
        self.resource_beats.monitor_target(context, RESOURCE_MANAGER, heartbeat, target);
        self.resources.link.set_connected((gateway, heartbeat));
        self.declare_requirements(context);
    }

    /// Tells the resource manager how many slots the job needs, until it has heard it or is told anew.
    pub(super) fn declare_requirements(&mut self, context: &mut Context<Self>) {
        let connected = self.resources.link.connected().cloned();
        let goes_on =
            connected.is_some() || !context.host().sabotaged(sabotage::MANAGER_TAKEN_FOR_GRANTED);
        assert!(goes_on, "a resource manager is there");
        let Some((gateway, _)) = connected else { return };
        self.resources.version += 1;
        let (connection, version) = (self.resources.link.connection(), self.resources.version);
        let slots = self.core.required_slots();
        let ask = gateway.declare_requirements(self.id(), self.term.session, version, slots);
        let retry_delay = self.services.config.retry_delay;
        let work = self.scope.wrap(ask);
        context.spawn_then(work, move |master, context, answer| {
            let newest = (master.resources.link.connection(), master.resources.version);
            if newest != (connection, version) {
                return;
            }
            match answer {
                Some(Ok(true)) | None => {}
                // Not at once: one that has just forgotten this master may do so again.
                Some(Ok(false)) => {
                    context.schedule(retry_delay, move |master, context| {
                        if master.resources.link.connection() == connection {
                            master.connect_resource_manager(context);
                        }
                    });
                }
                Some(Err(_)) => {
                    context.schedule(retry_delay, move |master, context| {
                        let newest = (master.resources.link.connection(), master.resources.version);
                        if newest == (connection, version) {
                            master.declare_requirements(context);
                        }
                    });
                }
            }
        });
    }

    fn drop_resource_manager(&mut self, context: &Context<Self>) {
        if let Some((_, heartbeat)) = self.resources.link.disconnect() {
            self.resource_beats.unmonitor_target(context, RESOURCE_MANAGER, heartbeat);
        }
    }

    /// Takes leave of the resource manager.
    pub(super) fn leave_resource_manager(&mut self, context: &Context<Self>, status: JobStatus) {
        self.resources.retrieval = None;
        if let Some((gateway, _)) = self.resources.link.connected() {
            gateway.disconnect_job_master(self.id(), self.term.session, status);
        }
        self.drop_resource_manager(context);
    }
}

impl HeartbeatListener<ToResourceManager> for JobMaster {
    type In = ();
    type Out = ();

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToResourceManager> {
        &mut self.resource_beats
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        _: &str,
        session: HeartbeatSession,
    ) {
        let current = self.resources.link.connected();
        if current.is_some_and(|(_, heartbeat)| *heartbeat == session) {
            // Also to the same leader: it may not have changed.
            self.connect_resource_manager(context);
        }
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {}

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) {}
}
