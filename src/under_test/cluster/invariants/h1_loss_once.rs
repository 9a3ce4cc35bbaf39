//! H1: a monitored session is lost once at most, only while it is monitored, never after; it times out only when no
//! beat has come for the time-out, and is unreachable only when so many calls in a row have found nobody, or one after
//! its connection broke.

use super::{Check, ClusterInvariant, unreachable::CallsInARow};
use crate::{
    harness::{check::Clocks, event::Moment},
    host::{sim::Hardware, sim::NodeId},
    system::heartbeat::{HeartbeatEvent, HeartbeatSession},
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{collections::BTreeMap, time::Duration};

type Target = ((NodeId, u64), String, String, HeartbeatSession);

/// A clock tells whole nanoseconds, drawn out or shrunk.
const ROUNDED: Duration = Duration::from_micros(1);

/// Remembers the sessions that are monitored, since when none of them has sent a beat, and whether they are lost.
#[derive(Default)]
pub struct LossOnce {
    bounds: TimeBounds,
    clocks: Clocks,
    monitored: BTreeMap<Target, Watched>,
}

struct Watched {
    silent_since: Moment,
    lost: Option<Moment>,
    calls: CallsInARow,
}

impl LossOnce {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        LossOnce { bounds, ..Self::default() }
    }

    fn lost(&mut self, at: Moment, target: &Target, timed_out: bool) -> Check {
        let (_, _, id, session) = target;
        let now = format!("{at}: {session:?} of {id} is lost");
        let least = self.clocks.shrunk(at.process.0, self.bounds.heartbeat_timeout);
        match self.monitored.get_mut(target) {
            None => Check::broken("it is not monitored", now),
            Some(Watched { lost: Some(lost), .. }) => {
                Check::broken(format!("{lost}: it is lost"), now)
            }
            Some(Watched { silent_since, lost, calls }) => {
                *lost = Some(at);
                let silent = at.time - silent_since.time + ROUNDED;
                let holds = if timed_out { silent >= least } else { calls.too_many().is_some() };
                Check::that(holds, || {
                    let before = match timed_out {
                        true => format!("{silent_since}: it beats"),
                        false => "too few calls have found nobody".to_string(),
                    };
                    (before, now)
                })
            }
        }
    }
}

impl ClusterInvariant for LossOnce {
    fn title(&self) -> &'static str {
        "H1 loss-once"
    }

    fn promise(&self) -> &'static str {
        "a session is lost at most once, only while it is monitored, and never while it beats"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Heartbeat, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let target = |by: &String, id: &String, session: &HeartbeatSession| {
            (at.process, by.clone(), id.clone(), *session)
        };
        match seen {
            EventRef::Heartbeat(
                event @ (HeartbeatEvent::ConnectionBroken { by, id, session }
                | HeartbeatEvent::CallFoundNobody { by, id, session }
                | HeartbeatEvent::CallAnswered { by, id, session }),
            ) => {
                if let Some(watched) = self.monitored.get_mut(&target(by, id, session)) {
                    watched.calls.observe(at, event, self.bounds.unreachable_threshold);
                }
                Check::Ignored
            }
            EventRef::Heartbeat(HeartbeatEvent::TargetMonitored { by, id, session }) => {
                let calls = CallsInARow::default();
                let watched = Watched { silent_since: at, lost: None, calls };
                let known = self.monitored.insert(target(by, id, session), watched);
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
            EventRef::Heartbeat(HeartbeatEvent::BeatReceived { by, id, session }) => {
                match self.monitored.get_mut(&target(by, id, session)) {
                    Some(watched) if watched.lost.is_none() => {
                        watched.silent_since = at;
                        Check::Ignored
                    }
                    _ => Check::broken("it is lost, or not monitored", format!("{at}: {id} beats")),
                }
            }
            EventRef::Heartbeat(HeartbeatEvent::TimedOut { by, id, session }) => {
                self.lost(at, &target(by, id, session), true)
            }
            EventRef::Heartbeat(HeartbeatEvent::Unreachable { by, id, session }) => {
                self.lost(at, &target(by, id, session), false)
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.monitored.retain(|(process, ..), _| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing_jobs::*, Duration, HeartbeatEvent, HeartbeatSession, LossOnce, TimeBounds,
    };

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

    fn nobody() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::CallFoundNobody { by, id, session }
    }

    fn answered() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::CallAnswered { by, id, session }
    }

    fn broken() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::ConnectionBroken { by, id, session }
    }

    /// Two calls find nobody, which is one too many.
    fn not_found(history: History<LossOnce>, node: usize) -> History<LossOnce> {
        history.holds(process(node, 1), nobody()).holds(process(node, 1), nobody())
    }

    fn beat() -> HeartbeatEvent {
        let (by, id, session) = names();
        HeartbeatEvent::BeatReceived { by, id, session }
    }

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn watching() -> History<LossOnce> {
        History::of(LossOnce::new(TimeBounds::default())).holds(process(1, 1), monitored())
    }

    #[test]
    fn a_loss_of_what_is_monitored_is_accepted() {
        not_found(watching().holds(process(2, 1), monitored()), 2)
            .holds(process(2, 1), unreachable())
            .after(TIMEOUT)
            .holds(process(1, 1), timed_out())
            .holds(process(1, 1), unmonitored())
            .holds(process(1, 1), monitored())
            .after(TIMEOUT)
            .holds(process(1, 1), timed_out());
    }

    #[test]
    fn a_time_out_while_beats_come_is_refused_and_one_of_who_is_not_there_is_not() {
        let beating = || watching().after(TIMEOUT).holds(process(1, 1), beat()).after(TIMEOUT / 2);
        beating().breaks(process(1, 1), timed_out());
        not_found(beating(), 1).holds(process(1, 1), unreachable());
        beating().after(TIMEOUT / 2).holds(process(1, 1), timed_out());
        watching().breaks(process(1, 1), timed_out());
    }

    #[test]
    fn a_beat_of_what_is_lost_or_not_monitored_is_refused() {
        watching().breaks(process(2, 1), beat());
        let lost = not_found(watching(), 1).holds(process(1, 1), unreachable());
        lost.breaks(process(1, 1), beat());
    }

    #[test]
    fn who_is_found_unreachable_by_too_few_calls_is_refused() {
        let once = || watching().holds(process(1, 1), nobody());
        watching().breaks(process(1, 1), unreachable());
        once().breaks(process(1, 1), unreachable());
        let again = once().holds(process(1, 1), answered()).holds(process(1, 1), nobody());
        again.breaks(process(1, 1), unreachable());
        once()
            .holds(process(1, 1), broken())
            .holds(process(1, 1), nobody())
            .holds(process(1, 1), unreachable());
    }

    #[test]
    fn a_second_loss_is_refused() {
        let late = || not_found(watching().after(TIMEOUT), 1);
        late().holds(process(1, 1), timed_out()).breaks(process(1, 1), unreachable());
        late().holds(process(1, 1), unreachable()).breaks(process(1, 1), timed_out());
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
