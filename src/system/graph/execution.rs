//! A job graph spread over parallel subtasks.

use super::{Distribution, JobEdge, JobGraph};
use crate::system::ids::{ExecutionVertexId, IntermediateDataSetId, JobVertexId};
use std::ops::Range;

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
        Distribution::AllToAll => 0..producers,
        Distribution::Pointwise => pointwise(consumer, consumers, producers),
    }
}

/// The consumers that read from a producer.
fn consumers(edge: &JobEdge, producer: u32, producers: u32, consumers: u32) -> Range<u32> {
    match edge.distribution {
        Distribution::AllToAll => 0..consumers,
        Distribution::Pointwise => pointwise(producer, producers, consumers),
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

    /// All connections.
    pub fn edges(&self) -> impl Iterator<Item = &ExecutionEdge> {
        self.subtasks().flat_map(|subtask| subtask.inputs.iter().flatten())
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
}
