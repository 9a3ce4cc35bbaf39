//! L6: in one contender, a term's process begins only after the former one's has ended wholly, and its endpoint only
//! while it runs: what a term was still recovering when it ended comes to nothing.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        leadership::{LeaderSessionId, LeadershipEvent},
        rpc::RpcEvent,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Follows the process of each contender.
#[derive(Default)]
pub struct TermsInSequence {
    /// The components of which a process was a leader.
    led: BTreeSet<((NodeId, u64), String)>,
    running: BTreeMap<((NodeId, u64), String), (LeaderSessionId, Moment)>,
}

impl ClusterInvariant for TermsInSequence {
    fn title(&self) -> &'static str {
        "L6 terms-in-sequence"
    }

    fn promise(&self) -> &'static str {
        "a term's process begins only after the former one's has ended wholly"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Leadership, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Leadership(LeadershipEvent::ProcessStarted { component, session }) => {
                self.led.insert((at.process, component.clone()));
                match self.running.insert((at.process, component.clone()), (*session, at)) {
                    None => Check::Passed,
                    Some((before, since)) => Check::broken(
                        format!("{since}: the process of {before:?} began and has not ended"),
                        format!("{at}: the process of {session:?} began"),
                    ),
                }
            }
            EventRef::Leadership(LeadershipEvent::ProcessTerminated { component, session }) => {
                match self.running.remove(&(at.process, component.clone())) {
                    Some((running, _)) if running == *session => Check::Passed,
                    running => Check::broken(
                        format!("the process that runs is {running:?}"),
                        format!("{at}: that of {session:?} ended"),
                    ),
                }
            }
            EventRef::Rpc(RpcEvent::EndpointCreated { name, .. }) => {
                let of = (at.process, name.clone());
                let outlives = self.led.contains(&of) && !self.running.contains_key(&of);
                Check::that(!outlives, || {
                    let before = "the process of each of its terms here has ended".to_string();
                    (before, format!("{at}: an endpoint of {name} is made"))
                })
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.led.retain(|(process, _)| *process != at.process);
                self.running.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, TermsInSequence};

    fn started(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessStarted { component: component(), session: term(number) }
    }

    fn ended(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessTerminated { component: component(), session: term(number) }
    }

    fn running() -> History<TermsInSequence> {
        History::new().holds(process(1, 1), started(1))
    }

    #[test]
    fn one_after_the_other_is_accepted() {
        running()
            .holds(process(1, 1), ended(1))
            .holds(process(1, 1), started(2))
            .holds(process(2, 1), started(3));
    }

    fn endpoint(name: &str) -> RpcEvent {
        let (endpoint, name) = (EndpointId(1), name.to_string());
        RpcEvent::EndpointCreated { endpoint, name, fenced: true }
    }

    #[test]
    fn an_endpoint_of_a_term_whose_process_has_ended_is_refused() {
        running().holds(process(1, 1), endpoint(COMPONENT));
        let ended = || running().holds(process(1, 1), ended(1));
        ended().holds(process(1, 1), endpoint("another")).holds(process(2, 1), endpoint(COMPONENT));
        ended().breaks(process(1, 1), endpoint(COMPONENT));
    }

    #[test]
    fn a_second_process_beside_the_first_is_refused() {
        running().breaks(process(1, 1), started(2));
    }

    #[test]
    fn the_end_of_what_does_not_run_is_refused() {
        running().breaks(process(1, 1), ended(2));
    }
}
