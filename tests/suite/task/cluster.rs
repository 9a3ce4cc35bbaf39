//! Task executors without endpoints, and a job master that is the test itself.

use super::{
    ms,
    operators::{Seen, Shape, programs},
    record::{Facts, Report, Reports},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use wavetank::{
    host::{
        Host, NodeAddress,
        sim::{NodeId, World, WorldConfig, simulate},
    },
    system::{
        cluster::ClusterConfig,
        graph::{
            ExecutionGraph, InputChannelDeployment, InputGateDeployment, JobGraph, RestoredParts,
            ResultPartitionDeployment, StateBackend, StateHandle, TaskDeployment, TaskRestore,
        },
        ids::{
            AllocationId, CheckpointId, ExecutionAttemptId, ExecutionVertexId, JobId, JobVertexId,
            ResultPartitionId,
        },
        leadership::LeaderSessionId,
        protocol::Finality,
        rpc::RpcSystem,
        service::{
            ServiceClient, ServiceError, Services,
            object_store::{ObjectStore, ObjectStoreError, ObjectStoreRefusal, ObjectSum},
        },
        task_executor::{
            ShuffleEnvironment, Task, TaskConfig, TaskEnvironment, TaskHandle, TaskStateUpdate,
        },
    },
};

const JOB: JobId = JobId(7 << 96);
const PORT: u16 = 7;

/// No test waits longer, in simulated time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs `body` with so many nodes in a new world on a new thread.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
pub fn in_simulation(
    config: WorldConfig,
    nodes: usize,
    body: impl AsyncFnOnce(Cluster) + Send + 'static,
) {
    let run = move || {
        let facts = Arc::<Facts>::default();
        simulate(config, facts.clone(), async move |world| {
            body(Cluster::boot(world, facts, nodes).await).await;
        });
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// An object store that can fail, and hang, and be slow.
pub struct Store {
    host: Host,
    objects: Mutex<BTreeMap<String, Bytes>>,
    pub mood: Mutex<Mood>,
}

#[derive(Clone, Default)]
pub enum Mood {
    #[default]
    Well,
    Failing,
    Hanging,
    Slow(Host, Duration),
}

impl Store {
    fn new(host: &Host) -> Self {
        Store { host: host.clone(), objects: Mutex::default(), mood: Mutex::default() }
    }

    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn pass(mood: Mood) -> Result<(), ObjectStoreError> {
        match mood {
            Mood::Well => Ok(()),
            Mood::Failing => Err(ServiceError::Refused(ObjectStoreRefusal::Full)),
            Mood::Hanging => std::future::pending().await,
            Mood::Slow(host, time) => {
                host.sleep(time).await;
                Ok(())
            }
        }
    }
}

impl ServiceClient for Store {
    fn host(&self) -> &Host {
        &self.host
    }

    fn retry_delay(&self) -> Duration {
        ms(200)
    }
}

impl ObjectStore for Store {
    fn put<'a>(
        &'a self,
        name: &'a str,
        bytes: Bytes,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        let mood = self.mood.lock().unwrap().clone();
        if matches!(mood, Mood::Well | Mood::Slow(..)) {
            let old = self.objects.lock().unwrap().insert(name.to_string(), bytes);
            assert!(old.is_none(), "{name} is written once");
        }
        Box::pin(Store::pass(mood))
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Bytes, ObjectStoreError>> {
        let mood = self.mood.lock().unwrap().clone();
        let found = self.objects.lock().unwrap().get(name).cloned();
        Box::pin(async move {
            Store::pass(mood).await?;
            found.ok_or(ServiceError::Refused(ObjectStoreRefusal::NotFound))
        })
    }

    fn rename<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        _: ObjectSum,
    ) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        unreachable!("tasks rename nothing")
    }

    fn delete<'a>(&'a self, _: &'a [String]) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        unreachable!("tasks delete nothing")
    }

    fn seal<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ObjectStoreError>> {
        unreachable!("tasks seal nothing")
    }

    fn list<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<String>, ObjectStoreError>> {
        unreachable!("tasks list nothing")
    }
}

/// Some nodes with an exchange each.
pub struct Cluster {
    pub world: World,
    pub facts: Arc<Facts>,
    pub reports: Arc<Reports>,
    pub store: Arc<Store>,
    pub seen: Arc<Seen>,
    pub nodes: Vec<NodeId>,
    pub hosts: Vec<Host>,
    pub exchanges: Vec<ShuffleEnvironment>,
    services: Vec<Services>,
    pub config: TaskConfig,
}

/// A node whose process is an exchange.
async fn boot(world: &World, node: NodeId) -> (Host, ShuffleEnvironment, Services) {
    let (ready, booted) = futures::channel::oneshot::channel();
    world.boot(node, |host| async move {
        let exchange = ShuffleEnvironment::start(&host, PORT).await.expect("a free port");
        let service = RpcSystem::default().bind(&host, PORT + 1).await.expect("a free port");
        // Nobody is there: no operator of these tests asks them.
        let nobody = NodeAddress::new("nobody", PORT);
        let config = ClusterConfig::new(nobody.clone(), nobody.clone(), nobody);
        let services = config.services(&service);
        let _ = ready.send((host, exchange, services));
    });
    booted.await.expect("the process lives")
}

