//! H1: a monitored session is lost once at most, only while it is monitored, never after. That no beat
//! came for the time-out can't be judged here: beats are no events.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::heartbeat::{HeartbeatEvent, HeartbeatSession},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

type Target = ((NodeId, u64), String, String, HeartbeatSession);

/// Remembers the sessions that are monitored, and whether they are lost.
#[derive(Default)]
pub struct LossOnce {
    monitored: BTreeMap<Target, Option<Moment>>,
}

impl ClusterInvariant for LossOnce {
    fn title(&self) -> &'static str {
        "H1 loss-once"
    }

    fn promise(&self) -> &'static str {
        "a session is lost at most once, and only while it is monitored"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Heartbeat, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let target = |by: &String, id: &String, session: &HeartbeatSession| {
            (at.process, by.clone(), id.clone(), *session)
        };
        match seen {
            EventRef::Heartbeat(HeartbeatEvent::TargetMonitored { by, id, session }) => {
                let known = self.monitored.insert(target(by, id, session), None);
                Check::that(known.is_none(), || {
                    ("it is monitored".to_string(), format!("{at}: {session:?} of {id} is"))
                })
            }
            EventRef::Heartbeat(HeartbeatEvent::TargetUnmonitored { by, id, session }) => {
                let known = self.monitored.remove(&target(by, id, session));
                Check::that(known.is_some(), || {
                    (
                        "it is not monitored".into(),
                        format!("{at}: {session:?} of {id} no longer is"),
                    )
                })
            }
            EventRef::Heartbeat(
                HeartbeatEvent::TimedOut { by, id, session }
                | HeartbeatEvent::Unreachable { by, id, session },
            ) => {
                let now = format!("{at}: {session:?} of {id} is lost");
                match self.monitored.get_mut(&target(by, id, session)) {
                    None => Check::broken("it is not monitored", now),
                    Some(Some(lost)) => Check::broken(format!("{lost}: it is lost"), now),
                    Some(lost) => {
                        *lost = Some(at);
                        Check::Passed
                    }
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.monitored.retain(|(process, ..), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, HeartbeatEvent, HeartbeatSession, LossOnce};

    fn names() -> (String, String, HeartbeatSession) {
        ("resource-manager".to_string(), "a".to_string(), HeartbeatSession(1))
    }

    fn monitored() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::TargetMonitored { by, id, session }
    }

    fn unmonitored() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::TargetUnmonitored { by, id, session }
    }

    fn timed_out() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::TimedOut { by, id, session }
    }

    fn unreachable() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::Unreachable { by, id, session }
    }

    fn watching() -> History<LossOnce> {
        History::new().holds(process(1, 1), monitored())
    }

    #[test]
    fn a_loss_of_what_is_monitored_is_accepted() {
        watching()
            .holds(process(2, 1), monitored())
            .holds(process(2, 1), unreachable())
            .holds(process(1, 1), timed_out())
            .holds(process(1, 1), unmonitored())
            .holds(process(1, 1), monitored())
            .holds(process(1, 1), timed_out());
    }

    #[test]
    fn a_second_loss_is_refused() {
        watching().holds(process(1, 1), timed_out()).breaks(process(1, 1), unreachable());
        watching().holds(process(1, 1), unreachable()).breaks(process(1, 1), timed_out());
    }

    #[test]
    fn a_loss_before_or_after_the_watch_is_refused() {
        watching().breaks(process(2, 1), timed_out());
        watching().holds(process(1, 1), unmonitored()).breaks(process(1, 1), timed_out());
        watching().holds(process(1, 1), ended()).breaks(process(1, 1), timed_out());
    }

    #[test]
    fn a_watch_begun_or_ended_twice_is_refused() {
        watching().breaks(process(1, 1), monitored());
        watching().holds(process(1, 1), unmonitored()).breaks(process(1, 1), unmonitored());
    }
}
