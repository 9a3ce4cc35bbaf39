//! A job graph spread over parallel subtasks.

use super::{DistributionPattern, JobEdge, JobGraph};
use crate::system::ids::{ExecutionVertexId, IntermediateDataSetId, JobVertexId};
use std::{collections::BTreeMap, ops::Range};

/// The parallel form of a job: what is scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionGraph {
    /// One for each vertex of the job graph, in its order.
    pub vertices: Vec<ExecutionJobVertex>,
}

/// A vertex of the job graph with its subtasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionJobVertex {
    /// The vertex.
    pub id: JobVertexId,
    /// Its subtasks, in order.
    pub subtasks: Vec<ExecutionVertex>,
    /// What it hands on, an entry for each output.
    pub results: Vec<IntermediateResult>,
}

/// One subtask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionVertex {
    /// The subtask.
    pub id: ExecutionVertexId,
    /// What it reads: for each input edge of the vertex, its connections.
    pub inputs: Vec<Vec<ExecutionEdge>>,
}

/// One subtask reads one subpartition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionEdge {
    /// The edge of the job graph.
    pub data_set: IntermediateDataSetId,
    /// The subtask that produces the partition.
    pub producer: ExecutionVertexId,
    /// Which part of the partition is read.
    pub subpartition: u32,
    /// The subtask that reads it.
    pub consumer: ExecutionVertexId,
}

/// What a vertex hands on over one edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntermediateResult {
    /// The edge.
    pub data_set: IntermediateDataSetId,
    /// One partition for each subtask that produces it.
    pub partitions: Vec<IntermediateResultPartition>,
}

/// What one subtask hands on over one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntermediateResultPartition {
    /// The subtask.
    pub producer: ExecutionVertexId,
    /// Its parts, one for each consumer.
    pub subpartitions: u32,
}

/// The producers from which a consumer reads.
fn producers(edge: &JobEdge, consumer: u32, producers: u32, consumers: u32) -> Range<u32> {
    match edge.distribution {
        DistributionPattern::AllToAll => 0..producers,
        DistributionPattern::Pointwise => pointwise(consumer, consumers, producers),
    }
}

/// The consumers that read from a producer.
fn consumers(edge: &JobEdge, producer: u32, producers: u32, consumers: u32) -> Range<u32> {
    match edge.distribution {
        DistributionPattern::AllToAll => 0..consumers,
        DistributionPattern::Pointwise => pointwise(producer, producers, consumers),
    }
}

/// Which of `others` one of `count` is connected to, when each side is covered by contiguous ranges.
fn pointwise(one: u32, count: u32, others: u32) -> Range<u32> {
    let (one, count, others) = (u64::from(one), u64::from(count), u64::from(others));
    let narrow = |value: u64| u32::try_from(value).expect("at most the number of the others");
    if others >= count {
        narrow((one * others).div_ceil(count))..narrow(((one + 1) * others).div_ceil(count))
    } else {
        let other = one * others / count;
        narrow(other)..narrow(other + 1)
    }
}

impl ExecutionGraph {
    /// Spreads a valid job graph.
    pub fn new(job: &JobGraph) -> Self {
        let vertex = |vertex: &super::JobVertex| ExecutionJobVertex {
            id: vertex.id,
            subtasks: (0..vertex.parallelism)
                .map(|subtask| subtask_of(job, vertex, subtask))
                .collect(),
            results: vertex.outputs.iter().map(|output| result_of(job, vertex, *output)).collect(),
        };
        ExecutionGraph { vertices: job.vertices.iter().map(vertex).collect() }
    }

    /// All subtasks, producers before consumers.
    pub fn subtasks(&self) -> impl Iterator<Item = &ExecutionVertex> {
        self.vertices.iter().flat_map(|vertex| &vertex.subtasks)
    }

    /// The pipelined regions: the sets of subtasks that are connected, each in the order of
    /// [`subtasks`](Self::subtasks), and they in that of their first subtasks. What fails in one concerns no
    /// other.
    pub fn regions(&self) -> Vec<Vec<ExecutionVertexId>> {
        let place: BTreeMap<ExecutionVertexId, usize> =
            self.subtasks().enumerate().map(|(place, subtask)| (subtask.id, place)).collect();
        let mut joined = UnionFind::new(place.len());
        for edge in self.edges() {
            joined.union(place[&edge.producer], place[&edge.consumer]);
        }
        let mut regions = BTreeMap::<usize, Vec<ExecutionVertexId>>::new();
        for subtask in self.subtasks() {
            regions.entry(joined.find(place[&subtask.id])).or_default().push(subtask.id);
        }
        regions.into_values().collect()
    }

    /// All connections.
    pub fn edges(&self) -> impl Iterator<Item = &ExecutionEdge> {
        self.subtasks().flat_map(|subtask| subtask.inputs.iter().flatten())
    }
}

/// Sets that grow together, each named by its least member.
struct UnionFind(Vec<usize>);

impl UnionFind {
    fn new(members: usize) -> Self {
        UnionFind((0..members).collect())
    }

    fn find(&mut self, mut member: usize) -> usize {
        while self.0[member] != member {
            self.0[member] = self.0[self.0[member]];
            member = self.0[member];
        }
        member
    }

    fn union(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        self.0[one.max(other)] = one.min(other);
    }
}

