//! H2: a session without a beat is lost when the time-out is over, on the clock of whoever monitors it; one that too many
//! calls in a row have not found, or one call after its connection broke, is lost at once; and what is lost is given up at
//! once. Time in which that process stands still does not count.

use super::{Check, Clocks, ClusterInvariant, Mark, unreachable::CallsInARow};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::heartbeat::{HeartbeatEvent, HeartbeatSession},
    under_test::cluster::{EventKind, EventRef, Model, TimeBounds},
};
use std::{collections::BTreeMap, time::Duration};

/// What a handler that is due may be late.
const LATE_MAX: Duration = Duration::from_millis(20);

type Target = ((NodeId, u64), String, String, HeartbeatSession);

/// What is monitored, since its last beat, or since it was lost.
struct Watched {
    since: Moment,
    mark: Mark,
    lost: bool,
}

/// Remembers the sessions that are monitored.
#[derive(Default)]
pub struct LossInTime {
    bounds: TimeBounds,
    clocks: Clocks,
    monitored: BTreeMap<Target, Watched>,
    calls: BTreeMap<Target, (CallsInARow, Option<Mark>)>,
}

impl LossInTime {
    /// Judges by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        LossInTime { bounds, ..Self::default() }
    }

    fn watched(&self, at: Moment, lost: bool) -> Watched {
        Watched { since: at, mark: self.clocks.mark(at.process.0, at.time), lost }
    }

    /// Whether a session was not left alone for too long until now.
    fn check(&self, target: &Target, watched: &Watched, now: Duration) -> Check {
        let ((node, _), by, id, _) = target;
        let within = match watched.lost {
            true => LATE_MAX,
            false => self.clocks.stretched(*node, self.bounds.heartbeat_timeout) + LATE_MAX,
        };
        let ran = self.clocks.ran(*node, watched.mark, now);
        Check::that(ran <= within, || {
            let what = if watched.lost { "lost" } else { "silent" };
            (
                format!("{}: {id} is {what} for {by}", watched.since),
                format!("{:.3}s: and still monitored", now.as_secs_f64()),
            )
        })
    }
}

impl ClusterInvariant for LossInTime {
    fn title(&self) -> &'static str {
        "H2 loss-in-time"
    }

    fn promise(&self) -> &'static str {
        "whoever sends no beat for the time-out is lost then, and given up at once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Heartbeat, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let (by, id, session, next) = match seen {
            EventRef::Heartbeat(event) => match event {
                HeartbeatEvent::TargetMonitored { by, id, session }
                | HeartbeatEvent::BeatReceived { by, id, session } => {
                    (by, id, session, Some(false))
                }
                HeartbeatEvent::TimedOut { by, id, session }
                | HeartbeatEvent::Unreachable { by, id, session } => (by, id, session, Some(true)),
                HeartbeatEvent::TargetUnmonitored { by, id, session } => (by, id, session, None),
                HeartbeatEvent::ConnectionBroken { by, id, session }
                | HeartbeatEvent::CallFoundNobody { by, id, session }
                | HeartbeatEvent::CallAnswered { by, id, session } => {
                    let target = (at.process, by.clone(), id.clone(), *session);
                    return self.called(at, target, event);
                }
            },
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.monitored.retain(|(process, ..), _| *process != at.process);
                    self.calls.retain(|(process, ..), _| *process != at.process);
                }
                return Check::Ignored;
            }
            _ => return Check::Ignored,
        };
        let target = (at.process, by.clone(), id.clone(), *session);
        let before = match next {
            Some(lost) => self.monitored.insert(target.clone(), self.watched(at, lost)),
            None => self.monitored.remove(&target),
        };
        let found = self.check_found(&target, at.time);
        if next != Some(false) {
            self.calls.remove(&target);
        }
        before.map_or(Check::Ignored, |before| self.check(&target, &before, at.time)).and(found)
    }

    fn finish(&mut self, end: Duration) -> Check {
        let open = self.monitored.iter();
        let open = open.map(|(target, watched)| self.check(target, watched, end));
        let found = self.calls.keys().map(|target| self.check_found(target, end));
        open.chain(found).fold(Check::Ignored, Check::and)
    }
}

impl LossInTime {
    /// A call to a target that is not lost has come to its end, or its connection has.
    fn called(&mut self, at: Moment, target: Target, event: &HeartbeatEvent) -> Check {
        if self.monitored.get(&target).is_none_or(|watched| watched.lost) {
            return Check::Ignored;
        }
        let found = self.check_found(&target, at.time);
        let (calls, since) = self.calls.entry(target).or_default();
        calls.observe(at, event, self.bounds.unreachable_threshold);
        if calls.too_many() == Some(at) {
            since.get_or_insert(self.clocks.mark(at.process.0, at.time));
        }
        found
    }

