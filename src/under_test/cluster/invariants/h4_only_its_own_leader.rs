//! H4: a connection that one of its ends is told to give up is given up only at a word of that very connection,
//! registration or term. What was said of a former one, however late it comes, tears nothing down.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        job_manager::{JobEvent, LossCause},
        task_executor::{ManagerCause, PartCause, SlotEvent},
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::fmt::Debug;

/// Compares who asked with what was given up.
#[derive(Default)]
pub struct OnlyItsOwnLeader;

impl ClusterInvariant for OnlyItsOwnLeader {
    fn title(&self) -> &'static str {
        "H4 only-its-own-leader"
    }

    fn promise(&self) -> &'static str {
        "a connection is not torn down at the word of a former leader"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job, EventKind::Slot]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Slot(SlotEvent::MasterDisconnected {
                connection,
                cause: PartCause::Told(told),
                ..
            })
            | EventRef::Job(JobEvent::ExecutorLost {
                connection,
                cause: LossCause::Told(told),
                ..
            }) => own(at, connection, told),
            EventRef::Job(JobEvent::MasterDropped { session, told: Some(told), .. }) => {
                own(at, session, told)
            }
            EventRef::Slot(SlotEvent::ResourceManagerDisconnected {
                instance,
                cause: ManagerCause::Told(told),
                ..
            }) => own(at, instance, told),
            _ => Check::Ignored,
        }
    }
}

fn own<T: Debug + PartialEq>(at: Moment, stands: &T, told: &T) -> Check {
    Check::that(stands == told, || {
        (format!("the connection is one with {stands:?}"), format!("{at}: {told:?} ended it"))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OnlyItsOwnLeader};
    use crate::system::heartbeat::HeartbeatSession;

    fn resource() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn events(stands: u128, told: Option<u128>) -> (SlotEvent, SlotEvent, JobEvent, JobEvent) {
        let (session, by) = (term(stands), told.map(term));
        let instance = InstanceId(stands);
        let connection = HeartbeatSession(stands);
        let part = told.map_or(PartCause::Unused, |told| PartCause::Told(HeartbeatSession(told)));
        let manager =
            told.map_or(ManagerCause::ReportRefused, |told| ManagerCause::Told(InstanceId(told)));
        let anew = LossCause::NewLife(TaskExecutorSession(2));
        let loss = told.map_or(anew, |told| LossCause::Told(HeartbeatSession(told)));
        (
            SlotEvent::MasterDisconnected {
                resource: resource(),
                job: JOB,
                session,
                connection,
                cause: part,
            },
            SlotEvent::ResourceManagerDisconnected {
                resource: resource(),
                instance,
                cause: manager,
            },
            JobEvent::MasterDropped { job: JOB, session, told: by },
            JobEvent::ExecutorLost {
                job: JOB,
                master: term(1),
                resource: resource(),
                session: TaskExecutorSession(1),
                connection,
                cause: loss,
            },
        )
    }

    #[test]
    fn its_own_leader_or_nobody_may_end_it() {
        for told in [None, Some(1)] {
            let (master, manager, dropped, lost) = events(1, told);
            History::<OnlyItsOwnLeader>::new()
                .holds(process(3, 1), master)
                .holds(process(3, 1), manager)
                .holds(process(1, 1), dropped)
                .holds(process(1, 1), lost);
        }
    }

    #[test]
    fn a_former_leader_may_not() {
        let (master, manager, dropped, lost) = events(2, Some(1));
        History::<OnlyItsOwnLeader>::new().breaks(process(3, 1), master);
        History::<OnlyItsOwnLeader>::new().breaks(process(3, 1), manager);
        History::<OnlyItsOwnLeader>::new().breaks(process(1, 1), dropped);
        History::<OnlyItsOwnLeader>::new().breaks(process(1, 1), lost);
    }
}
