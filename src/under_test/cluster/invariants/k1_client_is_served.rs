//! K1: no client gives up with an error. Whatever the cluster meets, a client that goes on asking is
//! answered in the end; a scenario in which one may despair expects this to break.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::client::ClientEvent,
    under_test::cluster::{EventKind, EventRef, Model},
};

/// Looks at how clients end.
pub struct ClientIsServed;

impl ClusterInvariant for ClientIsServed {
    fn title(&self) -> &'static str {
        "K1 client-is-served"
    }

    fn promise(&self) -> &'static str {
        "no client gives up with an error"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Client]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, _: &Model) -> Check {
        match seen {
            EventRef::Client(ClientEvent::Ended { .. }) => Check::Passed,
            EventRef::Client(ClientEvent::GaveUp { reason }) => {
                Check::broken("a client is served in the end", format!("{at}: {reason}"))
            }
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ClientEvent, ClientIsServed};

    #[test]
    fn a_client_that_knows_the_end_is_accepted() {
        let result = JobResult { status: JobStatus::Failed, cause: None };
        History::of(ClientIsServed).holds(process(9, 1), ClientEvent::Ended { job: JOB, result });
    }

    #[test]
    fn one_that_gives_up_is_refused() {
        let reason = "the job is lost".to_string();
        History::of(ClientIsServed).breaks(process(9, 1), ClientEvent::GaveUp { reason });
    }
}
