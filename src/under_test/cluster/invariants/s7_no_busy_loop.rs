//! S7: nobody registers, offers or declares in a circle. Whatever a peer refuses, the next try comes
//! after a pause, so within a second no process makes more than a few such calls of one kind.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::rpc::RpcEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Calls of one kind within a second at most, for each job that is kept: a task executor of 64 slots may tell
/// of each of them at once. Whoever turns in a circle makes a call a round trip.
const CALLS_MAX: usize = 100;
const SECOND: Duration = Duration::from_secs(1);

/// The calls with which peers introduce themselves and what they have.
const KINDS: &[&str] = &[
    ".register_task_executor",
    ".register_job_master",
    ".offer_slots",
    ".report_slots",
    ".declare_requirements",
    ".request_slot",
];

/// Remembers when each process made such calls.
#[derive(Default)]
pub struct NoBusyLoop {
    calls: BTreeMap<((NodeId, u64), &'static str), VecDeque<Duration>>,
}

impl ClusterInvariant for NoBusyLoop {
    fn title(&self) -> &'static str {
        "S7 no-busy-loop"
    }

    fn promise(&self) -> &'static str {
        "nobody registers, offers slots or declares requirements without a pause between the tries"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rpc, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::AskSent { kind, .. }) => {
                if !KINDS.iter().any(|judged| kind.name().ends_with(judged)) {
                    return Check::Ignored;
                }
                let calls = self.calls.entry((at.process, kind.name())).or_default();
                calls.push_back(at.time);
                while calls.front().is_some_and(|first| *first + SECOND < at.time) {
                    calls.pop_front();
                }
                let (count, since) = (calls.len(), calls[0].as_secs_f64());
                let within = count <= CALLS_MAX || count <= CALLS_MAX * model.jobs_kept();
                Check::that(within, || {
                    let before = format!("{since:.3}s: {} was called", kind.name());
                    (before, format!("{at}: it is called for the {count}th time since"))
                })
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.calls.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, CALLS_MAX, ClusterInvariant, EventRef, NoBusyLoop, SECOND};
    use crate::{harness::event::Moment, under_test::cluster::Model};
    use std::time::Duration;

    /// Whether calls of a kind with such a pause between them are accepted.
    fn accepts(kind: &'static str, pause: Duration) -> bool {
        let (mut invariant, model) = (NoBusyLoop::default(), Model::default());
        (0..1000_u32).all(|call| {
            let timeout = SECOND;
            let sent = RpcEvent::AskSent { call: call.into(), kind: Kind::new(kind), timeout };
            let at = Moment::new(pause * call, process(1, 1));
            !matches!(invariant.observe(at, EventRef::new(&sent), &model), Check::Broken { .. })
        })
    }

    #[test]
    fn tries_with_pauses_are_accepted_and_so_are_other_calls() {
        assert!(accepts("JobMasterGateway.offer_slots", SECOND / 20));
        assert!(accepts("LogGateway.read", Duration::ZERO));
    }

    #[test]
    fn a_circle_is_refused() {
        let most = u32::try_from(CALLS_MAX).expect("a small number");
        assert!(!accepts("JobMasterGateway.offer_slots", SECOND / (most + 2)));
        assert!(!accepts("ResourceManagerGateway.register_task_executor", Duration::ZERO));
    }
}
