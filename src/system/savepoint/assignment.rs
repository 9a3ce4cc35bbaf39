//! Which subtask of a job begins with which parts of a savepoint.

use super::{SavedOutput, SavedPart, SavedVertex, Savepoint, SavepointError};
use crate::system::{
    graph::{
        FormerPart, JobGraph, JobVertex, RestoredParts, SavepointOrigin, StateHandle, TaskRestore,
    },
    ids::{CheckpointId, ExecutionVertexId},
    protocol::AfterSavepoint,
};
use std::collections::BTreeSet;

/// What each subtask of a job begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The checkpoint of which the savepoint is a copy.
    pub checkpoint: CheckpointId,
    origin: SavepointOrigin,
    /// Of each vertex.
    vertices: Vec<OfVertex>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum OfVertex {
    /// Nothing is kept of its operators.
    Nothing,
    /// Each subtask with its own part.
    Same(Vec<StateHandle>),
    /// Each with its share of these: for each whether its chain was the same.
    Redistributed(Vec<(bool, u32, StateHandle)>),
}

impl Assignment {
    /// What a subtask begins with; `None`: nothing.
    pub fn of(&self, vertex: ExecutionVertexId, parallelism: u32) -> Option<TaskRestore> {
        let state = match &self.vertices[vertex.vertex.0 as usize] {
            OfVertex::Nothing => return None,
            OfVertex::Same(parts) => RestoredParts::Same(parts[vertex.subtask as usize].clone()),
            OfVertex::Redistributed(parts) => {
                let part = |(same_chain, subtask, state): &(bool, u32, StateHandle)| FormerPart {
                    subtask: *subtask,
                    same_chain: *same_chain,
                    takes_emitted: subtask % parallelism == vertex.subtask,
                    state: state.clone(),
                };
                RestoredParts::Redistributed(parts.iter().map(part).collect())
            }
        };
        let (checkpoint, savepoint) = (self.checkpoint, Some(self.origin));
        Some(TaskRestore { checkpoint, state, savepoint, stopped: false })
    }
}

/// What each subtask of a job begins with of the savepoint at a path. State of operators that the job does not have is
/// left out only if that is allowed.
///
/// # Errors
/// Why the savepoint does not fit the job.
pub fn assign(
    savepoint: &Savepoint,
    path: &str,
    job: &JobGraph,
    may_leave_state: bool,
) -> Result<Assignment, SavepointError> {
    if savepoint.then == AfterSavepoint::Drain {
        return Err(SavepointError::Drained);
    }
    check_uids(savepoint, job, may_leave_state)?;
    let vertices = job.vertices.iter().map(|vertex| of_vertex(savepoint, path, job, vertex));
    Ok(Assignment {
        checkpoint: savepoint.checkpoint,
        origin: SavepointOrigin {
            job: savepoint.job,
            stopped: savepoint.then == AfterSavepoint::Stop,
        },
        vertices: vertices.collect::<Result<_, _>>()?,
    })
}

fn check_uids(
    savepoint: &Savepoint,
    job: &JobGraph,
    may_leave_state: bool,
) -> Result<(), SavepointError> {
    let known: BTreeSet<&str> = job.vertices.iter().flat_map(uids).collect();
    let saved: BTreeSet<&str> = savepoint
        .vertices
        .iter()
        .flat_map(|vertex| vertex.operators.iter().map(String::as_str))
        .collect();
    if saved.is_disjoint(&known) {
        return Err(SavepointError::Foreign { program: savepoint.program.name.clone() });
    }
    let left: Vec<String> = saved.difference(&known).map(|uid| (*uid).to_string()).collect();
    match left.is_empty() || may_leave_state {
        true => Ok(()),
        false => Err(SavepointError::NotRestored { uids: left }),
    }
}

fn uids(vertex: &JobVertex) -> impl Iterator<Item = &str> {
    vertex.operators.iter().map(|spec| spec.uid.as_str())
}

