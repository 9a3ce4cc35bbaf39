//! Regions, restarts, cancellation and the end of the job.

use super::*;

#[test]
fn a_region_is_deployed_when_its_slots_are_there() {
    let mut bench = Bench::new(restarts(9));
    bench.connect("a", 1);
    let effects = bench.offer("a", 1, 1);
    assert!(effects.contains(&Effect::Draw(Draw::Epochs(vec![(0, 0)]), 1)));
    let effects = bench.drawn(Draw::Epochs(vec![(0, 0)]), 5);
    assert_eq!(submitted(&effects), [attempt((0, 0), 5), attempt((1, 0), 5)]);
    assert_eq!(bench.core.status, JobStatus::Created, "the other one waits for its slot");
    // A repeated offer changes nothing.
    let mut again = offered("a", 1, 1);
    (again.round, again.version) = (2, 2);
    let (accepted, effects) = bench.on(|core, now| core.on_offered(now, again));
    assert_eq!(accepted, Ok(vec![AllocationId(1)]));
    assert!(matches!(effects[..], [Effect::Announce(JobEvent::SlotAccepted { .. })]));
}

#[test]
fn one_draw_at_a_time() {
    let mut bench = Bench::new(restarts(9));
    bench.connect("a", 1);
    bench.offer("a", 1, 1);
    bench.connect("b", 2);
    let effects = bench.offer("b", 2, 2);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Draw(..))), "{effects:?}");
    let effects = bench.drawn(Draw::Epochs(vec![(0, 0)]), 1);
    assert!(effects.contains(&Effect::Draw(Draw::Epochs(vec![(1, 0)]), 1)), "{effects:?}");
}

#[test]
fn a_failure_ends_and_restarts_its_region_alone() {
    let mut bench = Bench::running(restarts(9));
    let effects = bench.is(attempt((1, 1), 2), failed());
    assert_eq!(canceled(&effects), [attempt((0, 1), 2)]);
    assert!(effects.contains(&Effect::Notice(Notice::RegionalFailover(1))));
    assert!(effects.contains(&Effect::Schedule(DELAY, Timer::Restart(1))));
    assert_eq!(bench.core.status, JobStatus::Restarting);
    // It waits for its last attempt and for its delay, whichever comes last.
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert_eq!(effects, []);
    let effects = bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let draw = Draw::Epochs(vec![(1, 1)]);
    assert!(effects.contains(&Effect::Draw(draw.clone(), 1)), "{effects:?}");
    let effects = bench.drawn(draw, 3);
    assert_eq!(submitted(&effects), [attempt((0, 1), 3), attempt((1, 1), 3)]);
    assert_eq!(bench.core.status, JobStatus::Running);
    let untouched = bench.core.executions[&vertex(0, 0)].attempt;
    assert_eq!(untouched, attempt((0, 0), 1));
}

#[test]
fn a_second_failure_of_a_region_that_is_ending_counts_for_nothing() {
    let mut bench = Bench::running(restarts(1));
    bench.is(attempt((1, 1), 2), failed());
    let effects = bench.is(attempt((0, 1), 2), failed());
    assert_eq!(counted(&effects), []);
    assert_eq!(bench.core.status, JobStatus::Restarting);
    // That of the other region is one too many.
    bench.is(attempt((1, 0), 1), failed());
    assert_eq!(bench.core.status, JobStatus::Failing);
    let effects = bench.is(attempt((0, 0), 1), TaskExecutionState::Canceled);
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::End(result, _) if result.status == JobStatus::Failed))
    );
}

#[test]
fn no_answer_to_a_deployment_is_a_failure_and_so_is_a_refusal() {
    for answer in [Ok(Err(DeployRefusal::Canceled)), Err(RpcError::Timeout)] {
        let mut bench = Bench::running(restarts(9));
        let effects = bench.does(|core, now| core.on_submitted(now, attempt((0, 0), 1), answer));
        assert_eq!(canceled(&effects), [attempt((0, 0), 1), attempt((1, 0), 1)]);
        // Of an attempt that is no more the present one it says nothing.
        let late = Err(RpcError::Timeout);
        let effects = bench.does(|core, now| core.on_submitted(now, attempt((0, 0), 0), late));
        assert_eq!(effects, []);
    }
}

#[test]
fn a_canceled_attempt_is_asked_for_until_there_is_an_answer() {
    let mut bench = Bench::running(restarts(9));
    bench.is(attempt((1, 1), 2), failed());
    let asked = attempt((0, 1), 2);
    let no_answer = Err(RpcError::Timeout);
    let effects = bench.does(|core, now| core.on_cancel_answered(now, asked, no_answer));
    assert_eq!(effects, [Effect::Schedule(RETRY, Timer::CancelAgain(asked))]);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::CancelAgain(asked)));
    assert_eq!(canceled(&effects), [asked]);
    bench.does(|core, now| core.on_cancel_answered(now, asked, Ok(None)));
    assert!(!bench.core.executions.contains_key(&vertex(0, 1)), "nothing of it runs any more");
}

