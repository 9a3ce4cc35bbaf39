//! Which slots there are, who holds them, and who needs more.

use crate::system::{
    ids::{AllocationId, InstanceId, JobId, ResourceId},
    protocol::SlotReport,
};
use std::collections::{BTreeMap, BTreeSet};

/// A slot as the resource manager knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Nobody holds it.
    Free,
    /// It was asked for, and there is no answer yet.
    Pending(JobId, AllocationId),
    /// It was asked for, and there will be no answer. The next report shows whether it is held; a request that is
    /// longer still on its way is found in a later one.
    Unknown(JobId, AllocationId),
    /// A job holds it: the report, or the grant, of this version says so.
    Allocated(JobId, AllocationId, u64),
}

impl SlotState {
    /// The job that holds it, or will.
    pub fn job(self) -> Option<JobId> {
        match self {
            SlotState::Free => None,
            SlotState::Pending(job, _)
            | SlotState::Unknown(job, _)
            | SlotState::Allocated(job, _, _) => Some(job),
        }
    }
}

#[derive(Debug)]
struct Executor {
    instance: InstanceId,
    /// Of the newest report; none is handed out before the first. An answer tells of one slot alone, so its
    /// version is kept with that slot: answers may overtake one another, and reports.
    reported: Option<u64>,
    slots: Vec<SlotState>,
}

#[derive(Debug, Default)]
struct Requirement {
    slots: u32,
    version: u64,
    /// Its master is connected. Without one, no slot is asked for.
    connected: bool,
}

/// A slot that is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotRequest {
    /// The task executor.
    pub resource: ResourceId,
    /// Its registration.
    pub instance: InstanceId,
    /// The slot.
    pub index: u32,
    /// For whom.
    pub job: JobId,
}

/// What a request for a slot came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotAnswer {
    /// It is held since this version of the task executor's slots.
    Granted(u64),
    /// It is not held.
    Refused,
    /// There will be no answer.
    Unknown,
}

/// Matches free slots with requirements.
#[derive(Debug, Default)]
pub struct SlotManager {
    executors: BTreeMap<ResourceId, Executor>,
    requirements: BTreeMap<JobId, Requirement>,
}

impl SlotManager {
    /// A registration of a task executor begins, and its earlier one ends.
    pub fn register(&mut self, resource: &ResourceId, instance: InstanceId) {
        let executor = Executor { instance, reported: None, slots: Vec::new() };
        self.executors.insert(resource.clone(), executor);
    }

    /// A registration ends: its slots are gone.
    pub fn unregister(&mut self, resource: &ResourceId, instance: InstanceId) {
        if self.executors.get(resource).is_some_and(|executor| executor.instance == instance) {
            self.executors.remove(resource);
        }
    }

    fn executor(&mut self, resource: &ResourceId, instance: InstanceId) -> Option<&mut Executor> {
        self.executors.get_mut(resource).filter(|executor| executor.instance == instance)
    }

    /// A task executor says who holds its slots. What is older than what is known, of all or of one, is ignored.
    /// Answers the jobs for which it has given slots back.
    pub fn report(
        &mut self,
        resource: &ResourceId,
        instance: InstanceId,
        report: &SlotReport,
    ) -> BTreeSet<JobId> {
        let mut given_back = BTreeSet::new();
        let Some(executor) = self.executor(resource, instance) else { return given_back };
        if executor.reported.is_some_and(|known| report.version < known) {
            return given_back;
        }
        executor.reported = Some(report.version);
        executor.slots.resize(report.slots.len(), SlotState::Free);
        for (slot, reported) in executor.slots.iter_mut().zip(&report.slots) {
            *slot = match (reported.allocation, *slot) {
                // It was granted since.
                (_, held @ SlotState::Allocated(_, _, since)) if report.version < since => held,
                (Some((job, allocation)), _) => {
                    SlotState::Allocated(job, allocation, report.version)
                }
                // The request may still be on its way.
                (None, pending @ SlotState::Pending(_, _)) => pending,
                (None, held) => {
                    given_back.extend(held.job());
                    SlotState::Free
                }
            };
        }
        given_back
    }

