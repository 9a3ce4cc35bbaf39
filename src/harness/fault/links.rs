//! Which links and messages a fault strikes.

use super::{actor::Actor, words::FaultKey};
use crate::harness::scenario::{
    Field, Mistakes, Reader, ScenarioError, Subject, Writer, gateways, messages, nearest, shown,
};
use std::fmt;

/// The senders, the receivers and the kinds of frames that a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The senders.
    pub from: Actor,
    /// The receivers.
    pub to: Actor,
    /// Only kinds that begin with this.
    pub message: Option<String>,
}

/// `from`, as every fault of links has it.
pub const FROM: FaultKey = FaultKey {
    key: "from",
    needed: false,
    meaning: "the senders; everyone when absent",
    example: "\"everyone\"",
};
/// `to`.
pub const TO: FaultKey = FaultKey {
    key: "to",
    needed: false,
    meaning: "the receivers; everyone when absent",
    example: "\"everyone\"",
};
/// `message`.
pub const MESSAGE: FaultKey = FaultKey {
    key: "message",
    needed: false,
    meaning: "only kinds that begin with this, see `list --messages`; all when absent",
    example: "\"CoordinationGateway.transact\"",
};

impl LinkSpec {
    /// All frames from one to another.
    pub fn between(from: Actor, to: Actor) -> Self {
        LinkSpec { from, to, message: None }
    }

    /// Reads `from`, `to` and `message`; nothing if there are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        subject: &Subject,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let actor = |field: &Field| Actor::read(field, subject);
        let from = mistakes.keep(table.take("from", actor));
        let to = mistakes.keep(table.take("to", actor));
        let message = mistakes.keep(table.take("message", |field| message(field, subject)));
        Some(LinkSpec {
            from: from?.unwrap_or(Actor::Everyone),
            to: to?.unwrap_or(Actor::Everyone),
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
fn message(field: &Field, subject: &Subject) -> Result<String, ScenarioError> {
    let prefix = field.text()?;
    let subject = subject.kind();
    let known = messages(subject);
    if known.iter().any(|kind| kind.starts_with(&prefix)) {
        return Ok(prefix);
    }
    let gateways = gateways(subject);
    let words: Vec<&str> = known.into_iter().chain(gateways.iter().map(String::as_str)).collect();
    let near = nearest(&prefix, words);
    let error =
        field.refused(format!("no message of a {subject} begins with \"{}\"", shown(&prefix)));
    let error = match near[..] {
        [] => error,
        _ => {
            let near: Vec<String> = near.iter().take(3).map(|kind| format!("\"{kind}\"")).collect();
            error.with_help(format!("did you mean {}?", near.join(" or ")))
        }
    };
    Err(error.with_help("see `wavetank list --messages`"))
}