fn of_vertex(
    savepoint: &Savepoint,
    path: &str,
    job: &JobGraph,
    vertex: &JobVertex,
) -> Result<OfVertex, SavepointError> {
    let shared = |saved: &SavedVertex| {
        uids(vertex).find(|uid| saved.operators.iter().any(|of| of == uid)).map(str::to_string)
    };
    let mut parts = Vec::new();
    for saved in &savepoint.vertices {
        let Some(uid) = shared(saved) else { continue };
        if saved.max_parallelism != vertex.max_parallelism {
            let (job, savepoint) = (vertex.max_parallelism, saved.max_parallelism);
            return Err(SavepointError::MaxParallelism { uid, job, savepoint });
        }
        let outputs = SavedOutput::all(job, vertex);
        let same_chain = uids(vertex).eq(saved.operators.iter().map(String::as_str))
            && saved.outputs.len() == outputs.len();
        let absolute =
            |part: &SavedPart| StateHandle::object(format!("{path}/{}", part.object), part.length);
        let of_vertex: Vec<StateHandle> = saved.parts.iter().map(absolute).collect();
        let is_same = of_vertex.len() == vertex.parallelism as usize && saved.outputs == outputs;
        if same_chain && is_same {
            return Ok(OfVertex::Same(of_vertex));
        }
        parts.extend((0..).zip(of_vertex).map(|(subtask, part)| (same_chain, subtask, part)));
    }
    Ok(if parts.is_empty() { OfVertex::Nothing } else { OfVertex::Redistributed(parts) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::{
        graph::{CheckpointSettings, OperatorSpec, Partitioner, RestartStrategy, StreamGraph},
        ids::{JobId, JobVertexId},
        leadership::LeaderSessionId,
        store::CompletedCheckpoint,
    };

    fn job(uids: [&str; 2], parallelism: u32) -> JobGraph {
        let spec = |uid: &str| OperatorSpec { uid: uid.to_string(), name: uid.to_string() };
        let mut graph = StreamGraph::new();
        let source = graph.source(spec(uids[0]), parallelism);
        graph.operator(source, Partitioner::Rebalance, spec(uids[1]), parallelism);
        let settings = CheckpointSettings::default();
        graph.job_graph(JobId(7), "one", settings, RestartStrategy::None).expect("sound")
    }

    fn savepoint(parallelism: u32, then: AfterSavepoint) -> Savepoint {
        let job = job(["source", "count"], parallelism);
        let of = |vertex, subtask| ExecutionVertexId { vertex: JobVertexId(vertex), subtask };
        let part = |(vertex, subtask): (u32, u32)| {
            let object = format!("{vertex}.{subtask}");
            (of(vertex, subtask), StateHandle::object(object, 1))
        };
        let all = (0..2).flat_map(|vertex| (0..parallelism).map(move |subtask| (vertex, subtask)));
        let states = all.map(part).collect();
        let checkpoint =
            CompletedCheckpoint { id: CheckpointId(5), states, last: false, savepoint: None };
        Savepoint::of(&job, &checkpoint, then, LeaderSessionId(1 << 96))
    }

    fn begins(assigned: &Assignment, vertex: u32, subtask: u32, of: u32) -> RestoredParts {
        let id = ExecutionVertexId { vertex: JobVertexId(vertex), subtask };
        let restore = assigned.of(id, of).expect("its operators are in it");
        assert_eq!((restore.checkpoint, restore.stopped), (CheckpointId(5), false));
        restore.state
    }

    #[test]
    fn at_the_same_parallelism_each_subtask_begins_with_its_own_part() {
        let savepoint = savepoint(3, AfterSavepoint::GoOn);
        let assigned =
            assign(&savepoint, "s", &job(["source", "count"], 3), false).expect("it fits");
        let part = StateHandle::object("s/chk-5-00000001/1-2".to_string(), 1);
        assert_eq!(begins(&assigned, 1, 2, 3), RestoredParts::Same(part));
    }

    #[test]
    fn at_another_parallelism_each_takes_its_share_and_what_waited_goes_to_one() {
        let savepoint = savepoint(3, AfterSavepoint::Stop);
        for parallelism in [1, 2, 5] {
            let job = job(["source", "count"], parallelism);
            let assigned = assign(&savepoint, "s", &job, false).expect("it fits");
            let mut takers = [0; 3];
            for subtask in 0..parallelism {
                let RestoredParts::Redistributed(parts) =
                    begins(&assigned, 1, subtask, parallelism)
                else {
                    panic!("it is another parallelism")
                };
                assert_eq!(parts.iter().map(|part| part.subtask).collect::<Vec<_>>(), [0, 1, 2]);
                assert!(parts.iter().all(|part| part.same_chain));
                for part in parts.iter().filter(|part| part.takes_emitted) {
                    takers[part.subtask as usize] += 1;
                }
            }
            assert_eq!(takers, [1; 3], "each former subtask's records go on once");
        }
    }

    #[test]
    fn state_without_its_operator_is_refused_unless_it_may_be_left_out() {
        let savepoint = savepoint(2, AfterSavepoint::GoOn);
        let other = job(["source", "sum"], 2);
        let refused = assign(&savepoint, "s", &other, false).expect_err("`count` has state");
        assert_eq!(refused, SavepointError::NotRestored { uids: vec!["count".to_string()] });
        let assigned = assign(&savepoint, "s", &other, true).expect("it may be left out");
        let new = ExecutionVertexId { vertex: JobVertexId(1), subtask: 0 };
        assert_eq!(assigned.of(new, 2), None, "a new operator begins with nothing");
        let foreign = assign(&savepoint, "s", &job(["a", "b"], 2), true);
        assert!(matches!(foreign, Err(SavepointError::Foreign { .. })), "{foreign:?}");
    }

    #[test]
    fn other_key_groups_and_a_drained_job_are_refused() {
        let mut graph = job(["source", "count"], 2);
        graph.vertices[1].max_parallelism = 64;
        let refused = assign(&savepoint(2, AfterSavepoint::GoOn), "s", &graph, true);
        let uid = "count".to_string();
        let expected = SavepointError::MaxParallelism { uid, job: 64, savepoint: 128 };
        assert_eq!(refused, Err(expected));
        let drained = savepoint(2, AfterSavepoint::Drain);
        let refused = assign(&drained, "s", &job(["source", "count"], 2), true);
        assert_eq!(refused, Err(SavepointError::Drained));
    }
}