impl Cluster {
    async fn boot(world: World, facts: Arc<Facts>, count: usize) -> Cluster {
        let (mut nodes, mut hosts, mut exchanges) = (Vec::new(), Vec::new(), Vec::new());
        let mut services = Vec::new();
        for number in 0..count {
            let node = world.add_node(&format!("node-{number}"));
            let (host, exchange, of_node) = boot(&world, node).await;
            services.push(of_node);
            nodes.push(node);
            hosts.push(host);
            exchanges.push(exchange);
        }
        Cluster {
            world,
            facts,
            reports: Arc::default(),
            store: Arc::new(Store::new(&hosts[0])),
            seen: Arc::default(),
            nodes,
            hosts,
            exchanges,
            services,
            config: TaskConfig::default(),
        }
    }

    pub fn environment(&self, node: usize) -> TaskEnvironment {
        TaskEnvironment {
            host: self.hosts[node].clone(),
            exchange: self.exchanges[node].clone(),
            programs: programs(&self.seen),
            services: Services { objects: self.store.clone(), ..self.services[node].clone() },
            folders: Default::default(),
            responder: self.reports.clone(),
            config: self.config.clone(),
        }
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = self.world.elapsed();
        while !holds() {
            let waited = self.world.elapsed() - begin;
            assert!(waited < PATIENCE, "{what}\n{:#?}", self.reports.all());
            self.world.sleep(ms(5)).await;
        }
    }

    /// Waits until the newest state of an attempt is this one.
    pub async fn until_state(&self, attempt: ExecutionAttemptId, state: TaskStateUpdate) {
        let reports = self.reports.clone();
        let reached = || reports.state(attempt).as_ref() == Some(&state);
        self.until(&format!("{attempt:?} never comes to {state:?}"), reached).await;
    }

    /// Waits until the attempt has failed; returns why.
    pub async fn failure(&self, attempt: ExecutionAttemptId) -> String {
        let reports = self.reports.clone();
        let failed = || matches!(reports.state(attempt), Some(TaskStateUpdate::Failed(_)));
        self.until(&format!("{attempt:?} never fails"), failed).await;
        match reports.state(attempt) {
            Some(TaskStateUpdate::Failed(reason)) => reason,
            _ => unreachable!("it has failed"),
        }
    }

    /// The partitions that are still held anywhere.
    pub fn partitions(&self) -> usize {
        self.exchanges.iter().map(|exchange| exchange.partitions().len()).sum()
    }

    /// What is to be deployed, with the place of each subtask: round robin over the nodes.
    pub fn plan(&self, shape: &Shape, epoch: u64, restore: Option<&Checkpoint>) -> Plan {
        let job = job_graph(shape);
        let execution = ExecutionGraph::new(&job);
        let place =
            |id: ExecutionVertexId| (id.vertex.0 as usize + id.subtask as usize) % self.nodes.len();
        let mut tasks = Vec::new();
        for (vertex, spread) in job.vertices.iter().zip(&execution.vertices) {
            for subtask in &spread.subtasks {
                let produced =
                    vertex.outputs.iter().zip(&spread.results).map(|(output, result)| {
                        let consumer = &job.vertices[output.consumer.0 as usize];
                        let edge = consumer.inputs.iter().find(|edge| edge.data_set == output.id);
                        ResultPartitionDeployment {
                            data_set: output.id,
                            consumer: output.consumer,
                            partitioner: edge.unwrap().partitioner.clone(),
                            subpartitions: result.partitions[subtask.id.subtask as usize]
                                .subpartitions,
                            consumer_max_parallelism: consumer.max_parallelism,
                        }
                    });
                let gate = |edges: &Vec<wavetank::system::graph::ExecutionEdge>| {
                    let channel = |edge: &wavetank::system::graph::ExecutionEdge| {
                        let producer = attempt(edge.producer, epoch);
                        InputChannelDeployment {
                            partition: ResultPartitionId { producer, data_set: edge.data_set },
                            subpartition: edge.subpartition,
                            location: self.exchanges[place(edge.producer)].address().clone(),
                        }
                    };
                    InputGateDeployment {
                        data_set: edges[0].data_set,
                        channels: edges.iter().map(channel).collect(),
                    }
                };
                let restore = restore.map(|checkpoint| TaskRestore {
                    checkpoint: checkpoint.id,
                    state: RestoredParts::Same(checkpoint.states[&subtask.id].clone()),
                    savepoint: None,
                    stopped: false,
                });
                let deployment = TaskDeployment {
                    attempt: attempt(subtask.id, epoch),
                    job_master: LeaderSessionId(1),
                    allocation: AllocationId(1),
                    name: vertex.name.clone(),
                    parallelism: vertex.parallelism,
                    max_parallelism: vertex.max_parallelism,
                    program: job.program.clone(),
                    operators: vertex.operators.clone(),
                    produced: produced.collect(),
                    inputs: subtask.inputs.iter().map(gate).collect(),
                    restore,
                    state_backend: StateBackend::default(),
                    retained: 1,
                };
                tasks.push((place(subtask.id), deployment));
            }
        }
        Plan { tasks }
    }

