//! R4: every ask ends exactly once.

use super::{Check, Invariant};
use crate::{
    harness::check::{
        history::{Family, Moment, Seen},
        model::Model,
    },
    host::{
        Kind,
        sim::{Hardware, NodeId},
    },
    system::event::RpcEvent,
};
use std::{collections::BTreeMap, time::Duration};

/// No ask of a healthy process is open for longer than this; time-outs are far shorter, and a clock
/// may be half as fast as the true one.
const OPEN_MAX: Duration = Duration::from_secs(120);

/// Remembers the asks that are open.
#[derive(Default)]
pub struct AsksEndOnce {
    open: BTreeMap<((NodeId, u64), u64), (Kind, Moment)>,
}

impl Invariant for AsksEndOnce {
    fn title(&self) -> &'static str {
        "R4 asks-end-once"
    }

    fn promise(&self) -> &'static str {
        "every ask ends exactly once: a value, an error, a time-out or an unreachable recipient"
    }

    fn families(&self) -> &'static [Family] {
        &[Family::Hardware, Family::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: Seen<'_>, _: &Model) -> Check {
        match seen {
            Seen::Rpc(RpcEvent::AskSent { call, kind }) => {
                match self.open.insert((at.process, *call), (*kind, at)) {
                    None => Check::Held,
                    Some((before, since)) => Check::broken(
                        format!("{since}: {before:?} is call {call:#x}"),
                        format!("{at}: {kind:?} is too"),
                    ),
                }
            }
            Seen::Rpc(RpcEvent::AskResolved { call, outcome }) => {
                match self.open.remove(&(at.process, *call)) {
                    Some(_) => Check::Held,
                    None => Check::broken(
                        format!("call {call:#x} is not open"),
                        format!("{at}: it ended with {outcome:?}"),
                    ),
                }
            }
            Seen::Hardware(Hardware::Ended(_)) => {
                self.open.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }

    fn finish(&mut self, end: Duration) -> Check {
        let overdue = self.open.values().find(|(_, since)| since.time + OPEN_MAX < end);
        match overdue {
            None => Check::Held,
            Some((kind, since)) => Check::broken(
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
        History::new().holds(process(1, 1), RpcEvent::AskSent { call: 1, kind: KIND })
    }

    fn resolved() -> RpcEvent {
        RpcEvent::AskResolved { call: 1, outcome: AskOutcome::Value }
    }

    #[test]
    fn an_ask_that_ends_is_accepted() {
        let ended = asked().holds(process(1, 1), resolved());
        assert_eq!(ended.finish(Duration::from_secs(1000)), Check::Held);
        assert_eq!(asked().finish(Duration::from_secs(5)), Check::Held);
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
        assert_eq!(died.finish(Duration::from_secs(1000)), Check::Held);
    }
}
