//! A state, one call, and what comes of it.

use super::*;
use crate::system::leadership::LeaderAddress;
use crate::system::{ids::TaskExecutorSession, protocol::SlotStatus};

pub(super) const JOB: JobId = JobId(7);
pub(super) const TERM: LeaderSessionId = LeaderSessionId(3);
const BEAT: HeartbeatSession = HeartbeatSession(5);
const FIRST: InstanceId = InstanceId(1);

pub(super) fn at(millis: u64) -> Instant {
    Instant::ORIGIN + Duration::from_millis(millis)
}

fn info(life: u128) -> TaskExecutorInfo {
    TaskExecutorInfo {
        resource: resource(),
        session: TaskExecutorSession(life),
        address: "rpc://a:1/task-executor".parse().unwrap(),
        data: "a:2".parse().unwrap(),
    }
}

fn resource() -> ResourceId {
    ResourceId("a".to_string())
}

pub(super) fn core() -> ResourceManagerCore {
    ResourceManagerCore::new(Arc::new(JobManagerConfig::default()), 9, Switches::default())
}

fn leader(session: LeaderSessionId) -> Option<LeaderInformation> {
    let address = LeaderAddress::Rpc("rpc://m:1/job".parse().unwrap());
    Some(LeaderInformation { session, address })
}

/// Calls the core, checks it, and gives what it wants done besides its announcements.
pub(super) fn on<T>(
    core: &mut ResourceManagerCore,
    call: impl FnOnce(&mut ResourceManagerCore) -> T,
) -> (T, Vec<Effect>) {
    let answer = call(core);
    let mut effects = core.take_effects();
    core.check_invariants();
    effects.retain(|effect| !matches!(effect, Effect::Announce(_)));
    (answer, effects)
}

fn register(core: &mut ResourceManagerCore, life: u128, attempt: u64, instance: InstanceId) {
    assert_eq!(core.on_executor_connecting(&info(life), attempt), Ok(()));
    let registered = core.on_executor_connected(info(life), attempt, Ok(instance));
    assert_eq!(registered, Ok(instance));
    core.take_effects();
}

/// One whose job's master declares, with that version, that it needs so many slots, and what is asked for then.
fn asking(version: u64, slots: u32) -> (ResourceManagerCore, Vec<(SlotRequest, AllocationId)>) {
    let mut core = with_master();
    register(&mut core, 1, 1, FIRST);
    core.on_requirements(at(0), JOB, TERM, version, slots);
    let (_, effects) = on(&mut core, |core| core.on_report(at(0), FIRST, &free(1)));
    (core, requested(&effects))
}

pub(super) fn free(version: u64) -> SlotReport {
    let slots = (0..2).map(|index| SlotStatus { index, allocation: None }).collect();
    SlotReport { version, slots }
}

fn with_master() -> ResourceManagerCore {
    connected(core())
}

/// One at which the job's master is registered.
pub(super) fn connected(core: ResourceManagerCore) -> ResourceManagerCore {
    connected_job(core, JOB, BEAT)
}

/// One at which that job's master is registered.
pub(super) fn connected_job(
    mut core: ResourceManagerCore,
    job: JobId,
    beat: HeartbeatSession,
) -> ResourceManagerCore {
    assert_eq!(core.on_master_connecting(at(0), job, TERM, 2), Ok(Introduction::Waits));
    core.on_job_leader(job, leader(TERM));
    assert_eq!(core.on_master_connecting(at(0), job, TERM, 2), Ok(Introduction::Connects));
    assert_eq!(core.on_master_connected(at(0), job, TERM, 2, beat), Ok(beat));
    core.take_effects();
    core
}

fn requested(effects: &[Effect]) -> Vec<(SlotRequest, AllocationId)> {
    let requested = |effect: &Effect| match effect {
        Effect::RequestSlot(request, allocation) => Some((request.clone(), *allocation)),
        _ => None,
    };
    effects.iter().filter_map(requested).collect()
}

#[test]
fn only_the_newest_try_of_an_executor_finishes() {
    let mut core = core();
    assert_eq!(core.on_executor_connecting(&info(1), 1), Ok(()));
    assert_eq!(core.on_executor_connecting(&info(1), 2), Ok(()));
    assert!(core.on_executor_connecting(&info(1), 2).is_err(), "a repeat");
    assert!(core.on_executor_connected(info(1), 1, Ok(FIRST)).is_err());
    let (answer, effects) = on(&mut core, |core| core.on_executor_connected(info(1), 2, Ok(FIRST)));
    assert_eq!(answer, Ok(FIRST));
    assert_eq!(effects, [Effect::MonitorExecutor(resource(), FIRST)]);
    assert!(core.on_executor_connecting(&info(1), 1).is_err(), "an older one is late");
    assert!(core.on_executor_connected(info(1), 2, Ok(InstanceId(8))).is_err(), "it is done");
}

