//! A state, one call, and what comes of it.

mod checkpoints;
mod executors;
mod regions;
mod savepoints;

use super::{region::Stage, *};
use crate::system::{
    graph::{
        CheckpointSettings, OperatorSpec, Partitioner, RestartStrategy, StateHandle, StreamGraph,
    },
    heartbeat::HeartbeatSession,
    ids::{AllocationId, CheckpointId, ExecutionAttemptId, JobVertexId, TaskExecutorSession},
    protocol::{
        CheckpointAck, DeployRefusal, ExecutorReport, OfferedSlots, RegistrationRefusal, SlotOffer,
        TaskExecutionState, TaskExecutorInfo, TaskMetrics, WaitReason, WaitingTask,
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
    job_with(restarts, CheckpointSettings::default())
}

fn job_with(restarts: RestartStrategy, settings: CheckpointSettings) -> JobGraph {
    let spec = |uid: &str| OperatorSpec { uid: uid.to_string(), name: uid.to_string() };
    let mut graph = StreamGraph::new().disable_chaining();
    let source = graph.source(spec("source"), 2);
    graph.operator(source, Partitioner::Forward, spec("sink"), 2);
    graph.job_graph(JobId(7), "two pipelines", settings, restarts).unwrap()
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
        Bench::of(job(restarts))
    }

    fn of(job: JobGraph) -> Self {
        let (job, switches) = (Arc::new(job), Switches::default());
        let session = LeaderSessionId(1);
        let core = JobMasterCore::new(
            Instant::ORIGIN,
            job,
            session,
            Checkpoints::default(),
            &JobManagerConfig::default(),
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
        bench.run_two_regions();
        bench
    }

    fn run_two_regions(&mut self) {
        let bench = self;
        bench.does(JobMasterCore::on_start);
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
    let state = StateHandle::object(object, 1);
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
