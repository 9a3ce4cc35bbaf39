//! When machines are asked for, awaited, replaced and given back.

use super::{
    super::tests::{JOB, TERM, at, connected, connected_job, core, free, on},
    *,
};
use crate::system::{
    heartbeat::HeartbeatSession,
    ids::{AllocationId, InstanceId, JobId, TaskExecutorSession},
    job_manager::WorkerSettings,
    protocol::{RegistrationRefusal, SlotReport, SlotStatus, TaskExecutorInfo},
    rpc::RpcError,
};

const INSTANCE: InstanceId = InstanceId(1);

fn settings() -> WorkerSettings {
    WorkerSettings { workers_max: 3, ..WorkerSettings::default() }
}

/// One whose provider has told it of these workers.
fn with(found: &[&ResourceId]) -> ResourceManagerCore {
    let core = core().with_workers(settings(), "t".to_string());
    let mut core = connected(core);
    let ((), effects) = on(&mut core, ResourceManagerCore::on_start);
    assert_eq!(effects, [Effect::AttachProvider, Effect::Schedule(TICK, Timer::Workers)]);
    let found = found.iter().map(|worker| (*worker).clone()).collect();
    on(&mut core, |core| core.on_attached(at(0), Ok(found)));
    core
}

fn worker(number: u64) -> ResourceId {
    ResourceId(format!("worker-t-{number}"))
}

fn asked(number: u64) -> Effect {
    Effect::RequestWorker(number, WorkerSpec { resource: worker(number), slots: 2 })
}

fn need(core: &mut ResourceManagerCore, version: u64, slots: u32) -> Vec<Effect> {
    on(core, |core| core.on_requirements(at(0), JOB, TERM, version, slots)).1
}

/// One that needs three slots and has asked for two machines.
fn needing() -> ResourceManagerCore {
    let mut core = with(&[]);
    assert_eq!(need(&mut core, 1, 3), [asked(1), asked(2)]);
    for number in [1, 2] {
        on(&mut core, |core| core.on_worker_requested(at(0), &worker(number), Ok(())));
    }
    core
}

fn info(resource: &ResourceId, life: u128) -> TaskExecutorInfo {
    TaskExecutorInfo {
        resource: resource.clone(),
        session: TaskExecutorSession(life),
        address: "rpc://a:1/task-executor".parse().unwrap(),
        data: "a:2".parse().unwrap(),
    }
}

fn register(
    core: &mut ResourceManagerCore,
    resource: &ResourceId,
    life: u128,
    instance: InstanceId,
) -> Result<InstanceId, RegistrationRefusal> {
    core.on_executor_connecting(&info(resource, life), u64::try_from(instance.0).unwrap())?;
    let attempt = u64::try_from(instance.0).unwrap();
    let registered =
        on(core, |core| core.on_executor_connected(info(resource, life), attempt, Ok(instance)));
    registered.0
}

/// What a look at what is due wants done of the provider.
fn look(core: &mut ResourceManagerCore, millis: u64) -> Vec<Effect> {
    let mut effects = on(core, |core| core.on_timer(at(millis), Timer::Workers)).1;
    assert_eq!(effects.remove(0), Effect::Schedule(TICK, Timer::Workers));
    effects
}

fn held(version: u64, job: JobId) -> SlotReport {
    let allocation = Some((job, AllocationId(70 + job.0)));
    let slots =
        vec![SlotStatus { index: 0, allocation }, SlotStatus { index: 1, allocation: None }];
    SlotReport { version, slots }
}

#[test]
fn as_many_are_asked_for_as_slots_are_missing_and_each_once() {
    let mut core = needing();
    assert_eq!(need(&mut core, 2, 4), [], "those that come have room");
    assert_eq!(need(&mut core, 3, 9), [asked(3)], "three are the most");
    assert_eq!(register(&mut core, &worker(1), 1, INSTANCE), Ok(INSTANCE));
    assert_eq!(need(&mut core, 4, 9), [], "one that has not reported yet has slots too");
}

#[test]
fn nothing_is_asked_for_before_it_is_known_who_is_there() {
    let recovered = ResourceId("worker-s-9".to_string());
    let unattached = core().with_workers(settings(), "t".to_string());
    let mut core = connected(unattached);
    assert_eq!(need(&mut core, 1, 2), []);
    let no_answer = Err(ProviderError::Indeterminate(RpcError::Timeout));
    assert_eq!(on(&mut core, |core| core.on_attached(at(0), no_answer)).1, []);
    assert_eq!(look(&mut core, 1_000), [Effect::AttachProvider]);
    let found = Ok(vec![recovered.clone()]);
    assert_eq!(on(&mut core, |core| core.on_attached(at(0), found)).1, [], "that one may come");
    assert_eq!(register(&mut core, &recovered, 1, INSTANCE), Ok(INSTANCE));
}