#[test]
fn a_new_registration_ends_the_old_one() {
    let mut core = core();
    register(&mut core, 1, 1, FIRST);
    assert_eq!(core.on_executor_connecting(&info(2), 1), Ok(()));
    let second = InstanceId(2);
    let (_, effects) = on(&mut core, |core| core.on_executor_connected(info(2), 1, Ok(second)));
    let dropped = Effect::DropExecutor(resource(), FIRST, "it registers anew".to_string());
    assert_eq!(effects, [dropped, Effect::MonitorExecutor(resource(), second)]);
    // What the old one says is of nobody.
    assert!(!core.on_report(at(0), FIRST, &free(1)));
    let (_, effects) =
        on(&mut core, |core| core.on_executor_gone(at(0), &resource(), FIRST, "late"));
    assert_eq!(effects, []);
    // One that can't be connected to changes nothing of the one that is there.
    assert_eq!(core.on_executor_connecting(&info(3), 1), Ok(()));
    let failed = Err("nobody answers".to_string());
    assert!(core.on_executor_connected(info(3), 1, failed).is_err());
    assert_eq!(core.resource_of(second), Some(resource()));
}

#[test]
fn slots_are_asked_for_when_there_is_a_report_a_need_and_a_master_in_any_order() {
    enum Given {
        Executor,
        Report,
        Requirement,
    }
    let orders = [
        [Given::Executor, Given::Report, Given::Requirement],
        [Given::Executor, Given::Requirement, Given::Report],
        [Given::Requirement, Given::Executor, Given::Report],
    ];
    for order in orders {
        let mut core = with_master();
        let mut asked = Vec::new();
        for (place, given) in order.iter().enumerate() {
            let ((), effects) = on(&mut core, |core| match given {
                Given::Executor => register(core, 1, 1, FIRST),
                Given::Report => assert!(core.on_report(at(0), FIRST, &free(1))),
                Given::Requirement => assert!(core.on_requirements(at(0), JOB, TERM, 1, 2)),
            });
            asked.extend(requested(&effects));
            assert!(place == 2 || asked.is_empty(), "not before all is there");
        }
        assert_eq!(asked.len(), 2);
        assert_ne!(asked[0].1, asked[1].1);
    }
}

#[test]
fn a_job_whose_slot_was_refused_rests() {
    let (mut core, mut asked) = asking(1, 1);
    let (request, allocation) = asked.remove(0);
    let refused = |core: &mut ResourceManagerCore| {
        core.on_slot_answered(at(0), &request, allocation, SlotAnswer::Refused);
    };
    let ((), effects) = on(&mut core, refused);
    let delay = JobManagerConfig::default().registration.refused_delay;
    assert_eq!(effects, [Effect::Schedule(delay, Timer::Rested(JOB))], "and nothing is asked for");
    let ((), effects) = on(&mut core, |core| core.on_timer(at(1), Timer::Rested(JOB)));
    assert!(matches!(effects[..], [Effect::Schedule(..)]), "too early");
    let ((), effects) = on(&mut core, |core| core.on_timer(at(0) + delay, Timer::Rested(JOB)));
    assert_eq!(requested(&effects).len(), 1);
}

#[test]
fn a_slot_that_is_lost_with_its_task_executor_is_asked_for_elsewhere_at_once() {
    let (mut core, mut asked) = asking(1, 1);
    let (request, allocation) = asked.remove(0);
    core.on_slot_answered(at(0), &request, allocation, SlotAnswer::Granted(2));
    let (other, second) = (ResourceId("b".to_string()), InstanceId(2));
    let info = TaskExecutorInfo { resource: other.clone(), ..info(8) };
    assert_eq!(core.on_executor_connecting(&info, 1), Ok(()));
    assert_eq!(core.on_executor_connected(info, 1, Ok(second)), Ok(second));
    let (_, effects) = on(&mut core, |core| core.on_report(at(0), second, &free(1)));
    assert_eq!(requested(&effects), [], "it has what it needs");
    let ((), effects) =
        on(&mut core, |core| core.on_executor_gone(at(1), &resource(), FIRST, "silent"));
    let asked = requested(&effects);
    assert_eq!(asked.iter().map(|(of, _)| &of.resource).collect::<Vec<_>>(), [&other]);
}

