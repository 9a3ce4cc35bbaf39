//! Task executors: registered, lost, and their slots.

use super::*;
use std::collections::BTreeMap;

/// How often the resource manager is told what the job needs.
fn declared(effects: &[Effect]) -> usize {
    effects.iter().filter(|effect| matches!(effect, Effect::DeclareRequirements)).count()
}

#[test]
fn a_lost_executor_takes_the_regions_along_that_ran_there() {
    let mut bench = Bench::running(restarts(9));
    let lost = ResourceId("b".to_string());
    let effects = bench.does(|core, now| {
        core.on_silence(now, &lost, HeartbeatSession(2), "heartbeat timeout");
    });
    assert_eq!(canceled(&effects), [], "there is nobody to ask");
    assert_eq!(
        declared(&effects),
        1,
        "the resource manager may have had a slot refused that is needed now"
    );
    assert_eq!(bench.core.slots.fill(), (1, 2));
    assert!(bench.core.executions.keys().all(|vertex| vertex.subtask == 0));
    // Of a connection that was replaced it says nothing.
    let here = ResourceId("a".to_string());
    let effects = bench.does(|core, now| core.on_silence(now, &here, HeartbeatSession(9), "late"));
    assert_eq!(effects, []);
    // A new life with a new slot: after the delay the region begins there.
    bench.connect("b", 3);
    bench.offer("b", 3, 30);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert!(matches!(effects[..], [Effect::Draw(Draw::Epochs(_), 1)]), "{effects:?}");
}

/// One executor with a slot for each of two regions, and both run.
fn both_on_one(restarts: RestartStrategy) -> Bench {
    let mut bench = Bench::new(restarts);
    bench.does(JobMasterCore::on_start);
    bench.connect("a", 1);
    let mut both = offered("a", 1, 1);
    both.slots.push(SlotOffer { index: 1, allocation: AllocationId(2) });
    bench.does(|core, now| assert!(core.on_offered(now, both).is_ok()));
    bench.drawn(Draw::Epochs(vec![(0, 0), (1, 0)]), 1);
    for of in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        bench.is(attempt(of, u64::from(of.1) + 1), TaskExecutionState::Running);
    }
    bench
}

#[test]
fn the_loss_of_an_executor_is_one_failure_however_many_regions_ran_there() {
    let mut bench = both_on_one(restarts(1));
    let lost = ResourceId("a".to_string());
    let effects = bench.does(|core, now| {
        core.on_silence(now, &lost, HeartbeatSession(1), "heartbeat timeout");
    });
    let [(attempts, false)] = &counted(&effects)[..] else { panic!("{effects:?}") };
    assert_eq!(attempts.len(), 4);
    assert_eq!(declared(&effects), 1, "once for both slots");
    let restarts = |effect: &&Effect| matches!(effect, Effect::Schedule(_, Timer::Restart(_)));
    assert_eq!(effects.iter().filter(restarts).count(), 1);
    assert_eq!(bench.core.status, JobStatus::Restarting);
    // Both wait for that one delay.
    bench.connect("a", 2);
    let mut both = offered("a", 2, 3);
    both.slots.push(SlotOffer { index: 1, allocation: AllocationId(4) });
    bench.does(|core, now| assert!(core.on_offered(now, both).is_ok()));
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert!(matches!(&effects[..], [Effect::Draw(Draw::Epochs(of), 2)] if of.len() == 2));
}

#[test]
fn what_a_report_lacks_is_one_failure_too() {
    let mut bench = both_on_one(restarts(1));
    let report = ExecutorReport {
        version: 9,
        attempts: BTreeMap::new(),
        ended: vec![],
        allocations: vec![],
    };
    let (resource, beat) = (ResourceId("a".to_string()), HeartbeatSession(1));
    let effects = bench.does(|core, now| core.on_report(now, &resource, beat, report));
    assert_eq!(counted(&effects).len(), 1, "{effects:?}");
    assert_eq!(bench.core.slots.fill(), (0, 2));
}

