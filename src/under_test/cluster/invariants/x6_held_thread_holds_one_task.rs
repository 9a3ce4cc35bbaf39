//! X6: a function that computes or waits for long holds up its own task alone: no beat, no barrier and no record of
//! another slot waits for it. A task executor that is slow for one job and is given up for that would take the jobs of
//! all others along. Judged on what the simulated hardware says of threads.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::Hardware,
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::time::Duration;

/// Knows nothing of what was before.
#[derive(Default)]
pub struct HeldThreadHoldsOneTask;

impl ClusterInvariant for HeldThreadHoldsOneTask {
    fn title(&self) -> &'static str {
        "X6 held-thread-holds-one-task"
    }

    fn promise(&self) -> &'static str {
        "a function that holds its thread holds up no beat, and no barrier of another slot"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let EventRef::Hardware(Hardware::ThreadHeld { nanos, others }) = seen else {
            return Check::Ignored;
        };
        Check::that(*others == 0, || {
            let held = Duration::from_nanos(*nanos);
            let before = "each task of a job has a thread of its own".to_string();
            (
                before,
                format!("{at}: a thread is held for {held:.1?}, and {others} other tasks wait"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing::*, HeldThreadHoldsOneTask};

    fn held(others: usize) -> Hardware {
        Hardware::ThreadHeld { nanos: 3_000_000_000, others }
    }

    #[test]
    fn a_thread_of_its_own_is_accepted_and_one_that_others_need_is_refused() {
        let history = || History::<HeldThreadHoldsOneTask>::new().holds(process(3, 1), held(0));
        history().holds(process(3, 1), held(0));
        history().breaks(process(3, 1), held(1));
    }
}