#[test]
fn what_is_canceled_is_not_started_again() {
    let mut bench = Bench::running(restarts(9));
    bench.is(attempt((1, 1), 2), failed());
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    // All that the region waits for is the delay; the job is canceled before it is over.
    let effects = bench.does(|core, now| core.on_cancel(now));
    assert_eq!(canceled(&effects), [attempt((0, 0), 1), attempt((1, 0), 1)]);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert_eq!(effects, []);
    bench.is(attempt((0, 0), 1), TaskExecutionState::Canceled);
    let effects = bench.is(attempt((1, 0), 1), TaskExecutionState::Canceled);
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::End(result, _) if result.status == JobStatus::Canceled))
    );
}

#[test]
fn an_epoch_that_is_drawn_for_a_job_being_canceled_deploys_nothing() {
    let mut bench = Bench::running(restarts(9));
    bench.is(attempt((1, 1), 2), failed());
    bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    let effects = bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let draw = Draw::Epochs(vec![(1, 1)]);
    assert!(effects.contains(&Effect::Draw(draw.clone(), 1)));
    bench.does(|core, now| core.on_cancel(now));
    assert_eq!(bench.drawn(draw, 3), []);
}

/// Why the job waits, each reason and for how many milliseconds.
fn waits(bench: &Bench, later: u64) -> Vec<(WaitReason, u64)> {
    let waits = bench.core.waits(bench.now + Duration::from_millis(later));
    waits.into_iter().map(|wait| (wait.reason, wait.waited_ms)).collect()
}

#[test]
fn whoever_asks_is_told_what_a_job_waits_for_and_since_when() {
    let bench = Bench::new(restarts(9));
    let slots = WaitReason::Slots { missing: 1 };
    assert_eq!(waits(&bench, 70), [(slots.clone(), 70), (slots, 70)], "one for each region");
    let bench = Bench::running(restarts(9));
    assert_eq!(waits(&bench, 5), []);
    let mut bench = Bench::pending(restarts(9), 8);
    for of in [(0, 0), (1, 0), (0, 1)] {
        bench.acknowledge(of, 8, false);
    }
    let executor = Some(ResourceId("b".to_string()));
    let tasks = vec![WaitingTask { attempt: attempt((1, 1), 2), executor }];
    let missing = WaitReason::Acknowledgements { checkpoint: CheckpointId(8), missing: 1, tasks };
    assert_eq!(waits(&bench, 9), [(missing, 9)]);
    let mut bench = Bench::storing(restarts(9), 8, false);
    let pointer = WaitReason::Pointer { checkpoint: CheckpointId(8) };
    assert_eq!(waits(&bench, 3), [(pointer.clone(), 3)]);
    bench.now = bench.now + Duration::from_millis(100);
    bench.is(attempt((1, 1), 2), failed());
    let executor = Some(ResourceId("b".to_string()));
    let tasks = vec![WaitingTask { attempt: attempt((0, 1), 2), executor }];
    assert_eq!(waits(&bench, 1), [(pointer, 101), (WaitReason::TasksToEnd { tasks }, 1)]);
}

#[test]
fn a_job_without_its_program_deploys_nothing_and_can_be_canceled() {
    let mut bench = Bench::new(restarts(9));
    bench.core.wait_for_program("another version".to_string());
    bench.does(JobMasterCore::on_start);
    for (life, resource) in (1..).zip(["a", "b"]) {
        bench.connect(resource, life);
        let effects = bench.offer(resource, life, life);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Draw(..))), "{effects:?}");
    }
    assert_eq!(bench.core.slots.fill().0, 0, "others can use what it is offered");
    let why = WaitReason::Program { why: "another version".to_string() };
    assert_eq!(waits(&bench, 70), [(why, 70)], "for nothing else");
    bench.does(|core, now| core.on_cancel(now));
    assert_eq!((bench.core.status, waits(&bench, 70)), (JobStatus::Canceled, vec![]));
}

#[test]
fn a_job_that_ends_waits_for_neither_slots_nor_delays() {
    let mut bench = Bench::running(restarts(9));
    bench.is(attempt((1, 1), 2), failed());
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    assert_eq!(waits(&bench, 5), [(WaitReason::RestartDelay, 5)]);
    bench.does(|core, now| core.on_cancel(now));
    let waits = waits(&bench, 5);
    assert!(matches!(&waits[..], [(WaitReason::TasksToEnd { tasks }, 5)] if tasks.len() == 2));
}

