//! S9: of two machines under one name the later one stays: a task executor's life whose place another life took is
//! not registered again by the resource manager that saw it. Else each would take the other's place, in turn.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        ids::{ResourceId, TaskExecutorSession},
        job_manager::JobEvent,
        leadership::LeadershipEvent,
        protocol::RESOURCE_MANAGER,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// The lives that one resource manager has registered under a name.
#[derive(Default)]
struct Lives {
    present: Option<TaskExecutorSession>,
    former: BTreeSet<TaskExecutorSession>,
}

/// Remembers whose place was taken, by process of the resource manager.
#[derive(Default)]
pub struct NoTwins {
    lives: BTreeMap<((NodeId, u64), ResourceId), Lives>,
}

impl ClusterInvariant for NoTwins {
    fn title(&self) -> &'static str {
        "S9 no-twins"
    }

    fn promise(&self) -> &'static str {
        "a task executor whose name another one has taken over is not registered again"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Leadership, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::ExecutorRegistered { resource, session, .. }) => {
                let lives = self.lives.entry((at.process, resource.clone())).or_default();
                if let Some(before) = lives.present.replace(*session).filter(|of| of != session) {
                    lives.former.insert(before);
                }
                let again = lives.former.contains(session);
                Check::that(!again, || {
                    let before =
                        format!("another life of {resource} took the place of {session:?}");
                    (before, format!("{at}: that life is registered again"))
                })
            }
            EventRef::Leadership(LeadershipEvent::Granted { component, .. })
                if component == RESOURCE_MANAGER =>
            {
                self.forget(at.process);
                Check::Ignored
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.forget(at.process);
                Check::Ignored
            }
            _ => Check::Ignored,
        }
    }
}

impl NoTwins {
    fn forget(&mut self, process: (NodeId, u64)) {
        self.lives.retain(|(of, _), _| *of != process);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, NoTwins};
    use crate::system::{
        ids::{InstanceId, ResourceId, TaskExecutorSession},
        leadership::LeadershipEvent,
        protocol::RESOURCE_MANAGER,
    };

    fn registered(life: u128, instance: u128) -> JobEvent {
        JobEvent::ExecutorRegistered {
            resource: ResourceId("a".to_string()),
            session: TaskExecutorSession(life),
            instance: InstanceId(instance),
        }
    }

    fn twice() -> History<NoTwins> {
        History::<NoTwins>::new()
            .holds(process(1, 1), registered(1, 1))
            .holds(process(1, 1), registered(1, 2))
            .holds(process(1, 1), registered(2, 3))
    }

    #[test]
    fn a_later_life_is_accepted_again_and_an_earlier_one_is_refused() {
        twice().holds(process(1, 1), registered(2, 4));
        twice().breaks(process(1, 1), registered(1, 4));
        // Another resource manager has not seen it.
        let component = RESOURCE_MANAGER.to_string();
        twice()
            .holds(process(1, 1), LeadershipEvent::Granted { component, session: term(2) })
            .holds(process(1, 1), registered(1, 4));
        twice().holds(process(2, 1), registered(1, 4));
    }
}