#[test]
fn a_job_rests_no_longer_once_its_master_declares_anew() {
    let (mut core, mut asked) = asking(2, 1);
    let (request, allocation) = asked.remove(0);
    let refused = SlotAnswer::Refused;
    on(&mut core, |core| core.on_slot_answered(at(0), &request, allocation, refused));
    for (version, asked) in [(2, 0), (1, 0), (3, 1)] {
        let declared =
            |core: &mut ResourceManagerCore| core.on_requirements(at(1), JOB, TERM, version, 1);
        assert_eq!(requested(&on(&mut core, declared).1).len(), asked, "version {version}");
    }
}

#[test]
fn answers_that_come_in_another_order_than_they_were_given_take_no_slot_back() {
    let (mut core, asked) = asking(1, 2);
    assert_eq!(asked.len(), 2);
    for ((request, allocation), granted) in asked.iter().zip([2, 3]).rev() {
        let answered = |core: &mut ResourceManagerCore| {
            core.on_slot_answered(at(0), request, *allocation, SlotAnswer::Granted(granted));
        };
        assert_eq!(on(&mut core, answered).1, [], "the job has the slot, so it need not rest");
    }
    let free: Vec<usize> = core.executors().map(|(_, _, free)| free).collect();
    assert_eq!(free, [0]);
}

#[test]
fn a_master_that_was_taken_for_lost_says_that_its_job_has_ended() {
    for (who, leads, forgotten) in [(TERM, TERM, true), (TERM, LeaderSessionId(4), false)] {
        let mut core = with_master();
        core.on_requirements(at(0), JOB, TERM, 1, 2);
        on(&mut core, |core| core.on_master_silence(at(0), BEAT));
        core.on_job_leader(JOB, leader(leads));
        core.take_effects();
        let left = |status| {
            move |core: &mut ResourceManagerCore| core.on_master_left(at(0), JOB, who, status)
        };
        assert_eq!(on(&mut core, left(JobStatus::Suspended)).1, [], "another master goes on");
        let (_, effects) = on(&mut core, left(JobStatus::Finished));
        assert_eq!(effects == [Effect::Unfollow(JOB)], forgotten, "{effects:?}");
    }
}

#[test]
fn a_master_that_does_not_lead_is_refused_and_an_old_one_changes_nothing() {
    let mut core = with_master();
    let other = LeaderSessionId(4);
    assert!(core.on_master_connecting(at(0), JOB, other, 9).is_err());
    assert!(!core.on_requirements(at(0), JOB, other, 1, 9));
    let left = |core: &mut ResourceManagerCore| {
        core.on_master_left(at(0), JOB, other, JobStatus::Finished);
    };
    assert_eq!(on(&mut core, left).1, []);
    // It leads from here on: the one before is dropped when it has come.
    core.on_job_leader(JOB, leader(other));
    assert_eq!(core.on_master_connecting(at(0), JOB, other, 1), Ok(Introduction::Connects));
    let beat = HeartbeatSession(6);
    let (_, effects) = on(&mut core, |core| core.on_master_connected(at(0), JOB, other, 1, beat));
    let expected = [Effect::UnmonitorMaster(JOB, BEAT), Effect::MonitorMaster(JOB, beat)];
    assert_eq!(effects, expected);
    assert_eq!(on(&mut core, |core| core.on_master_silence(at(0), BEAT)).1, []);
}

#[test]
fn a_job_is_forgotten_at_its_end_or_long_after_its_last_master() {
    let mut core = with_master();
    let ended = |core: &mut ResourceManagerCore| {
        core.on_master_left(at(0), JOB, TERM, JobStatus::Finished);
    };
    assert_eq!(on(&mut core, ended).1, [Effect::UnmonitorMaster(JOB, BEAT), Effect::Unfollow(JOB)]);
    let mut core = with_master();
    let suspended = |core: &mut ResourceManagerCore| {
        core.on_master_left(at(5), JOB, TERM, JobStatus::Suspended);
    };
    assert_eq!(on(&mut core, suspended).1, [Effect::UnmonitorMaster(JOB, BEAT)]);
    let timeout = JobManagerConfig::default().job_timeout;
    let idle = |core: &mut ResourceManagerCore, now| {
        on(core, |core| core.on_timer(now, Timer::Idle(JOB))).1
    };
    assert_eq!(idle(&mut core, at(0) + timeout), [Effect::Schedule(timeout, Timer::Idle(JOB))]);
    assert_eq!(idle(&mut core, at(5) + timeout), [Effect::Unfollow(JOB)]);
}

