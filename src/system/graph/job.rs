//! A job as it is submitted and kept.

use super::Partitioner;
use crate::{
    host::millis,
    system::{
        ids::{IntermediateDataSetId, JobId, JobVertexId},
        reason::shortened,
    },
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest parallelism, and the largest number of key groups.
pub const PARALLELISM_MAX: u32 = 1024;

/// The longest name of a job, or of an operator, in bytes: what tells of many jobs at once has their names.
pub const NAME_BYTES_MAX: usize = 1024;

/// An operator of a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OperatorSpec {
    /// What its state is found by; the same whenever the same program is built.
    pub uid: String,
    /// What kind it is, for people.
    pub name: String,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobGraph {
    /// Its identity.
    pub id: JobId,
    /// Its name, for people.
    pub name: String,
    /// The vertices in topological order; a vertex's id is its place.
    pub vertices: Vec<JobVertex>,
    /// When checkpoints are taken.
    pub checkpoints: CheckpointSettings,
    /// What is done when a task fails.
    pub restarts: RestartStrategy,
    /// The program that made it, from which its tasks are made.
    pub program: ProgramRef,
    /// The savepoint from which it begins, where it has no checkpoint of its own.
    pub savepoint: Option<SavepointSource>,
    /// Where its tasks keep their state.
    pub state_backend: StateBackend,
}

/// Where tasks keep their state by key while they work, and how it gets into checkpoints. A job may begin from a savepoint
/// with another one than it was taken with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StateBackend {
    /// In memory, also what checkpoints hold: a task's part goes to the job's master with its acknowledgement. It has at most
    /// [`INLINE_STATE_BYTES_MAX`] bytes; beyond that no checkpoint completes.
    Memory,
    /// In memory; what checkpoints hold lies in the object store.
    Heap {
        /// The most keys and named entries of a keyed operator's subtask that go into its task's part of a checkpoint,
        /// written while the task waits. More go into files, written while records come; by default more than
        /// [`HEAP_INLINE`].
        inline: u32,
    },
    /// On the disk of the task executor: more than memory. What checkpoints hold lies in the object store, as files that
    /// they share: each adds what has changed.
    Disk {
        /// Bytes of memory for the state of each keyed operator of a subtask; at least [`STATE_MEMORY_MIN`].
        memory: u64,
    },
}

impl Default for StateBackend {
    fn default() -> Self {
        StateBackend::Heap { inline: HEAP_INLINE }
    }
}

/// So many keys are written in a few milliseconds.
pub const HEAP_INLINE: u32 = 8192;

/// The least memory for state on disk, in bytes.
pub const STATE_MEMORY_MIN: u64 = 16 * 1024;

/// The longest part of a checkpoint that goes with its acknowledgement, in bytes.
pub const INLINE_STATE_BYTES_MAX: usize = 32 * 1024;

/// From which savepoint a job begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SavepointSource {
    /// Where it lies.
    pub path: String,
    /// Whether state of operators that the job does not have may be left out.
    pub may_leave_state: bool,
}

/// What a job was made by. Every process that has the same program makes the same of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProgramRef {
    /// The program's name.
    pub name: String,
    /// The version that its author set.
    pub version: u32,
    /// Its arguments, as JSON.
    pub arguments: String,
    /// The subtasks of operators of which the program says nothing.
    pub parallelism: u32,
    /// The hash of the graph: vertices, edges, operators, what flows between them.
    pub hash: u64,
}

/// A chain of operators, run by parallel subtasks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobVertex {
    /// Its place in the job.
    pub id: JobVertexId,
    /// Its name, for people.
    pub name: String,
    /// Subtasks.
    pub parallelism: u32,
    /// Key groups.
    pub max_parallelism: u32,
    /// The subtasks of one group share slots.
    pub slot_sharing_group: String,
    /// The chain, head first.
    pub operators: Vec<OperatorSpec>,
    /// What it hands on.
    pub outputs: Vec<IntermediateDataSet>,
    /// What it reads.
    pub inputs: Vec<JobEdge>,
}

/// What a vertex hands on over one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IntermediateDataSet {
    /// Its identity.
    pub id: IntermediateDataSetId,
    /// Who reads it.
    pub consumer: JobVertexId,
}

/// What a vertex reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobEdge {
    /// What is read.
    pub data_set: IntermediateDataSetId,
    /// Who hands it on.
    pub producer: JobVertexId,
    /// How records are spread.
    pub partitioner: Partitioner,
    /// Which subtask reads from which.
    pub distribution: DistributionPattern,
}

/// Which subtasks of the two vertices of an edge are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DistributionPattern {
    /// Every consumer reads from every producer.
    AllToAll,
    /// Contiguous ranges that cover every producer and every consumer, balanced to one.
    Pointwise,
}