#[test]
fn a_master_that_stops_is_suspended_and_leaves_everybody() {
    let mut bench = Bench::pending(restarts(9), 8);
    let effects = bench.does(|core, now| core.on_stop(now));
    let session = LeaderSessionId(1);
    let suspended =
        JobEvent::StatusChanged { job: JobId(7), session, status: JobStatus::Suspended };
    assert_eq!(effects.first(), Some(&Effect::Announce(suspended)));
    let left = |effect: &&Effect| matches!(effect, Effect::Disconnect(..));
    assert_eq!(effects.iter().filter(left).count(), 2);
    assert!(effects.contains(&Effect::LeaveResourceManager(JobStatus::Suspended)));
    assert_eq!(effects.last(), Some(&Effect::Close));
    assert!(
        !effects.iter().any(|effect| matches!(effect, Effect::End(..))),
        "it goes on elsewhere"
    );
    // Nothing is decided after that.
    assert_eq!(bench.does(|core, now| core.on_cancel(now)), []);
    let refused = bench.core.may_connect(JobId(7), &info("c", 3), 1);
    assert!(matches!(refused, Err(RegistrationRefusal::Failure(_))), "{refused:?}");
}

#[test]
fn a_failure_of_a_job_that_is_being_canceled_is_none() {
    let mut bench = Bench::running(restarts(0));
    bench.does(|core, now| core.on_cancel(now));
    let effects = bench.is(attempt((0, 0), 1), failed());
    assert_eq!(counted(&effects), []);
    for (of, epoch) in [((1, 0), 1), ((0, 1), 2)] {
        bench.is(attempt(of, epoch), TaskExecutionState::Canceled);
    }
    let effects = bench.is(attempt((1, 1), 2), TaskExecutionState::Canceled);
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::End(result, _) if result.status == JobStatus::Canceled))
    );
}

#[test]
fn a_job_that_is_failing_is_not_canceled_and_fails_once() {
    let mut bench = Bench::running(RestartStrategy::None);
    bench.is(attempt((0, 0), 1), failed());
    assert_eq!(bench.core.status, JobStatus::Failing);
    assert_eq!(bench.does(|core, now| core.on_cancel(now)), []);
    let effects = bench.is(attempt((0, 1), 2), failed());
    assert_eq!(counted(&effects), [], "all are being ended already");
    bench.is(attempt((1, 0), 1), TaskExecutionState::Canceled);
    let effects = bench.is(attempt((1, 1), 2), TaskExecutionState::Canceled);
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::End(result, _) if result.status == JobStatus::Failed))
    );
}

#[test]
fn a_failure_of_all_takes_the_regions_along_that_run_beside_one_that_is_ending() {
    let tolerant = CheckpointSettings {
        tolerable_failures: Some(0),
        max_concurrent: 2,
        ..CheckpointSettings::default()
    };
    let mut bench = Bench::of(job_with(restarts(9), tolerant));
    bench.run_two_regions();
    bench.is(attempt((1, 1), 2), failed());
    // The other region runs on, and all of it fails together with what is left.
    bench.does(|core, now| core.global_failover(now, "a reason of its own"));
    let stages: Vec<Stage> = bench.core.regions.iter().map(|region| region.stage).collect();
    assert_eq!(stages, [Stage::Ending, Stage::Ending]);
    let delays: Vec<_> = bench.core.regions.iter().map(|region| region.delay).collect();
    assert_eq!(delays, [Some(2), Some(1)], "each waits from its own failure on");
}

#[test]
fn a_failure_while_the_final_checkpoint_is_being_stored_takes_all_regions_along() {
    for (last, expected) in
        [(true, [Stage::Ending, Stage::Ending]), (false, [Stage::Deployed, Stage::Ending])]
    {
        let mut bench = Bench::storing(restarts(9), 8, last);
        let effects = bench.is(attempt((1, 1), 2), failed());
        assert_eq!(counted(&effects), [(vec![attempt((1, 1), 2)], last)]);
        let stages: Vec<Stage> = bench.core.regions.iter().map(|region| region.stage).collect();
        assert_eq!(stages, expected, "what is final is not known, and concerns all");
    }
}

#[test]
fn of_a_reason_however_long_no_more_is_kept_or_handed_on_than_its_beginning() {
    let long = "x".repeat(10 * 1024 * 1024);
    let most = crate::system::reason::REASON_BYTES_MAX;
    let mut bench = Bench::running(RestartStrategy::None);
    let mut effects = bench.is(attempt((1, 1), 2), TaskExecutionState::Failed(long.clone()));
    assert!(matches!(&bench.core.executions[&vertex(1, 1)].state,
        TaskExecutionState::Failed(cause) if cause.len() == most));
    let connection = HeartbeatSession(1);
    let gone = |core: &mut JobMasterCore, now| {
        core.on_left(now, &ResourceId("a".to_string()), connection, &long);
        core.on_left(now, &ResourceId("b".to_string()), HeartbeatSession(2), &long);
    };
    effects.extend(bench.does(gone));
    assert_eq!(bench.core.status, JobStatus::Failed);
    for effect in effects {
        match effect {
            Effect::End(result, details) => {
                assert!(result.cause.is_some_and(|cause| cause.len() == most));
                assert!(details.cause.is_some_and(|cause| cause.len() == most));
            }
            Effect::Disconnect(_, _, cause) | Effect::Notice(Notice::Failure(_, cause)) => {
                assert!(cause.len() <= most);
            }
            _ => {}
        }
    }
}
