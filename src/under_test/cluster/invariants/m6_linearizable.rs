//! M6: to its callers a service is one object a path that does one request after the other, each at one moment between
//! its begin and its answer (Herlihy and Wing). A request whose end nobody knows is done at any moment after its begin, or
//! never; one that is asked for again under the same key is one.

use super::{Check, ClusterInvariant};
use crate::{
    harness::{
        check::{Linearizability, Operation, SequentialObject, linearizability},
        event::Moment,
    },
    host::sim::NodeId,
    jobs::{ModelOfPath, Service},
    system::request_reply::{EventId, ServiceRequest},
    under_test::cluster::{
        EventKind, EventRef, Model,
        callers::{Asked, CallerEvent, without_event_id},
    },
};
use serde_json::Value;
use std::{collections::BTreeMap, ops::Range, time::Duration};

/// Steps of the search for an order of one path's requests; one that takes more is not judged.
const STEPS_MAX: u64 = 50_000;

type Answer = (u16, Value);

impl SequentialObject for ModelOfPath {
    type Call = ServiceRequest;
    type Answer = Answer;

    fn call(&mut self, call: &ServiceRequest) -> Answer {
        let response = self.respond(call);
        (response.status, without_event_id(&response.body))
    }
}

/// A call and what is known of it.
struct JudgedCall {
    path: String,
    operation: Operation<ServiceRequest, Answer>,
}

/// Gathers what callers saw of one service.
pub struct LinearizableByPath {
    service: Service,
    /// The slots of callers' numbers that ask this service.
    callers: Range<u32>,
    events: u64,
    calls: BTreeMap<((NodeId, u64), u64), JudgedCall>,
}

impl LinearizableByPath {
    /// Judges the calls of these callers.
    pub fn new(service: Service, callers: Range<u32>) -> Self {
        LinearizableByPath { service, callers, events: 0, calls: BTreeMap::new() }
    }

    fn begin(&mut self, at: Moment, call: u64, asked: &Asked) {
        let Asked { path, key, body } = asked.clone();
        let judged = self.calls.entry((at.process, call)).or_insert_with(|| {
            let id = EventId { slot: 0, incarnation: 0, number: 0 };
            let call = ServiceRequest { id, key, path: path.clone(), query: Vec::new(), body };
            JudgedCall { path, operation: Operation { call, began: self.events, answered: None } }
        });
        // What was asked without a key and turned away was never done.
        if judged.operation.call.key.is_none() {
            judged.operation.began = self.events;
        }
    }

    fn judge(&self, end: Duration, path: &str, calls: &[&JudgedCall]) -> Check {
        if calls.iter().all(|judged| judged.operation.answered.is_none()) {
            return Check::Ignored;
        }
        let history: Vec<_> = calls.iter().map(|judged| judged.operation.clone()).collect();
        match linearizability(self.service.model(), &history, STEPS_MAX) {
            Linearizability::Linearizable { .. } => Check::Passed,
            Linearizability::Undecided { .. } => Check::Ignored,
            Linearizability::Refuted { longest, next } => {
                let told = |of: &usize| {
                    let Operation { call, answered, .. } = &history[*of];
                    let answer = answered
                        .as_ref()
                        .map_or("no answer".to_string(), |(_, of)| format!("{} {}", of.0, of.1));
                    format!("{} -> {answer}", String::from_utf8_lossy(&call.body))
                };
                let last = longest.last().map_or("nothing".to_string(), told);
                let next: Vec<String> = next.iter().take(4).map(told).collect();
                Check::broken(
                    format!(
                        "{} requests of {path} have an order, the last of them {last}",
                        longest.len()
                    ),
                    format!(
                        "{:.3}s: none of these fits then: {}",
                        end.as_secs_f64(),
                        next.join("; ")
                    ),
                )
            }
        }
    }
}

impl ClusterInvariant for LinearizableByPath {
    fn title(&self) -> &'static str {
        "M6 linearizable"
    }

    fn promise(&self) -> &'static str {
        "to its callers a service does the requests of a path one after the other"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Caller]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        self.events += 1;
        match seen {
            EventRef::Caller(CallerEvent::Asking { caller, call, asked, .. })
                if self.callers.contains(caller) =>
            {
                self.begin(at, *call, asked);
            }
            // The front end's own answers say nothing of the service.
            EventRef::Caller(CallerEvent::Answered { call, status, id: Some(_), body, .. }) => {
                if let Some(judged) = self.calls.get_mut(&(at.process, *call)) {
                    let answer = (*status, without_event_id(body));
                    judged.operation.answered = Some((self.events, answer));
                }
            }
            _ => {}
        }
        Check::Ignored
    }

    fn finish(&mut self, end: Duration) -> Check {
        let mut by_path: BTreeMap<&str, Vec<&JudgedCall>> = BTreeMap::new();
        for judged in self.calls.values() {
            by_path.entry(&judged.path).or_default().push(judged);
        }
        let mut passed = Check::Ignored;
        for (path, calls) in by_path {
            match self.judge(end, path, &calls) {
                broken @ Check::Broken { .. } => return broken,
                Check::Passed => passed = Check::Passed,
                Check::Ignored => {}
            }
        }
        passed
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_services::*, Duration, LinearizableByPath};
    use crate::jobs::shipped;

    fn account() -> History<LinearizableByPath> {
        let jobs = shipped();
        let service = jobs.services().find(|service| service.name() == "account");
        History::of(LinearizableByPath::new(service.expect("it is shipped").clone(), 1..3))
    }

    #[test]
    fn bookings_one_after_the_other_are_answered_so() {
        let one = || {
            account()
                .holds(process(3, 1), booking(1, 5))
                .holds(process(3, 1), answered(1, 200, &balance(1, 5)))
        };
        let right = one()
            .holds(process(3, 1), booking(2, -5))
            .holds(process(3, 1), answered(2, 200, &balance(2, 0)))
            .finish(Duration::ZERO);
        assert!(matches!(right, Check::Passed), "{right:?}");
        let wrong = one()
            .holds(process(3, 1), booking(2, -5))
            .holds(process(3, 1), answered(2, 409, &balance(2, 0)))
            .finish(Duration::ZERO);
        assert!(matches!(wrong, Check::Broken { .. }), "{wrong:?}");
    }

    #[test]
    fn what_nobody_knows_the_end_of_may_be_done_or_not() {
        for (left, holds) in [(3, true), (5, true), (4, false)] {
            let history = account()
                .holds(process(3, 1), booking(1, 5))
                .holds(process(3, 1), answered(1, 200, &balance(1, 5)))
                .holds(process(4, 1), booking(1, -2))
                .holds(process(4, 1), answered_by_front_end(1, 504))
                .holds(process(3, 1), booking(2, 0))
                .holds(process(3, 1), answered(2, 200, &balance(2, left)));
            let found = history.finish(Duration::ZERO);
            assert_eq!(matches!(found, Check::Passed), holds, "{found:?}");
        }
    }
}
