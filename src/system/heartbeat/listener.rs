//! The endpoint that owns a manager.

use super::{HeartbeatManager, HeartbeatSession};
use crate::system::rpc::{Context, RpcEndpoint};

/// An endpoint with a heartbeat manager for the role `R`, any type that tells one manager of the
/// endpoint from another. Everything here runs on the endpoint's main thread.
pub trait HeartbeatListener<R: 'static>: RpcEndpoint {
    /// What targets say in their beats.
    type In: Send + 'static;
    /// What this endpoint says in its own.
    type Out: Send + 'static;

    /// The manager of this role.
    fn heartbeats(&mut self) -> &mut HeartbeatManager<Self, R>;

    /// No beat came for the time-out; at most once a monitored session. The target is not asked any
    /// more and stays known until it is unmonitored.
    fn notify_heartbeat_timeout(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    );

    /// Too many calls in a row found nobody there. Comes instead of a time-out, and is treated as one
    /// unless a listener says otherwise.
    fn notify_target_unreachable(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
    ) {
        self.notify_heartbeat_timeout(context, id, session);
    }

    /// A beat of the target came.
    fn report_payload(
        &mut self,
        context: &mut Context<Self>,
        id: &str,
        session: HeartbeatSession,
        payload: Self::In,
    );

    /// What to say to the target in a beat that leaves now.
    fn retrieve_payload(&mut self, context: &mut Context<Self>, id: &str) -> Self::Out;
}
