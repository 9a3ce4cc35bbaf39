//! L5: nothing is called back after its service was stopped, and a leading contender that stops is
//! revoked first.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::NodeId,
    system::leadership::LeadershipEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

type Service = ((NodeId, u64), String);

/// Remembers what has stopped and who leads.
#[derive(Default)]
pub struct SilentAfterStop {
    elections: BTreeMap<Service, Moment>,
    retrievals: BTreeMap<(Service, u64), Moment>,
    leading: BTreeSet<Service>,
}

impl ClusterInvariant for SilentAfterStop {
    fn title(&self) -> &'static str {
        "L5 silent-after-stop"
    }

    fn promise(&self) -> &'static str {
        "no callback after a stop, and a contender that stops while leading is revoked first"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Leadership]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let EventRef::Leadership(event) = seen else { return Check::Ignored };
        let service = |component: &String| (at.process, component.clone());
        let silent = |stopped: Option<&Moment>, what: &str| match stopped {
            None => Check::Passed,
            Some(stopped) => Check::broken(format!("{stopped}: stopped"), format!("{at}: {what}")),
        };
        match event {
            LeadershipEvent::Granted { component, .. } => {
                self.leading.insert(service(component));
                silent(self.elections.get(&service(component)), "granted")
            }
            LeadershipEvent::Revoked { component, .. } => {
                self.leading.remove(&service(component));
                silent(self.elections.get(&service(component)), "revoked")
            }
            LeadershipEvent::LeaderNotified { component, service: number, .. } => {
                silent(self.retrievals.get(&(service(component), *number)), "notified")
            }
            LeadershipEvent::ElectionStarted { component } => {
                self.elections.remove(&service(component));
                Check::Passed
            }
            LeadershipEvent::ElectionStopped { component } => {
                self.elections.insert(service(component), at);
                match self.leading.contains(&service(component)) {
                    false => Check::Passed,
                    true => Check::broken("it leads", format!("{at}: stopped without a revoke")),
                }
            }
            LeadershipEvent::RetrievalStopped { component, service: number } => {
                self.retrievals.insert((service(component), *number), at);
                Check::Passed
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, SilentAfterStop};

    fn granted() -> LeadershipEvent {
        LeadershipEvent::Granted { component: component(), session: term(1) }
    }

    fn revoked() -> LeadershipEvent {
        LeadershipEvent::Revoked { component: component(), session: term(1) }
    }

    fn stopped() -> LeadershipEvent {
        LeadershipEvent::ElectionStopped { component: component() }
    }

    fn leading() -> History<SilentAfterStop> {
        History::new().holds(process(1, 1), granted())
    }

    #[test]
    fn revoke_then_stop_is_accepted_and_other_processes_go_on() {
        leading()
            .holds(process(1, 1), revoked())
            .holds(process(1, 1), stopped())
            .holds(process(1, 2), granted());
    }

    #[test]
    fn a_stop_while_leading_without_a_revoke_is_refused() {
        leading().breaks(process(1, 1), stopped());
    }

    #[test]
    fn a_grant_after_the_stop_is_refused() {
        leading()
            .holds(process(1, 1), revoked())
            .holds(process(1, 1), stopped())
            .breaks(process(1, 1), granted());
    }

    #[test]
    fn a_notice_after_the_stop_is_refused() {
        let stopped = LeadershipEvent::RetrievalStopped { component: component(), service: 1 };
        let notice = |service| LeadershipEvent::LeaderNotified {
            component: component(),
            service,
            leader: None,
        };
        History::<SilentAfterStop>::new()
            .holds(process(1, 1), notice(1))
            .holds(process(1, 1), stopped)
            .holds(process(1, 1), notice(2))
            .breaks(process(1, 1), notice(1));
    }
}
