//! The graphs as text for a person.

use super::{ExecutionJobVertexReport, FunctionReport, GraphReport, InputGateReport, TaskReport};
use std::fmt::Write as _;

/// Subtasks of a vertex that are told one by one; of more, the first and how many there are.
const SUBTASKS_TOLD: usize = 4;

impl GraphReport {
    /// The graphs one below the other.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.stream_text(&mut text);
        self.job_text(&mut text);
        self.execution_text(&mut text);
        text
    }

    fn stream_text(&self, text: &mut String) {
        let (nodes, edges) = (&self.stream.nodes, &self.stream.edges);
        let _ = writeln!(text, "StreamGraph: what the program {} describes", self.name);
        let width = nodes.iter().map(|node| node.operator.len()).max().unwrap_or_default();
        let kinds = nodes.iter().map(|node| node.transformation.len()).max().unwrap_or_default();
        for node in nodes {
            let _ = writeln!(
                text,
                "  StreamNode {}: StreamOperator {:width$}  Transformation {:kinds$}  parallelism {}  Function {}",
                node.id,
                node.operator,
                node.transformation,
                node.parallelism,
                signature(&node.function),
            );
        }
        for edge in edges {
            let chained = if edge.chained { ", chained" } else { "" };
            let (from, to) = (&nodes[edge.source].operator, &nodes[edge.target].operator);
            let _ = writeln!(text, "  StreamEdge {from} -> {to}: {}{chained}", edge.partitioner);
        }
    }

    fn job_text(&self, text: &mut String) {
        let job = &self.job;
        let _ = writeln!(
            text,
            "\nJobGraph: what is submitted; program {:?}, version {}, hash {}",
            job.program, job.version, job.hash
        );
        for vertex in &job.vertices {
            let _ = writeln!(
                text,
                "  JobVertex {}: {}  parallelism {}, {} key groups, slot sharing group {:?}",
                vertex.id,
                vertex.name,
                vertex.parallelism,
                vertex.max_parallelism,
                vertex.slot_sharing_group
            );
            for edge in &vertex.inputs {
                let _ = writeln!(
                    text,
                    "    JobEdge: reads IntermediateDataSet {} of JobVertex {}, {}, DistributionPattern {}",
                    edge.data_set, edge.producer, edge.partitioner, edge.pattern
                );
            }
            for output in &vertex.outputs {
                let _ = writeln!(
                    text,
                    "    IntermediateDataSet {}: read by JobVertex {}",
                    output.id, output.consumer
                );
            }
        }
    }

    fn execution_text(&self, text: &mut String) {
        let regions = self.execution.regions.len();
        let _ = writeln!(
            text,
            "\nExecutionGraph: what runs; {regions} pipelined {}",
            match regions {
                1 => "region, which restarts as a whole",
                _ => "regions, each of which restarts apart from the others",
            }
        );
        for vertex in &self.execution.vertices {
            vertex.write(text);
        }
    }
}

fn signature(function: &FunctionReport) -> String {
    match (&function.reads[..], &function.emits[..]) {
        ("", emits) => format!("-> {emits}"),
        (reads, "" | "()") => format!("{reads} ->"),
        (reads, emits) => format!("{reads} -> {emits}"),
    }
}

impl ExecutionJobVertexReport {
    fn write(&self, text: &mut String) {
        let count = self.subtasks.len();
        let _ = writeln!(text, "  ExecutionJobVertex {}: {count} ExecutionVertices", self.id);
        for subtask in self.subtasks.iter().take(SUBTASKS_TOLD) {
            let (number, execution) = (subtask.subtask, &subtask.execution);
            let _ = writeln!(
                text,
                "    ExecutionVertex {}.{number}: Execution {}, Task {}",
                self.id, execution.attempt, execution.task.name
            );
            execution.task.write(text);
        }
        if count > SUBTASKS_TOLD {
            let _ = writeln!(text, "    ... and {} more alike", count - SUBTASKS_TOLD);
        }
        for result in &self.results {
            let parts: u32 =
                result.partitions.iter().map(|partition| partition.subpartitions).sum();
            let _ = writeln!(
                text,
                "    IntermediateResult of IntermediateDataSet {}: {} IntermediateResultPartitions of {parts} \
                 subpartitions",
                result.data_set,
                result.partitions.len()
            );
        }
    }
}

impl TaskReport {
    fn write(&self, text: &mut String) {
        for InputGateReport { data_set, channels } in &self.gates {
            let edges = channels
                .iter()
                .take(SUBTASKS_TOLD)
                .map(|channel| format!("{}[{}]", channel.edge.producer, channel.edge.subpartition));
            let more = if channels.len() > SUBTASKS_TOLD { ", ..." } else { "" };
            let _ = writeln!(
                text,
                "      InputGate of IntermediateDataSet {data_set}: {} InputChannels, ExecutionEdges from {}{more}",
                channels.len(),
                edges.collect::<Vec<_>>().join(", ")
            );
        }
        for partition in &self.partitions {
            let _ = writeln!(
                text,
                "      ResultPartition of IntermediateDataSet {}: {} ResultSubpartitions",
                partition.data_set, partition.subpartitions
            );
        }
    }
}
