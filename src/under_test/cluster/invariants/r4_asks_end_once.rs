//! R4: every ask ends exactly once, and by its deadline on its node's clock while its process runs.

use super::{Check, Clocks, ClusterInvariant, Mark};
use crate::{
    harness::event::Moment,
    host::{
        Kind,
        sim::{Hardware, NodeId},
    },
    system::rpc::RpcEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{collections::BTreeMap, time::Duration};

/// No ask of a healthy process is open for longer than this; time-outs are far shorter, and a clock
/// may be half as fast as the true one.
const OPEN_MAX: Duration = Duration::from_secs(120);

/// An ask may end so much later than its deadline, for which a timer is set.
const LATE_MAX: Duration = Duration::from_millis(20);

struct Open {
    kind: Kind,
    since: Moment,
    mark: Mark,
    timeout: Duration,
}

/// Remembers the asks that are open.
#[derive(Default)]
pub struct AsksEndOnce {
    clocks: Clocks,
    open: BTreeMap<((NodeId, u64), u64), Open>,
}

impl AsksEndOnce {
    fn ended(&self, at: Moment, open: &Open) -> Check {
        let (node, Open { kind, since, mark, timeout }) = (at.process.0, open);
        let within = self.clocks.stretched(node, *timeout) + LATE_MAX;
        Check::that(self.clocks.ran(node, *mark, at.time) <= within, || {
            (
                format!("{since}: {} waits {timeout:?} for its answer", kind.name()),
                format!("{at}: it ends only now"),
            )
        })
    }
}

impl ClusterInvariant for AsksEndOnce {
    fn title(&self) -> &'static str {
        "R4 asks-end-once"
    }

    fn promise(&self) -> &'static str {
        "every ask ends exactly once and in time: a value, an error, or a time-out"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::AskSent { call, kind, timeout }) => {
                let mark = self.clocks.mark(at.process.0, at.time);
                let open = Open { kind: *kind, since: at, mark, timeout: *timeout };
                match self.open.insert((at.process, *call), open) {
                    None => Check::Passed,
                    Some(before) => Check::broken(
                        format!("{}: {:?} is call {call:#x}", before.since, before.kind),
                        format!("{at}: {kind:?} is too"),
                    ),
                }
            }
            EventRef::Rpc(RpcEvent::AskResolved { call, outcome }) => {
                match self.open.remove(&(at.process, *call)) {
                    Some(open) => self.ended(at, &open),
                    None => Check::broken(
                        format!("call {call:#x} is not open"),
                        format!("{at}: it ended with {outcome:?}"),
                    ),
                }
            }
            EventRef::Hardware(event) => {
                self.clocks.observe(at, event);
                if matches!(event, Hardware::Ended(_)) {
                    self.open.retain(|(process, _), _| *process != at.process);
                }
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        let overdue = self.open.values().find(|open| open.since.time + OPEN_MAX < end);
        match overdue {
            None => Check::Passed,
            Some(Open { kind, since, .. }) => Check::broken(
                format!("{since}: {kind:?} was asked"),
                format!("{:.3}s: it is still open", end.as_secs_f64()),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Check, testing::*},
        AsksEndOnce,
    };
    use std::time::Duration;

    fn asked() -> History<AsksEndOnce> {
        let timeout = Duration::from_secs(2);
        History::new().holds(process(1, 1), RpcEvent::AskSent { call: 1, kind: KIND, timeout })
    }

    fn resolved() -> RpcEvent {
        RpcEvent::AskResolved { call: 1, outcome: AskOutcome::Value }
    }

    #[test]
    fn an_ask_that_ends_is_accepted() {
        let ended = asked().holds(process(1, 1), resolved());
        assert_eq!(ended.finish(Duration::from_secs(1000)), Check::Passed);
        assert_eq!(asked().finish(Duration::from_secs(5)), Check::Passed);
    }

    #[test]
    fn an_ask_that_ends_after_its_deadline_is_refused_unless_its_process_stood_still() {
        let other = RpcEvent::FrameDropped { reason: "test" };
        let later = |history: History<AsksEndOnce>| {
            history.holds(process(1, 1), other.clone()).holds(process(1, 1), other.clone())
        };
        later(asked()).breaks(process(1, 1), resolved());
        let paused = later(asked().holds(process(1, 1), Hardware::Paused));
        paused.holds(process(1, 1), Hardware::Resumed).holds(process(1, 1), resolved());
        let slow = Hardware::Drift { per_million: -500_000 };
        let slow = History::new().holds(process(1, 1), slow);
        let timeout = Duration::from_secs(2);
        later(slow.holds(process(1, 1), RpcEvent::AskSent { call: 1, kind: KIND, timeout }))
            .holds(process(1, 1), resolved());
    }

    #[test]
    fn an_ask_that_ends_twice_is_refused() {
        asked().holds(process(1, 1), resolved()).breaks(process(1, 1), resolved());
    }

    #[test]
    fn an_ask_that_never_ends_is_refused_unless_its_process_died() {
        assert!(matches!(asked().finish(Duration::from_secs(1000)), Check::Broken { .. }));
        let died =
            asked().holds(process(1, 1), Hardware::Ended(crate::host::sim::ProcessEnd::Killed));
        assert_eq!(died.finish(Duration::from_secs(1000)), Check::Passed);
    }
}
