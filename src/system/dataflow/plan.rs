//! What a program has described so far: its operators, how to make them, and the edges between them.

use super::{
    head::ChainHead,
    side_output::{AnySideOutput, WithSideOutputs},
    stage::{Nowhere, Several, Stage},
};
use crate::system::graph::{
    CheckpointSettings, GraphError, JobGraph, OperatorSpec, Partitioner, RestartStrategy,
    StreamEdge, StreamGraph, StreamNodeId,
};
use crate::system::ids::JobId;
use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// A `Box<dyn Stage<T>>` of a type that whoever made it knows.
pub(super) type AnyStage = Box<dyn Any + Send>;

/// Makes a stage that hands on to those.
pub(super) type MakeStage = Arc<dyn Fn(Next) -> AnyStage + Send + Sync>;
/// Makes a chain that begins with a stage that reads what other tasks emit, or with a source before those.
pub(super) type MakeHead = Arc<dyn Fn(Next) -> Box<dyn ChainHead> + Send + Sync>;
/// Makes the end of a chain on an edge.
pub(super) type MakePort = Arc<dyn Fn(PortPlace) -> AnyStage + Send + Sync>;
/// Makes a side output that those read.
pub(super) type MakeSideOutput = Arc<dyn Fn(Next) -> Box<dyn AnySideOutput> + Send + Sync>;

/// What stands behind an operator.
pub(super) struct Next {
    /// Those that read what it emits.
    readers: Vec<AnyStage>,
    /// The side outputs that somebody reads.
    sides: Vec<Box<dyn AnySideOutput>>,
}

impl Next {
    /// Those, and no side output.
    pub fn of(readers: Vec<AnyStage>) -> Self {
        Next { readers, sides: Vec::new() }
    }
}

/// An output of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputPlace {
    pub node: StreamNodeId,
    /// The place of a side output among those of the plan.
    pub side: Option<usize>,
}

/// A side output of an operator.
pub(super) struct SideOutputOf {
    pub node: StreamNodeId,
    pub id: String,
    make: MakeSideOutput,
}

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
    /// By place among the graph's edges: the side output that it reads.
    pub(super) edge_sides: Vec<Option<usize>>,
    pub(super) sides: Vec<SideOutputOf>,
    /// By place: what an operator reads and emits.
    pub(super) shapes: Vec<(String, String)>,
    pub(super) checkpoints: CheckpointSettings,
    pub(super) restarts: Option<RestartStrategy>,
}

/// What stands behind an operator, typed again.
///
/// # Panics
/// When it is of another type: a mistake of this crate, since types come from one function.
pub(super) fn behind<T: Clone + Send + 'static>(next: Next) -> Box<dyn Stage<T>> {
    let typed = |stage: AnyStage| -> Box<dyn Stage<T>> {
        *stage.downcast::<Box<dyn Stage<T>>>().expect("an edge has one type at both ends")
    };
    let mut readers: Vec<_> = next.readers.into_iter().map(typed).collect();
    let main: Box<dyn Stage<T>> = match readers.len() {
        0 => Box::new(Nowhere),
        1 => readers.remove(0),
        _ => Box::new(Several(readers)),
    };
    match next.sides.is_empty() {
        true => main,
        false => Box::new(WithSideOutputs::new(main, next.sides)),
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
        source: OutputPlace,
        target: StreamNodeId,
        partitioner: Partitioner,
        port: MakePort,
    ) {
        self.graph.connect(source.node, target, partitioner);
        self.ports.push(port);
        self.edge_sides.push(source.side);
    }

    /// Adds a side output of an operator, unless it is there.
    pub(super) fn side_output(
        &mut self,
        node: StreamNodeId,
        id: &str,
        make: MakeSideOutput,
    ) -> OutputPlace {
        let found = self.sides.iter().position(|side| side.node == node && side.id == id);
        let side = found.unwrap_or_else(|| {
            self.sides.push(SideOutputOf { node, id: id.to_string(), make });
            self.sides.len() - 1
        });
        OutputPlace { node, side: Some(side) }
    }

    /// What stands behind an operator: each with the side output that it reads, if it is one.
    fn next(&self, readers: Vec<(Option<usize>, AnyStage)>) -> Next {
        let (mut main, mut of_sides) = (Vec::new(), BTreeMap::<usize, Vec<AnyStage>>::new());
        for (side, reader) in readers {
            match side {
                None => main.push(reader),
                Some(side) => of_sides.entry(side).or_default().push(reader),
            }
        }
        let make = |(side, readers): (usize, _)| (self.sides[side].make)(Next::of(readers));
        Next { readers: main, sides: of_sides.into_iter().map(make).collect() }
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
        let edges = self.graph.edges().iter().zip(self.ports.iter().zip(&self.edge_sides));
        let ports: Vec<_> = edges.filter(|(edge, _)| edge.source.0 == *last).collect();
        if ports.len() != outputs.len() {
            return Err(format!("{} outputs where the program has {}", outputs.len(), ports.len()));
        }
        let ports = ports.iter().zip(outputs).enumerate();
        let ports = ports.map(|(output, ((_, (port, side)), (channels, max_parallelism)))| {
            let (channels, max_parallelism) = (*channels, *max_parallelism);
            (**side, port(PortPlace { output, subtask, channels, max_parallelism }))
        });
        let mut next = self.next(ports.collect());
        for pair in nodes.windows(2).rev() {
            let follows = |edge: &StreamEdge| edge.source.0 == pair[0] && edge.target.0 == pair[1];
            let Some(edge) = self.graph.edges().iter().position(follows) else {
                return Err("the program has no such chain".to_string());
            };
            match &self.make[pair[1]] {
                Make::Operator(stage, _) => {
                    next = self.next(vec![(self.edge_sides[edge], stage(next))]);
                }
                Make::Source(_) => return Err("a source within a chain".to_string()),
            }
        }
        Ok(match &self.make[nodes[0]] {
            Make::Source(head) | Make::Operator(_, head) => head(next),
        })
    }
}
