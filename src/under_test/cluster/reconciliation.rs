//! What task executors have for jobs and nobody wants: slots that no master takes, tasks of attempts that newer ones
//! have replaced, and both of jobs that have ended. Reports and time-outs have to end it. And what resource managers ask
//! for though it was long held: reports have to tell them.

use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        ids::{AllocationId, ExecutionAttemptId, ExecutionVertexId, JobId, ResourceId},
        job_manager::JobEvent,
        protocol::ExecutionState,
        task_executor::{SlotEvent, TaskEvent},
    },
    under_test::cluster::{EventRef, plain},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ExecutionState::{Canceled, Failed, Finished};

type Process = (NodeId, u64);

/// A slot that is held.
#[derive(Clone, Debug)]
struct Hold {
    resource: ResourceId,
    index: u32,
    since: Duration,
    job: JobId,
    /// Since when no master has it.
    free: Option<Duration>,
}

/// What is held and what runs, and since when nobody wants it.
#[derive(Clone, Debug, Default)]
pub struct Reconciliation {
    holds: BTreeMap<(Process, AllocationId), Hold>,
    /// Those that were taken on and are not told to end, with the moment since which nobody wants them.
    tasks: BTreeMap<(Process, ExecutionAttemptId), (ResourceId, Option<Duration>)>,
    newest: BTreeMap<(JobId, ExecutionVertexId), u64>,
    ended: BTreeSet<JobId>,
    /// Since when resource managers have had the registrations of task executors.
    registered: BTreeMap<(Process, ResourceId), Duration>,
    /// The last slot that was asked for though it was held.
    asked: Option<Asked>,
}

/// A slot that was asked for though it was held.
#[derive(Clone, Debug)]
struct Asked {
    slot: String,
    /// Since when reports could tell of the hold.
    since: Duration,
    at: Duration,
}

impl Reconciliation {
    /// What has been unwanted for longer than a bound, and since when, counting from a moment on.
    pub fn overdue(
        &self,
        from: Duration,
        bound: Duration,
        now: Duration,
    ) -> Option<(String, Duration)> {
        let is_over = |since: Duration, bound: Duration| now > since.max(from) + bound;
        let slots = self.holds.values().filter_map(|hold| {
            let Hold { resource, job, free, .. } = hold;
            let since = (*free)?;
            is_over(since, plain::SLOT_TIMEOUT + bound)
                .then(|| (format!("a slot of job {job} at {}", resource.0), since))
        });
        let tasks = self.tasks.iter().filter_map(|((_, attempt), (resource, since))| {
            let since = (*since)?;
            is_over(since, bound)
                .then(|| (format!("the task {attempt:?} at {}", resource.0), since))
        });
        slots.chain(tasks).next()
    }

    /// A slot that a resource manager asked for though reports could tell for longer than a bound that it is held, and
    /// since when, counting from a moment on.
    pub fn asked_in_vain(&self, from: Duration, bound: Duration) -> Option<(&str, Duration)> {
        let asked = self.asked.as_ref()?;
        (asked.at > asked.since.max(from) + bound).then_some((&asked.slot, asked.since))
    }

