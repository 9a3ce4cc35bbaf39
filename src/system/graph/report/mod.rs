//! The three graphs of a job, told under the names that Flink gives their parts: as text, as JSON, and for Graphviz.

mod dot;
mod text;

use super::{ChainingStrategy, DistributionPattern, ExecutionGraph, JobGraph, StreamGraph};
use serde::Serialize;

/// What a program describes, what is submitted of it, and what runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphReport {
    /// The job's name.
    pub name: String,
    #[serde(rename = "StreamGraph")]
    stream: StreamReport,
    #[serde(rename = "JobGraph")]
    job: JobReport,
    #[serde(rename = "ExecutionGraph")]
    execution: ExecutionReport,
}

/// What the function of an operator reads and emits, as shapes of types.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FunctionReport {
    /// The shape of its records; empty of a source.
    pub reads: String,
    /// The shape of what it makes of them; empty of a sink.
    pub emits: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct StreamReport {
    #[serde(rename = "StreamNodes")]
    nodes: Vec<StreamNodeReport>,
    #[serde(rename = "StreamEdges")]
    edges: Vec<StreamEdgeReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct StreamNodeReport {
    id: usize,
    /// What the program did with a stream.
    #[serde(rename = "Transformation")]
    transformation: String,
    /// Its uid.
    #[serde(rename = "StreamOperator")]
    operator: String,
    #[serde(rename = "Function")]
    function: FunctionReport,
    parallelism: u32,
    max_parallelism: u32,
    chaining: &'static str,
    slot_sharing_group: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct StreamEdgeReport {
    source: usize,
    target: usize,
    partitioner: String,
    /// Within a task, where no record is serialised.
    chained: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct JobReport {
    program: String,
    version: u32,
    hash: String,
    #[serde(rename = "JobVertices")]
    vertices: Vec<JobVertexReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct JobVertexReport {
    id: u32,
    name: String,
    parallelism: u32,
    max_parallelism: u32,
    slot_sharing_group: String,
    /// The chain, head first.
    #[serde(rename = "StreamOperators")]
    operators: Vec<String>,
    #[serde(rename = "JobEdges")]
    inputs: Vec<JobEdgeReport>,
    #[serde(rename = "IntermediateDataSets")]
    outputs: Vec<DataSetReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct JobEdgeReport {
    #[serde(rename = "IntermediateDataSet")]
    data_set: u32,
    producer: u32,
    partitioner: String,
    #[serde(rename = "DistributionPattern")]
    pattern: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DataSetReport {
    id: u32,
    consumer: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExecutionReport {
    #[serde(rename = "ExecutionJobVertices")]
    vertices: Vec<ExecutionJobVertexReport>,
    /// The pipelined regions: what restarts together. Subtasks, as `vertex.subtask`.
    regions: Vec<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExecutionJobVertexReport {
    #[serde(rename = "JobVertex")]
    id: u32,
    #[serde(rename = "ExecutionVertices")]
    subtasks: Vec<ExecutionVertexReport>,
    #[serde(rename = "IntermediateResults")]
    results: Vec<IntermediateResultReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExecutionVertexReport {
    subtask: u32,
    #[serde(rename = "Execution")]
    execution: ExecutionAttemptReport,
}

/// The first attempt at a subtask, and the task that it deploys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExecutionAttemptReport {
    attempt: u32,
    #[serde(rename = "Task")]
    task: TaskReport,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct TaskReport {
    name: String,
    #[serde(rename = "InputGates")]
    gates: Vec<InputGateReport>,
    #[serde(rename = "ResultPartitions")]
    partitions: Vec<ResultPartitionReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InputGateReport {
    #[serde(rename = "IntermediateDataSet")]
    data_set: u32,
    #[serde(rename = "InputChannels")]
    channels: Vec<InputChannelReport>,
}

/// A channel, and the execution edge that it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InputChannelReport {
    #[serde(rename = "ExecutionEdge")]
    edge: ExecutionEdgeReport,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ExecutionEdgeReport {
    /// As `vertex.subtask`.
    producer: String,
    #[serde(rename = "ResultSubpartition")]
    subpartition: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct IntermediateResultReport {
    #[serde(rename = "IntermediateDataSet")]
    data_set: u32,
    #[serde(rename = "IntermediateResultPartitions")]
    partitions: Vec<IntermediateResultPartitionReport>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct IntermediateResultPartitionReport {
    /// As `vertex.subtask`.
    producer: String,
    subpartitions: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct ResultPartitionReport {
    #[serde(rename = "IntermediateDataSet")]
    data_set: u32,
    #[serde(rename = "ResultSubpartitions")]
    subpartitions: u32,
}

impl GraphReport {
    /// The graphs of a job. `functions` tells what each operator reads and emits, in the order of the stream graph's
    /// nodes.
    pub fn new(stream: &StreamGraph, functions: Vec<FunctionReport>, job: &JobGraph) -> Self {
        let execution = ExecutionGraph::new(job);
        GraphReport {
            name: job.name.clone(),
            stream: stream_report(stream, functions, job),
            job: job_report(job),
            execution: execution_report(job, &execution),
        }
    }

    /// The whole of it, to be read by a program.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("names, numbers and lists of them")
    }
}

fn chaining(strategy: ChainingStrategy) -> &'static str {
    match strategy {
        ChainingStrategy::Always => "ALWAYS",
        ChainingStrategy::Never => "NEVER",
        ChainingStrategy::Head => "HEAD",
        ChainingStrategy::HeadWithSources => "HEAD_WITH_SOURCES",
    }
}

fn stream_report(
    stream: &StreamGraph,
    functions: Vec<FunctionReport>,
    job: &JobGraph,
) -> StreamReport {
    let nodes = stream.nodes().iter().zip(functions).enumerate();
    let nodes = nodes.map(|(id, (node, function))| StreamNodeReport {
        id,
        transformation: node.operator.name.clone(),
        operator: node.operator.uid.clone(),
        function,
        parallelism: node.parallelism,
        max_parallelism: node.max_parallelism,
        chaining: chaining(node.chaining),
        slot_sharing_group: node.slot_sharing_group.clone(),
    });
    let vertex_of = |node: usize| {
        let uid = &stream.nodes()[node].operator.uid;
        job.vertices.iter().position(|vertex| vertex.operators.iter().any(|of| of.uid == *uid))
    };
    let edges = stream.edges().iter().map(|edge| StreamEdgeReport {
        source: edge.source.0,
        target: edge.target.0,
        partitioner: edge.partitioner.to_string(),
        chained: vertex_of(edge.source.0) == vertex_of(edge.target.0),
    });
    StreamReport { nodes: nodes.collect(), edges: edges.collect() }
}

fn job_report(job: &JobGraph) -> JobReport {
    let edge = |edge: &super::JobEdge| JobEdgeReport {
        data_set: edge.data_set.0,
        producer: edge.producer.0,
        partitioner: edge.partitioner.to_string(),
        pattern: match edge.distribution {
            DistributionPattern::AllToAll => "ALL_TO_ALL",
            DistributionPattern::Pointwise => "POINTWISE",
        },
    };
    let vertices = job.vertices.iter().map(|vertex| JobVertexReport {
        id: vertex.id.0,
        name: vertex.name.clone(),
        parallelism: vertex.parallelism,
        max_parallelism: vertex.max_parallelism,
        slot_sharing_group: vertex.slot_sharing_group.clone(),
        operators: vertex.operators.iter().map(|operator| operator.uid.clone()).collect(),
        inputs: vertex.inputs.iter().map(edge).collect(),
        outputs: (vertex.outputs.iter())
            .map(|output| DataSetReport { id: output.id.0, consumer: output.consumer.0 })
            .collect(),
    });
    JobReport {
        program: job.program.name.clone(),
        version: job.program.version,
        hash: format!("{:016x}", job.program.hash),
        vertices: vertices.collect(),
    }
}

fn named(subtask: crate::system::ids::ExecutionVertexId) -> String {
    format!("{}.{}", subtask.vertex.0, subtask.subtask)
}

fn execution_report(job: &JobGraph, graph: &ExecutionGraph) -> ExecutionReport {
    let vertices = graph.vertices.iter().map(|vertex| ExecutionJobVertexReport {
        id: vertex.id.0,
        subtasks: vertex
            .subtasks
            .iter()
            .map(|subtask| subtask_report(job, vertex, subtask))
            .collect(),
        results: (vertex.results.iter())
            .map(|result| IntermediateResultReport {
                data_set: result.data_set.0,
                partitions: (result.partitions.iter())
                    .map(|partition| IntermediateResultPartitionReport {
                        producer: named(partition.producer),
                        subpartitions: partition.subpartitions,
                    })
                    .collect(),
            })
            .collect(),
    });
    let regions = graph.regions().into_iter().map(|region| region.into_iter().map(named).collect());
    ExecutionReport { vertices: vertices.collect(), regions: regions.collect() }
}

fn subtask_report(
    job: &JobGraph,
    vertex: &super::ExecutionJobVertex,
    subtask: &super::ExecutionVertex,
) -> ExecutionVertexReport {
    let of_job = &job.vertices[vertex.id.0 as usize];
    let gates = of_job.inputs.iter().zip(&subtask.inputs).map(|(edge, channels)| InputGateReport {
        data_set: edge.data_set.0,
        channels: (channels.iter())
            .map(|edge| InputChannelReport {
                edge: ExecutionEdgeReport {
                    producer: named(edge.producer),
                    subpartition: edge.subpartition,
                },
            })
            .collect(),
    });
    let own = subtask.id.subtask as usize;
    let partitions = vertex.results.iter().map(|result| ResultPartitionReport {
        data_set: result.data_set.0,
        subpartitions: result.partitions[own].subpartitions,
    });
    let name = format!("{} ({}/{})", of_job.name, own + 1, of_job.parallelism);
    let task = TaskReport { name, gates: gates.collect(), partitions: partitions.collect() };
    let execution = ExecutionAttemptReport { attempt: 1, task };
    ExecutionVertexReport { subtask: subtask.id.subtask, execution }
}

#[cfg(test)]
mod tests {
    use super::{super::*, FunctionReport};
    use crate::system::ids::JobId;

    /// Lines, words, counts and where they go, in two subtasks each; the numbered kinds are those of a program.
    fn report() -> GraphReport {
        let spec =
            |uid: &str, kind: &str| OperatorSpec { uid: uid.to_string(), name: kind.to_string() };
        let mut graph = StreamGraph::new();
        let lines = graph.source(spec("lines", "source"), 2);
        let split = graph.operator(lines, Partitioner::Forward, spec("split", "flat map"), 2);
        let count = graph.operator(split, Partitioner::Hash, spec("count", "process"), 2);
        graph.operator(count, Partitioner::Forward, spec("counts", "sink"), 2);
        let (checkpoints, restarts) = (CheckpointSettings::default(), RestartStrategy::None);
        let job = graph.job_graph(JobId(1), "words", checkpoints, restarts).expect("sound");
        let function = |reads: &str, emits: &str| FunctionReport {
            reads: reads.to_string(),
            emits: emits.to_string(),
        };
        let functions = vec![
            function("", "bytes"),
            function("bytes", "string"),
            function("string", "Counted{word:string,count:u64}"),
            function("Counted{word:string,count:u64}", ""),
        ];
        GraphReport::new(&graph, functions, &job)
    }

    #[test]
    fn the_text_tells_of_each_graph_under_the_names_of_its_parts() {
        let text = report().text();
        for line in [
            "  StreamNode 1: StreamOperator split   Transformation flat map  parallelism 2  Function bytes -> string",
            "  StreamEdge lines -> split: FORWARD, chained",
            "  StreamEdge split -> count: HASH",
            "    JobEdge: reads IntermediateDataSet 0 of JobVertex 0, HASH, DistributionPattern ALL_TO_ALL",
            "ExecutionGraph: what runs; 1 pipelined region, which restarts as a whole",
            "    ExecutionVertex 1.1: Execution 1, Task count -> counts (2/2)",
            "      InputGate of IntermediateDataSet 0: 2 InputChannels, ExecutionEdges from 0.0[1], 0.1[1]",
            "    IntermediateResult of IntermediateDataSet 0: 2 IntermediateResultPartitions of 4 subpartitions",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }

    #[test]
    fn the_dot_has_a_cluster_for_each_vertex_and_an_edge_for_each_channel() {
        let dot = report().dot();
        assert_eq!(dot.matches("subgraph").count(), 5, "three graphs, and two vertices");
        // Of the stream graph, of the job graph, and channels.
        assert_eq!(dot.matches(" -> ").count(), 3 + 1 + 4, "{dot}");
        assert_eq!(dot.matches('{').count(), dot.matches('}').count());
    }

    #[test]
    fn the_json_names_all_classes() {
        let json = report().json();
        for class in [
            "Transformation",
            "StreamOperator",
            "Function",
            "StreamNodes",
            "StreamEdges",
            "JobVertices",
            "IntermediateDataSets",
            "JobEdges",
            "DistributionPattern",
            "ExecutionJobVertices",
            "ExecutionVertices",
            "IntermediateResults",
            "IntermediateResultPartitions",
            "ExecutionEdge",
            "Execution",
            "Task",
            "ResultPartitions",
            "ResultSubpartitions",
            "InputGates",
            "InputChannels",
        ] {
            assert!(json.contains(&format!("\"{class}\"")), "{class}");
        }
        let read: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
        let task = &read["ExecutionGraph"]["ExecutionJobVertices"][1]["ExecutionVertices"][0]["Execution"]
            ["Task"];
        assert_eq!(task["InputGates"][0]["InputChannels"][1]["ExecutionEdge"]["producer"], "0.1");
    }
}
