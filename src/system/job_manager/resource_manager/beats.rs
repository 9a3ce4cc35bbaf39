//! The resource manager's beats: what their reports say, and who is lost.

use super::{Job, ResourceManager, ToExecutors, ToMasters};
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
        let resource = ResourceId(id.to_string());
        self.drop_executor(context, &resource, InstanceId(session.0), "heartbeat timeout");
    }

    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        let resource = ResourceId(id.to_string());
        self.drop_executor(context, &resource, InstanceId(session.0), "unreachable");
    }

    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        _: &str,
        session: HeartbeatSession,
        report: SlotReport,
    ) {
        self.take_report(context, InstanceId(session.0), &report);
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
        let lost = |known: &Job| known.master.as_ref().is_some_and(|m| m.heartbeat == session);
        let job = self.jobs.iter().find(|(_, known)| lost(known)).map(|(job, _)| *job);
        if let Some(job) = job {
            tracing::debug!(id, "a job master is lost");
            self.drop_master(context, job, None);
        }
    }

    fn report_payload(&mut self, _: &mut Context<Self>, _: &str, _: HeartbeatSession, (): ()) {}

    fn retrieve_payload(&mut self, _: &mut Context<Self>, _: &str) {}
}
