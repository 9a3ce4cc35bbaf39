//! A state, one call, and what comes of it.

use super::{region::Stage, *};
use crate::system::{
    graph::{
        CheckpointSettings, OperatorSpec, Partitioner, RestartStrategy, StateHandle, StreamGraph,
    },
    heartbeat::HeartbeatSession,
    ids::{AllocationId, CheckpointId, ExecutionAttemptId, JobVertexId, TaskExecutorSession},
    protocol::{
        CheckpointAck, DeployRefusal, ExecutorReport, OfferedSlots, RegistrationRefusal, SlotOffer,
        TaskExecutionState, TaskExecutorInfo, WaitReason, WaitingTask,
    },
    rpc::RpcError,
    service::coordination::Revision,
    store::{CompletedCheckpoint, Settled},
};

const RETRY: Duration = Duration::from_millis(200);
const DELAY: Duration = Duration::from_secs(1);

/// A core, and the time that it is told.
struct Bench {
    core: JobMasterCore,
    now: Instant,
}

fn restarts(attempts: u32) -> RestartStrategy {
    RestartStrategy::FixedDelay { attempts, delay_ms: 1_000 }
}

/// Two pipelines of a source and a sink each.
fn job(restarts: RestartStrategy) -> JobGraph {
    let spec = |uid: &str| OperatorSpec {
        uid: uid.to_string(),
        name: uid.to_string(),
        parameters: vec![],
    };
    let mut graph = StreamGraph::new().disable_chaining();
    let source = graph.source(spec("source"), 2);
    graph.operator(source, Partitioner::Forward, spec("sink"), 2);
    graph.job_graph(JobId(7), "two pipelines", CheckpointSettings::default(), restarts).unwrap()
}

fn vertex(vertex: u32, subtask: u32) -> ExecutionVertexId {
    ExecutionVertexId { vertex: JobVertexId(vertex), subtask }
}

fn attempt(of: (u32, u32), epoch: u64) -> ExecutionAttemptId {
    ExecutionAttemptId { job: JobId(7), vertex: vertex(of.0, of.1), epoch }
}

fn info(resource: &str, life: u128) -> TaskExecutorInfo {
    TaskExecutorInfo {
        resource: ResourceId(resource.to_string()),
        session: TaskExecutorSession(life),
        address: format!("rpc://{resource}:1/task-executor").parse().unwrap(),
        data: format!("{resource}:2").parse().unwrap(),
    }
}

/// The first round of offers, of one slot.
fn offered(resource: &str, life: u128, allocation: u128) -> OfferedSlots {
    OfferedSlots {
        resource: ResourceId(resource.to_string()),
        session: TaskExecutorSession(life),
        round: 1,
        version: 1,
        slots: vec![SlotOffer { index: 0, allocation: AllocationId(allocation) }],
    }
}

impl Bench {
    fn new(restarts: RestartStrategy) -> Self {
        let (job, switches) = (Arc::new(job(restarts)), Switches::default());
        let session = LeaderSessionId(1);
        let core = JobMasterCore::new(
            Instant::ORIGIN,
            job,
            session,
            Checkpoints::default(),
            RETRY,
            switches,
        );
        Bench { core, now: Instant::ORIGIN }
    }

    /// Calls the core, checks it, and gives what it wants done.
    fn on<T>(&mut self, call: impl FnOnce(&mut JobMasterCore, Instant) -> T) -> (T, Vec<Effect>) {
        let answer = call(&mut self.core, self.now);
        self.core.check_invariants();
        (answer, self.core.take_effects())
    }

    fn does(&mut self, call: impl FnOnce(&mut JobMasterCore, Instant)) -> Vec<Effect> {
        self.on(call).1
    }

    fn connect(&mut self, resource: &str, life: u128) -> Vec<Effect> {
        let heartbeat = HeartbeatSession(life);
        let connect = |core: &mut JobMasterCore, now| {
            core.on_connected(now, info(resource, life), 1, heartbeat).expect("it is connected");
        };
        self.does(connect)
    }

