//! What a program has described so far: its operators, how to make them, and the edges between them.

use super::{
    head::ChainHead,
    stage::{Nowhere, Several, Stage},
};
use crate::system::graph::{
    CheckpointSettings, GraphError, JobGraph, OperatorSpec, Partitioner, RestartStrategy,
    StreamEdge, StreamGraph, StreamNodeId,
};
use crate::system::ids::JobId;
use std::{
    any::Any,
    sync::{Arc, Mutex},
};

/// A `Box<dyn Stage<T>>` of a type that whoever made it knows.
pub(super) type AnyStage = Box<dyn Any + Send>;

/// Makes a stage that hands on to those.
pub(super) type MakeStage = Arc<dyn Fn(Vec<AnyStage>) -> AnyStage + Send + Sync>;
/// Makes a chain that begins with a stage that reads what other tasks emit, or with a source before those.
pub(super) type MakeHead = Arc<dyn Fn(Vec<AnyStage>) -> Box<dyn ChainHead> + Send + Sync>;
/// Makes the end of a chain on an edge.
pub(super) type MakePort = Arc<dyn Fn(PortPlace) -> AnyStage + Send + Sync>;

/// What each subtask works with a clone of.
pub(super) struct Prototype<S>(Mutex<S>);

impl<S: Clone> Prototype<S> {
    pub fn new(prototype: S) -> Self {
        Prototype(Mutex::new(prototype))
    }

    pub fn copy(&self) -> S {
        self.0.lock().expect("a clone does not panic").clone()
    }
}

/// Where the end of a chain stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortPlace {
    /// The number of its output among those of the task.
    pub output: usize,
    /// The subtask.
    pub subtask: u32,
    /// The channels of the output.
    pub channels: u32,
    /// The key groups of who reads it.
    pub max_parallelism: u32,
}

/// How an operator is made.
#[derive(Clone)]
pub(super) enum Make {
    /// With what is behind it.
    Source(MakeHead),
    /// With what is behind it, within a chain or at its head.
    Operator(MakeStage, MakeHead),
}

/// All that a program has described: what the tasks of one job make their chains from.
#[derive(Default)]
pub struct Plan {
    pub(super) graph: StreamGraph,
    /// By place in the graph.
    make: Vec<Make>,
    /// By place among the graph's edges.
    ports: Vec<MakePort>,
    /// By place: what an operator reads and emits.
    pub(super) shapes: Vec<(String, String)>,
    pub(super) checkpoints: CheckpointSettings,
    pub(super) restarts: Option<RestartStrategy>,
}

/// What stands behind an operator, typed again.
///
/// # Panics
/// When it is of another type: a mistake of this crate, since types come from one function.
pub(super) fn behind<T: Clone + Send + 'static>(next: Vec<AnyStage>) -> Box<dyn Stage<T>> {
    let typed = |stage: AnyStage| -> Box<dyn Stage<T>> {
        *stage.downcast::<Box<dyn Stage<T>>>().expect("an edge has one type at both ends")
    };
    let mut next: Vec<_> = next.into_iter().map(typed).collect();
    match next.len() {
        0 => Box::new(Nowhere),
        1 => next.remove(0),
        _ => Box::new(Several(next)),
    }
}

/// A stage without its type.
pub(super) fn untyped<T: 'static>(stage: impl Stage<T> + 'static) -> AnyStage {
    let stage: Box<dyn Stage<T>> = Box::new(stage);
    Box::new(stage)
}

impl Plan {
    /// Adds an operator.
    pub(super) fn add(
        &mut self,
        uid: &str,
        kind: &str,
        parallelism: u32,
        make: Make,
        shapes: (String, String),
    ) -> StreamNodeId {
        let spec = OperatorSpec { uid: uid.to_string(), name: kind.to_string() };
        let is_source = matches!(make, Make::Source(_));
        self.make.push(make);
        self.shapes.push(shapes);
        self.graph.node(spec, parallelism, is_source)
    }

    /// Adds an edge.
    pub(super) fn connect(
        &mut self,
        source: StreamNodeId,
        target: StreamNodeId,
        partitioner: Partitioner,
        port: MakePort,
    ) {
        self.graph.connect(source, target, partitioner);
        self.ports.push(port);
    }

    /// The graph as a job, under an id and a name.
    ///
    /// # Errors
    /// What no cluster could run.
    pub(super) fn job_graph(&self, id: JobId, name: &str) -> Result<JobGraph, GraphError> {
        let restarts = self
            .restarts
            .unwrap_or(RestartStrategy::FixedDelay { attempts: u32::MAX, delay_ms: 1_000 });
        self.graph.job_graph(id, name, self.checkpoints, restarts)
    }

    /// Makes the chain of these operators, whose last one hands on to outputs with so many channels, and key groups
    /// behind them, each.
    ///
    /// # Errors
    /// When they are not in the plan, or do not follow each other there.
    pub fn chain(
        &self,
        uids: &[&str],
        subtask: u32,
        outputs: &[(u32, u32)],
    ) -> Result<Box<dyn ChainHead>, String> {
        let mut nodes = Vec::with_capacity(uids.len());
        for uid in uids {
            let found = self.graph.nodes().iter().position(|node| node.operator.uid == *uid);
            nodes.push(found.ok_or_else(|| format!("the program has no operator {uid:?}"))?);
        }
        let Some((last, _)) = nodes.split_last() else {
            return Err("a chain without operators".to_string());
        };
        let edges = self.graph.edges().iter().zip(&self.ports);
        let ports: Vec<_> = edges.filter(|(edge, _)| edge.source.0 == *last).collect();
        if ports.len() != outputs.len() {
            return Err(format!("{} outputs where the program has {}", outputs.len(), ports.len()));
        }
        let ports = ports.iter().zip(outputs).enumerate();
        let mut next: Vec<AnyStage> = ports
            .map(|(output, ((_, port), (channels, max_parallelism)))| {
                port(PortPlace {
                    output,
                    subtask,
                    channels: *channels,
                    max_parallelism: *max_parallelism,
                })
            })
            .collect();
        for pair in nodes.windows(2).rev() {
            let follows = |edge: &StreamEdge| edge.source.0 == pair[0] && edge.target.0 == pair[1];
            if !self.graph.edges().iter().any(follows) {
                return Err("the program has no such chain".to_string());
            }
            match &self.make[pair[1]] {
                Make::Operator(stage, _) => next = vec![stage(next)],
                Make::Source(_) => return Err("a source within a chain".to_string()),
            }
        }
        Ok(match &self.make[nodes[0]] {
            Make::Source(head) | Make::Operator(_, head) => head(next),
        })
    }
}