/// A job of one region that needs two slots, and has one of them.
fn half_held() -> Bench {
    one_held_of(2)
}

fn one_held_of(slots: u32) -> Bench {
    let spec = |uid: &str| OperatorSpec { uid: uid.to_string(), name: uid.to_string() };
    let mut graph = StreamGraph::new().disable_chaining();
    let source = graph.source(spec("source"), slots);
    graph.operator(source, Partitioner::Rebalance, spec("sink"), slots);
    let settings = CheckpointSettings::default();
    let job = graph.job_graph(JobId(7), "one region", settings, restarts(9)).unwrap();
    let mut bench = Bench::of(job);
    bench.does(JobMasterCore::on_start);
    bench.connect("a", 1);
    bench.offer("a", 1, 1);
    bench
}

/// The timer of idle slots, and how long until it comes.
fn idle_timer(effects: &[Effect]) -> Option<(Timer, Duration)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Schedule(wait, timer @ Timer::SlotsIdle(_)) => Some((*timer, *wait)),
        _ => None,
    })
}

#[test]
fn slots_that_a_job_can_not_use_are_given_back_after_a_while() {
    let mut bench = half_held();
    let mut again = offered("a", 1, 1);
    again.round = 2;
    let effects = bench.does(|core, now| assert!(core.on_offered(now, again).is_ok()));
    assert_eq!(idle_timer(&effects), None, "no other one has come");
    let effects = bench.does(|core, now| core.on_timer(now, Timer::SlotsIdle(1)));
    let (job, resource, allocation) = (JobId(7), ResourceId("a".to_string()), AllocationId(1));
    assert_eq!(effects, [Effect::Announce(JobEvent::SlotGivenBack { job, resource, allocation })]);
    assert_eq!(bench.core.slots.fill(), (0, 2));
    assert_eq!(bench.core.report_to(&ResourceId("a".to_string())).allocations, []);
    // It may have it again.
    let mut anew = offered("a", 1, 5);
    anew.round = 3;
    let effects = bench.does(|core, now| assert!(core.on_offered(now, anew).is_ok()));
    assert!(idle_timer(&effects).is_some());
}

#[test]
fn what_is_due_while_a_master_stops_changes_nothing() {
    let mut bench = half_held();
    bench.does(|core, now| core.on_stop(now));
    assert_eq!(bench.does(|core, now| core.on_timer(now, Timer::SlotsIdle(1))), []);
}

#[test]
fn the_time_of_idle_slots_begins_anew_when_another_one_has_come() {
    let mut bench = one_held_of(3);
    bench.connect("b", 2);
    let effects = bench.offer("b", 2, 2);
    let (timer, wait) = idle_timer(&effects).expect("one is missing yet");
    let timeout = JobManagerConfig::default().slot_idle_timeout;
    assert!((timeout..=timeout * 2).contains(&wait), "{wait:?}");
    let effects = bench.does(|core, now| core.on_timer(now, Timer::SlotsIdle(1)));
    assert_eq!(effects, [], "that of the former episode");
    bench.does(|core, now| core.on_timer(now, timer));
    assert_eq!(bench.core.slots.fill(), (0, 3), "all of them go");
}

#[test]
fn slots_that_a_region_uses_or_will_use_are_kept() {
    let mut bench = Bench::running(restarts(9));
    let effects = bench.is(attempt((1, 1), 2), failed());
    assert_eq!(idle_timer(&effects), None, "it has all that it needs, and waits for its delay");
    let mut bench = half_held();
    bench.connect("b", 2);
    bench.offer("b", 2, 2);
    bench.does(|core, now| core.on_timer(now, Timer::SlotsIdle(1)));
    assert_eq!(bench.core.slots.fill(), (2, 2), "the rest has come in time");
}