fn subtask_of(job: &JobGraph, vertex: &super::JobVertex, subtask: u32) -> ExecutionVertex {
    let consumer = ExecutionVertexId { vertex: vertex.id, subtask };
    let connections = |edge: &JobEdge| {
        let upstream = job.vertices[edge.producer.0 as usize].parallelism;
        let connection = |producer: u32| {
            let readers = consumers(edge, producer, upstream, vertex.parallelism);
            ExecutionEdge {
                data_set: edge.data_set,
                producer: ExecutionVertexId { vertex: edge.producer, subtask: producer },
                subpartition: subtask - readers.start,
                consumer,
            }
        };
        producers(edge, subtask, upstream, vertex.parallelism).map(connection).collect()
    };
    ExecutionVertex { id: consumer, inputs: vertex.inputs.iter().map(connections).collect() }
}

fn result_of(
    job: &JobGraph,
    vertex: &super::JobVertex,
    output: super::IntermediateDataSet,
) -> IntermediateResult {
    let consumer = &job.vertices[output.consumer.0 as usize];
    let edge = consumer.inputs.iter().find(|edge| edge.data_set == output.id);
    let edge = edge.expect("every output of a valid job graph is read");
    let partition = |subtask: u32| {
        let readers = consumers(edge, subtask, vertex.parallelism, consumer.parallelism);
        IntermediateResultPartition {
            producer: ExecutionVertexId { vertex: vertex.id, subtask },
            subpartitions: u32::try_from(readers.len()).expect("at most the parallelism"),
        }
    };
    IntermediateResult {
        data_set: output.id,
        partitions: (0..vertex.parallelism).map(partition).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointwise_connections_are_total_balanced_and_agree_on_both_sides() {
        for (up, down) in [(1, 1), (4, 4), (8, 4), (9, 3), (4, 2), (3, 7), (2, 7), (7, 3), (5, 4)] {
            let forward: Vec<Range<u32>> = (0..up).map(|one| pointwise(one, up, down)).collect();
            let backward: Vec<Range<u32>> = (0..down).map(|one| pointwise(one, down, up)).collect();
            for producer in 0..up {
                for consumer in 0..down {
                    assert_eq!(
                        forward[producer as usize].contains(&consumer),
                        backward[consumer as usize].contains(&producer),
                        "{up} to {down}: {producer} and {consumer}"
                    );
                }
            }
            for side in [forward, backward] {
                let (least, most) =
                    (side.iter().map(Range::len).min(), side.iter().map(Range::len).max());
                assert!(least > Some(0) && most <= least.map(|least| least + 1));
            }
        }
    }

    /// The regions of vertices of a parallelism in a row, connected so.
    fn regions(
        parallelism: u32,
        distributions: &[Option<DistributionPattern>],
    ) -> Vec<Vec<(u32, u32)>> {
        let vertex = |place: u32| super::super::JobVertex {
            id: JobVertexId(place),
            name: String::new(),
            parallelism,
            max_parallelism: parallelism,
            slot_sharing_group: String::new(),
            operators: vec![],
            outputs: vec![],
            inputs: vec![],
        };
        let count = u32::try_from(distributions.len() + 1).unwrap();
        let mut vertices: Vec<_> = (0..count).map(vertex).collect();
        for (place, distribution) in distributions.iter().enumerate() {
            let Some(distribution) = *distribution else { continue };
            let (producer, id) = (vertices[place].id, IntermediateDataSetId(place as u32));
            let consumer = vertices[place + 1].id;
            vertices[place].outputs.push(super::super::IntermediateDataSet { id, consumer });
            let partitioner = super::super::Partitioner::Rebalance;
            let edge = JobEdge { data_set: id, producer, partitioner, distribution };
            vertices[place + 1].inputs.push(edge);
        }
        let job = JobGraph {
            id: crate::system::ids::JobId(1),
            name: String::new(),
            vertices,
            checkpoints: super::super::CheckpointSettings::default(),
            restarts: super::super::RestartStrategy::None,
            program: super::super::ProgramRef::default(),
            savepoint: None,
            state_backend: super::super::StateBackend::default(),
        };
        let regions = ExecutionGraph::new(&job).regions().into_iter();
        let plain = |vertex: ExecutionVertexId| (vertex.vertex.0, vertex.subtask);
        regions.map(|region| region.into_iter().map(plain).collect()).collect()
    }

    #[test]
    fn regions_are_what_is_connected() {
        use DistributionPattern::{AllToAll, Pointwise};
        let all = |n: u32, vertices: u32| -> Vec<(u32, u32)> {
            (0..vertices).flat_map(|v| (0..n).map(move |subtask| (v, subtask))).collect()
        };
        assert_eq!(regions(2, &[Some(AllToAll)]), [all(2, 2)]);
        let forward: Vec<Vec<(u32, u32)>> = (0..3).map(|n| vec![(0, n), (1, n), (2, n)]).collect();
        assert_eq!(regions(3, &[Some(Pointwise), Some(Pointwise)]), forward);
        assert_eq!(regions(3, &[Some(Pointwise), Some(AllToAll)]), [all(3, 3)]);
        assert_eq!(
            regions(2, &[Some(AllToAll), None]),
            [all(2, 2), vec![(2, 0)], vec![(2, 1)]],
            "what is connected to nothing is a region of its own"
        );
    }
}
