//! A checkpoint that has not come to its end.

use crate::system::{
    graph::StateHandle,
    ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId},
};
use std::collections::{BTreeMap, BTreeSet};

/// What an acknowledgement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is noted.
    Noted,
    /// It was noted before.
    Duplicate,
    /// The attempt is none of the plan's.
    Unknown,
}

/// A triggered checkpoint.
#[derive(Debug)]
pub struct PendingCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    missing: BTreeSet<ExecutionAttemptId>,
    states: BTreeMap<ExecutionVertexId, StateHandle>,
    ended: bool,
}

impl PendingCheckpoint {
    /// A checkpoint that these attempts must acknowledge.
    pub fn new(id: CheckpointId, plan: impl Iterator<Item = ExecutionAttemptId>) -> Self {
        let missing: BTreeSet<_> = plan.collect();
        assert!(!missing.is_empty(), "somebody acknowledges a checkpoint");
        PendingCheckpoint { id, missing, states: BTreeMap::new(), ended: true }
    }

    /// Takes an attempt's part. The state of a part that is not noted is garbage, unless it
    /// is that of the part that was.
    pub fn acknowledge(
        &mut self,
        attempt: ExecutionAttemptId,
        state: &StateHandle,
        ended: bool,
    ) -> Acknowledged {
        if !self.missing.remove(&attempt) {
            let noted = self.states.get(&attempt.vertex) == Some(state);
            return if noted { Acknowledged::Duplicate } else { Acknowledged::Unknown };
        }
        self.states.insert(attempt.vertex, state.clone());
        self.ended &= ended;
        Acknowledged::Noted
    }

    /// Whether every attempt of the plan has given its part.
    pub fn is_acknowledged(&self) -> bool {
        self.missing.is_empty()
    }

    /// The parts that came, and whether all of them were of attempts at the end of their data.
    pub fn into_states(self) -> (Vec<(ExecutionVertexId, StateHandle)>, bool) {
        let last = self.ended && self.missing.is_empty();
        (self.states.into_iter().collect(), last)
    }

    /// The objects of the parts that came.
    pub fn objects(self) -> Vec<String> {
        self.states.into_values().map(|state| state.object).collect()
    }
}
