//! The graphs for Graphviz.

use super::GraphReport;
use std::fmt::Write as _;

/// A text within quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl GraphReport {
    /// The graphs side by side, in the language of Graphviz: `dot -Tsvg`.
    pub fn dot(&self) -> String {
        let mut text =
            format!("digraph {} {{\n  rankdir=LR;\n  node [shape=box];\n", quoted(&self.name));
        self.stream_dot(&mut text);
        self.job_dot(&mut text);
        self.execution_dot(&mut text);
        text.push_str("}\n");
        text
    }

    fn stream_dot(&self, text: &mut String) {
        text.push_str("  subgraph cluster_stream {\n    label=\"StreamGraph\";\n");
        for node in &self.stream.nodes {
            let label =
                format!("{}: {} x {}", node.operator, node.transformation, node.parallelism);
            let _ = writeln!(text, "    s{} [label={}];", node.id, quoted(&label));
        }
        for edge in &self.stream.edges {
            let style = if edge.chained { ", style=bold" } else { "" };
            let (source, target) = (edge.source, edge.target);
            let label = quoted(&edge.partitioner);
            let _ = writeln!(text, "    s{source} -> s{target} [label={label}{style}];");
        }
        text.push_str("  }\n");
    }

    fn job_dot(&self, text: &mut String) {
        text.push_str("  subgraph cluster_job {\n    label=\"JobGraph\";\n");
        for vertex in &self.job.vertices {
            let label =
                quoted(&format!("{} x {}", vertex.operators.join(", "), vertex.parallelism));
            let _ = writeln!(text, "    j{} [label={label}];", vertex.id);
            for edge in &vertex.inputs {
                let label = quoted(&format!("{} {}", edge.partitioner, edge.pattern));
                let _ = writeln!(text, "    j{} -> j{} [label={label}];", edge.producer, vertex.id);
            }
        }
        text.push_str("  }\n");
    }

    fn execution_dot(&self, text: &mut String) {
        text.push_str("  subgraph cluster_execution {\n    label=\"ExecutionGraph\";\n");
        let node = |subtask: &str| format!("e{}", subtask.replace('.', "_"));
        for vertex in &self.execution.vertices {
            let label = quoted(&self.job.vertices[vertex.id as usize].operators.join(", "));
            let _ = writeln!(text, "    subgraph cluster_e{} {{\n      label={label};", vertex.id);
            for subtask in &vertex.subtasks {
                let name = format!("{}.{}", vertex.id, subtask.subtask);
                let _ = writeln!(text, "      {} [label={}];", node(&name), quoted(&name));
            }
            text.push_str("    }\n");
        }
        for vertex in &self.execution.vertices {
            for subtask in &vertex.subtasks {
                let to = node(&format!("{}.{}", vertex.id, subtask.subtask));
                for channel in subtask.execution.task.gates.iter().flat_map(|gate| &gate.channels) {
                    let (from, part) = (node(&channel.edge.producer), channel.edge.subpartition);
                    let _ = writeln!(text, "    {from} -> {to} [label=\"{part}\"];");
                }
            }
        }
        text.push_str("  }\n");
    }
}