    /// Follows what happens.
    pub fn observe(&mut self, at: Moment, seen: EventRef<'_>) {
        match seen {
            EventRef::Slot(event) => self.observe_slots(at, event),
            EventRef::Job(event) => {
                self.observe_job(at.time, event);
                self.observe_manager(at, event);
            }
            EventRef::Task(TaskEvent::StateChanged {
                attempt,
                state: Finished | Canceled | Failed,
                ..
            }) => {
                self.tasks.remove(&(at.process, *attempt));
            }
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.holds.retain(|(process, _), _| *process != at.process);
                self.tasks.retain(|(process, _), _| *process != at.process);
                self.registered.retain(|(process, _), _| *process != at.process);
            }
            _ => {}
        }
    }

    fn observe_slots(&mut self, at: Moment, event: &SlotEvent) {
        match event {
            SlotEvent::SlotAllocated { resource, index, job, allocation } => {
                let (resource, since) = (resource.clone(), at.time);
                let hold = Hold { resource, index: *index, since, job: *job, free: Some(since) };
                self.holds.insert((at.process, *allocation), hold);
            }
            SlotEvent::SlotActivated { allocation, .. } => {
                if let Some(hold) = self.holds.get_mut(&(at.process, *allocation)) {
                    hold.free = None;
                }
            }
            SlotEvent::SlotFreed { allocation, .. } => {
                self.holds.remove(&(at.process, *allocation));
            }
            SlotEvent::MasterDisconnected { job, .. } => {
                let own = |(process, _): &(Process, AllocationId)| *process == at.process;
                for (_, hold) in
                    self.holds.iter_mut().filter(|(key, hold)| own(key) && hold.job == *job)
                {
                    hold.free.get_or_insert(at.time);
                }
            }
            SlotEvent::TaskAccepted { resource, attempt, .. } => {
                let newest = self.newest.get(&(attempt.job, attempt.vertex));
                let is_old = newest.is_some_and(|newest| *newest > attempt.epoch);
                let unwanted = is_old || self.ended.contains(&attempt.job);
                let task = (resource.clone(), unwanted.then_some(at.time));
                self.tasks.insert((at.process, *attempt), task);
            }
            SlotEvent::TaskEnds { attempt, .. } | SlotEvent::TaskStuck { attempt, .. } => {
                self.tasks.remove(&(at.process, *attempt));
            }
            _ => {}
        }
    }

    fn observe_job(&mut self, now: Duration, event: &JobEvent) {
        match event {
            JobEvent::Scheduled { job, epoch, vertices, .. } => {
                for vertex in vertices {
                    let newest = self.newest.entry((*job, *vertex)).or_default();
                    *newest = (*newest).max(*epoch);
                }
                self.unwanted(now, |attempt| {
                    attempt.job == *job
                        && attempt.epoch < *epoch
                        && vertices.contains(&attempt.vertex)
                });
            }
            JobEvent::StatusChanged { job, status, .. } if plain::is_end(*status) => {
                self.ended.insert(*job);
                self.unwanted(now, |attempt| attempt.job == *job);
                for hold in self.holds.values_mut().filter(|hold| hold.job == *job) {
                    hold.free.get_or_insert(now);
                }
            }
            _ => {}
        }
    }

    fn observe_manager(&mut self, at: Moment, event: &JobEvent) {
        match event {
            JobEvent::ExecutorRegistered { resource, .. } => {
                self.registered.insert((at.process, resource.clone()), at.time);
            }
            JobEvent::ExecutorDropped { resource, .. } => {
                self.registered.remove(&(at.process, resource.clone()));
            }
            JobEvent::SlotRequested { resource, index, allocation, .. } => {
                let of_slot = |(_, hold): &(&(Process, AllocationId), &Hold)| {
                    hold.resource == *resource && hold.index == *index
                };
                let held = self.holds.iter().find(of_slot);
                // Who asks again for what it asked for may not have been told.
                let Some((_, hold)) = held.filter(|((_, held), _)| held != allocation) else {
                    return;
                };
                let known = self.registered.get(&(at.process, resource.clone()));
                let Some(since) = known.map(|known| hold.since.max(*known)) else { return };
                let slot = format!("slot {index} of {}", resource.0);
                self.asked = Some(Asked { slot, since, at: at.time });
            }
            _ => {}
        }
    }

    fn unwanted(&mut self, now: Duration, which: impl Fn(&ExecutionAttemptId) -> bool) {
        for (_, (_, since)) in self.tasks.iter_mut().filter(|((_, attempt), _)| which(attempt)) {
            since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        host::Event, system::protocol::JobStatus, system::task_executor::EndCause,
        under_test::cluster::invariants::testing_jobs::*,
    };

    fn after<'a>(events: impl IntoIterator<Item = (u64, &'a dyn Event)>) -> Reconciliation {
        let mut reconciliation = Reconciliation::default();
        for (second, event) in events {
            let at = Moment::new(Duration::from_secs(second), process(3, 1));
            reconciliation.observe(at, EventRef::new(event));
        }
        reconciliation
    }

    fn overdue(of: &Reconciliation, from: u64, now: u64) -> Option<(String, u64)> {
        let [from, bound, now] = [from, 5, now].map(Duration::from_secs);
        let (what, since) = of.overdue(from, bound, now)?;
        Some((what, since.as_secs()))
    }

    fn allocated() -> SlotEvent {
        let (resource, allocation) = (ResourceId("a".to_string()), AllocationId(1));
        SlotEvent::SlotAllocated { resource, index: 0, job: JOB, allocation }
    }

    #[test]
    fn a_task_of_an_older_attempt_is_overdue_until_it_is_to_end() {
        let (old, newer) = (accepted(1), scheduled(1, 2, None));
        assert_eq!(overdue(&after([(1, &old as &dyn Event)]), 0, 100), None, "it is the newest");
        let replaced = [(1, &old as &dyn Event), (4, &newer)];
        let late = [(1, &newer as &dyn Event), (4, &old)];
        for events in [replaced, late] {
            let unwanted = after(events);
            assert_eq!(overdue(&unwanted, 0, 9), None);
            let (what, since) = overdue(&unwanted, 0, 10).expect("it is over");
            assert!(what.starts_with("the task") && what.ends_with("at a") && since == 4, "{what}");
            assert_eq!(overdue(&unwanted, 8, 13), None, "a fault was in force");
            assert_eq!(overdue(&unwanted, 8, 14).map(|(_, since)| since), Some(4));
        }
        let resource = ResourceId("a".to_string());
        let ends = SlotEvent::TaskEnds {
            resource,
            attempt: attempt(0, 1),
            cause: EndCause::Asked(term(1)),
        };
        assert_eq!(
            overdue(&after(replaced.into_iter().chain([(5, &ends as &dyn Event)])), 0, 100),
            None
        );
        let died = ended();
        assert_eq!(
            overdue(&after(replaced.into_iter().chain([(5, &died as &dyn Event)])), 0, 100),
            None
        );
    }

    #[test]
    fn a_slot_that_was_held_for_long_is_asked_for_in_vain() {
        let (held, resource) = (allocated(), ResourceId("a".to_string()));
        let registered = JobEvent::ExecutorRegistered {
            resource: resource.clone(),
            session: TaskExecutorSession(1),
            instance: InstanceId(1),
        };
        let asked = |allocation| JobEvent::SlotRequested {
            job: JOB,
            resource: resource.clone(),
            index: 0,
            allocation: AllocationId(allocation),
        };
        let (same, other) = (asked(1), asked(2));
        let in_vain = |first: [(u64, &dyn Event); 2], asked: (u64, &dyn Event), from| {
            let seen = after(first.into_iter().chain([asked]));
            let told = seen.asked_in_vain(Duration::from_secs(from), Duration::from_secs(5));
            told.map(|(slot, since)| (slot.to_string(), since.as_secs()))
        };
        let slot = "slot 0 of a".to_string();
        let events = [(1, &registered as &dyn Event), (3, &held)];
        assert_eq!(in_vain(events, (8, &other), 0), None, "a report may be under way");
        assert_eq!(in_vain(events, (9, &other), 0), Some((slot.clone(), 3)));
        assert_eq!(in_vain(events, (9, &other), 5), None, "a fault was in force");
        assert_eq!(in_vain(events, (9, &same), 0), None, "it asks again");
        let late = [(1, &held as &dyn Event), (4, &registered)];
        assert_eq!(in_vain(late, (9, &other), 0), None, "it is told with the registration");
        assert_eq!(in_vain(late, (10, &other), 0), Some((slot, 4)));
    }

    #[test]
    fn a_slot_is_overdue_that_no_master_takes_and_one_of_an_ended_job() {
        let (held, resource, allocation) =
            (allocated(), ResourceId("a".to_string()), AllocationId(1));
        let waits = after([(1, &held as &dyn Event)]);
        assert_eq!(overdue(&waits, 0, 16), None, "its own time-out comes first");
        assert_eq!(overdue(&waits, 0, 17).map(|(_, since)| since), Some(1));
        let taken = SlotEvent::SlotActivated { resource: resource.clone(), allocation };
        assert_eq!(overdue(&after([(1, &held as &dyn Event), (2, &taken)]), 0, 100), None);
        let (job, session, status) = (JOB, term(1), JobStatus::Finished);
        let over = JobEvent::StatusChanged { job, session, status };
        let left = after([(1, &held as &dyn Event), (2, &taken), (30, &over)]);
        assert_eq!(overdue(&left, 0, 46).map(|(_, since)| since), Some(30));
    }
}
