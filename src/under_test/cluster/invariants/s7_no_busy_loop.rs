//! S7: nobody registers, offers or declares in a circle. Whatever a peer refuses, the next try comes
//! after a pause, so within a second no process makes more than a few such calls of one kind. Who registers and gets no
//! answer in time gives the next try more.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        registration::RegistrationConfig,
        rpc::{AskOutcome, RpcEvent},
    },
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

/// Registrations of one kind that get no answer in time and had the same time, in a row at most, for each job that is
/// kept: whoever begins anew begins with the shortest.
const SAME_TIMES_MAX: usize = 8;

/// The calls with which peers introduce themselves and what they have.
const KINDS: &[&str] = &[
    ".register_task_executor",
    ".register_job_master",
    ".offer_slots",
    ".report_slots",
    ".declare_requirements",
    ".request_slot",
];

type Process = (NodeId, u64);

/// Remembers when each process made such calls, and how much time they had.
#[derive(Default)]
pub struct NoBusyLoop {
    calls: BTreeMap<(Process, &'static str), VecDeque<Duration>>,
    /// Registrations without an outcome.
    asked: BTreeMap<(Process, u64), (&'static str, Duration)>,
    /// The time of the last ones that got no answer in it, and how many in a row had it.
    in_vain: BTreeMap<(Process, &'static str), (Duration, usize)>,
}

impl NoBusyLoop {
    /// A call has an outcome.
    fn resolved(&mut self, at: Moment, call: u64, outcome: &AskOutcome, model: &Model) -> Check {
        let asked = self.asked.remove(&(at.process, call));
        let Some((name, time)) = asked else { return Check::Ignored };
        if *outcome != AskOutcome::Failed("timeout") {
            if *outcome == AskOutcome::Value {
                self.in_vain.remove(&(at.process, name));
            }
            return Check::Ignored;
        }
        let (last, count) = self.in_vain.entry((at.process, name)).or_default();
        *count = if *last == time { *count + 1 } else { 1 };
        *last = time;
        let most = SAME_TIMES_MAX * model.jobs_kept().max(1);
        let within = *count <= most || time >= RegistrationConfig::default().timeout_max;
        Check::that(within, || {
            let before = format!("{name} got no answer within {time:.1?}");
            (before, format!("{at}: nor did it for the {count}th time in a row"))
        })
    }
}

impl ClusterInvariant for NoBusyLoop {
    fn title(&self) -> &'static str {
        "S7 no-busy-loop"
    }

    fn promise(&self) -> &'static str {
        "nobody registers, offers slots or declares requirements without a pause between the tries, or more time"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rpc, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Rpc(RpcEvent::AskResolved { call, outcome }) => {
                self.resolved(at, *call, outcome, model)
            }
            EventRef::Rpc(RpcEvent::AskSent { kind, call, timeout }) => {
                if !KINDS.iter().any(|judged| kind.name().ends_with(judged)) {
                    return Check::Ignored;
                }
                if kind.name().contains(".register_") {
                    self.asked.insert((at.process, *call), (kind.name(), *timeout));
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
                self.asked.retain(|(process, _), _| *process != at.process);
                self.in_vain.retain(|(process, _), _| *process != at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, *};

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

    /// A history of registrations that got no answer within these times.
    fn in_vain(times: impl Iterator<Item = Duration>) -> History<NoBusyLoop> {
        let kind = Kind::new("JobMasterGateway.register_task_executor");
        let outcome = AskOutcome::Failed("timeout");
        (1..).zip(times).fold(History::new(), |history, (call, timeout)| {
            history
                .holds(process(3, 1), RpcEvent::AskSent { call, kind, timeout })
                .holds(process(3, 1), RpcEvent::AskResolved { call, outcome })
        })
    }

    #[test]
    fn registrations_that_get_no_answer_and_no_more_time_are_refused() {
        let longest = RegistrationConfig::default().timeout_max;
        in_vain((0..40).map(|_| longest));
        in_vain((0..40).map(|n| SECOND / 5 * (1 + n % 3)));
        let tries = SAME_TIMES_MAX as u64;
        let (call, kind) = (tries + 1, Kind::new("JobMasterGateway.register_task_executor"));
        in_vain((0..tries).map(|_| SECOND / 5))
            .holds(process(3, 1), RpcEvent::AskSent { call, kind, timeout: SECOND / 5 })
            .breaks(
                process(3, 1),
                RpcEvent::AskResolved { call, outcome: AskOutcome::Failed("timeout") },
            );
    }

    #[test]
    fn a_circle_is_refused() {
        let most = u32::try_from(CALLS_MAX).expect("a small number");
        assert!(!accepts("JobMasterGateway.offer_slots", SECOND / (most + 2)));
        assert!(!accepts("ResourceManagerGateway.register_task_executor", Duration::ZERO));
    }
}
