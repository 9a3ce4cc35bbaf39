//! L7: by equal clocks no client believes in a lease longer than the server does. When the server lets
//! a lease expire, its client has lost it already, unless one of the two clocks ever drifted, or the
//! client's process stands still or has just gone on.

use super::{Check, Clocks, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::service::coordination::{CoordinationEvent, LeaseEnd, LeaseId},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{collections::BTreeMap, time::Duration};

/// Once it goes on, a process needs so long at most to look at the clock.
const GRACE: Duration = Duration::from_secs(1);

/// Remembers who believes in which lease.
#[derive(Default)]
pub struct LeaseIsNotOutbelieved {
    clocks: Clocks,
    believers: BTreeMap<LeaseId, (NodeId, u64)>,
}

impl ClusterInvariant for LeaseIsNotOutbelieved {
    fn title(&self) -> &'static str {
        "L7 lease-is-not-outbelieved"
    }

    fn promise(&self) -> &'static str {
        "a client has lost its lease before the server lets it expire, by equal clocks"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::SessionConnected { lease }) => {
                self.believers.insert(*lease, at.process);
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::SessionLost { lease }) => {
                self.believers.remove(lease);
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::LeaseEnded {
                lease,
                end: LeaseEnd::Expired,
                ..
            }) => self.expired(at, *lease),
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.believers.retain(|_, process| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl LeaseIsNotOutbelieved {
    fn expired(&mut self, at: Moment, lease: LeaseId) -> Check {
        let (server, clocks) = (at.process.0, &self.clocks);
        let Some(client) = self.believers.remove(&lease) else { return Check::Passed };
        let comparable = clocks.is_true(server)
            && clocks.is_true(client.0)
            && !clocks.stood_within(client.0, GRACE, at.time);
        match comparable {
            false => Check::Ignored,
            true => Check::broken(
                format!("{:?}/{} believes in {lease:?}", client.0, client.1),
                format!("{at}: it has expired"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, Hardware, LeaseIsNotOutbelieved};
    use crate::host::sim::ProcessEnd;

    const LEASE: LeaseId = LeaseId(1);

    fn expired() -> CoordinationEvent {
        let (end, revision) = (LeaseEnd::Expired, Revision(3));
        CoordinationEvent::LeaseEnded { lease: LEASE, end, revision, removed: vec![] }
    }

    fn connected() -> History<LeaseIsNotOutbelieved> {
        let connected = CoordinationEvent::SessionConnected { lease: LEASE };
        History::new().holds(process(1, 1), connected)
    }

    #[test]
    fn a_client_that_knows_or_can_not_know_is_accepted() {
        connected()
            .holds(process(1, 1), CoordinationEvent::SessionLost { lease: LEASE })
            .holds(process(0, 1), expired());
        connected()
            .holds(process(1, 1), Hardware::Ended(ProcessEnd::Killed))
            .holds(process(0, 1), expired());
        connected().holds(process(1, 1), Hardware::Paused).holds(process(0, 1), expired());
        for node in [0, 1] {
            let drift = Hardware::Drift { per_million: 10 };
            connected().holds(process(node, 1), drift).holds(process(0, 1), expired());
        }
    }

    #[test]
    fn one_that_believes_on_is_refused() {
        connected().breaks(process(0, 1), expired());
        connected()
            .holds(process(1, 1), CoordinationEvent::SessionSuspended { lease: LEASE })
            .breaks(process(0, 1), expired());
    }
}
