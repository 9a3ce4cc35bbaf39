//! A pipelined region: subtasks that start, fail and start again together.

use crate::{
    host::Instant,
    system::{
        graph::{ExecutionGraph, JobGraph},
        ids::ExecutionVertexId,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Where a region stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nothing of it runs. It waits for slots, and for whatever the job waits for.
    Waiting,
    /// Its attempts run, or have finished.
    Deployed,
    /// Its attempts are being ended.
    Ending,
}

/// A pipelined region.
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    /// Its subtasks, producers before consumers.
    pub vertices: Vec<ExecutionVertexId>,
    /// The place of the job's slots that each of its subtasks has, in their order.
    pub place_of: Vec<usize>,
    /// The places that it needs.
    pub places: BTreeSet<usize>,
    /// Where it stands.
    pub stage: Stage,
    /// Since when it stands there, or an epoch is drawn for it.
    pub since: Instant,
    /// The failure whose delay has not passed.
    pub delay: Option<u32>,
    /// An epoch is being drawn for it.
    pub drawing: bool,
    /// Grows with every change of its plan; what was begun under an older one is dropped.
    pub version: u64,
}

impl Region {
    /// The regions of a job.
    pub fn all(job: &JobGraph, graph: &ExecutionGraph, now: Instant) -> Vec<Region> {
        let first = first_places(job);
        let place = |vertex: &ExecutionVertexId| {
            let group = job.vertices[vertex.vertex.0 as usize].slot_sharing_group.as_str();
            first[group] + vertex.subtask as usize
        };
        let region = |vertices: Vec<ExecutionVertexId>| Region {
            place_of: vertices.iter().map(place).collect(),
            places: vertices.iter().map(place).collect(),
            vertices,
            stage: Stage::Waiting,
            since: now,
            delay: None,
            drawing: false,
            version: 0,
        };
        graph.regions().into_iter().map(region).collect()
    }

    /// Stands somewhere else from now on.
    pub fn enter(&mut self, stage: Stage, now: Instant) {
        (self.stage, self.since) = (stage, now);
    }
}

/// The first place of each slot sharing group: the subtasks of one index in a group share a slot.
fn first_places(job: &JobGraph) -> BTreeMap<&str, usize> {
    let mut most = BTreeMap::<&str, usize>::new();
    for vertex in &job.vertices {
        let known = most.entry(&vertex.slot_sharing_group).or_default();
        *known = (*known).max(vertex.parallelism as usize);
    }
    let mut next = 0;
    for slots in most.values_mut() {
        next += std::mem::replace(slots, next);
    }
    most
}
