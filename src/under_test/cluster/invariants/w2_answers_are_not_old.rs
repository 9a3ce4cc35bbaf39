//! W2: a web monitor says how old its answer is, and that is no more than it promises: so long as it gives an answer
//! again, and longer only where it has waited for a leader that gave none, up to another bound. Judged on what readers
//! of REST are told and on how long they wait.

use super::{Check, ClusterInvariant, rest_asks::RestAsks};
use crate::{
    harness::event::Moment,
    host::millis,
    system::web_monitor::WebMonitorConfig,
    under_test::cluster::{EventKind, EventRef, Model, rest_reader::RestEvent},
};
use std::time::Duration;

/// Remembers when readers asked.
#[derive(Default)]
pub struct AnswersAreNotOld {
    asks: RestAsks,
    promised: WebMonitorConfig,
}

impl ClusterInvariant for AnswersAreNotOld {
    fn title(&self) -> &'static str {
        "W2 answers-are-not-old"
    }

    fn promise(&self) -> &'static str {
        "an answer of a web monitor says its age, which is within its bound"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rest, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        self.asks.observe(at, seen);
        match seen {
            EventRef::Rest(RestEvent::Told { ask, age_ms, .. }) => self.told(at, *ask, *age_ms),
            EventRef::Rest(RestEvent::Malformed { why, .. }) => {
                let said = format!("{at}: {why}");
                Check::broken("an answer has its shape, and says how old it is".to_string(), said)
            }
            _ => Check::Ignored,
        }
    }
}

impl AnswersAreNotOld {
    fn told(&self, at: Moment, ask: u64, age_ms: u64) -> Check {
        let WebMonitorConfig { refresh_interval, stale_max, ask_timeout, .. } = &self.promised;
        let waited = match self.asks.asked(at, ask) {
            Ok(asked) => at.time - asked,
            Err(never) => return never,
        };
        // On a clock that runs fast the time-out is over early.
        let timed_out = self.asks.clocks.shrunk_most(*ask_timeout);
        let timed_out = timed_out.saturating_sub(Duration::from_millis(1));
        let bound = if waited < timed_out { refresh_interval } else { stale_max };
        Check::that(age_ms <= millis(*bound), || {
            let most = format!("an answer after {waited:?} is {bound:?} old at most");
            (most, format!("{at}: it is {age_ms} ms old"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, AnswersAreNotOld, RestEvent};
    use crate::under_test::cluster::rest_reader::{RestAnswer, RestQuestion};
    use std::time::Duration;

    fn told(age_ms: u64) -> RestEvent {
        let answer = RestAnswer::Jobs(Vec::new());
        RestEvent::Told { reader: 1, ask: 1, by_leader: true, age_ms, answer }
    }

    fn asked() -> History<AnswersAreNotOld> {
        let asks = RestEvent::Asking { ask: 1, question: RestQuestion::Jobs };
        History::new().holds(process(9, 1), asks)
    }

    #[test]
    fn an_answer_within_its_bound_is_accepted() {
        asked().holds(process(9, 1), told(3_000));
        asked().after(Duration::from_secs(2)).holds(process(9, 1), told(30_000));
    }

    #[test]
    fn an_old_answer_is_refused() {
        asked().breaks(process(9, 1), told(3_001));
        asked().after(Duration::from_secs(2)).breaks(process(9, 1), told(30_001));
        History::<AnswersAreNotOld>::new().breaks(process(9, 1), told(0));
    }

    #[test]
    fn one_that_does_not_say_how_old_it_is_is_refused() {
        let why = "it does not say how old it is".to_string();
        asked().breaks(process(9, 1), RestEvent::Malformed { ask: 1, why });
    }
}