#[test]
fn a_request_without_an_answer_is_made_again_and_a_refused_one_is_not() {
    let mut core = with(&[]);
    need(&mut core, 1, 2);
    let unanswered = Err(ProviderError::Indeterminate(RpcError::Timeout));
    on(&mut core, |core| core.on_worker_requested(at(0), &worker(1), unanswered));
    assert_eq!(look(&mut core, 1_000), [asked(1)]);
    assert_eq!(look(&mut core, 2_000), [], "it is on its way");
    // The first try may have been done.
    let not_done = Err(ProviderError::NotDone(RpcError::RecipientUnreachable));
    on(&mut core, |core| core.on_worker_requested(at(2_000), &worker(1), not_done));
    assert_eq!(look(&mut core, 2_500), [asked(1)], "under the same name");
    let exhausted = Err(ProviderError::Refused(ProviderRefusal::Exhausted));
    on(&mut core, |core| core.on_worker_requested(at(2_000), &worker(1), exhausted));
    assert_eq!(look(&mut core, 3_000), [], "after a pause");
    assert_eq!(look(&mut core, 5_000), [asked(2)], "under another name");
}

#[test]
fn a_request_that_was_overtaken_is_made_anew_at_once() {
    let mut core = with(&[]);
    assert_eq!(need(&mut core, 1, 4), [asked(1), asked(2)]);
    on(&mut core, |core| core.on_worker_requested(at(0), &worker(2), Ok(())));
    let outdated = Err(ProviderError::Refused(ProviderRefusal::Outdated));
    let anew = on(&mut core, |core| core.on_worker_requested(at(0), &worker(1), outdated)).1;
    assert_eq!(anew, [asked(3)]);
}

#[test]
fn one_that_does_not_come_is_given_back_and_replaced_after_the_answer() {
    let mut core = needing();
    register(&mut core, &worker(2), 1, INSTANCE).unwrap();
    let due = look(&mut core, 30_000);
    assert_eq!(due, [Effect::ReleaseWorker(worker(1))]);
    assert_eq!(look(&mut core, 30_500), [], "the provider is being asked");
    let no_answer = Err(ProviderError::Indeterminate(RpcError::Timeout));
    on(&mut core, |core| core.on_worker_released(at(30_000), &worker(1), no_answer));
    assert_eq!(look(&mut core, 31_000), [Effect::ReleaseWorker(worker(1))]);
    let late = register(&mut core, &worker(1), 1, InstanceId(5));
    assert!(matches!(late, Err(RegistrationRefusal::Rejected(_))), "{late:?}");
    let released =
        |core: &mut ResourceManagerCore| core.on_worker_released(at(31_000), &worker(1), Ok(()));
    assert_eq!(on(&mut core, released).1, [asked(3)]);
    let late = register(&mut core, &worker(1), 1, InstanceId(6));
    assert!(matches!(late, Err(RegistrationRefusal::Rejected(_))), "{late:?}");
}

#[test]
fn what_a_job_holds_too_much_comes_back_and_is_not_asked_for() {
    let another = JobId(8);
    let mut core = connected_job(with(&[&worker(7), &worker(8)]), another, HeartbeatSession(6));
    assert_eq!(need(&mut core, 1, 2), []);
    let needs = |core: &mut ResourceManagerCore, version, slots| {
        on(core, |core| core.on_requirements(at(0), another, TERM, version, slots)).1
    };
    assert_eq!(needs(&mut core, 1, 2), []);
    for number in [7, 8] {
        register(&mut core, &worker(number), 1, InstanceId(number.into())).unwrap();
    }
    // The first one to tell is free, and a job is given there what the other one holds for it.
    let (_, given) = on(&mut core, |core| core.on_report(at(0), InstanceId(7), &free(1)));
    let to_job = |effect: &&Effect| matches!(effect, Effect::RequestSlot(to, _) if to.job == JOB);
    assert_eq!(given.iter().filter(to_job).count(), 2, "{given:?}");
    let mut told = held(1, JOB);
    told.slots[1].allocation = Some((JOB, AllocationId(78)));
    let (_, effects) = on(&mut core, |core| core.on_report(at(0), InstanceId(8), &told));
    assert_eq!(effects, [], "the other job has what the first one gives back");
    assert_eq!(needs(&mut core, 2, 3), [asked(1)], "but no more than that");
}

#[test]
fn one_that_is_lost_is_replaced_once_the_provider_has_it_no_more() {
    let mut core = needing();
    register(&mut core, &worker(1), 1, INSTANCE).unwrap();
    let lost = |core: &mut ResourceManagerCore| {
        core.on_executor_gone(at(0), &worker(1), INSTANCE, "silent")
    };
    let (_, effects) = on(&mut core, lost);
    assert_eq!(effects[1..], [Effect::ListWorkers(1)]);
    // It may have no contact for a while.
    let both = || Ok(vec![worker(1), worker(2)]);
    assert_eq!(on(&mut core, |core| core.on_workers_listed(at(0), 1, both())).1, []);
    let older = on(&mut core, |core| core.on_workers_listed(at(0), 0, Ok(vec![worker(2)]))).1;
    assert_eq!(older, [], "that list was asked for before");
    let newer = on(&mut core, |core| core.on_workers_listed(at(0), 1, Ok(vec![worker(2)]))).1;
    assert_eq!(newer, [asked(3)]);
}

