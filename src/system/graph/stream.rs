//! A program as a user builds it: a node per operator.

use super::{
    CheckpointSettings, DistributionPattern, GraphError, IntermediateDataSet, JobEdge, JobGraph,
    JobVertex, OperatorSpec, Partitioner, ProgramRef, RestartStrategy, StateBackend,
};
use crate::system::ids::{IntermediateDataSetId, JobId, JobVertexId};
use std::collections::{BTreeMap, BTreeSet};

/// A node of a stream graph; its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamNodeId(pub usize);

/// Whether an operator may run in one task with its neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainingStrategy {
    /// With what is before it and what is behind it.
    Always,
    /// Never.
    Never,
    /// With what is behind it only.
    Head,
    /// As `Head`, and with a source before it.
    HeadWithSources,
}

/// An operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamNode {
    /// What it runs.
    pub operator: OperatorSpec,
    /// Whether it reads from outside and has no input edges.
    pub is_source: bool,
    /// Subtasks.
    pub parallelism: u32,
    /// Key groups.
    pub max_parallelism: u32,
    /// Whether it may be chained.
    pub chaining: ChainingStrategy,
    /// The subtasks of one group share slots.
    pub slot_sharing_group: String,
}

/// From an operator to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEdge {
    /// From.
    pub source: StreamNodeId,
    /// To.
    pub target: StreamNodeId,
    /// How records are spread.
    pub partitioner: Partitioner,
}

/// Operators and the edges between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamGraph {
    nodes: Vec<StreamNode>,
    edges: Vec<StreamEdge>,
    /// Switched off, every operator is a vertex of its own.
    chaining_disabled: bool,
}

/// The slot sharing group of operators that name none.
pub const DEFAULT_SLOT_SHARING_GROUP: &str = "default";
/// The key groups of operators that name none.
pub const DEFAULT_MAX_PARALLELISM: u32 = 128;

impl StreamGraph {
    /// A graph without operators.
    pub fn new() -> Self {
        StreamGraph::default()
    }

    /// Lets no operators be chained.
    pub fn disable_chaining(mut self) -> Self {
        self.chaining_disabled = true;
        self
    }

    /// Lets operators be chained, or none.
    pub fn set_chaining(&mut self, enabled: bool) {
        self.chaining_disabled = !enabled;
    }

    /// The operators, in the order in which they were added.
    pub fn nodes(&self) -> &[StreamNode] {
        &self.nodes
    }

    /// The edges, in the order in which they were added.
    pub fn edges(&self) -> &[StreamEdge] {
        &self.edges
    }

    /// Adds an operator of that parallelism, with no edges yet.
    pub fn node(
        &mut self,
        operator: OperatorSpec,
        parallelism: u32,
        is_source: bool,
    ) -> StreamNodeId {
        self.add(operator, parallelism, is_source)
    }

    /// Adds a source of that parallelism.
    pub fn source(&mut self, operator: OperatorSpec, parallelism: u32) -> StreamNodeId {
        self.add(operator, parallelism, true)
    }

    /// Adds an operator of that parallelism behind another one.
    pub fn operator(
        &mut self,
        from: StreamNodeId,
        partitioner: Partitioner,
        operator: OperatorSpec,
        parallelism: u32,
    ) -> StreamNodeId {
        let target = self.add(operator, parallelism, false);
        self.edges.push(StreamEdge { source: from, target, partitioner });
        target
    }

    /// Adds one more input to an operator.
    pub fn connect(&mut self, source: StreamNodeId, target: StreamNodeId, by: Partitioner) {
        self.edges.push(StreamEdge { source, target, partitioner: by });
    }

    fn add(&mut self, operator: OperatorSpec, parallelism: u32, is_source: bool) -> StreamNodeId {
        self.nodes.push(StreamNode {
            operator,
            is_source,
            parallelism,
            max_parallelism: DEFAULT_MAX_PARALLELISM.max(parallelism),
            chaining: ChainingStrategy::Always,
            slot_sharing_group: DEFAULT_SLOT_SHARING_GROUP.to_string(),
        });
        StreamNodeId(self.nodes.len() - 1)
    }