    /// Deploys a job and waits until it runs.
    pub async fn run(&self, shape: &Shape, epoch: u64, from: Option<&Checkpoint>) -> Job {
        let job = self.start(self.plan(shape, epoch, from));
        for handle in job.handles.values() {
            self.until_state(handle.attempt(), TaskStateUpdate::Running).await;
        }
        job
    }

    pub fn start(&self, plan: Plan) -> Job {
        let mut handles = BTreeMap::new();
        for (node, deployment) in plan.tasks {
            let id = deployment.attempt.vertex;
            handles.insert(id, Task::start(self.environment(node), deployment));
        }
        Job { handles }
    }

    /// Triggers a checkpoint and waits until all have acknowledged it; `None` when one declined.
    pub async fn checkpoint(&self, job: &Job, id: u64) -> Option<Checkpoint> {
        job.trigger(id);
        self.outcome(job, id).await
    }

    pub async fn outcome(&self, job: &Job, id: u64) -> Option<Checkpoint> {
        let id = CheckpointId(id);
        let mut found = None;
        let decided = || {
            let (mut states, mut all_ended, mut declined) = (BTreeMap::new(), true, false);
            for report in self.reports.all() {
                match report {
                    Report::Acknowledged(attempt, checkpoint, state, ended)
                        if checkpoint == id && job.is(attempt) =>
                    {
                        all_ended &= ended;
                        assert!(states.insert(attempt.vertex, state).is_none(), "twice");
                    }
                    Report::Declined(attempt, checkpoint, _)
                        if checkpoint == id && job.is(attempt) =>
                    {
                        declined = true;
                    }
                    _ => {}
                }
            }
            let complete = states.len() == job.handles.len();
            found = complete.then_some(Checkpoint { id, states, all_ended });
            declined || complete
        };
        self.until(&format!("{id:?} is never decided"), decided).await;
        found
    }

    /// Takes checkpoints from `first` on until one is final, confirms it and awaits the end.
    pub async fn finish(&self, job: &Job, first: u64) {
        for id in first.. {
            let checkpoint = self.checkpoint(job, id).await.expect("nobody declines");
            job.notify_checkpoint_complete(id, checkpoint.all_ended);
            if checkpoint.all_ended {
                break;
            }
            self.world.sleep(ms(100)).await;
        }
        for handle in job.handles.values() {
            self.until_state(handle.attempt(), TaskStateUpdate::Finished).await;
        }
    }
}

/// What is to be deployed, and on which node.
pub struct Plan {
    pub tasks: Vec<(usize, TaskDeployment)>,
}

/// A complete checkpoint.
pub struct Checkpoint {
    pub id: CheckpointId,
    pub states: BTreeMap<ExecutionVertexId, StateHandle>,
    pub all_ended: bool,
}

/// A deployed job.
pub struct Job {
    pub handles: BTreeMap<ExecutionVertexId, TaskHandle>,
}

impl Job {
    fn is(&self, attempt: ExecutionAttemptId) -> bool {
        self.handles.get(&attempt.vertex).is_some_and(|handle| handle.attempt() == attempt)
    }

    pub fn task(&self, vertex: u32, subtask: u32) -> &TaskHandle {
        &self.handles[&vertex_id(vertex, subtask)]
    }

    pub fn trigger(&self, id: u64) {
        for handle in self.handles.values() {
            handle.trigger_checkpoint(CheckpointId(id), false);
        }
    }

    pub fn notify_checkpoint_complete(&self, id: u64, is_final: bool) {
        for handle in self.handles.values() {
            let finality = match is_final {
                true => Finality::Finished,
                false => Finality::GoesOn,
            };
            handle.confirm_checkpoint(CheckpointId(id), finality);
        }
    }

    pub fn abort(&self, id: u64) {
        for handle in self.handles.values() {
            handle.abort_checkpoint(CheckpointId(id));
        }
    }

    pub fn cancel(&self) {
        for handle in self.handles.values() {
            handle.cancel();
        }
    }
}

pub fn vertex_id(vertex: u32, subtask: u32) -> ExecutionVertexId {
    ExecutionVertexId { vertex: JobVertexId(vertex), subtask }
}

pub fn attempt(vertex: ExecutionVertexId, epoch: u64) -> ExecutionAttemptId {
    ExecutionAttemptId { job: JOB, vertex, epoch }
}

pub fn job_graph(shape: &Shape) -> JobGraph {
    let arguments = serde_json::to_string(shape).expect("plain values");
    let programs = programs(&Arc::default());
    let program = programs.get("test").expect("there is one");
    program.job(JOB, &arguments, 1).expect("a sound graph")
}
