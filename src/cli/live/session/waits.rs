//! What a job waits for, in words.

use super::table::time;
use crate::system::protocol::{VertexDetails, Wait, WaitReason, WaitingTask};

/// What one wait is for, a service or how many tasks, and since when.
pub fn text(wait: &Wait) -> String {
    let what = match &wait.reason {
        WaitReason::Slots { missing: 1 } => "1 slot, from the resource manager".to_string(),
        WaitReason::Slots { missing } => format!("{missing} slots, from the resource manager"),
        WaitReason::Program { why } => format!("a binary that has its program: {why}"),
        WaitReason::RestartDelay => "the delay of its restart strategy".to_string(),
        WaitReason::Epoch => "the coordination service, for an epoch".to_string(),
        WaitReason::TasksToRun { .. } => "tasks to run".to_string(),
        WaitReason::TasksToEnd { .. } => "tasks to end".to_string(),
        WaitReason::Acknowledgements { checkpoint, missing: 1, .. } => {
            format!("1 acknowledgement of checkpoint {checkpoint}")
        }
        WaitReason::Acknowledgements { checkpoint, missing, .. } => {
            format!("{missing} acknowledgements of checkpoint {checkpoint}")
        }
        WaitReason::Metadata { checkpoint } => {
            format!("the object store, for the metadata of checkpoint {checkpoint}")
        }
        WaitReason::Savepoint { path, why: None } => {
            format!("the object store, for the savepoint {path}")
        }
        WaitReason::Savepoint { path, why: Some(why) } => {
            format!("the object store, for the savepoint {path}, which could not be written: {why}")
        }
        WaitReason::Pointer { checkpoint } => {
            format!("the coordination service, for the pointer of checkpoint {checkpoint}")
        }
        WaitReason::PointerInDoubt { checkpoint } => {
            format!(
                "the coordination service, whether the pointer of checkpoint {checkpoint} stands"
            )
        }
    };
    format!("{what}, for {}", time(wait.waited_ms))
}

/// The tasks that it is for, each with where it runs.
pub fn tasks(wait: &Wait, vertices: &[VertexDetails]) -> Vec<String> {
    let name = |task: &WaitingTask| {
        let (id, subtask) = (task.attempt.vertex.vertex, task.attempt.vertex.subtask);
        let vertex = vertices.iter().find(|vertex| vertex.id == id);
        let vertex =
            vertex.map_or_else(|| format!("vertex {}", id.0), |vertex| vertex.name.clone());
        let place = task.executor.as_ref().map_or("-".to_string(), ToString::to_string);
        format!("{vertex} {subtask} on {place}")
    };
    wait.reason.tasks().iter().map(name).collect()
}