#[test]
fn a_silent_executor_is_dropped_with_its_slots_and_told() {
    let mut core = with_master();
    register(&mut core, 1, 1, FIRST);
    on(&mut core, |core| core.on_report(at(0), FIRST, &free(1)));
    let (_, effects) =
        on(&mut core, |core| core.on_executor_gone(at(0), &resource(), FIRST, "silent"));
    assert_eq!(effects, [Effect::DropExecutor(resource(), FIRST, "silent".to_string())]);
    assert_eq!(core.executors().count(), 0);
    let (known, effects) = on(&mut core, |core| core.on_requirements(at(0), JOB, TERM, 1, 2));
    assert!(known);
    assert_eq!(effects, [], "nothing of it is asked for any more");
    assert!(!on(&mut core, |core| core.on_report(at(0), FIRST, &free(2))).0);
}

#[test]
fn a_silent_master_is_dropped_and_may_come_again() {
    let mut core = with_master();
    register(&mut core, 1, 1, FIRST);
    on(&mut core, |core| core.on_requirements(at(0), JOB, TERM, 1, 2));
    let ((), effects) = on(&mut core, |core| core.on_master_silence(at(5), BEAT));
    assert_eq!(effects, [Effect::UnmonitorMaster(JOB, BEAT)]);
    let (_, effects) = on(&mut core, |core| core.on_report(at(5), FIRST, &free(1)));
    assert_eq!(effects, [], "nothing is asked for without a master");
    assert!(!core.on_requirements(at(0), JOB, TERM, 2, 1));
    assert_eq!(core.on_master_connecting(at(6), JOB, TERM, 3), Ok(Introduction::Connects));
    let again = HeartbeatSession(6);
    let (answer, effects) =
        on(&mut core, |core| core.on_master_connected(at(6), JOB, TERM, 3, again));
    assert_eq!(answer, Ok(again));
    assert_eq!(requested(&effects).len(), 2, "what the job needs was kept");
    assert!(on(&mut core, |core| core.on_requirements(at(0), JOB, TERM, 1, 3)).0);
    assert_eq!(core.slots.missing(), 1, "its declarations count anew");
}

#[test]
fn a_job_that_no_master_ever_registered_for_is_forgotten_after_a_while() {
    let mut core = core();
    let (heard, effects) = on(&mut core, |core| core.on_master_connecting(at(0), JOB, TERM, 1));
    assert_eq!(heard, Ok(Introduction::Waits), "nobody is known to lead it");
    let timeout = JobManagerConfig::default().job_timeout;
    let look = Effect::Schedule(timeout, Timer::Idle(JOB));
    assert_eq!(effects, [Effect::Follow(JOB), look.clone()]);
    let early = Instant::ORIGIN + timeout.saturating_sub(Duration::from_millis(1));
    let ((), effects) = on(&mut core, |core| core.on_timer(early, Timer::Idle(JOB)));
    assert_eq!(effects, [look]);
    let late = Instant::ORIGIN + timeout;
    let ((), effects) = on(&mut core, |core| core.on_timer(late, Timer::Idle(JOB)));
    assert_eq!(effects, [Effect::Unfollow(JOB)]);
}

#[test]
fn a_master_that_knows_of_its_leadership_first_is_heard_once_it_is_known_here() {
    let mut core = core();
    let introduced = core.on_master_connecting(at(0), JOB, TERM, 1);
    assert_eq!(introduced, Ok(Introduction::Waits));
    core.take_effects();
    let unknown = on(&mut core, |core| core.on_job_leader(JOB, None)).1;
    assert_eq!(unknown, []);
    assert!(core.on_master_connected(at(0), JOB, TERM, 1, BEAT).is_err(), "it only waits");
    // Whoever leads: one that does not is refused then.
    let known = on(&mut core, |core| core.on_job_leader(JOB, leader(LeaderSessionId(4)))).1;
    assert_eq!(known, [Effect::HearMaster(JOB)]);
    assert!(core.on_master_connecting(at(0), JOB, TERM, 1).is_err());
}