    /// Whether too many calls have not found a target that is not lost for too long.
    fn check_found(&self, target: &Target, now: Duration) -> Check {
        let ((node, _), by, id, _) = target;
        let Some((calls, Some(since))) = self.calls.get(target) else { return Check::Ignored };
        Check::that(self.clocks.ran(*node, *since, now) <= LATE_MAX, || {
            let at = calls.too_many().map(|at| at.to_string()).unwrap_or_default();
            let now = format!("{:.3}s: it is not lost", now.as_secs_f64());
            (format!("{at}: too many calls of {by} have not found {id}"), now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing_jobs::*, Check, Duration, Hardware, HeartbeatEvent, HeartbeatSession,
        LossInTime, TimeBounds,
    };

    const TIMEOUT: Duration = Duration::from_secs(5);
    /// Events are a second apart.
    const BEFORE: Duration = Duration::from_secs(4);
    const LATE: Duration = Duration::from_millis(21);

    type Say = fn(String, String, HeartbeatSession) -> HeartbeatEvent;
    const MONITORED: Say = |by, id, session| HeartbeatEvent::TargetMonitored { by, id, session };
    const BEAT: Say = |by, id, session| HeartbeatEvent::BeatReceived { by, id, session };
    const TIMED_OUT: Say = |by, id, session| HeartbeatEvent::TimedOut { by, id, session };
    const UNREACHABLE: Say = |by, id, session| HeartbeatEvent::Unreachable { by, id, session };
    const NOBODY: Say = |by, id, session| HeartbeatEvent::CallFoundNobody { by, id, session };
    const ANSWERED: Say = |by, id, session| HeartbeatEvent::CallAnswered { by, id, session };
    const BROKEN: Say = |by, id, session| HeartbeatEvent::ConnectionBroken { by, id, session };
    const UNMONITORED: Say =
        |by, id, session| HeartbeatEvent::TargetUnmonitored { by, id, session };

    fn it(say: Say) -> HeartbeatEvent {
        say("resource-manager".to_string(), "a".to_string(), HeartbeatSession(1))
    }

    fn watching() -> History<LossInTime> {
        let history = History::of(LossInTime::new(TimeBounds::default()));
        history.holds(process(1, 1), it(MONITORED))
    }

    #[test]
    fn a_loss_in_time_that_is_given_up_at_once_is_accepted() {
        let lost = watching().after(BEFORE).holds(process(1, 1), it(TIMED_OUT)).at_once();
        lost.holds(process(1, 1), it(UNMONITORED)).after(TIMEOUT * 9).holds(process(1, 1), ended());
        let beating = watching().after(BEFORE).holds(process(1, 1), it(BEAT)).after(BEFORE);
        let lost = beating.holds(process(1, 1), it(UNREACHABLE)).at_once();
        lost.holds(process(1, 1), it(UNMONITORED));
    }

    #[test]
    fn a_late_loss_or_none_is_refused() {
        let late = || watching().after(BEFORE + LATE);
        late().breaks(process(1, 1), it(TIMED_OUT));
        late().breaks(process(1, 1), it(BEAT));
        late().breaks(process(1, 1), it(UNMONITORED));
        assert!(matches!(watching().finish(TIMEOUT * 2), Check::Broken { .. }));
    }

    #[test]
    fn what_is_lost_and_not_given_up_is_refused() {
        let lost = || watching().holds(process(1, 1), it(UNREACHABLE));
        lost().at_once().after(LATE).breaks(process(1, 1), it(UNMONITORED));
        assert!(matches!(lost().finish(TIMEOUT), Check::Broken { .. }));
    }

    #[test]
    fn what_too_many_calls_do_not_find_is_lost_at_once() {
        let nobody = |history: History<LossInTime>| history.holds(process(1, 1), it(NOBODY));
        let twice = || nobody(nobody(watching()));
        twice().at_once().holds(process(1, 1), it(UNREACHABLE));
        twice().at_once().after(LATE).breaks(process(1, 1), it(UNREACHABLE));
        twice().breaks(process(1, 1), it(BEAT));
        assert!(matches!(twice().finish(TIMEOUT), Check::Broken { .. }));
        let answered = nobody(watching()).holds(process(1, 1), it(ANSWERED));
        nobody(answered).holds(process(1, 1), it(BEAT));
        let broken = nobody(watching().holds(process(1, 1), it(BROKEN)));
        broken.breaks(process(1, 1), it(BEAT));
    }

    #[test]
    fn who_stands_still_or_has_ended_loses_nobody() {
        let stood = watching().holds(process(1, 1), Hardware::Paused).after(TIMEOUT * 2);
        let resumed = stood.holds(process(1, 1), Hardware::Resumed);
        let lost = resumed.holds(process(1, 1), it(TIMED_OUT)).at_once();
        lost.holds(process(1, 1), it(UNMONITORED));
        let ended = watching().holds(process(1, 1), ended());
        assert_eq!(ended.finish(TIMEOUT * 9), Check::Ignored);
    }
}