    fn offer(&mut self, resource: &str, life: u128, allocation: u128) -> Vec<Effect> {
        let offered = offered(resource, life, allocation);
        self.does(|core, now| assert!(core.on_offered(now, offered).is_ok()))
    }

    fn drawn(&mut self, draw: Draw, first: u64) -> Vec<Effect> {
        self.does(|core, now| core.on_drawn(now, draw, Ok(first)))
    }

    fn is(&mut self, attempt: ExecutionAttemptId, state: TaskExecutionState) -> Vec<Effect> {
        self.does(|core, now| assert!(core.on_task_state(now, attempt, state)))
    }

    /// Two executors with a slot each; the region of subtask 0 is of epoch 1 on `a`, the other one of epoch 2
    /// on `b`, and all run.
    fn running(restarts: RestartStrategy) -> Self {
        let mut bench = Bench::new(restarts);
        bench.does(|core, _| core.on_start());
        for (life, resource) in (1..).zip(["a", "b"]) {
            bench.connect(resource, life);
            let effects = bench.offer(resource, life, life);
            let region = usize::try_from(life - 1).unwrap();
            let draw = Draw::Epochs(vec![(region, 0)]);
            assert!(effects.contains(&Effect::Draw(draw.clone(), 1)), "{effects:?}");
            bench.drawn(draw, u64::try_from(life).unwrap());
        }
        for of in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            bench.is(attempt(of, u64::from(of.1) + 1), TaskExecutionState::Running);
        }
        assert_eq!(bench.core.status, JobStatus::Running);
        bench
    }

    /// The same with a pending checkpoint of that number.
    fn pending(restarts: RestartStrategy, id: u64) -> Self {
        let mut bench = Bench::running(restarts);
        let period = bench.core.checkpoints.period_now();
        let effects = bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)));
        assert!(effects.contains(&Effect::Draw(Draw::Checkpoint(period), 1)));
        bench.drawn(Draw::Checkpoint(period), id);
        bench
    }

    fn acknowledge(&mut self, of: (u32, u32), id: u64, ended: bool) -> Vec<Effect> {
        let attempt = attempt(of, u64::from(of.1) + 1);
        self.does(|core, now| core.on_acknowledged(now, part(attempt, id, ended)))
    }

    /// The same with that checkpoint being stored, its pointer under way.
    fn storing(restarts: RestartStrategy, id: u64, last: bool) -> Self {
        let mut bench = Bench::pending(restarts, id);
        for of in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            bench.acknowledge(of, id, last);
        }
        let stored = |core: &mut JobMasterCore, now| {
            core.on_metadata_stored(now, CheckpointId(id), Ok(()));
        };
        let effects = bench.does(stored);
        assert!(matches!(effects[..], [Effect::AddPointer { .. }]), "{effects:?}");
        bench
    }

    fn settled(&mut self, id: u64, settled: Settled) -> Vec<Effect> {
        self.does(|core, now| core.on_pointer_settled(now, CheckpointId(id), Ok(settled)))
    }
}

fn part(attempt: ExecutionAttemptId, id: u64, ended: bool) -> CheckpointAck {
    let object = format!("{id}/{attempt:?}");
    let state = StateHandle { object, length: 1 };
    CheckpointAck { attempt, checkpoint: CheckpointId(id), state, ended }
}

fn failed() -> TaskExecutionState {
    TaskExecutionState::Failed("it broke".to_string())
}

/// The failures that were counted: of what, and whether all regions begin anew.
fn counted(effects: &[Effect]) -> Vec<(Vec<ExecutionAttemptId>, bool)> {
    let counted = |effect: &Effect| match effect {
        Effect::Announce(JobEvent::FailureCounted { attempts, all, .. }) => {
            Some((attempts.clone(), *all))
        }
        _ => None,
    };
    effects.iter().filter_map(counted).collect()
}