/// When checkpoints are taken. Times are in milliseconds of the job master's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckpointSettings {
    /// From the trigger of one to that of the next.
    pub interval_ms: u64,
    /// How long one may take.
    pub timeout_ms: u64,
    /// From the end of one to the trigger of the next, at least.
    pub min_pause_ms: u64,
    /// Pending at once at most.
    pub max_concurrent: u32,
    /// Failures in a row that the job bears; `None`: all.
    pub tolerable_failures: Option<u32>,
    /// Completed ones that are kept; at least 1.
    pub retained: u32,
}

impl Default for CheckpointSettings {
    /// Every 2 s, at most 10 s long, one at a time, the newest kept, failures borne.
    fn default() -> Self {
        CheckpointSettings {
            interval_ms: 2_000,
            timeout_ms: 10_000,
            min_pause_ms: 0,
            max_concurrent: 1,
            tolerable_failures: None,
            retained: 1,
        }
    }
}

/// What is done when a task fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartStrategy {
    /// The job fails.
    None,
    /// What failed starts again after a delay, so many times.
    FixedDelay {
        /// Restarts.
        attempts: u32,
        /// Milliseconds of the job master's clock between a failure and the restart.
        delay_ms: u64,
    },
    /// What failed starts again after a delay, unless there are too many failures within a while.
    FailureRate {
        /// Failures within the interval after which it starts again still; 1 to 1024.
        failures: u32,
        /// Milliseconds of the job master's clock.
        interval_ms: u64,
        /// Milliseconds between a failure and the restart.
        delay_ms: u64,
    },
    /// What failed starts again after a delay, however often. The delay grows with each failure, whatever its
    /// reason, and begins anew after the job had not failed for long.
    ExponentialDelay {
        /// Milliseconds between the first failure and the restart.
        initial_ms: u64,
        /// Milliseconds between a failure and the restart at most, jitter included.
        max_ms: u64,
        /// Milliseconds from the end of a delay to the next failure after which the delay begins anew.
        reset_ms: u64,
        /// What a delay is of the one before it, in percent; 100 to 1000.
        multiplier_percent: u32,
        /// By how much a delay may be longer or shorter, in percent of it; 0 to 100.
        jitter_percent: u32,
    },
}

/// Failures that a rate counts at most.
pub const RATE_FAILURES_MAX: u32 = 1024;

impl RestartStrategy {
    /// From `initial` to `max`, doubled each time, with a tenth of jitter: the defaults of Flink 1.14.
    pub fn exponential(initial: Duration, max: Duration, reset: Duration) -> Self {
        RestartStrategy::ExponentialDelay {
            initial_ms: millis(initial),
            max_ms: millis(max),
            reset_ms: millis(reset),
            multiplier_percent: 200,
            jitter_percent: 10,
        }
    }
}

/// Why a job graph is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum GraphError {
    /// There is nothing to run.
    #[error("the job has no vertex")]
    Empty,
    /// A number is out of its bounds.
    #[error("{vertex}: {what} is {found}, expected {expected}")]
    OutOfBounds {
        /// Where.
        vertex: String,
        /// What.
        what: String,
        /// Its value.
        found: u64,
        /// What it may be.
        expected: String,
    },
    /// An edge does not fit the vertices that it names.
    #[error("{vertex}: {what}")]
    BadEdge {
        /// The consumer.
        vertex: String,
        /// What is wrong with it.
        what: String,
    },
    /// The operators of the job can't be told apart by their uids.
    #[error("the uid {0:?} is given twice")]
    DuplicateUid(String),
    /// An operator feeds itself.
    #[error("the edges of {0:?} form a cycle")]
    Cycle(String),
}

impl JobGraph {
    /// Slots that the job needs: over all sharing groups, the largest parallelism in each.
    pub fn required_slots(&self) -> u32 {
        let mut groups = std::collections::BTreeMap::<&str, u32>::new();
        for vertex in &self.vertices {
            let most = groups.entry(&vertex.slot_sharing_group).or_default();
            *most = (*most).max(vertex.parallelism);
        }
        groups.values().sum()
    }

    /// All subtasks.
    pub fn subtasks(&self) -> u32 {
        self.vertices.iter().map(|vertex| vertex.parallelism).sum()
    }

    /// Refuses a graph that no cluster could run.
    ///
    /// # Errors
    /// The first [`GraphError`] found.
    pub fn validate(&self) -> Result<(), GraphError> {
        if self.vertices.is_empty() {
            return Err(GraphError::Empty);
        }
        self.validate_settings()?;
        self.validate_names()?;
        let mut uids = std::collections::BTreeSet::new();
        for (place, vertex) in self.vertices.iter().enumerate() {
            self.validate_vertex(place, vertex)?;
            for operator in &vertex.operators {
                if !uids.insert(&operator.uid) {
                    return Err(GraphError::DuplicateUid(operator.uid.clone()));
                }
            }
        }
        Ok(())
    }