    /// The places in a report of slots that are held and of which that is not known.
    pub fn news(&self, resource: &ResourceId, report: &SlotReport) -> Vec<usize> {
        let known = self.executors.get(resource).map(|executor| &executor.slots[..]);
        let is_news = |index: usize| {
            let slot = known.and_then(|slots| slots.get(index));
            slot.is_none_or(|slot| *slot == SlotState::Free)
        };
        let reported = report.slots.iter().enumerate();
        let held = reported.filter(|(_, status)| status.allocation.is_some());
        held.map(|(index, _)| index).filter(|index| is_news(*index)).collect()
    }

    /// The answer to a request. One to a request that is no longer waited for is ignored. Says whether the slot was
    /// granted and has been given back since.
    pub fn answer(
        &mut self,
        request: &SlotRequest,
        allocation: AllocationId,
        answer: SlotAnswer,
    ) -> bool {
        let Some(executor) = self.executor(&request.resource, request.instance) else {
            return false;
        };
        let slot = executor.slots.get_mut(request.index as usize);
        let Some(slot) = slot.filter(|s| **s == SlotState::Pending(request.job, allocation)) else {
            return false;
        };
        *slot = match answer {
            // A report that is newer than the grant and does not show it says that it was given back.
            SlotAnswer::Granted(granted) if executor.reported > Some(granted) => {
                *slot = SlotState::Free;
                return true;
            }
            SlotAnswer::Granted(granted) => SlotState::Allocated(request.job, allocation, granted),
            SlotAnswer::Refused => SlotState::Free,
            SlotAnswer::Unknown => SlotState::Unknown(request.job, allocation),
        };
        false
    }

    /// What a job's master needs. An older declaration is ignored; a master begins anew. Says whether it is the newest.
    pub fn require(&mut self, job: JobId, version: u64, slots: u32) -> bool {
        let known = self.requirements.entry(job).or_default();
        let newer = version > known.version;
        if newer {
            (known.version, known.slots) = (version, slots);
        }
        newer
    }

    /// A master has connected: its declarations count from 1.
    pub fn connect_master(&mut self, job: JobId) {
        let known = self.requirements.entry(job).or_default();
        (known.version, known.connected) = (0, true);
    }

    /// A job's master is gone. What it needs is kept for the next one, but nothing is asked for.
    pub fn disconnect_master(&mut self, job: JobId) {
        if let Some(requirement) = self.requirements.get_mut(&job) {
            requirement.connected = false;
        }
    }

    /// The job needs nothing any more.
    pub fn forget_job(&mut self, job: JobId) {
        self.requirements.remove(&job);
    }

    /// Slots to be asked for now; each is pending from here on, under a name drawn by `allocate`. Jobs
    /// that are `resting` must wait.
    pub fn match_slots(
        &mut self,
        resting: impl Fn(JobId) -> bool,
        mut allocate: impl FnMut() -> AllocationId,
    ) -> Vec<(SlotRequest, AllocationId)> {
        let mut requests = Vec::new();
        for (job, missing) in self.wanting(resting) {
            for _ in 0..missing {
                let Some((resource, instance, index)) = self.free_slot() else { break };
                let allocation = allocate();
                let executor = self.executors.get_mut(&resource).expect("it has a free slot");
                executor.slots[index] = SlotState::Pending(job, allocation);
                let index = u32::try_from(index).expect("few slots");
                requests.push((SlotRequest { resource, instance, index, job }, allocation));
            }
        }
        requests
    }

    /// The jobs that need slots beyond those that they hold, or that were asked for, and may ask for them now.
    fn wanting(&self, resting: impl Fn(JobId) -> bool) -> Vec<(JobId, u32)> {
        let may_ask =
            |(job, requirement): &(&JobId, &Requirement)| requirement.connected && !resting(**job);
        let missing =
            |(job, requirement): (&JobId, &Requirement)| (*job, self.missing_of(*job, requirement));
        let missing = self.requirements.iter().filter(may_ask).map(missing);
        missing.filter(|(_, missing)| *missing > 0).collect()
    }

