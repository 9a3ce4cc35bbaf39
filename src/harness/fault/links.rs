//! Which links and messages a fault strikes.

use super::{target::Target, words::FaultKey};
use crate::harness::scenario::{
    Field, Mistakes, Reader, ScenarioError, SystemSpec, Writer, gateways, messages, nearest, shown,
};
use std::fmt;

/// The senders, the receivers and the kinds of frames that a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The senders.
    pub from: Target,
    /// The receivers.
    pub to: Target,
    /// Only kinds that begin with this.
    pub message: Option<String>,
}

/// Its keys, as every fault of links has them.
pub(super) const KEYS: &[FaultKey] = &[
    FaultKey {
        key: "from",
        needed: false,
        meaning: "the senders; everyone when absent",
        example: "\"everyone\"",
    },
    FaultKey {
        key: "to",
        needed: false,
        meaning: "the receivers; everyone when absent",
        example: "\"everyone\"",
    },
    FaultKey {
        key: "message",
        needed: false,
        meaning: "only kinds that begin with this, see `list --messages`; all when absent",
        example: "\"CoordinationGateway.transact\"",
    },
];

impl LinkSpec {
    /// All frames from one to another.
    pub fn between(from: Target, to: Target) -> Self {
        LinkSpec { from, to, message: None }
    }

    /// Reads `from`, `to` and `message`; nothing if there are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        system: &SystemSpec,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let target = |field: &Field| Target::read(field, system);
        let from = mistakes.keep(table.take("from", target));
        let to = mistakes.keep(table.take("to", target));
        let message = mistakes.keep(table.take("message", |field| message(field, system)));
        Some(LinkSpec {
            from: from?.unwrap_or(Target::Everyone),
            to: to?.unwrap_or(Target::Everyone),
            message: message?,
        })
    }

    /// Writes them.
    pub(super) fn write(&self, writer: &mut Writer) {
        writer.text("from", self.from);
        writer.text("to", self.to);
        if let Some(message) = &self.message {
            writer.text("message", message);
        }
    }
}

impl fmt::Display for LinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)?;
        match &self.message {
            Some(message) => write!(f, " {message}*"),
            None => Ok(()),
        }
    }
}

/// Reads the beginning of a message's kind.
fn message(field: &Field, system: &SystemSpec) -> Result<String, ScenarioError> {
    let prefix = field.text()?;
    let system = system.kind();
    let known = messages(system);
    if known.iter().any(|kind| kind.starts_with(&prefix)) {
        return Ok(prefix);
    }
    let gateways = gateways(system);
    let words: Vec<&str> = known.into_iter().chain(gateways.iter().map(String::as_str)).collect();
    let near = nearest(&prefix, words);
    let error =
        field.refused(format!("no message of a {system} begins with \"{}\"", shown(&prefix)));
    let error = match near[..] {
        [] => error,
        _ => {
            let near: Vec<String> = near.iter().take(3).map(|kind| format!("\"{kind}\"")).collect();
            error.with_help(format!("did you mean {}?", near.join(" or ")))
        }
    };
    Err(error.with_help("see `wavetank list --messages`"))
}
