//! L7: by equal clocks no client believes in a lease longer than the server does. When the server lets
//! a lease expire, its client has lost it already, unless one of the two clocks ever drifted, or the
//! client's process stands still or has just gone on. Nor does a client give one up as soon as it gets no answer: it
//! knows that for a third of the lease's time at least before it takes the lease for lost.

use super::{Check, Clocks, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        leadership::LeadershipEvent,
        service::coordination::{CoordinationEvent, LeaseEnd, LeaseId},
    },
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Once it goes on, a process needs so long at most to look at the clock.
const GRACE: Duration = Duration::from_secs(1);

/// What a handler that is due may be late.
const LATE_MAX: Duration = Duration::from_millis(20);

type Process = (NodeId, u64);

/// Who believes in a lease, since when, and since when it gets no answer.
struct Believer {
    process: Process,
    since: Duration,
    suspended: Option<Duration>,
}

/// Remembers who believes in which lease.
#[derive(Default)]
pub struct LeaseIsNotOutbelieved {
    bounds: TimeBounds,
    clocks: Clocks,
    believers: BTreeMap<LeaseId, Believer>,
    /// The elections that run: a process without one gives its lease up.
    elections: BTreeSet<(Process, String)>,
}

impl ClusterInvariant for LeaseIsNotOutbelieved {
    fn title(&self) -> &'static str {
        "L7 lease-is-not-outbelieved"
    }

    fn promise(&self) -> &'static str {
        "a client has lost its lease before the server lets it expire, and not at once, by equal clocks"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Leadership, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => self.coordination(at, event),
            EventRef::Leadership(LeadershipEvent::ElectionStarted { component }) => {
                self.elections.insert((at.process, component.clone()));
                Check::Ignored
            }
            EventRef::Leadership(LeadershipEvent::ElectionStopped { component }) => {
                self.elections.remove(&(at.process, component.clone()));
                Check::Ignored
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.believers.retain(|_, believer| believer.process != at.process);
                    self.elections.retain(|(process, _)| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl LeaseIsNotOutbelieved {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        LeaseIsNotOutbelieved { bounds, ..Self::default() }
    }

    fn coordination(&mut self, at: Moment, event: &CoordinationEvent) -> Check {
        match event {
            CoordinationEvent::SessionConnected { lease } => {
                let believer = Believer { process: at.process, since: at.time, suspended: None };
                self.believers.insert(*lease, believer);
            }
            CoordinationEvent::SessionSuspended { lease } => {
                if let Some(believer) = self.believers.get_mut(lease) {
                    believer.suspended = Some(at.time);
                }
            }
            CoordinationEvent::SessionReconnected { lease } => {
                if let Some(believer) = self.believers.get_mut(lease) {
                    believer.suspended = None;
                }
            }
            CoordinationEvent::SessionLost { lease } => {
                let lost = self.believers.remove(lease);
                return lost.map_or(Check::Ignored, |believer| self.lost(at, &believer));
            }
            CoordinationEvent::LeaseEnded { lease, end: LeaseEnd::Expired, .. } => {
                return self.expired(at, *lease);
            }
            // Whoever believes in it is told that it has ended.
            CoordinationEvent::LeaseEnded { lease, .. } => drop(self.believers.remove(lease)),
            // What ended before a crash may not have been announced, so a loss can have any reason.
            CoordinationEvent::Recovered { .. } => {
                let believers = self.believers.values_mut();
                believers.for_each(|believer| believer.since = at.time);
            }
            _ => {}
        }
        Check::Ignored
    }

    /// A client takes a lease for lost that the server has not ended.
    fn lost(&self, at: Moment, believer: &Believer) -> Check {
        let (node, lives) = (believer.process.0, self.bounds.session_timeout);
        let competes = self.elections.iter().any(|(process, _)| *process == believer.process);
        let stood = self.clocks.stood_within(node, lives, at.time);
        // Its first answer may have taken most of its time.
        let is_new = at.time < believer.since + lives;
        if !competes || stood || is_new || !self.clocks.is_true(node) {
            return Check::Ignored;
        }
        let in_time =
            believer.suspended.is_some_and(|since| at.time + LATE_MAX >= since + lives / 3);
        match in_time {
            true => Check::Ignored,
            false => Check::broken(
                format!("no answer came since {:?}", believer.suspended.map(|at| at.as_secs_f64())),
                format!("{at}: its lease counts as lost, which lives for {lives:.1?}"),
            ),
        }
    }

    fn expired(&mut self, at: Moment, lease: LeaseId) -> Check {
        let (server, clocks) = (at.process.0, &self.clocks);
        let Some(believer) = self.believers.remove(&lease) else { return Check::Passed };
        let client = believer.process;
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
    use super::{super::testing::*, *};
    use crate::host::sim::ProcessEnd;

    const LEASE: LeaseId = LeaseId(1);

    fn expired_as(end: LeaseEnd) -> CoordinationEvent {
        CoordinationEvent::LeaseEnded { lease: LEASE, end, revision: Revision(3), removed: vec![] }
    }

    fn expired() -> CoordinationEvent {
        expired_as(LeaseEnd::Expired)
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

    /// A client that competes has had a lease for a while; those of the tests live for three seconds.
    fn competing() -> History<LeaseIsNotOutbelieved> {
        let session_timeout = Duration::from_secs(3);
        let bounds = TimeBounds { session_timeout, ..TimeBounds::default() };
        History::of(LeaseIsNotOutbelieved::new(bounds))
            .holds(process(1, 1), LeadershipEvent::ElectionStarted { component: component() })
            .holds(process(1, 1), CoordinationEvent::SessionConnected { lease: LEASE })
            .after(session_timeout)
    }

    fn lost() -> CoordinationEvent {
        CoordinationEvent::SessionLost { lease: LEASE }
    }

    #[test]
    fn a_lease_that_is_over_has_ended_or_is_given_up_is_lost() {
        let suspended = CoordinationEvent::SessionSuspended { lease: LEASE };
        competing().holds(process(1, 1), suspended).holds(process(1, 1), lost());
        competing()
            .holds(process(0, 1), expired_as(LeaseEnd::Revoked))
            .holds(process(1, 1), lost());
        let stopped = LeadershipEvent::ElectionStopped { component: component() };
        competing().holds(process(1, 1), stopped).holds(process(1, 1), lost());
        let resumed = competing().holds(process(1, 1), Hardware::Paused);
        resumed.holds(process(1, 1), Hardware::Resumed).holds(process(1, 1), lost());
    }

    #[test]
    fn a_lease_that_may_live_is_given_up_by_nobody_who_competes() {
        competing().breaks(process(1, 1), lost());
        let suspended = || CoordinationEvent::SessionSuspended { lease: LEASE };
        let just = competing().holds(process(1, 1), suspended()).at_once();
        just.breaks(process(1, 1), lost());
        competing()
            .holds(process(1, 1), suspended())
            .holds(process(1, 1), CoordinationEvent::SessionReconnected { lease: LEASE })
            .breaks(process(1, 1), lost());
    }

    #[test]
    fn one_that_believes_on_is_refused() {
        connected().breaks(process(0, 1), expired());
        connected()
            .holds(process(1, 1), CoordinationEvent::SessionSuspended { lease: LEASE })
            .breaks(process(0, 1), expired());
    }
}
