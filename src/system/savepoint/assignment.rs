//! Which subtask of a job begins with which parts of a savepoint.

use super::{SavedVertex, Savepoint, SavepointError};
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
    let vertices = job.vertices.iter().map(|vertex| of_vertex(savepoint, path, vertex));
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
    let known: BTreeSet<&str> = job.vertices.iter().flat_map(|vertex| uids(vertex)).collect();
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
        let same_chain = uids(vertex).eq(saved.operators.iter().map(String::as_str))
            && saved.outputs as usize == vertex.outputs.len();
        let absolute = |part: &StateHandle| StateHandle {
            object: format!("{path}/{}", part.object),
            length: part.length,
        };
        let of_vertex: Vec<StateHandle> = saved.parts.iter().map(absolute).collect();
        if same_chain && of_vertex.len() == vertex.parallelism as usize {
            return Ok(OfVertex::Same(of_vertex));
        }
        parts.extend((0..).zip(of_vertex).map(|(subtask, part)| (same_chain, subtask, part)));
    }
    Ok(if parts.is_empty() { OfVertex::Nothing } else { OfVertex::Redistributed(parts) })
}