    /// How many slots jobs need beyond those that they hold, or that were asked for.
    pub fn missing(&self) -> u32 {
        let missing = self.requirements.iter().map(|(job, known)| self.missing_of(*job, known));
        missing.fold(0, u32::saturating_add)
    }

    fn missing_of(&self, job: JobId, requirement: &Requirement) -> u32 {
        requirement.slots.saturating_sub(self.held_by(job))
    }

    fn held_by(&self, job: JobId) -> u32 {
        let slots = self.executors.values().flat_map(|executor| &executor.slots);
        let held = slots.filter(|slot| slot.job() == Some(job)).count();
        u32::try_from(held).unwrap_or(u32::MAX)
    }

    /// How many slots jobs hold beyond those that they need: a task executor that has not told yet may hold what was
    /// asked for elsewhere meanwhile. Their masters refuse them, so that they are free soon.
    pub fn surplus(&self) -> u32 {
        let of =
            |(job, known): (&JobId, &Requirement)| self.held_by(*job).saturating_sub(known.slots);
        self.requirements.iter().map(of).fold(0, u32::saturating_add)
    }

    /// How many slots nobody holds.
    pub fn free(&self) -> usize {
        let slots = self.executors.values().flat_map(|executor| &executor.slots);
        slots.filter(|slot| **slot == SlotState::Free).count()
    }

    /// How many slots a task executor has, and how many of them nobody holds.
    pub fn count(&self, resource: &ResourceId) -> (usize, usize) {
        let slots = self.executors.get(resource).map(|executor| &executor.slots[..]);
        let slots = slots.unwrap_or_default();
        (slots.len(), slots.iter().filter(|slot| **slot == SlotState::Free).count())
    }

    /// The jobs whose masters are connected.
    pub fn connected_jobs(&self) -> Vec<JobId> {
        let connected = self.requirements.iter().filter(|(_, requirement)| requirement.connected);
        connected.map(|(job, _)| *job).collect()
    }

    /// What holds after every call: the slots are those of the registered task executors, none is handed out
    /// before its first report, each hold is on one of them, and none is free that a job needs which may ask for it.
    pub fn check_invariants(
        &self,
        registered: BTreeMap<&ResourceId, InstanceId>,
        resting: impl Fn(JobId) -> bool,
    ) {
        let wanting = self.wanting(resting);
        assert!(wanting.is_empty() || self.free() == 0, "{wanting:?} need what is free");
        let known = self.executors.iter().map(|(resource, known)| (resource, known.instance));
        assert_eq!(
            known.collect::<BTreeMap<_, _>>(),
            registered,
            "slots are those of who is there"
        );
        let mut holds = BTreeMap::new();
        for (resource, executor) in &self.executors {
            assert!(
                executor.reported.is_some() || executor.slots.is_empty(),
                "{resource} has told"
            );
            for (index, slot) in executor.slots.iter().enumerate() {
                let (SlotState::Pending(_, allocation)
                | SlotState::Unknown(_, allocation)
                | SlotState::Allocated(_, allocation, _)) = slot
                else {
                    continue;
                };
                let before = holds.insert(allocation, (resource, index));
                assert!(before.is_none(), "{allocation:?} is of {before:?} and {resource} {index}");
            }
        }
    }

