//! Which links and messages a fault strikes.

use super::{
    generated::{EVERYONE_PER_MILLION, FaultGenerator, Generated},
    targets::Targets,
    words::FaultKey,
};
use crate::{
    harness::{
        language::{Field, Mistakes, Reader, ScenarioError, Writer, nearest, shown},
        system::SystemSpec,
    },
    host::{mix, name_hash},
};
use std::fmt;

/// The senders, the receivers and the kinds of frames that a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// The senders.
    pub from: Targets,
    /// The receivers.
    pub to: Targets,
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
    pub fn between(from: Targets, to: Targets) -> Self {
        LinkSpec { from, to, message: None }
    }

    /// Reads `from`, `to` and `message`; nothing if there are mistakes, which are kept.
    pub(super) fn read(
        table: &mut Reader,
        system: &SystemSpec,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        let target = |field: &Field| Targets::read(field, system);
        let from = mistakes.keep(table.take("from", target));
        let to = mistakes.keep(table.take("to", target));
        let message = mistakes.keep(table.take("message", |field| message(field, system)));
        Some(LinkSpec {
            from: from?.unwrap_or_else(Targets::everyone),
            to: to?.unwrap_or_else(Targets::everyone),
            message: message?,
        })
    }

    /// Writes them.
    pub(super) fn write(&self, writer: &mut Writer) {
        self.from.write("from", writer);
        self.to.write("to", writer);
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

/// What is said of the beginning of a kind that no message has.
pub(super) fn no_message(system: &SystemSpec, prefix: &str) -> String {
    format!("no message of a {} begins with \"{}\"", system.name(), shown(prefix))
}

/// Reads the beginning of a message's kind.
pub(super) fn message(field: &Field, system: &SystemSpec) -> Result<String, ScenarioError> {
    let prefix = field.text()?;
    let groups = system.messages();
    let known = || groups.iter().flat_map(|group| group.kinds.iter().copied());
    if known().any(|kind| kind.starts_with(&prefix)) {
        return Ok(prefix);
    }
    let prefixes = groups.iter().map(|group| group.prefix.as_str()).filter(|p| !p.is_empty());
    let near = nearest(&prefix, known().chain(prefixes));
    let error = field.refused(no_message(system, &prefix));
    let error = match near[..] {
        [] => error,
        _ => {
            let near: Vec<String> = near.iter().take(3).map(|kind| format!("\"{kind}\"")).collect();
            error.with_help(format!("did you mean {}?", near.join(" or ")))
        }
    };
    Err(error.with_help("see `cargo run -- list --messages`"))
}

impl Generated for LinkSpec {
    fn generate(example: &str, generator: &mut FaultGenerator<'_>) -> Self {
        let end =
            |generator: &mut FaultGenerator<'_>| match generator.draws.chance(EVERYONE_PER_MILLION)
            {
                true => Targets::everyone(),
                false => Targets::generate(example, generator),
            };
        let (from, to) = (end(generator), end(generator));
        let some = !generator.messages.is_empty() && !generator.draws.chance(EVERYONE_PER_MILLION);
        let message = some.then(|| {
            let word = generator.draws.next_u64();
            let heaviest = generator.messages.iter().max_by_key(|name| mix(word, name_hash(name)));
            heaviest.expect("there are some").clone()
        });
        LinkSpec { from, to, message }
    }
}
