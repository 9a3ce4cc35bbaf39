//! R1: the handlers of an endpoint never overlap.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{
        Kind,
        sim::{Hardware, NodeId},
    },
    system::rpc::{EndpointId, RpcEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// Follows what each endpoint's main thread does.
#[derive(Default)]
pub struct SerialHandlers {
    busy: BTreeMap<((NodeId, u64), EndpointId), (Kind, Moment)>,
}

impl ClusterInvariant for SerialHandlers {
    fn title(&self) -> &'static str {
        "R1 serial-handlers"
    }

    fn promise(&self) -> &'static str {
        "the handlers of an endpoint run one at a time, each within one step"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { endpoint, kind, .. }) => {
                match self.busy.insert((at.process, *endpoint), (*kind, at)) {
                    None => Check::Passed,
                    Some((before, since)) => Check::broken(
                        format!("{since}: {before:?} began and has not ended"),
                        format!("{at}: {kind:?} began"),
                    ),
                }
            }
            EventRef::Rpc(RpcEvent::HandlerEnded { endpoint }) => {
                match self.busy.remove(&(at.process, *endpoint)) {
                    Some(_) => Check::Passed,
                    None => Check::broken("no handler runs", format!("{at}: one ended")),
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.busy.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, SerialHandlers};

    fn started(endpoint: u64) -> RpcEvent {
        RpcEvent::HandlerStarted {
            endpoint: EndpointId(endpoint),
            kind: KIND,
            sender: 1,
            call: 1,
            token: None,
        }
    }

    fn ended(endpoint: u64) -> RpcEvent {
        RpcEvent::HandlerEnded { endpoint: EndpointId(endpoint) }
    }

    #[test]
    fn one_at_a_time_is_accepted_and_endpoints_are_apart() {
        History::<SerialHandlers>::new()
            .holds(process(1, 1), started(1))
            .holds(process(1, 1), started(2))
            .holds(process(1, 1), ended(1))
            .holds(process(1, 1), started(1));
    }

    #[test]
    fn an_overlap_is_refused() {
        History::<SerialHandlers>::new()
            .holds(process(1, 1), started(1))
            .breaks(process(1, 1), started(1));
    }

    #[test]
    fn an_end_without_a_beginning_is_refused() {
        History::<SerialHandlers>::new().breaks(process(1, 1), ended(1));
    }
}