/// Of two regions the one that has its slot runs, and the job takes no checkpoint.
#[test]
fn a_job_that_runs_in_part_ends_that_and_gives_all_back_after_longer_each_time() {
    let mut bench = Bench::new(restarts(9));
    bench.does(JobMasterCore::on_start);
    bench.connect("a", 1);
    let timeout = JobManagerConfig::default().slot_idle_timeout;
    for (round, times) in (1..).zip([2, 4, 8, 16, 16]) {
        let mut offered = offered("a", 1, round.into());
        (offered.round, offered.version) = (round, round);
        let effects = bench.does(|core, now| assert!(core.on_offered(now, offered).is_ok()));
        let (timer, wait) = idle_timer(&effects).expect("a slot is missing");
        assert!((timeout * times..=timeout * (times + 1)).contains(&wait), "{wait:?}");
        let version = bench.core.regions[0].version;
        bench.drawn(Draw::Epochs(vec![(0, version)]), round);
        bench.is(attempt((0, 0), round), TaskExecutionState::Running);
        let effects = bench.does(|core, now| core.on_timer(now, timer));
        assert_eq!(canceled(&effects), [attempt((0, 0), round), attempt((1, 0), round)]);
        assert_eq!(counted(&effects), [], "it is no failure");
        assert_eq!(bench.core.slots.fill(), (1, 2), "they still run");
        bench.is(attempt((0, 0), round), TaskExecutionState::Canceled);
        bench.is(attempt((1, 0), round), TaskExecutionState::Canceled);
        assert_eq!(bench.core.slots.fill(), (0, 2));
    }
}

#[test]
fn a_job_that_gives_slots_back_deploys_nothing_meanwhile_and_may_be_canceled() {
    let mut bench = Bench::new(restarts(9));
    bench.does(JobMasterCore::on_start);
    bench.connect("a", 1);
    let effects = bench.offer("a", 1, 1);
    let (timer, _) = idle_timer(&effects).expect("a slot is missing");
    bench.drawn(Draw::Epochs(vec![(0, 0)]), 1);
    bench.does(|core, now| core.on_timer(now, timer));
    bench.connect("b", 2);
    let effects = bench.offer("b", 2, 2);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Draw(..))), "{effects:?}");
    bench.does(|core, now| core.on_cancel(now));
    bench.is(attempt((0, 0), 1), TaskExecutionState::Canceled);
    let effects = bench.is(attempt((1, 0), 1), TaskExecutionState::Canceled);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::End(..))));
    assert_eq!(bench.core.status, JobStatus::Canceled);
}

#[test]
fn the_word_of_a_former_connection_ends_nothing() {
    let mut bench = Bench::running(restarts(0));
    let again = |core: &mut JobMasterCore, now| {
        core.on_connected(now, info("a", 1), 2, HeartbeatSession(9)).expect("a newer try");
    };
    bench.does(again);
    let here = ResourceId("a".to_string());
    let late =
        |core: &mut JobMasterCore, now| core.on_left(now, &here, HeartbeatSession(1), "late");
    assert_eq!(bench.does(late), [], "it took leave before it registered again");
    let left = |core: &mut JobMasterCore, now| core.on_left(now, &here, HeartbeatSession(9), "now");
    assert!(!bench.does(left).is_empty());
    assert_eq!(bench.core.status, JobStatus::Failing);
}

#[test]
fn a_slot_that_goes_while_the_epoch_is_drawn_stops_the_deployment() {
    let mut bench = Bench::new(restarts(9));
    bench.connect("a", 1);
    bench.offer("a", 1, 1);
    let gone = ResourceId("a".to_string());
    bench.does(|core, now| core.on_left(now, &gone, HeartbeatSession(1), "it left"));
    let effects = bench.drawn(Draw::Epochs(vec![(0, 0)]), 5);
    assert_eq!(effects, []);
    assert_eq!(bench.core.status, JobStatus::Created);
}