    fn validate_names(&self) -> Result<(), GraphError> {
        let operators = self.vertices.iter().flat_map(|vertex| &vertex.operators);
        let names = operators.flat_map(|operator| [&operator.uid, &operator.name]);
        let long = |name: &&String| name.len() > NAME_BYTES_MAX;
        match [&self.name].into_iter().chain(names).find(long) {
            None => Ok(()),
            Some(name) => Err(GraphError::OutOfBounds {
                vertex: shortened(name).to_string(),
                what: "the length of the name in bytes".to_string(),
                found: name.len() as u64,
                expected: format!("at most {NAME_BYTES_MAX}"),
            }),
        }
    }

    fn validate_settings(&self) -> Result<(), GraphError> {
        let settings = self.checkpoints;
        let any = 1..=u64::MAX;
        let mut bounded = vec![
            ("the checkpoint interval in ms", settings.interval_ms, any.clone()),
            ("the checkpoint time-out in ms", settings.timeout_ms, any.clone()),
            ("the concurrent checkpoints", settings.max_concurrent.into(), any.clone()),
            ("the retained checkpoints", settings.retained.into(), any),
        ];
        if let StateBackend::Disk { memory } = self.state_backend {
            bounded.push((
                "the memory for state on disk in bytes",
                memory,
                STATE_MEMORY_MIN..=u64::MAX,
            ));
        }
        match self.restarts {
            RestartStrategy::FailureRate { failures, .. } => {
                let most = u64::from(RATE_FAILURES_MAX);
                bounded.push(("the failures of the rate", failures.into(), 1..=most));
            }
            RestartStrategy::ExponentialDelay { multiplier_percent, jitter_percent, .. } => {
                bounded.push(("the multiplier in percent", multiplier_percent.into(), 100..=1000));
                bounded.push(("the jitter in percent", jitter_percent.into(), 0..=100));
            }
            RestartStrategy::None | RestartStrategy::FixedDelay { .. } => {}
        }
        match bounded.into_iter().find(|(_, value, bounds)| !bounds.contains(value)) {
            None => Ok(()),
            Some((what, found, bounds)) => Err(GraphError::OutOfBounds {
                vertex: self.name.clone(),
                what: what.to_string(),
                found,
                expected: match *bounds.end() {
                    u64::MAX => format!("at least {}", bounds.start()),
                    end => format!("{} to {end}", bounds.start()),
                },
            }),
        }
    }

    fn validate_vertex(&self, place: usize, vertex: &JobVertex) -> Result<(), GraphError> {
        let out_of_bounds = |what: &str, found: u32, expected: String| {
            let (vertex, what) = (vertex.name.clone(), what.to_string());
            Err(GraphError::OutOfBounds { vertex, what, found: found.into(), expected })
        };
        let bad_edge =
            |what: String| Err(GraphError::BadEdge { vertex: vertex.name.clone(), what });
        if vertex.id.0 as usize != place {
            return out_of_bounds("the vertex id", vertex.id.0, place.to_string());
        }
        if !(1..=PARALLELISM_MAX).contains(&vertex.max_parallelism) {
            let expected = format!("1..={PARALLELISM_MAX}");
            return out_of_bounds("the maximum parallelism", vertex.max_parallelism, expected);
        }
        if !(1..=vertex.max_parallelism).contains(&vertex.parallelism) {
            let expected = format!("1..={}", vertex.max_parallelism);
            return out_of_bounds("the parallelism", vertex.parallelism, expected);
        }
        if vertex.operators.is_empty() {
            return bad_edge("a vertex needs an operator".to_string());
        }
        for edge in &vertex.inputs {
            let producer = self.vertices[..place].get(edge.producer.0 as usize);
            let Some(producer) = producer else {
                return bad_edge(format!(
                    "it reads from {:?}, which is not before it",
                    edge.producer
                ));
            };
            let output = IntermediateDataSet { id: edge.data_set, consumer: vertex.id };
            if !producer.outputs.contains(&output) {
                return bad_edge(format!(
                    "{} does not hand on {:?} to it",
                    producer.name, edge.data_set
                ));
            }
            if edge.partitioner == Partitioner::Forward
                && producer.parallelism != vertex.parallelism
            {
                return bad_edge(
                    "a forward edge needs the same parallelism on both sides".to_string(),
                );
            }
        }
        let read = |output: &IntermediateDataSet| {
            let consumer = self.vertices.get(output.consumer.0 as usize);
            let edges = consumer.iter().flat_map(|consumer| &consumer.inputs);
            edges.filter(|edge| edge.data_set == output.id && edge.producer == vertex.id).count()
        };
        match vertex.outputs.iter().find(|output| read(output) != 1) {
            None => Ok(()),
            Some(output) => bad_edge(format!("{:?} is not read by just one edge", output.id)),
        }
    }
}
