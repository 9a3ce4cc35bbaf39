//! A checkpoint that has not come to its end.

use crate::{
    host::Instant,
    system::{
        graph::{SharedFile, StateHandle},
        ids::{CheckpointId, ExecutionAttemptId, ExecutionVertexId},
    },
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
    /// When it began.
    pub since: Instant,
    missing: BTreeSet<ExecutionAttemptId>,
    states: BTreeMap<ExecutionVertexId, StateHandle>,
    ended: bool,
}

impl PendingCheckpoint {
    /// A checkpoint that these attempts must acknowledge.
    pub fn new(
        id: CheckpointId,
        plan: impl Iterator<Item = ExecutionAttemptId>,
        since: Instant,
    ) -> Self {
        let missing: BTreeSet<_> = plan.collect();
        assert!(!missing.is_empty(), "somebody acknowledges a checkpoint");
        PendingCheckpoint { id, since, missing, states: BTreeMap::new(), ended: true }
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

    /// The attempts that have not given their parts.
    pub fn missing(&self) -> impl Iterator<Item = ExecutionAttemptId> {
        self.missing.iter().copied()
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

    /// How many attempts have given their parts, of how many, and of how many bytes.
    pub fn progress(&self) -> (usize, usize, u64) {
        let acknowledged = self.states.len();
        let bytes = self.states.values().map(StateHandle::bytes).sum();
        (acknowledged, acknowledged + self.missing.len(), bytes)
    }

    /// The files that the parts name which came.
    pub fn shared(&self) -> impl Iterator<Item = &SharedFile> {
        self.states.values().flat_map(|state| &state.shared)
    }

    /// The objects of the parts that came.
    pub fn objects(self) -> Vec<String> {
        self.states.values().flat_map(StateHandle::objects).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::ids::{JobId, JobVertexId};
    use std::collections::BTreeMap;

    fn attempt(subtask: u32, epoch: u64) -> ExecutionAttemptId {
        let vertex = ExecutionVertexId { vertex: JobVertexId(0), subtask };
        ExecutionAttemptId { job: JobId(1), vertex, epoch }
    }

    fn part(subtask: u32, epoch: u64, copy: u32) -> StateHandle {
        StateHandle::object(format!("{subtask}/{epoch}/{copy}"), 1)
    }

    /// What may come: of three subtasks of the plan each part, a repeat of it and another one of the same
    /// attempt, and one of an attempt that is not in the plan.
    fn inputs() -> Vec<(ExecutionAttemptId, StateHandle, bool)> {
        let of = |subtask| {
            [0, 0, 1].map(|copy| (attempt(subtask, 5), part(subtask, 5, copy), subtask != 1))
        };
        let mut inputs: Vec<_> = (0..3).flat_map(of).collect();
        inputs.push((attempt(0, 4), part(0, 4, 0), true));
        inputs
    }

    fn all_orders(
        left: &mut Vec<usize>,
        order: &mut Vec<usize>,
        depth: usize,
        see: &mut dyn FnMut(&[usize]),
    ) {
        see(order);
        if order.len() == depth {
            return;
        }
        for place in 0..left.len() {
            let input = left.remove(place);
            order.push(input);
            all_orders(left, order, depth, see);
            order.pop();
            left.insert(place, input);
        }
    }

    #[test]
    fn in_every_order_each_attempt_of_the_plan_counts_once() {
        let inputs = inputs();
        let new = || {
            let plan = (0..3).map(|subtask| attempt(subtask, 5));
            PendingCheckpoint::new(CheckpointId(9), plan, Instant::ORIGIN)
        };
        let (mut left, mut seen) = ((0..inputs.len()).collect(), 0);
        let mut see = |order: &[usize]| {
            let mut pending = new();
            let mut noted = BTreeMap::new();
            for input in order {
                let (of, state, ended) = &inputs[*input];
                let outcome = pending.acknowledge(*of, state, *ended);
                let expected = match noted.get(of) {
                    _ if of.epoch != 5 => Acknowledged::Unknown,
                    None => Acknowledged::Noted,
                    Some(before) if before == state => Acknowledged::Duplicate,
                    Some(_) => Acknowledged::Unknown,
                };
                assert_eq!(outcome, expected, "{order:?}");
                if outcome == Acknowledged::Noted {
                    noted.insert(*of, state.clone());
                }
                assert_eq!(pending.is_acknowledged(), noted.len() == 3, "{order:?}");
                assert_eq!(pending.missing().count(), 3 - noted.len());
                // Each part has one byte.
                assert_eq!(pending.progress(), (noted.len(), 3, noted.len() as u64), "{order:?}");
            }
            let whole = pending.is_acknowledged();
            let (states, last) = pending.into_states();
            assert!(!last, "subtask 1 was not at its end, and without it it is not whole");
            assert!(!whole || states.len() == 3);
            seen += 1;
        };
        all_orders(&mut left, &mut Vec::new(), 6, &mut see);
        assert!(seen > 150_000, "{seen} orders were seen");
    }
}
