//! M3: a front end forgets no request. Within its time-out and a margin, on its node's clock and while its process runs, a
//! request that was accepted has ended, whatever becomes of the log and of the job; so it is answered exactly once if its
//! front end lives, and no entry is left behind.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::request_reply::{EventId, FrontEndEvent},
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{collections::BTreeMap, time::Duration};

/// Beyond the time-out: what one main thread may have to do before.
const MARGIN: Duration = Duration::from_millis(500);

/// Remembers what waits since when.
#[derive(Default)]
pub struct RequestsEndInTime {
    clocks: Clocks,
    timeouts: BTreeMap<(NodeId, u64), Duration>,
    waits: BTreeMap<EventId, ((NodeId, u64), Mark)>,
}

impl RequestsEndInTime {
    fn overdue(&self, now: Duration, of: impl Fn((NodeId, u64)) -> bool) -> Option<Check> {
        let found = self.waits.iter().find_map(|(id, (process, since))| {
            let node = process.0;
            let timeout = *self.timeouts.get(process)?;
            let may = self.clocks.stretched(node, timeout + MARGIN);
            (of(*process) && self.clocks.ran(node, *since, now) > may).then_some((id, timeout))
        });
        let (id, timeout) = found?;
        Some(Check::broken(
            format!("{id:?} may wait {timeout:?}"),
            format!("{:.3}s: it still waits", now.as_secs_f64()),
        ))
    }
}

impl ClusterInvariant for RequestsEndInTime {
    fn title(&self) -> &'static str {
        "M3 requests-end-in-time"
    }

    fn promise(&self) -> &'static str {
        "a request that was accepted ends within its time-out while its front end lives"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::FrontEnd, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.waits.retain(|_, (process, _)| *process != at.process);
                }
                Check::Ignored
            }
            EventRef::FrontEnd(event) => {
                if let Some(overdue) = self.overdue(at.time, |process| process == at.process) {
                    self.waits.clear();
                    return overdue;
                }
                match event {
                    FrontEndEvent::Began { timeout, .. } => {
                        self.timeouts.insert(at.process, *timeout);
                    }
                    FrontEndEvent::RequestAccepted { id, .. } => {
                        let since = self.clocks.mark(at.process.0, at.time);
                        self.waits.insert(*id, (at.process, since));
                    }
                    FrontEndEvent::RequestEnded { id, .. } => {
                        self.waits.remove(id);
                        return Check::Passed;
                    }
                    _ => {}
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        self.overdue(end, |_| true).unwrap_or(Check::Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, Duration, RequestsEndInTime};

    /// Its time-out is three seconds.
    fn waiting() -> History<RequestsEndInTime> {
        History::new().holds(process(1, 1), began(2)).holds(process(1, 1), accepted(1))
    }

    #[test]
    fn what_waits_longer_than_it_may_is_refused() {
        let others = |history: History<RequestsEndInTime>| {
            (2..4).fold(history, |history, id| history.holds(process(1, 1), accepted(id)))
        };
        others(waiting()).holds(process(1, 1), ended(1));
        others(waiting()).holds(process(2, 1), accepted(9)).breaks(process(1, 1), accepted(4));
        let left = others(waiting()).finish(Duration::from_secs(3));
        assert!(matches!(left, Check::Broken { .. }), "{left:?}");
    }

    #[test]
    fn what_ended_with_its_process_and_while_that_stands_still_is_not_counted() {
        let still = waiting().holds(process(1, 1), Hardware::Paused);
        let still = (2..8).fold(still, |history, id| history.holds(process(2, 1), accepted(id)));
        still.holds(process(1, 1), Hardware::Resumed).holds(process(1, 1), ended(1));
        let dead = waiting().holds(process(1, 1), dead());
        (2..8)
            .fold(dead, |history, id| history.holds(process(2, 1), accepted(id)))
            .holds(process(1, 2), began(2));
    }
}