/// The attempts that are to be ended.
fn canceled(effects: &[Effect]) -> Vec<ExecutionAttemptId> {
    let canceled = |effect: &Effect| match effect {
        Effect::Cancel(_, attempt) => Some(*attempt),
        _ => None,
    };
    effects.iter().filter_map(canceled).collect()
}

fn submitted(effects: &[Effect]) -> Vec<ExecutionAttemptId> {
    let submitted = |effect: &Effect| match effect {
        Effect::Submit(_, deployment) => Some(deployment.attempt),
        _ => None,
    };
    effects.iter().filter_map(submitted).collect()
}

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
fn a_lost_executor_takes_the_regions_along_that_ran_there() {
    let mut bench = Bench::running(restarts(9));
    let lost = ResourceId("b".to_string());
    let effects = bench.does(|core, now| {
        core.on_silence(now, &lost, HeartbeatSession(2), "heartbeat timeout");
    });
    assert_eq!(canceled(&effects), [], "there is nobody to ask");
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
    bench.does(|core, _| core.on_start());
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
    let report =
        ExecutorReport { version: 9, attempts: vec![], ended: vec![], allocations: vec![] };
    let (resource, beat) = (ResourceId("a".to_string()), HeartbeatSession(1));
    let effects = bench.does(|core, now| core.on_report(now, &resource, beat, report));
    assert_eq!(counted(&effects).len(), 1, "{effects:?}");
    assert_eq!(bench.core.slots.fill(), (0, 2));
}

#[test]
fn a_slot_that_goes_while_the_epoch_is_drawn_stops_the_deployment() {
    let mut bench = Bench::new(restarts(9));
    bench.connect("a", 1);
    bench.offer("a", 1, 1);
    let gone = ResourceId("a".to_string());
    bench.does(|core, now| core.on_disconnected(now, &gone, TaskExecutorSession(1), "it left"));
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
fn checkpoints_wait_until_all_regions_run_again() {
    let mut bench = Bench::pending(restarts(9), 8);
    let effects = bench.is(attempt((1, 1), 2), failed());
    let aborted =
        |effect: &Effect| matches!(effect, Effect::Announce(JobEvent::CheckpointAborted { .. }));
    assert!(effects.iter().any(aborted));
    // What an attempt of the other region still says of it is late.
    let effects = bench.acknowledge((0, 0), 8, false);
    assert!(effects.contains(&Effect::Notice(Notice::LateAcknowledgement(CheckpointId(8)))));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Discard(_))));
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let due = |bench: &mut Bench| {
        let period = bench.core.checkpoints.period_now();
        bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)))
    };
    let triggers = |effects: &[Effect]| {
        let trigger = |e: &Effect| matches!(e, Effect::Schedule(_, Timer::Trigger(_)));
        effects.iter().any(trigger)
    };
    bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    let effects = bench.drawn(Draw::Epochs(vec![(1, 1)]), 3);
    assert!(!triggers(&effects), "it is deployed and does not run yet");
    let effects = bench.is(attempt((0, 1), 3), TaskExecutionState::Running);
    assert!(!triggers(&effects), "one task does not run yet");
    let effects = bench.is(attempt((1, 1), 3), TaskExecutionState::Running);
    assert!(triggers(&effects), "{effects:?}");
    assert!(matches!(due(&mut bench)[..], [Effect::Draw(Draw::Checkpoint(_), 1), _]));
}

#[test]
fn a_checkpoint_is_told_of_only_when_its_pointer_stands() {
    let mut bench = Bench::storing(restarts(9), 8, false);
    let effects = bench.settled(8, Settled::Added(Revision(3)));
    let confirmed = effects.iter().filter(|effect| matches!(effect, Effect::Confirm(..))).count();
    assert_eq!(confirmed, 4);
    assert_eq!(bench.core.checkpoints.newest(), Some(CheckpointId(8)));
    // The fence's answer, or a repeat, finds it decided.
    assert_eq!(bench.settled(8, Settled::Fenced(Revision(4))), []);
}

