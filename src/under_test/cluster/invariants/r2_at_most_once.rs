//! R2: no handler sees a call twice. (Order is not promised; the protocols above do without.)

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::rpc::RpcEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::BTreeMap;

/// A sender's call numbers are dense above this bit.
const DENSE_BITS: u32 = 40;

/// Remembers, per process and sender, which calls were handled.
#[derive(Default)]
pub struct AtMostOnce {
    handled: BTreeMap<((NodeId, u64), u64, u64), Vec<u64>>,
}

impl ClusterInvariant for AtMostOnce {
    fn title(&self) -> &'static str {
        "R2 at-most-once"
    }

    fn promise(&self) -> &'static str {
        "a call is handled at most once"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware, EventKind::Rpc]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::HandlerStarted { kind, sender, call, .. }) if *call > 0 => {
                let number = call & ((1 << DENSE_BITS) - 1);
                let words =
                    self.handled.entry((at.process, *sender, call >> DENSE_BITS)).or_default();
                let word = usize::try_from(number / 64).expect("a run makes few calls");
                if words.len() <= word {
                    words.resize(word + 1, 0);
                }
                let bit = 1 << (number % 64);
                if words[word] & bit != 0 {
                    let before =
                        format!("call {call:#x} of incarnation {sender:#x} was handled before");
                    return Check::broken(before, format!("{at}: {kind:?} was handled again"));
                }
                words[word] |= bit;
                Check::Passed
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.handled.retain(|(process, _, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, AtMostOnce};

    fn handled(sender: u64, call: u64) -> RpcEvent {
        RpcEvent::HandlerStarted { endpoint: EndpointId(1), kind: KIND, sender, call, token: None }
    }

    #[test]
    fn distinct_calls_and_closures_are_accepted() {
        History::<AtMostOnce>::new()
            .holds(process(1, 1), handled(1, 1))
            .holds(process(1, 1), handled(1, 2))
            .holds(process(1, 1), handled(2, 1))
            .holds(process(1, 1), handled(1, (1 << 40) + 1))
            .holds(process(1, 1), handled(1, 0))
            .holds(process(1, 1), handled(1, 0))
            .holds(process(1, 2), handled(1, 1));
    }

    #[test]
    fn a_call_handled_twice_is_refused() {
        let once = History::<AtMostOnce>::new().holds(process(1, 1), handled(1, 65));
        once.holds(process(1, 1), handled(1, 64)).breaks(process(1, 1), handled(1, 65));
    }
}
