//! S8: of a provider of machines no more are held than jobs need: whoever leads knows which ones are on their way,
//! also those that a leader before it asked for. Judged on what the provider says.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    under_test::cluster::{EventKind, EventRef, Model, provider::ProviderEvent},
};

/// Knows how many machines are enough.
#[derive(Default)]
pub struct WorkersAreNeeded {
    enough: usize,
}

impl WorkersAreNeeded {
    /// So many machines have slots for all jobs at once.
    pub fn new(enough: usize) -> Self {
        WorkersAreNeeded { enough }
    }
}

impl ClusterInvariant for WorkersAreNeeded {
    fn title(&self) -> &'static str {
        "S8 workers-are-needed"
    }

    fn promise(&self) -> &'static str {
        "of a provider no more machines are held than the jobs need"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Provider]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        let EventRef::Provider(ProviderEvent::Workers { count, .. }) = seen else {
            return Check::Ignored;
        };
        Check::that(*count <= self.enough, || {
            let before = format!("{} machines have slots for all jobs at once", self.enough);
            (before, format!("{at}: {count} are held"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ProviderEvent, WorkersAreNeeded};

    fn held(count: usize) -> ProviderEvent {
        ProviderEvent::Workers { count, ended: false }
    }

    #[test]
    fn as_many_as_jobs_need_are_accepted_and_one_more_is_refused() {
        let history = || {
            History::of(WorkersAreNeeded::new(2))
                .holds(process(7, 1), held(1))
                .holds(process(7, 1), held(2))
        };
        history().holds(process(7, 1), held(0));
        history().breaks(process(7, 1), held(3));
    }
}
