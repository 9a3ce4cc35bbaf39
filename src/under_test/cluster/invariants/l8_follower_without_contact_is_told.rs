//! L8: a follower that has had no contact to the coordination service for longer than a lease may live
//! is told that the leader is unknown. Contact is an answered call; the time is that of its node's clock
//! while its process runs, with what the call needs that finds out. Who was told so registers at none.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        leadership::LeadershipEvent,
        protocol::RESOURCE_MANAGER,
        rpc::{AskOutcome, RpcEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What the call takes at most that finds out, with the pauses around it.
const CALL_MAX: Duration = Duration::from_secs(7);

/// A handler that is due after a notice may be so late, and a call may be on its way.
const NOTICE_MAX: Duration = Duration::from_secs(1);

/// The calls to the resource manager that only those make who know one.
const REGISTRATIONS: &str = "ResourceManagerGateway.register_";

type Process = (NodeId, u64);

/// Remembers who had contact when, and which followers believe in a leader.
#[derive(Default)]
pub struct FollowerWithoutContactIsTold {
    bounds: TimeBounds,
    clocks: Clocks,
    asked: BTreeSet<(Process, u64)>,
    contact: BTreeMap<Process, Mark>,
    believers: BTreeMap<(Process, u64), (String, Mark)>,
    /// Those who were told last that the resource manager is unknown.
    unknowing: BTreeMap<(Process, u64), Mark>,
}

impl FollowerWithoutContactIsTold {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        FollowerWithoutContactIsTold { bounds, ..Self::default() }
    }

    /// A process registers at a resource manager.
    fn registers(&self, at: Moment, model: &Model) -> Check {
        let of = (at.process, 0)..=(at.process, u64::MAX);
        let mut followers = model.notified.range(of);
        let knows = followers.any(|(follower, (component, _))| {
            let told = self.unknowing.get(follower);
            let long =
                told.is_some_and(|told| self.clocks.ran(at.process.0, *told, at.time) > NOTICE_MAX);
            component == RESOURCE_MANAGER && !long
        });
        match knows || !self.unknowing.keys().any(|(process, _)| *process == at.process) {
            true => Check::Ignored,
            false => Check::broken(
                "it was told that the resource manager is unknown",
                format!("{at}: it registers at one"),
            ),
        }
    }

    /// A call of this process got no answer.
    fn silent(&self, at: Moment) -> Check {
        let node = at.process.0;
        let within = self.clocks.stretched(node, self.bounds.session_timeout + CALL_MAX);
        let contact = self.contact.get(&at.process);
        let believers = self.believers.range((at.process, 0)..=(at.process, u64::MAX));
        for (_, (component, told)) in believers {
            let since = contact.copied().unwrap_or(*told);
            let ran = [since, *told].map(|mark| self.clocks.ran(node, mark, at.time));
            if ran.iter().all(|ran| *ran > within) {
                return Check::broken(
                    format!("it has had no contact for {:.1?}", ran[0].min(ran[1])),
                    format!("{at}: a follower still believes in the leader of {component}"),
                );
            }
        }
        Check::Passed
    }
}

