//! The trace: a run's entries with their fields, as people and tools read them.

use super::{
    cause::EntryNumber,
    entry::{Entry, Fields},
    link::NodeSet,
    stamp::NodeId,
};
use crate::host::Event;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::{
    fmt::{self, Debug},
    hash::Hash,
    sync::Arc,
};

/// One line of a run's trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceLine {
    /// Simulated nanoseconds since the run began.
    pub time: u64,
    /// Its number.
    pub entry: EntryNumber,
    /// The entry that led to it; `None` for what the harness did.
    pub cause: Option<EntryNumber>,
    /// What happened, such as `frame-delivered`.
    pub kind: &'static str,
    fields: Vec<(&'static str, FieldValue)>,
}

/// A field of a line. Nodes go by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum FieldValue {
    Number(u64),
    Word(&'static str),
    Text(String),
    Node(Arc<str>),
    Nodes(Vec<Arc<str>>),
}

impl TraceLine {
    /// What a field says, if it has one of that name that is a word, a text or a node.
    pub fn says(&self, name: &str) -> Option<&str> {
        match self.field(name)? {
            FieldValue::Word(word) => Some(word),
            FieldValue::Text(text) => Some(text),
            FieldValue::Node(name) => Some(name),
            FieldValue::Number(_) | FieldValue::Nodes(_) => None,
        }
    }

    /// The number in a field, if it has one of that name that is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.field(name)? {
            FieldValue::Number(number) => Some(*number),
            _ => None,
        }
    }

    fn field(&self, name: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

impl Serialize for TraceLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("entry", &self.entry)?;
        if let Some(cause) = self.cause {
            map.serialize_entry("cause", &cause)?;
        }
        map.serialize_entry("kind", self.kind)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FieldValue::Number(number) => serializer.serialize_u64(*number),
            FieldValue::Word(word) => serializer.serialize_str(word),
            FieldValue::Text(text) => serializer.serialize_str(text),
            FieldValue::Node(name) => serializer.serialize_str(name),
            FieldValue::Nodes(names) => serializer.collect_seq(names.iter().map(|name| &**name)),
        }
    }
}

/// For a person: the number, the cause, what happened, where, and the rest.
impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.entry)?;
        if let Some(cause) = self.cause {
            write!(f, " by {cause}")?;
        }
        write!(f, " {}", self.kind)?;
        for (name, value) in &self.fields {
            match (*name, value) {
                ("node" | "from", value) => write!(f, " {value}")?,
                ("to", value @ (FieldValue::Node(_) | FieldValue::Nodes(_))) => {
                    write!(f, " -> {value}")?;
                }
                (name, value) => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Number(number) => write!(f, "{number}"),
            FieldValue::Word(word) => f.write_str(word),
            FieldValue::Text(text) => f.write_str(text),
            FieldValue::Node(name) => f.write_str(name),
            FieldValue::Nodes(names) => f.write_str(&names.join(",")),
        }
    }
}

/// What led to an entry of a whole trace: itself first, then each cause, back to what the harness did.
pub fn causes(trace: &[TraceLine], entry: EntryNumber) -> Vec<&TraceLine> {
    std::iter::successors(line_of(trace, entry), |later| line_of(trace, later.cause?)).collect()
}

/// The line of an entry in a whole trace.
pub fn line_of(trace: &[TraceLine], entry: EntryNumber) -> Option<&TraceLine> {
    trace.get(usize::try_from(entry.get() - 1).expect("it is kept in memory"))
}

/// A trace that is kept.
#[derive(Default)]
pub(in crate::host) struct Trace {
    /// The machines' names, by their numbers.
    names: Vec<Arc<str>>,
    lines: Vec<TraceLine>,
}

impl Trace {
    /// The next machine has this name.
    pub fn name_node(&mut self, name: Arc<str>) {
        self.names.push(name);
    }

    pub fn push(
        &mut self,
        time: u64,
        number: EntryNumber,
        cause: Option<EntryNumber>,
        entry: &Entry<'_>,
    ) {
        let mut told = TraceFields { names: &self.names, fields: Vec::new() };
        entry.fields(&mut told);
        let (kind, fields) = (entry.kind(), told.fields);
        self.lines.push(TraceLine { time, entry: number, cause, kind, fields });
    }

    pub fn into_lines(self) -> Vec<TraceLine> {
        self.lines
    }
}

/// Keeps the fields of an entry by name.
struct TraceFields<'a> {
    names: &'a [Arc<str>],
    fields: Vec<(&'static str, FieldValue)>,
}

impl TraceFields<'_> {
    fn name(&self, node: NodeId) -> Arc<str> {
        self.names[node.index()].clone()
    }
}

impl Fields for TraceFields<'_> {
    fn node(&mut self, name: &'static str, node: NodeId) {
        let node = self.name(node);
        self.fields.push((name, FieldValue::Node(node)));
    }

    fn nodes(&mut self, name: &'static str, nodes: &NodeSet) {
        let value = match nodes {
            NodeSet::All => FieldValue::Node(Arc::from("all")),
            NodeSet::Only(nodes) => {
                FieldValue::Nodes(nodes.iter().map(|node| self.name(*node)).collect())
            }
        };
        self.fields.push((name, value));
    }

    fn number(&mut self, name: &'static str, number: u64) {
        self.fields.push((name, FieldValue::Number(number)));
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.fields.push((name, FieldValue::Text(text.to_string())));
    }

    fn word(&mut self, name: &'static str, word: &'static str, _: u64) {
        self.fields.push((name, FieldValue::Word(word)));
    }

    fn value(&mut self, name: &'static str, value: &(impl Debug + Hash)) {
        self.fields.push((name, FieldValue::Text(format!("{value:?}"))));
    }

    fn event(&mut self, event: &dyn Event) {
        self.fields.push(("type", FieldValue::Word(event.type_name())));
        self.fields.push(("event", FieldValue::Text(format!("{event:?}"))));
    }

    fn variant(&mut self, _: impl Hash) {}
}
