//! The resource manager's beats: what their reports say, and who is lost.

use super::{ResourceManager, ToExecutors, ToMasters};
use crate::system::{
    heartbeat::{HeartbeatListener, HeartbeatManager, HeartbeatSession},
    ids::{InstanceId, ResourceId},
    protocol::SlotReport,
    rpc::Context,
};

impl HeartbeatListener<ToExecutors> for ResourceManager {
    type In = SlotReport;
    type Out = ();

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToExecutors> {
        self.executor_beats.manager()
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        let (resource, instance) = (ResourceId(id.to_string()), InstanceId(session.0));
        self.decide(context, |core, now| {
            core.on_executor_gone(now, &resource, instance, "heartbeat timeout");
        });
    }

    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        let (resource, instance) = (ResourceId(id.to_string()), InstanceId(session.0));
        self.decide(context, |core, now| {
            core.on_executor_gone(now, &resource, instance, "unreachable");
        });
    }

    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        _: &str,
        session: HeartbeatSession,
        report: SlotReport,
    ) {
        let instance = InstanceId(session.0);
        self.decide(context, |core, now| core.on_report(now, instance, &report));
    }

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) {}
}

impl HeartbeatListener<ToMasters> for ResourceManager {
    type In = ();
    type Out = ();

    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, ToMasters> {
        self.master_beats.manager()
    }

    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        tracing::debug!(id, "a job master is lost");
        self.decide(context, |core, now| core.on_master_silence(now, session));
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {}

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) {}
}