#[test]
fn a_region_does_not_begin_anew_while_a_pointer_is_under_way() {
    let mut bench = Bench::storing(restarts(9), 8, false);
    bench.is(attempt((1, 1), 2), failed());
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert_eq!(effects, [], "what it begins from is not known");
    let grace = Timer::StoringGrace(CheckpointId(8));
    let effects = bench.does(|core, now| core.on_timer(now, grace));
    assert!(effects.contains(&Effect::FencePointer(Revision::default(), CheckpointId(8))));
    let effects = bench.settled(8, Settled::Fenced(Revision(4)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Draw(Draw::Epochs(_), 1))));
    assert_eq!(bench.core.checkpoints.newest(), None);
}

#[test]
fn after_the_final_checkpoint_a_failure_restarts_all() {
    let mut bench = Bench::storing(restarts(0), 8, true);
    bench.settled(8, Settled::Added(Revision(3)));
    bench.is(attempt((0, 0), 1), TaskExecutionState::Finished);
    bench.is(attempt((1, 0), 1), TaskExecutionState::Finished);
    // No restart is left, but the job has nothing left but to finish.
    let effects = bench.is(attempt((1, 1), 2), failed());
    assert_eq!(canceled(&effects), [attempt((0, 1), 2)]);
    assert_eq!(counted(&effects), [(vec![attempt((1, 1), 2)], true)]);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert!(matches!(effects[..], [Effect::Draw(Draw::Epochs(_), 1)]), "{effects:?}");
    assert!(bench.core.regions.iter().all(|region| region.delay.is_none()));
}

#[test]
fn after_the_final_checkpoint_a_late_failure_takes_nothing_more_along() {
    let mut bench = Bench::storing(restarts(9), 8, true);
    bench.settled(8, Settled::Fenced(Revision(3)));
    assert_eq!(bench.core.checkpoints.newest(), None, "that one came to nothing");
    bench.is(attempt((1, 1), 2), failed());
    // While its region is being ended the other one's final part comes: nothing of that is stored yet, and
    // what fails in the region that is ending is no failure of the job.
    bench.core.checkpoints.completed.push(CompletedCheckpoint {
        id: CheckpointId(9),
        states: vec![],
        last: true,
    });
    let effects = bench.is(attempt((0, 1), 2), failed());
    assert_eq!(counted(&effects), []);
    assert_eq!(canceled(&effects), []);
    let stages: Vec<Stage> = bench.core.regions.iter().map(|region| region.stage).collect();
    assert_eq!(stages, [Stage::Deployed, Stage::Waiting]);
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

#[test]
fn a_report_of_before_a_deployment_says_nothing_of_it() {
    let mut bench = Bench::running(restarts(9));
    let of = attempt((0, 0), 1);
    bench.does(|core, now| core.on_submitted(now, of, Ok(Ok(5))));
    let report = |version, attempts: Vec<ExecutionAttemptId>| ExecutorReport {
        version,
        attempts,
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
    let without = report(5, vec![]);
    let effects = bench.does(|core, now| core.on_report(now, &resource, beat, without));
    assert_eq!(canceled(&effects), [attempt((1, 0), 1)], "it is lost, and its region ends");
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
fn a_job_that_ends_waits_for_neither_slots_nor_delays() {
    let mut bench = Bench::running(restarts(9));
    bench.is(attempt((1, 1), 2), failed());
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    assert_eq!(waits(&bench, 5), [(WaitReason::RestartDelay, 5)]);
    bench.does(|core, now| core.on_cancel(now));
    let waits = waits(&bench, 5);
    assert!(matches!(&waits[..], [(WaitReason::TasksToEnd { tasks }, 5)] if tasks.len() == 2));
}