    /// A free slot of the task executor that has most of them, so that jobs spread.
    fn free_slot(&self) -> Option<(ResourceId, InstanceId, usize)> {
        let free = |executor: &Executor| {
            executor.slots.iter().filter(|slot| **slot == SlotState::Free).count()
        };
        let reported = self.executors.iter().filter(|(_, executor)| executor.reported.is_some());
        let best = reported.rev().max_by_key(|(_, executor)| free(executor))?;
        let index = best.1.slots.iter().position(|slot| *slot == SlotState::Free)?;
        Some((best.0.clone(), best.1.instance, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::protocol::SlotStatus;

    const JOB: JobId = JobId(7);
    const FIRST: InstanceId = InstanceId(1);

    fn a() -> ResourceId {
        ResourceId("a".to_string())
    }

    fn report(version: u64, held: [Option<u128>; 2]) -> SlotReport {
        let status = |(index, held): (usize, &Option<u128>)| SlotStatus {
            index: u32::try_from(index).unwrap(),
            allocation: held.map(|id| (JOB, AllocationId(id))),
        };
        SlotReport { version, slots: held.iter().enumerate().map(status).collect() }
    }

    fn requests(manager: &mut SlotManager) -> Vec<(SlotRequest, AllocationId)> {
        let mut next = 100;
        manager.match_slots(
            |_| false,
            || {
                next += 1;
                AllocationId(next)
            },
        )
    }

    #[test]
    fn what_is_given_back_is_told_and_a_job_can_rest() {
        let mut manager = SlotManager::default();
        manager.register(&a(), FIRST);
        assert_eq!(manager.report(&a(), FIRST, &report(1, [Some(9), None])), BTreeSet::new());
        let given_back = manager.report(&a(), FIRST, &report(2, [None, None]));
        assert_eq!(given_back, BTreeSet::from([JOB]));
        manager.connect_master(JOB);
        manager.require(JOB, 1, 2);
        assert_eq!(manager.match_slots(|job| job == JOB, || AllocationId(1)), []);
        assert_eq!(requests(&mut manager).len(), 2);
    }

    fn registered() -> SlotManager {
        let mut manager = SlotManager::default();
        manager.register(&a(), FIRST);
        manager.connect_master(JOB);
        manager.require(JOB, 1, 2);
        manager
    }

    #[test]
    fn slots_are_asked_for_only_after_the_first_report_and_once_each() {
        let mut manager = registered();
        assert_eq!(requests(&mut manager), vec![]);
        manager.report(&a(), FIRST, &report(1, [None, None]));
        assert_eq!(requests(&mut manager).len(), 2);
        assert_eq!(requests(&mut manager), vec![]);
    }

    #[test]
    fn a_reported_slot_is_not_handed_out_again() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [Some(9), None]));
        let asked = requests(&mut manager);
        assert_eq!(asked.iter().map(|(request, _)| request.index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn late_reports_and_answers_change_nothing() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(2));
        manager.report(&a(), FIRST, &report(1, [None, None]));
        manager.answer(&asked[1].0, AllocationId(5), SlotAnswer::Refused);
        assert_eq!(requests(&mut manager), vec![], "one is held, one is pending");
        manager.answer(&asked[1].0, asked[1].1, SlotAnswer::Refused);
        assert_eq!(requests(&mut manager).len(), 1);
    }

    #[test]
    fn a_report_that_was_overtaken_frees_nothing() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(3, [Some(9), None]));
        assert_eq!(manager.report(&a(), FIRST, &report(2, [None, None])), BTreeSet::new());
        let asked = requests(&mut manager);
        assert_eq!(asked.iter().map(|(request, _)| request.index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn what_an_answer_tells_of_one_slot_says_nothing_of_another() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        // They were granted in the other order.
        assert!(!manager.answer(&asked[1].0, asked[1].1, SlotAnswer::Granted(3)));
        assert!(!manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(2)));
        assert_eq!(requests(&mut manager), vec![], "both are held");
        let first = asked[0].1.0;
        // A report from between the two shows the first one, and can't show the second one.
        assert_eq!(manager.report(&a(), FIRST, &report(2, [Some(first), None])), BTreeSet::new());
        assert_eq!(requests(&mut manager), vec![], "both are held");
        // And one that is newer than an answer says whether it still holds.
        assert_eq!(
            manager.report(&a(), FIRST, &report(4, [Some(first), None])),
            BTreeSet::from([JOB])
        );
        let asked = requests(&mut manager);
        assert_eq!(asked.len(), 1);
        manager.report(&a(), FIRST, &report(6, [Some(first), None]));
        assert!(
            manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(5)),
            "it was given back since"
        );
        assert_eq!(requests(&mut manager).len(), 1, "it is free again");
    }

    #[test]
    fn a_report_tells_of_the_slots_that_no_newer_answer_is_known_of() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(3));
        let other = SlotStatus { index: 1, allocation: Some((JobId(8), AllocationId(9))) };
        let mut shown = report(2, [None, None]);
        shown.slots[1] = other;
        assert_eq!(manager.report(&a(), FIRST, &shown), BTreeSet::new());
        let jobs = manager.executors[&a()].slots.iter().map(|slot| slot.job());
        assert_eq!(jobs.collect::<Vec<_>>(), [Some(JOB), Some(JobId(8))]);
    }

    #[test]
    fn a_slot_without_an_answer_is_nobody_elses_until_a_report_shows_who_has_it() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        for (request, allocation) in &asked {
            assert!(!manager.answer(request, *allocation, SlotAnswer::Unknown));
        }
        assert_eq!((requests(&mut manager), manager.missing(), manager.free()), (vec![], 0, 0));
        let granted = asked[0].1.0;
        let given_back = manager.report(&a(), FIRST, &report(2, [Some(granted), None]));
        assert_eq!(given_back, BTreeSet::from([JOB]), "the other one is not held");
        assert_eq!(requests(&mut manager).len(), 1);
        manager.answer(&asked[1].0, asked[1].1, SlotAnswer::Granted(9));
        assert_eq!(requests(&mut manager), vec![], "that answer is not waited for any more");
    }

    #[test]
    fn an_answer_to_an_earlier_registration_changes_nothing() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        manager.register(&a(), InstanceId(2));
        manager.report(&a(), InstanceId(2), &report(1, [None, None]));
        manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(9));
        assert_eq!(requests(&mut manager).len(), 2);
        manager.unregister(&a(), FIRST);
        manager.unregister(&a(), InstanceId(2));
        manager.register(&a(), FIRST);
        assert_eq!(requests(&mut manager), vec![]);
    }

    #[test]
    fn a_declaration_of_an_older_version_changes_nothing() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        manager.require(JOB, 3, 1);
        manager.require(JOB, 2, 2);
        assert_eq!(requests(&mut manager).len(), 1);
    }

    #[test]
    fn a_report_that_shows_another_hold_wins_over_a_request_under_way() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        let asked = requests(&mut manager);
        let other = SlotStatus { index: 0, allocation: Some((JobId(8), AllocationId(9))) };
        let mut shown = report(2, [None, None]);
        shown.slots[0] = other;
        manager.report(&a(), FIRST, &shown);
        manager.answer(&asked[0].0, asked[0].1, SlotAnswer::Granted(1));
        let held = SlotState::Allocated(JobId(8), AllocationId(9), 2);
        assert_eq!(manager.executors[&a()].slots[0], held);
        assert_eq!(requests(&mut manager), vec![], "none is free for the job at the moment");
        manager.report(&a(), FIRST, &report(3, [None, None]));
        assert_eq!(requests(&mut manager).len(), 1, "it still wants another one");
    }

    #[test]
    fn a_slot_that_one_job_gave_back_goes_to_another() {
        let other = JobId(8);
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        for (request, allocation) in requests(&mut manager) {
            manager.answer(&request, allocation, SlotAnswer::Granted(2));
        }
        manager.connect_master(other);
        manager.require(other, 1, 2);
        assert_eq!(requests(&mut manager), vec![], "all are held");
        manager.forget_job(JOB);
        manager.report(&a(), FIRST, &report(3, [None, None]));
        let asked = requests(&mut manager);
        assert!(asked.len() == 2 && asked.iter().all(|(request, _)| request.job == other));
    }

    #[test]
    fn without_a_master_nothing_is_asked_for() {
        let mut manager = registered();
        manager.report(&a(), FIRST, &report(1, [None, None]));
        manager.disconnect_master(JOB);
        assert_eq!(requests(&mut manager), vec![]);
        manager.connect_master(JOB);
        assert_eq!(requests(&mut manager).len(), 2);
        manager.forget_job(JOB);
    }
}
