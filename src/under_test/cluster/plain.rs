//! Rules of the system once more, in the words of the checks: who judges by the rule that is judged sees no fault in it.

use crate::system::{
    graph::{DistributionPattern, JobEdge, JobGraph},
    ids::ExecutionVertexId,
    protocol::JobStatus,
    service::coordination::KeyPattern,
};
use std::{collections::BTreeSet, time::Duration};

/// How long a slot waits for a master that takes it.
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a job with this status has ended for good.
pub fn is_end(status: JobStatus) -> bool {
    match status {
        JobStatus::Finished | JobStatus::Failed | JobStatus::Canceled => true,
        JobStatus::Created
        | JobStatus::Running
        | JobStatus::Failing
        | JobStatus::Cancelling
        | JobStatus::Restarting
        | JobStatus::Suspended => false,
    }
}

/// Whether a key is one of a pattern.
pub fn matches(pattern: &KeyPattern, key: &str) -> bool {
    match pattern {
        KeyPattern::Exact(exact) => key == exact,
        KeyPattern::Prefix(prefix) => key.as_bytes().starts_with(prefix.as_bytes()),
        KeyPattern::Children(parent) => {
            let parts = key.rsplit_once('/');
            parts.is_some_and(|(above, name)| above == parent && !name.is_empty())
        }
    }
}

/// The subtasks that are connected to one, over any number of others, and itself: what is deployed and fails with it.
/// Nothing where the graph has no such subtask.
pub fn region_of(graph: &JobGraph, one: ExecutionVertexId) -> BTreeSet<ExecutionVertexId> {
    let count = |vertex: usize| graph.vertices.get(vertex).map_or(0, |vertex| vertex.parallelism);
    let (mut region, mut open) = (BTreeSet::new(), Vec::new());
    if one.subtask < count(one.vertex.0 as usize) {
        open.push(one);
    }
    while let Some(next) = open.pop() {
        if !region.insert(next) {
            continue;
        }
        for consumer in &graph.vertices {
            for edge in &consumer.inputs {
                let (producers, consumers) =
                    (count(edge.producer.0 as usize), consumer.parallelism);
                let is_read = |from: u32, by: u32| reads(edge, (from, producers), (by, consumers));
                if edge.producer == next.vertex {
                    let by = (0..consumers).filter(|by| is_read(next.subtask, *by));
                    open.extend(
                        by.map(|subtask| ExecutionVertexId { vertex: consumer.id, subtask }),
                    );
                }
                if consumer.id == next.vertex {
                    let from = (0..producers).filter(|from| is_read(*from, next.subtask));
                    let of = |subtask| ExecutionVertexId { vertex: edge.producer, subtask };
                    open.extend(from.map(of));
                }
            }
        }
    }
    region
}

/// Whether a consumer reads from a producer, each one of so many. Of those that are connected in ranges the side that
/// has more is shared out evenly, in order.
fn reads(
    edge: &JobEdge,
    (producer, producers): (u32, u32),
    (consumer, consumers): (u32, u32),
) -> bool {
    let shared_out =
        |one: u32, of: u32, among: u32| u64::from(one) * u64::from(among) / u64::from(of);
    match edge.distribution {
        DistributionPattern::AllToAll => true,
        DistributionPattern::Pointwise if producers >= consumers => {
            shared_out(producer, producers, consumers) == u64::from(consumer)
        }
        DistributionPattern::Pointwise => {
            shared_out(consumer, consumers, producers) == u64::from(producer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        graph::{
            CheckpointSettings, ExecutionGraph, OperatorSpec, Partitioner, RestartStrategy,
            StreamGraph,
        },
        ids::JobId,
    };

    /// Vertices in a row, each with its parallelism and how it reads from the one before.
    fn row(first: u32, others: &[(u32, DistributionPattern)]) -> JobGraph {
        let mut graph = StreamGraph::new().disable_chaining();
        let named = |name: String| OperatorSpec { uid: name.clone(), name };
        let mut last = graph.source(named("0".to_string()), first);
        for (place, (parallelism, _)) in others.iter().enumerate() {
            let next = named(format!("{}", place + 1));
            last = graph.operator(last, Partitioner::Rebalance, next, *parallelism);
        }
        let (settings, restarts) = (CheckpointSettings::default(), RestartStrategy::None);
        let mut job = graph.job_graph(JobId(1), "row", settings, restarts).expect("sound");
        for (vertex, (_, distribution)) in job.vertices.iter_mut().skip(1).zip(others) {
            vertex.inputs[0].distribution = *distribution;
        }
        job
    }

    #[test]
    fn a_region_is_what_is_connected_as_the_scheduler_has_it() {
        use DistributionPattern::{AllToAll, Pointwise};
        let mut regions = 0;
        for graph in [
            row(1, &[]),
            row(3, &[(3, Pointwise), (3, Pointwise)]),
            row(4, &[(2, Pointwise), (2, Pointwise)]),
            row(2, &[(5, Pointwise)]),
            row(7, &[(3, Pointwise), (6, Pointwise)]),
            row(3, &[(3, Pointwise), (2, AllToAll), (2, Pointwise)]),
        ] {
            for region in ExecutionGraph::new(&graph).regions() {
                regions += 1;
                let all: BTreeSet<ExecutionVertexId> = region.iter().copied().collect();
                for one in region {
                    assert_eq!(region_of(&graph, one), all, "{one:?}");
                }
            }
            let vertex = graph.vertices[0].id;
            let beyond = ExecutionVertexId { vertex, subtask: graph.vertices[0].parallelism };
            assert_eq!(region_of(&graph, beyond), BTreeSet::new());
        }
        assert_eq!(regions, 1 + 3 + 2 + 2 + 3 + 1);
    }

    #[test]
    fn keys_match_as_patterns_promise() {
        let [exact, prefix] =
            [KeyPattern::Exact("a".to_string()), KeyPattern::Prefix("a".to_string())];
        let children = KeyPattern::Children("a".to_string());
        let told = |pattern: &KeyPattern| {
            let keys = ["a", "ab", "a/", "a/b", "a/b/c", "b"].into_iter();
            keys.filter(|key| matches(pattern, key)).collect::<Vec<_>>()
        };
        assert_eq!(told(&exact), ["a"]);
        assert_eq!(told(&prefix), ["a", "ab", "a/", "a/b", "a/b/c"]);
        assert_eq!(told(&children), ["a/b"]);
    }
}