impl ClusterInvariant for FollowerWithoutContactIsTold {
    fn title(&self) -> &'static str {
        "L8 follower-without-contact-is-told"
    }

    fn promise(&self) -> &'static str {
        "a follower without contact for longer than a lease lives is told that the leader is unknown"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rpc, EventKind::Leadership, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::AskSent { kind, .. })
                if kind.name().starts_with(REGISTRATIONS) =>
            {
                self.registers(at, model)
            }
            EventRef::Rpc(RpcEvent::AskSent { call, kind, .. }) => {
                if kind.name().starts_with("CoordinationGateway.") {
                    self.asked.insert((at.process, *call));
                }
                Check::Ignored
            }
            EventRef::Rpc(RpcEvent::AskResolved { call, outcome }) => {
                if !self.asked.remove(&(at.process, *call)) {
                    return Check::Ignored;
                }
                if *outcome == AskOutcome::Value {
                    let mark = self.clocks.mark(at.process.0, at.time);
                    self.contact.insert(at.process, mark);
                    return Check::Ignored;
                }
                self.silent(at)
            }
            EventRef::Leadership(LeadershipEvent::LeaderNotified {
                component,
                service,
                leader,
            }) => {
                let follower = (at.process, *service);
                let mark = self.clocks.mark(at.process.0, at.time);
                if leader.is_some() {
                    self.believers.insert(follower, (component.clone(), mark));
                    self.unknowing.remove(&follower);
                } else {
                    self.believers.remove(&follower);
                    if component == RESOURCE_MANAGER {
                        self.unknowing.insert(follower, mark);
                    }
                }
                Check::Ignored
            }
            EventRef::Leadership(LeadershipEvent::RetrievalStopped { service, .. }) => {
                self.believers.remove(&(at.process, *service));
                self.unknowing.remove(&(at.process, *service));
                Check::Ignored
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.asked.retain(|(process, _)| *process != at.process);
                    self.contact.remove(&at.process);
                    self.believers.retain(|(process, _), _| *process != at.process);
                    self.unknowing.retain(|(process, _), _| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

    const WATCH: Kind = Kind::new("CoordinationGateway.watch");

    fn sent(call: u64) -> RpcEvent {
        RpcEvent::AskSent { call, kind: WATCH, timeout: Duration::from_secs(4) }
    }

    fn resolved(call: u64, outcome: AskOutcome) -> RpcEvent {
        RpcEvent::AskResolved { call, outcome }
    }

    fn told(leader: Option<LeaderInformation>) -> LeadershipEvent {
        LeadershipEvent::LeaderNotified { component: component(), service: 1, leader }
    }

    fn following() -> History<FollowerWithoutContactIsTold> {
        let bounds =
            TimeBounds { session_timeout: Duration::from_secs(3), ..TimeBounds::default() };
        History::of(FollowerWithoutContactIsTold::new(bounds))
            .holds(process(3, 1), told(Some(leader(1))))
            .holds(process(3, 1), sent(1))
            .holds(process(3, 1), resolved(1, AskOutcome::Value))
    }

    fn silence(
        history: History<FollowerWithoutContactIsTold>,
    ) -> History<FollowerWithoutContactIsTold> {
        (0..12).fold(history, |history, _| history.holds(process(9, 1), told(None)))
    }

    #[test]
    fn one_with_contact_or_that_was_told_is_accepted() {
        following().holds(process(3, 1), sent(2)).holds(process(3, 1), resolved(2, timeout()));
        silence(following())
            .holds(process(3, 1), told(None))
            .holds(process(3, 1), sent(2))
            .holds(process(3, 1), resolved(2, timeout()));
        silence(following())
            .holds(process(3, 1), sent(2))
            .holds(process(3, 1), resolved(2, AskOutcome::Value));
    }

    /// The resource manager is led, or is known to be led no more.
    fn managed(leader: Option<LeaderInformation>) -> LeadershipEvent {
        let component = RESOURCE_MANAGER.to_string();
        LeadershipEvent::LeaderNotified { component, service: 2, leader }
    }

    #[test]
    fn who_knows_no_resource_manager_registers_at_none() {
        let kind = Kind::new("ResourceManagerGateway.register_task_executor");
        let registers = || RpcEvent::AskSent { call: 9, kind, timeout: NOTICE_MAX };
        let unknown = || {
            following()
                .holds(process(3, 1), managed(Some(leader(1))))
                .holds(process(3, 1), managed(None))
        };
        following()
            .holds(process(3, 1), managed(Some(leader(1))))
            .holds(process(3, 1), registers());
        unknown().holds(process(3, 1), registers());
        unknown().after(NOTICE_MAX).holds(process(4, 1), registers());
        unknown()
            .after(NOTICE_MAX)
            .holds(process(3, 1), managed(Some(leader(2))))
            .holds(process(3, 1), registers());
        unknown().after(NOTICE_MAX).breaks(process(3, 1), registers());
    }

    fn timeout() -> AskOutcome {
        AskOutcome::Failed("timeout")
    }

    #[test]
    fn one_that_is_not_told_is_refused() {
        silence(following())
            .holds(process(3, 1), sent(2))
            .breaks(process(3, 1), resolved(2, timeout()));
    }
}