#[test]
fn a_new_life_of_an_executor_that_ends_the_job_is_not_connected() {
    let mut bench = Bench::running(RestartStrategy::None);
    bench.is(attempt((0, 0), 1), failed());
    assert_eq!(bench.core.status, JobStatus::Failing);
    bench.is(attempt((1, 0), 1), TaskExecutionState::Canceled);
    // What is still being ended ran in the earlier life.
    let (answer, _) =
        bench.on(|core, now| core.on_connected(now, info("b", 5), 1, HeartbeatSession(5)));
    assert_eq!(bench.core.status, JobStatus::Failed);
    assert!(matches!(answer, Err(RegistrationRefusal::Rejected(_))), "{answer:?}");
}

#[test]
fn a_report_of_before_a_deployment_says_nothing_of_it() {
    let mut bench = Bench::running(restarts(9));
    let of = attempt((0, 0), 1);
    bench.does(|core, now| core.on_submitted(now, of, Ok(Ok(5))));
    let measured = TaskMetrics { busy_us: 7, ..TaskMetrics::default() };
    let report = |version, attempts: Vec<ExecutionAttemptId>| ExecutorReport {
        version,
        attempts: attempts.into_iter().map(|of| (of, measured)).collect(),
        ended: vec![],
        allocations: vec![AllocationId(1)],
    };
    let resource = ResourceId("a".to_string());
    let beat = HeartbeatSession(1);
    let old = report(4, vec![]);
    assert_eq!(bench.does(|core, now| core.on_report(now, &resource, beat, old)), []);
    let unknown = attempt((0, 0), 77);
    let more = report(5, vec![of, unknown]);
    let effects = bench.does(|core, now| core.on_report(now, &resource, beat, more));
    assert_eq!(effects, [Effect::CancelUnknown(resource.clone(), unknown)]);
    let told = bench.core.details(bench.now).vertices[0].subtasks[0].metrics;
    assert_eq!(told.total, measured, "what was measured comes along");
    let without = report(5, vec![]);
    let effects = bench.does(|core, now| core.on_report(now, &resource, beat, without));
    assert_eq!(canceled(&effects), [attempt((1, 0), 1)], "it is lost, and its region ends");
}

#[test]
fn an_executor_that_registers_is_monitored_and_one_of_another_job_refused() {
    let mut bench = Bench::new(restarts(9));
    let effects = bench.connect("a", 1);
    let monitored = Effect::Connect(ResourceId("a".to_string()), HeartbeatSession(1));
    assert!(effects.contains(&monitored), "{effects:?}");
    let refused = bench.core.may_connect(JobId(8), &info("b", 2), 1);
    assert!(matches!(refused, Err(RegistrationRefusal::Rejected(_))), "{refused:?}");
    assert_eq!(bench.core.take_effects(), []);
}

#[test]
fn a_second_registration_of_the_same_life_keeps_what_runs_there() {
    let mut bench = Bench::running(restarts(0));
    let again = |core: &mut JobMasterCore, now| {
        core.on_connected(now, info("a", 1), 2, HeartbeatSession(9)).expect("a newer try");
    };
    let effects = bench.does(again);
    let a = ResourceId("a".to_string());
    assert!(effects.contains(&Effect::Unmonitor(a.clone(), HeartbeatSession(1))));
    assert!(effects.contains(&Effect::Connect(a.clone(), HeartbeatSession(9))));
    assert_eq!(bench.core.slots.fill(), (2, 2));
    assert_eq!(bench.core.status, JobStatus::Running);
    // The same try once more, and an older one, are late.
    for attempt in [2, 1] {
        let late = bench.core.may_connect(JobId(7), &info("a", 1), attempt);
        assert!(matches!(late, Err(RegistrationRefusal::Failure(_))), "{late:?}");
    }
    // The rounds of offers go on.
    let old = offered("a", 1, 1);
    let (answer, _) = bench.on(|core, now| core.on_offered(now, old));
    assert!(answer.is_err());
}
