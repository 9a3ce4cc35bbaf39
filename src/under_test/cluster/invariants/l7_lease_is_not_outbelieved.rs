//! L7: by equal clocks no client believes in a lease longer than the server does. When the server lets
//! a lease expire, its client has lost it already, unless one of the two clocks ever drifted, or the
//! client's process stands still or has just gone on. Nor does a client give one up sooner: who gets no answer
//! leads on until the lease is over on its own clock, counted from the last call that was answered.

use super::{Check, Clocks, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        leadership::LeadershipEvent,
        rpc::{AskOutcome, RpcEvent},
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

/// The calls with whose answers a lease lives on.
const KINDS: &[&str] = &["CoordinationGateway.grant_lease", "CoordinationGateway.keep_alive"];

type Process = (NodeId, u64);

/// Remembers who believes in which lease, and why.
#[derive(Default)]
pub struct LeaseIsNotOutbelieved {
    bounds: TimeBounds,
    clocks: Clocks,
    believers: BTreeMap<LeaseId, Process>,
    /// When the calls were made that are not answered yet.
    asked: BTreeMap<(Process, u64), Duration>,
    /// When the last one was made that was answered.
    alive: BTreeMap<Process, Duration>,
    /// The elections that run: without one a process gives its lease up.
    elections: BTreeSet<(Process, String)>,
}

impl ClusterInvariant for LeaseIsNotOutbelieved {
    fn title(&self) -> &'static str {
        "L7 lease-is-not-outbelieved"
    }

    fn promise(&self) -> &'static str {
        "a client has lost its lease before the server lets it expire, and not before it could, by equal clocks"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Rpc, EventKind::Leadership, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Coordination(CoordinationEvent::SessionConnected { lease }) => {
                self.believers.insert(*lease, at.process);
                Check::Ignored
            }
            EventRef::Coordination(CoordinationEvent::SessionLost { lease }) => {
                match self.believers.remove(lease) {
                    Some(process) => self.given_up(at, process),
                    None => Check::Ignored,
                }
            }
            EventRef::Coordination(CoordinationEvent::LeaseEnded { lease, end, .. }) => match end {
                LeaseEnd::Expired => self.expired(at, *lease),
                _ => self.ended(*lease),
            },
            // A lease that ended may not have been announced.
            EventRef::Coordination(CoordinationEvent::Recovered { .. }) => {
                self.alive.clear();
                Check::Ignored
            }
            EventRef::Rpc(event) => self.call(at, event),
            EventRef::Leadership(event) => {
                match event {
                    LeadershipEvent::ElectionStarted { component } => {
                        self.elections.insert((at.process, component.clone()));
                    }
                    LeadershipEvent::ElectionStopped { component } => {
                        self.elections.remove(&(at.process, component.clone()));
                    }
                    _ => {}
                }
                Check::Ignored
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.believers.retain(|_, process| *process != at.process);
                    self.asked.retain(|(process, _), _| *process != at.process);
                    self.alive.remove(&at.process);
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

    /// A call of a client was made, or has an outcome.
    fn call(&mut self, at: Moment, event: &RpcEvent) -> Check {
        match event {
            RpcEvent::AskSent { call, kind, .. } if KINDS.contains(&kind.name()) => {
                self.asked.insert((at.process, *call), at.time);
            }
            RpcEvent::AskResolved { call, outcome } => {
                let sent = self.asked.remove(&(at.process, *call));
                if let Some(sent) = sent.filter(|_| *outcome == AskOutcome::Value) {
                    self.alive.insert(at.process, sent);
                }
            }
            _ => {}
        }
        Check::Ignored
    }

    /// A client is told so when it calls next.
    fn ended(&mut self, lease: LeaseId) -> Check {
        self.believers.remove(&lease);
        Check::Ignored
    }

    /// A client says that its lease is lost, though the server has not ended it.
    fn given_up(&self, at: Moment, client: Process) -> Check {
        let leads = self.elections.iter().any(|(process, _)| *process == client);
        let Some(alive) = self.alive.get(&client) else { return Check::Ignored };
        let until = *alive + self.bounds.session_timeout;
        if !leads || !self.clocks.is_true(client.0) || at.time >= until {
            return Check::Ignored;
        }
        Check::broken(
            format!("{:.3}s: a call of it was made and answered since", alive.as_secs_f64()),
            format!("{at}: it gives its lease up, {:.1?} too soon", until - at.time),
        )
    }

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
    use super::{super::testing::*, *};
    use crate::host::sim::ProcessEnd;

    const LEASE: LeaseId = LeaseId(1);

    fn expired_of(end: LeaseEnd) -> CoordinationEvent {
        CoordinationEvent::LeaseEnded { lease: LEASE, end, revision: Revision(3), removed: vec![] }
    }

    fn expired() -> CoordinationEvent {
        expired_of(LeaseEnd::Expired)
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

    fn sent(call: u64) -> RpcEvent {
        let (kind, timeout) = (Kind::new("CoordinationGateway.keep_alive"), GRACE);
        RpcEvent::AskSent { call, kind, timeout }
    }

    /// A client has just kept its lease alive; those of the tests live for three seconds.
    fn kept_alive() -> History<LeaseIsNotOutbelieved> {
        let session_timeout = Duration::from_secs(3);
        let bounds = TimeBounds { session_timeout, ..TimeBounds::default() };
        let answered = RpcEvent::AskResolved { call: 1, outcome: AskOutcome::Value };
        History::of(LeaseIsNotOutbelieved::new(bounds))
            .holds(process(1, 1), LeadershipEvent::ElectionStarted { component: component() })
            .holds(process(1, 1), CoordinationEvent::SessionConnected { lease: LEASE })
            .holds(process(1, 1), sent(1))
            .holds(process(1, 1), answered)
    }

    #[test]
    fn a_lease_that_may_live_is_given_up_by_nobody_who_competes() {
        let lost = || CoordinationEvent::SessionLost { lease: LEASE };
        let silent = RpcEvent::AskResolved { call: 2, outcome: AskOutcome::Failed("timeout") };
        kept_alive().after(GRACE).holds(process(1, 1), lost());
        kept_alive()
            .holds(process(0, 1), expired_of(LeaseEnd::Revoked))
            .holds(process(1, 1), lost());
        let stopped = LeadershipEvent::ElectionStopped { component: component() };
        kept_alive().at_once().holds(process(1, 1), stopped).holds(process(1, 1), lost());
        kept_alive().breaks(process(1, 1), lost());
        let unanswered = kept_alive().at_once().holds(process(1, 1), sent(2)).at_once();
        unanswered.holds(process(1, 1), silent).breaks(process(1, 1), lost());
    }

    #[test]
    fn one_that_believes_on_is_refused() {
        connected().breaks(process(0, 1), expired());
        connected()
            .holds(process(1, 1), CoordinationEvent::SessionSuspended { lease: LEASE })
            .breaks(process(0, 1), expired());
    }
}