#[test]
fn one_that_is_idle_is_given_back_unless_somebody_needs_it() {
    let mut core = needing();
    need(&mut core, 2, 1);
    for number in [1, 2] {
        register(&mut core, &worker(number), 1, InstanceId(number.into())).unwrap();
    }
    on(&mut core, |core| core.on_report(at(0), InstanceId(1), &held(2, JOB)));
    on(&mut core, |core| core.on_report(at(0), InstanceId(2), &free(2)));
    assert_eq!(look(&mut core, 1_000), []);
    assert_eq!(look(&mut core, 30_000), [], "not for long yet");
    let dropped =
        Effect::DropExecutor(worker(2), InstanceId(2), "it is idle and given back".to_string());
    assert_eq!(look(&mut core, 31_000), [dropped, Effect::ReleaseWorker(worker(2))]);
    on(&mut core, |core| core.on_worker_released(at(31_000), &worker(2), Ok(())));
    assert_eq!(look(&mut core, 90_000), [], "one slot of the other is held");
    let another = need(&mut core, 3, 4);
    assert!(another.contains(&asked(3)), "{another:?}");
}

#[test]
fn one_that_a_resting_job_will_need_is_kept() {
    let mut core = needing();
    need(&mut core, 2, 1);
    for number in [1, 2] {
        register(&mut core, &worker(number), 1, InstanceId(number.into())).unwrap();
    }
    on(&mut core, |core| core.on_report(at(0), InstanceId(1), &held(2, JOB)));
    on(&mut core, |core| core.on_report(at(0), InstanceId(2), &free(2)));
    assert_eq!(look(&mut core, 1_000), []);
    // Its slot came back, so the job rests, and then the machine was lost.
    on(&mut core, |core| core.on_report(at(30_400), InstanceId(1), &free(3)));
    let lost = |core: &mut ResourceManagerCore| {
        core.on_executor_gone(at(30_500), &worker(1), INSTANCE, "silent");
    };
    on(&mut core, lost);
    let kept = look(&mut core, 31_000);
    assert!(!kept.contains(&Effect::ReleaseWorker(worker(2))), "{kept:?}");
}

#[test]
fn one_that_was_used_meanwhile_is_idle_from_then_on() {
    let mut core = needing();
    need(&mut core, 2, 2);
    for number in [1, 2] {
        register(&mut core, &worker(number), 1, InstanceId(number.into())).unwrap();
    }
    on(&mut core, |core| core.on_report(at(0), InstanceId(1), &held(2, JOB)));
    on(&mut core, |core| core.on_report(at(0), InstanceId(2), &free(2)));
    need(&mut core, 3, 1);
    assert_eq!(look(&mut core, 1_000), []);
    on(&mut core, |core| core.on_report(at(20_000), InstanceId(2), &held(3, JobId(8))));
    assert_eq!(look(&mut core, 20_000), []);
    assert_eq!(look(&mut core, 31_000), [], "it is in use");
    on(&mut core, |core| core.on_report(at(32_000), InstanceId(2), &free(4)));
    assert_eq!(look(&mut core, 33_000), []);
    assert_eq!(look(&mut core, 62_000), [], "it has not been idle for long");
    let released = look(&mut core, 63_000);
    assert!(released.contains(&Effect::ReleaseWorker(worker(2))), "{released:?}");
}

#[test]
fn of_two_under_one_name_the_later_one_stays() {
    let mut core = needing();
    register(&mut core, &worker(1), 1, InstanceId(1)).unwrap();
    register(&mut core, &worker(1), 1, InstanceId(2)).unwrap();
    register(&mut core, &worker(1), 2, InstanceId(3)).unwrap();
    let former = register(&mut core, &worker(1), 1, InstanceId(4));
    assert!(matches!(former, Err(RegistrationRefusal::Rejected(_))), "{former:?}");
    register(&mut core, &worker(1), 2, InstanceId(5)).unwrap();
    // Also where the first one was lost before.
    register(&mut core, &worker(2), 1, InstanceId(6)).unwrap();
    let lost = |core: &mut ResourceManagerCore| {
        core.on_executor_gone(at(0), &worker(2), InstanceId(6), "silent");
    };
    on(&mut core, lost);
    register(&mut core, &worker(2), 2, InstanceId(7)).unwrap();
    let former = register(&mut core, &worker(2), 1, InstanceId(8));
    assert!(matches!(former, Err(RegistrationRefusal::Rejected(_))), "{former:?}");
}

#[test]
fn whoever_is_superseded_attaches_again_if_it_leads() {
    let mut core = needing();
    let superseded = Err(ProviderError::Refused(ProviderRefusal::Superseded));
    on(&mut core, |core| core.on_workers_listed(at(0), 1, superseded));
    assert_eq!(need(&mut core, 2, 9), [], "it knows nothing of who there is");
    assert_eq!(look(&mut core, 1_000), [Effect::AttachProvider]);
    assert_eq!(look(&mut core, 2_000), [], "it is being told");
    let refused = Err(ProviderError::Refused(ProviderRefusal::Superseded));
    on(&mut core, |core| core.on_attached(at(2_500), refused));
    assert_eq!(look(&mut core, 3_000), [Effect::AttachProvider]);
}