    /// One of the nodes, to change its chaining, key groups or slot sharing.
    pub fn node_mut(&mut self, id: StreamNodeId) -> &mut StreamNode {
        &mut self.nodes[id.0]
    }

    fn inputs(&self, node: usize) -> impl Iterator<Item = &StreamEdge> {
        self.edges.iter().filter(move |edge| edge.target.0 == node)
    }

    /// Flink's rule: whether the operator behind the edge runs in the task of the one before it.
    fn is_chainable(&self, edge: &StreamEdge) -> bool {
        let (up, down) = (&self.nodes[edge.source.0], &self.nodes[edge.target.0]);
        let down_allows = match down.chaining {
            ChainingStrategy::Always => true,
            ChainingStrategy::HeadWithSources => up.is_source,
            ChainingStrategy::Never | ChainingStrategy::Head => false,
        };
        !self.chaining_disabled
            && down_allows
            && up.chaining != ChainingStrategy::Never
            && self.inputs(edge.target.0).count() == 1
            && edge.partitioner == Partitioner::Forward
            && up.slot_sharing_group == down.slot_sharing_group
            && up.parallelism == down.parallelism
            && up.max_parallelism == down.max_parallelism
    }

    /// The nodes, each behind all that it reads from; those added first come first.
    fn topological(&self) -> Result<Vec<usize>, GraphError> {
        let mut order = Vec::new();
        let mut placed = BTreeSet::new();
        while order.len() < self.nodes.len() {
            let ready = (0..self.nodes.len()).find(|node| {
                !placed.contains(node) && self.inputs(*node).all(|e| placed.contains(&e.source.0))
            });
            let Some(ready) = ready else {
                let stuck = (0..self.nodes.len()).find(|node| !placed.contains(node));
                let stuck = stuck.expect("not all nodes are placed");
                return Err(GraphError::Cycle(self.nodes[stuck].operator.uid.clone()));
            };
            placed.insert(ready);
            order.push(ready);
        }
        Ok(order)
    }

    /// Chains operators into vertices.
    ///
    /// # Errors
    /// The first [`GraphError`] of the graph.
    pub fn job_graph(
        &self,
        id: JobId,
        name: &str,
        checkpoints: CheckpointSettings,
        restarts: RestartStrategy,
    ) -> Result<JobGraph, GraphError> {
        let order = self.topological()?;
        let mut vertex_of = BTreeMap::<usize, JobVertexId>::new();
        let mut chains = Vec::<Vec<usize>>::new();
        for node in order {
            let chained = self.inputs(node).find(|edge| self.is_chainable(edge));
            // A chain is a line: an operator with several readers ends it, as its tail is taken.
            let joined = chained.and_then(|edge| {
                let vertex = vertex_of[&edge.source.0];
                let tail = chains[vertex.0 as usize].last() == Some(&edge.source.0);
                let outputs = self.edges.iter().filter(|other| other.source == edge.source).count();
                (tail && outputs == 1).then_some(vertex)
            });
            let vertex = joined.unwrap_or_else(|| {
                chains.push(Vec::new());
                JobVertexId(u32::try_from(chains.len() - 1).expect("few operators"))
            });
            chains[vertex.0 as usize].push(node);
            vertex_of.insert(node, vertex);
        }
        let mut vertices = self.vertices(&chains);
        self.add_edges(&chains, &vertex_of, &mut vertices);
        let name = name.to_string();
        let graph = JobGraph {
            id,
            name,
            vertices,
            checkpoints,
            restarts,
            program: ProgramRef::default(),
            savepoint: None,
            state_backend: StateBackend::default(),
        };
        graph.validate()?;
        Ok(graph)
    }

