//! Partitions: who can't reach whom, by shape.

use super::{
    generated::{FaultGenerator, Generated},
    targets::Targets,
    values::{Named, named, word},
    words::FaultKey,
};
use crate::harness::{
    language::{KeyValue, Mistakes, Reader, ScenarioError, Writer},
    system::SystemSpec,
};
use std::fmt;

/// Which links a partition cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionSpec {
    /// Between these nodes and all others.
    Isolate {
        /// These.
        target: Targets,
    },
    /// Between two halves of the nodes, by drawing.
    Halves,
    /// The same, but these nodes still reach both halves.
    Bridge {
        /// These.
        target: Targets,
    },
    /// Between two sets of nodes, which both reach everybody else.
    Pair {
        /// One set.
        from: Targets,
        /// The other.
        to: Targets,
    },
    /// From one set to another; the way back is open.
    OneWay {
        /// The senders.
        from: Targets,
        /// The receivers.
        to: Targets,
    },
    /// Between these nodes and all others, but what these send arrives.
    Deaf {
        /// These.
        target: Targets,
    },
    /// Between these nodes and all others, but what is sent to these arrives.
    Mute {
        /// These.
        target: Targets,
    },
    /// The nodes stand in a ring, by drawing, and each reaches only its two neighbours.
    Ring,
}

/// The shapes, without their sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartitionShape {
    Isolate,
    Halves,
    Bridge,
    Pair,
    OneWay,
    Ring,
    Deaf,
    Mute,
}

named! {
    PartitionShape {
        "isolate" = Isolate, "halves" = Halves, "bridge" = Bridge, "pair" = Pair,
        "one-way" = OneWay, "ring" = Ring, "deaf" = Deaf, "mute" = Mute
    }
}

/// The keys of a partition.
pub(super) const KEYS: &[FaultKey] = &[
    FaultKey {
        key: "shape",
        needed: true,
        meaning: "\"isolate\": `target` from all others; \"halves\", by drawing; \"bridge\": halves that \
                  `target` still reaches; \"pair\": `from` and `to` from each other; \"one-way\": only \
                  what goes `from` one `to` another; \"ring\": each node reaches only its two neighbours; \
                  \"deaf\": `target` sends and hears nothing; \"mute\": it hears and its sendings are lost",
        example: "\"isolate\"",
    },
    FaultKey {
        key: "target",
        needed: false,
        meaning: "of the shapes isolate, bridge, deaf and mute, see `list --targets`",
        example: "\"coordination\"",
    },
    FaultKey {
        key: "from",
        needed: false,
        meaning: "one set, of the shapes pair and one-way",
        example: "\"clients\"",
    },
    FaultKey {
        key: "to",
        needed: false,
        meaning: "the other set, of the shapes pair and one-way",
        example: "\"coordination\"",
    },
];

impl PartitionSpec {
    /// Whether a target says whom it strikes.
    pub(super) fn has_target(&self) -> bool {
        matches!(
            self,
            PartitionSpec::Isolate { .. }
                | PartitionSpec::Bridge { .. }
                | PartitionSpec::Deaf { .. }
                | PartitionSpec::Mute { .. }
        )
    }

    fn shape(&self) -> PartitionShape {
        match self {
            PartitionSpec::Isolate { .. } => PartitionShape::Isolate,
            PartitionSpec::Halves => PartitionShape::Halves,
            PartitionSpec::Bridge { .. } => PartitionShape::Bridge,
            PartitionSpec::Pair { .. } => PartitionShape::Pair,
            PartitionSpec::OneWay { .. } => PartitionShape::OneWay,
            PartitionSpec::Ring => PartitionShape::Ring,
            PartitionSpec::Deaf { .. } => PartitionShape::Deaf,
            PartitionSpec::Mute { .. } => PartitionShape::Mute,
        }
    }

    /// The two sets of a shape that has them.
    pub(super) fn sets(&self) -> Option<(&Targets, &Targets)> {
        match self {
            PartitionSpec::Pair { from, to } | PartitionSpec::OneWay { from, to } => {
                Some((from, to))
            }
            _ => None,
        }
    }

    /// Reads `shape` and the keys that belong to it; nothing if there are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        system: &SystemSpec,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let Some(shape) = mistakes.keep(table.need("shape", |field| word(field, system))) else {
            // Which of them belong there depends on it.
            table.skip(&["target", "from", "to"]);
            return None;
        };
        let mut need = |key: &'static str| {
            let read: Result<Targets, ScenarioError> =
                table.need(key, |field| Targets::read(field, system));
            mistakes.keep(read)
        };
        Some(match shape {
            PartitionShape::Isolate => PartitionSpec::Isolate { target: need("target")? },
            PartitionShape::Bridge => PartitionSpec::Bridge { target: need("target")? },
            PartitionShape::Deaf => PartitionSpec::Deaf { target: need("target")? },
            PartitionShape::Mute => PartitionSpec::Mute { target: need("target")? },
            PartitionShape::Pair | PartitionShape::OneWay => {
                // Both, so that both are told when both are wrong.
                let (from, to) = (need("from"), need("to"));
                let (from, to) = (from?, to?);
                match shape {
                    PartitionShape::Pair => PartitionSpec::Pair { from, to },
                    _ => PartitionSpec::OneWay { from, to },
                }
            }
            PartitionShape::Halves => PartitionSpec::Halves,
            PartitionShape::Ring => PartitionSpec::Ring,
        })
    }

    /// Writes them.
    pub(super) fn write(&self, writer: &mut Writer) {
        self.shape().write("shape", writer);
        match self {
            PartitionSpec::Isolate { target }
            | PartitionSpec::Bridge { target }
            | PartitionSpec::Deaf { target }
            | PartitionSpec::Mute { target } => {
                target.write("target", writer);
            }
            PartitionSpec::Pair { from, to } | PartitionSpec::OneWay { from, to } => {
                from.write("from", writer);
                to.write("to", writer);
            }
            PartitionSpec::Halves | PartitionSpec::Ring => {}
        }
    }
}

impl Generated for PartitionSpec {
    fn generate(_: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let shape = generator.choose(PartitionShape::WORDS.iter().copied());
        let (one, other) = (Targets::generate("", generator), Targets::generate("", generator));
        match shape {
            PartitionShape::Isolate => PartitionSpec::Isolate { target: one },
            PartitionShape::Bridge => PartitionSpec::Bridge { target: one },
            PartitionShape::Deaf => PartitionSpec::Deaf { target: one },
            PartitionShape::Mute => PartitionSpec::Mute { target: one },
            PartitionShape::Pair => PartitionSpec::Pair { from: one, to: other },
            PartitionShape::OneWay => PartitionSpec::OneWay { from: one, to: other },
            PartitionShape::Halves => PartitionSpec::Halves,
            PartitionShape::Ring => PartitionSpec::Ring,
        }
    }
}

impl fmt::Display for PartitionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shape().show().unwrap_or_default())?;
        match self {
            PartitionSpec::Isolate { target }
            | PartitionSpec::Bridge { target }
            | PartitionSpec::Deaf { target }
            | PartitionSpec::Mute { target } => {
                write!(f, " {target}")
            }
            PartitionSpec::Pair { from, to } => write!(f, " {from} | {to}"),
            PartitionSpec::OneWay { from, to } => write!(f, " {from} -> {to}"),
            PartitionSpec::Halves | PartitionSpec::Ring => Ok(()),
        }
    }
}
