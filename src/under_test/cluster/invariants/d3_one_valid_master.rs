//! D3: at most one term of a job is in force. That only the latch's holder writes is L3; here: who
//! schedules does so in the term whose process runs there, under an epoch that the durable counter has
//! given out, and an epoch is greater than all those of this term and of older ones. The order of terms
//! is that in which they took the latch by the coordination server's log.
//!
//! A term that is over may still speak before it learns of it; its epochs are smaller than those of
//! newer terms, whenever it speaks.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, moved},
};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::JobId,
        job_manager::JobEvent,
        leadership::{LeaderSessionId, LeadershipEvent},
        protocol::component_job,
        store,
    },
    under_test::cluster::{EventKind, EventRef, Model},
};
use std::collections::{BTreeMap, BTreeSet};

/// Remembers the terms of each job in their order, with the least and the greatest epoch of each.
#[derive(Default)]
pub struct OneValidMaster {
    running: BTreeSet<((NodeId, u64), JobId, LeaderSessionId)>,
    terms: BTreeMap<JobId, Vec<Term>>,
}

struct Term {
    session: LeaderSessionId,
    epochs: Option<(u64, u64)>,
}

impl ClusterInvariant for OneValidMaster {
    fn title(&self) -> &'static str {
        "D3 one-valid-master"
    }

    fn promise(&self) -> &'static str {
        "only a term of the job schedules it, under an epoch greater than those of its forerunners"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination, EventKind::Leadership, EventKind::Job, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Coordination(event) => {
                for moved in moved(event, model).iter().filter(|m| m.kept == Kept::Latch) {
                    self.take_latch(moved.job, moved.after.and_then(LeaderSessionId::from_bytes));
                }
            }
            EventRef::Leadership(LeadershipEvent::ProcessStarted { component, session }) => {
                let job = component_job(component);
                self.running.extend(job.map(|job| (at.process, job, *session)));
            }
            EventRef::Leadership(LeadershipEvent::ProcessTerminated { component, session }) => {
                if let Some(job) = component_job(component) {
                    self.running.remove(&(at.process, job, *session));
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.running.retain(|(process, _, _)| *process != at.process);
            }
            EventRef::Job(JobEvent::Scheduled { job, session, epoch, .. }) => {
                let runs = self.running.contains(&(at.process, *job, *session));
                let granted = Check::that(runs, || {
                    let before = format!("{session:?} of {job:?} does not run in that process");
                    (before, format!("{at}: it schedules epoch {epoch}"))
                });
                return granted
                    .and(drawn(at, *job, *epoch, model))
                    .and(self.schedule(at, *job, *session, *epoch));
            }
            _ => {}
        }
        Check::Ignored
    }
}

/// The counter says which numbers were given out; after the job's end it may be gone.
fn drawn(at: Moment, job: JobId, epoch: u64, model: &Model) -> Check {
    let next = model.keys.get(&store::counter_key(job));
    let next = next.and_then(|value| postcard::from_bytes::<u64>(value).ok());
    let ended = model.keys.contains_key(&store::result_key(job));
    Check::that(next.map_or(ended, |next| epoch < next), || {
        (format!("the counter of {job:?} is {next:?}"), format!("{at}: epoch {epoch} is used"))
    })
}

impl OneValidMaster {
    fn take_latch(&mut self, job: JobId, session: Option<LeaderSessionId>) {
        let Some(session) = session else { return };
        let terms = self.terms.entry(job).or_default();
        if terms.iter().all(|term| term.session != session) {
            terms.push(Term { session, epochs: None });
        }
    }

    fn schedule(&mut self, at: Moment, job: JobId, session: LeaderSessionId, epoch: u64) -> Check {
        let terms = self.terms.entry(job).or_default();
        let now = format!("{at}: {session:?} of {job:?} schedules epoch {epoch}");
        let Some(place) = terms.iter().position(|term| term.session == session) else {
            return Check::broken("it never held the latch", now);
        };
        for (number, term) in terms.iter().enumerate() {
            let Some((least, greatest)) = term.epochs else { continue };
            let fits = if number <= place { greatest < epoch } else { epoch < least };
            if !fits {
                let before = format!("{:?} scheduled epochs {least} to {greatest}", term.session);
                return Check::broken(before, now);
            }
        }
        let least = terms[place].epochs.map_or(epoch, |(least, _)| least);
        terms[place].epochs = Some((least, epoch));
        Check::Passed
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, OneValidMaster};

    fn started(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessStarted { component: job_component(JOB), session: term(number) }
    }

    fn terminated(number: u128) -> LeadershipEvent {
        LeadershipEvent::ProcessTerminated { component: job_component(JOB), session: term(number) }
    }

    fn two_terms() -> History<OneValidMaster> {
        History::new()
            .holds(process(0, 1), committed(1, vec![job_latch(1)]))
            .holds(process(1, 1), started(1))
            .holds(process(0, 1), committed(2, vec![counter(5)]))
            .holds(process(1, 1), scheduled(1, 1, None))
            .holds(process(0, 1), committed(3, vec![job_latch(2)]))
            .holds(process(2, 1), started(2))
            .holds(process(2, 1), scheduled(2, 3, None))
    }

    #[test]
    fn growing_epochs_are_accepted_also_when_an_old_term_speaks_late() {
        two_terms()
            .holds(process(1, 1), scheduled(1, 2, None))
            .holds(process(2, 1), scheduled(2, 4, None));
    }

    #[test]
    fn an_epoch_that_does_not_grow_is_refused() {
        two_terms().breaks(process(2, 1), scheduled(2, 3, None));
        two_terms().breaks(process(2, 1), scheduled(2, 1, None));
        two_terms().breaks(process(1, 1), scheduled(1, 4, None));
    }

    #[test]
    fn an_epoch_that_was_not_drawn_is_refused() {
        two_terms().breaks(process(2, 1), scheduled(2, 5, None));
    }

    #[test]
    fn a_master_without_its_term_is_refused() {
        two_terms().breaks(process(1, 1), scheduled(2, 4, None));
        two_terms()
            .holds(process(2, 1), terminated(2))
            .breaks(process(2, 1), scheduled(2, 4, None));
        two_terms().holds(process(2, 1), ended()).breaks(process(2, 1), scheduled(2, 4, None));
    }

    #[test]
    fn a_term_that_never_held_the_latch_is_refused() {
        two_terms().holds(process(3, 1), started(3)).breaks(process(3, 1), scheduled(3, 4, None));
    }
}