    fn vertices(&self, chains: &[Vec<usize>]) -> Vec<JobVertex> {
        let vertex = |(place, chain): (usize, &Vec<usize>)| {
            let head = &self.nodes[chain[0]];
            let uids = chain.iter().map(|node| self.nodes[*node].operator.uid.clone());
            JobVertex {
                id: JobVertexId(u32::try_from(place).expect("few operators")),
                name: uids.collect::<Vec<_>>().join(" -> "),
                parallelism: head.parallelism,
                max_parallelism: head.max_parallelism,
                slot_sharing_group: head.slot_sharing_group.clone(),
                operators: chain.iter().map(|node| self.nodes[*node].operator.clone()).collect(),
                outputs: Vec::new(),
                inputs: Vec::new(),
            }
        };
        chains.iter().enumerate().map(vertex).collect()
    }

    fn add_edges(
        &self,
        chains: &[Vec<usize>],
        vertex_of: &BTreeMap<usize, JobVertexId>,
        vertices: &mut [JobVertex],
    ) {
        let mut next = 0;
        for edge in &self.edges {
            let (producer, consumer) = (vertex_of[&edge.source.0], vertex_of[&edge.target.0]);
            let within = producer == consumer && chains[producer.0 as usize].len() > 1;
            if within {
                continue;
            }
            let id = IntermediateDataSetId(next);
            next += 1;
            let distribution = match edge.partitioner {
                Partitioner::Forward => DistributionPattern::Pointwise,
                Partitioner::Rebalance | Partitioner::Broadcast | Partitioner::Hash => {
                    DistributionPattern::AllToAll
                }
            };
            let output = IntermediateDataSet { id, consumer };
            vertices[producer.0 as usize].outputs.push(output);
            let partitioner = edge.partitioner.clone();
            let edge = JobEdge { data_set: id, producer, partitioner, distribution };
            vertices[consumer.0 as usize].inputs.push(edge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{NAME_BYTES_MAX, PARALLELISM_MAX},
        *,
    };

    fn spec(uid: &str) -> OperatorSpec {
        OperatorSpec { uid: uid.to_string(), name: uid.to_string() }
    }

    fn by_key() -> Partitioner {
        Partitioner::Hash
    }

    fn build(graph: &StreamGraph) -> JobGraph {
        let (checkpoints, restarts) = (CheckpointSettings::default(), RestartStrategy::None);
        graph.job_graph(JobId(1), "test", checkpoints, restarts).expect("a sound graph")
    }

    /// Source, flat map, count, sink, as the word count has them.
    fn words() -> (StreamGraph, [StreamNodeId; 4]) {
        let mut graph = StreamGraph::new();
        let source = graph.source(spec("source"), 4);
        let map = graph.operator(source, Partitioner::Forward, spec("map"), 4);
        let count = graph.operator(map, by_key(), spec("count"), 4);
        let sink = graph.operator(count, Partitioner::Forward, spec("sink"), 4);
        (graph, [source, map, count, sink])
    }

    fn names(graph: &JobGraph) -> Vec<&str> {
        graph.vertices.iter().map(|vertex| vertex.name.as_str()).collect()
    }

    #[test]
    fn forward_edges_are_chained_and_others_are_not() {
        let graph = build(&words().0);
        assert_eq!(names(&graph), ["source -> map", "count -> sink"]);
        assert_eq!(graph.vertices[0].outputs.len(), 1);
        assert_eq!(graph.vertices[1].inputs[0].distribution, DistributionPattern::AllToAll);
        assert_eq!((graph.required_slots(), graph.subtasks()), (4, 8));
        assert_eq!(build(&words().0), graph, "the same program gives the same graph");
    }

    #[test]
    fn a_parallelism_may_be_as_great_as_its_bounds_say_and_no_greater() {
        let of = |parallelism: u32, max_parallelism: u32| {
            let mut graph = build(&words().0);
            for vertex in &mut graph.vertices {
                (vertex.parallelism, vertex.max_parallelism) = (parallelism, max_parallelism);
            }
            graph.validate()
        };
        let most = PARALLELISM_MAX;
        for (parallelism, max_parallelism) in [(1, 1), (7, 7), (7, most), (most, most)] {
            assert_eq!(
                of(parallelism, max_parallelism),
                Ok(()),
                "{parallelism} of {max_parallelism}"
            );
        }
        for (parallelism, max_parallelism) in [(0, 1), (8, 7), (1, most + 1)] {
            assert!(
                of(parallelism, max_parallelism).is_err(),
                "{parallelism} of {max_parallelism}"
            );
        }
    }

    #[test]
    fn each_condition_of_the_chaining_rule_keeps_operators_apart() {
        let apart = ["source", "map", "count -> sink"];
        let change = |change: fn(&mut StreamNode), of: usize| {
            let (mut graph, nodes) = words();
            change(graph.node_mut(nodes[of]));
            graph
        };
        type Change = fn(&mut StreamNode);
        let changed: [(Change, usize); 4] = [
            (|node| node.chaining = ChainingStrategy::Never, 0),
            (|node| node.chaining = ChainingStrategy::Head, 1),
            (|node| node.slot_sharing_group = "other".to_string(), 1),
            (|node| node.max_parallelism = 64, 1),
        ];
        for (place, (how, of)) in changed.into_iter().enumerate() {
            assert_eq!(names(&build(&change(how, of))), apart, "change {place}");
        }
        let (graph, _) = words();
        assert_eq!(build(&graph.disable_chaining()).vertices.len(), 4);
        let (mut graph, nodes) = words();
        graph.node_mut(nodes[1]).chaining = ChainingStrategy::HeadWithSources;
        assert_eq!(build(&graph).vertices.len(), 2);
    }

    #[test]
    fn an_operator_with_two_readers_or_two_inputs_is_not_chained_to_them() {
        let (mut graph, nodes) = words();
        graph.operator(nodes[1], Partitioner::Forward, spec("second"), 4);
        assert_eq!(names(&build(&graph)), ["source -> map", "count -> sink", "second"]);
        let (mut graph, nodes) = words();
        let other = graph.source(spec("other"), 4);
        graph.connect(other, nodes[1], Partitioner::Forward);
        assert_eq!(names(&build(&graph)), ["source", "other", "map", "count -> sink"]);
    }

    #[test]
    fn unsound_graphs_are_refused() {
        let refused = |graph: &StreamGraph| {
            let (checkpoints, restarts) = (CheckpointSettings::default(), RestartStrategy::None);
            graph.job_graph(JobId(1), "test", checkpoints, restarts).expect_err("unsound")
        };
        assert_eq!(refused(&StreamGraph::new()), GraphError::Empty);
        let (mut graph, nodes) = words();
        graph.connect(nodes[2], nodes[1], Partitioner::Rebalance);
        assert!(matches!(refused(&graph), GraphError::Cycle(_)));
        let (mut graph, nodes) = words();
        graph.node_mut(nodes[3]).operator.uid = "map".to_string();
        assert_eq!(refused(&graph), GraphError::DuplicateUid("map".to_string()));
        let (mut graph, nodes) = words();
        graph.node_mut(nodes[1]).parallelism = 2;
        assert!(matches!(refused(&graph), GraphError::BadEdge { .. }));
        let (mut graph, nodes) = words();
        graph.node_mut(nodes[3]).operator.uid = "x".repeat(NAME_BYTES_MAX + 1);
        let long = refused(&graph);
        assert!(matches!(long, GraphError::OutOfBounds { found: 1025, .. }), "{long:?}");
        let (mut graph, nodes) = words();
        graph.node_mut(nodes[0]).parallelism = 0;
        assert!(matches!(refused(&graph), GraphError::OutOfBounds { .. }));
    }
}
