//! R3: nothing is handled before an endpoint has started or after it has stopped.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::rpc::{EndpointId, RpcEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Follows which endpoints run.
#[derive(Default)]
pub struct OnlyWhileRunning {
    running: BTreeMap<((NodeId, u64), EndpointId), (bool, Moment)>,
}

impl ClusterInvariant for OnlyWhileRunning {
    fn title(&self) -> &'static str {
        "R3 only-while-running"
    }

    fn promise(&self) -> &'static str {
        "nothing is handled before an endpoint has started or after it has stopped"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let event = match seen {
            EventRef::Rpc(event) => event,
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.running.retain(|(process, _), _| *process != at.process);
                return Check::Ignored;
            }
            _ => return Check::Ignored,
        };
        let (endpoint, runs) = match event {
            RpcEvent::EndpointCreated { endpoint, .. } => (endpoint, false),
            RpcEvent::EndpointStarted { endpoint } => (endpoint, true),
            RpcEvent::EndpointStopped { endpoint } | RpcEvent::EndpointTerminated { endpoint } => {
                (endpoint, false)
            }
            RpcEvent::HandlerStarted { endpoint, kind, .. } => {
                return match self.running.get(&(at.process, *endpoint)) {
                    Some((true, _)) => Check::Passed,
                    Some((false, since)) => Check::broken(
                        format!("{since}: the endpoint does not run"),
                        format!("{at}: it handled {kind:?}"),
                    ),
                    None => Check::broken(
                        "there is no such endpoint",
                        format!("{at}: it handled {kind:?}"),
                    ),
                };
            }
            _ => return Check::Ignored,
        };
        self.running.insert((at.process, *endpoint), (runs, at));
        Check::Ignored
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, OnlyWhileRunning};

    const ENDPOINT: EndpointId = EndpointId(1);

    fn handled() -> RpcEvent {
        RpcEvent::HandlerStarted { endpoint: ENDPOINT, kind: KIND, sender: 1, call: 1, token: None }
    }

    fn created() -> History<OnlyWhileRunning> {
        let created =
            RpcEvent::EndpointCreated { endpoint: ENDPOINT, name: "a".into(), fenced: false };
        History::new().holds(process(1, 1), created)
    }

    fn started() -> History<OnlyWhileRunning> {
        created().holds(process(1, 1), RpcEvent::EndpointStarted { endpoint: ENDPOINT })
    }

    #[test]
    fn a_started_endpoint_may_handle() {
        started().holds(process(1, 1), handled());
    }

    #[test]
    fn an_endpoint_that_has_not_started_or_has_stopped_is_refused() {
        created().breaks(process(1, 1), handled());
        started()
            .holds(process(1, 1), RpcEvent::EndpointStopped { endpoint: ENDPOINT })
            .breaks(process(1, 1), handled());
        started()
            .holds(process(1, 1), RpcEvent::EndpointTerminated { endpoint: ENDPOINT })
            .breaks(process(1, 1), handled());
    }
}
