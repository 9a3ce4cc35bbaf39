//! Who a fault strikes, by role and by state; resolved when the fault fires.

use std::fmt;

/// A name in a scenario file for one node or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// The journal node that holds the latch; a random journal node when there is none.
    Leader,
    /// A random journal node that does not hold the latch.
    Follower,
    /// A random journal node.
    RandomJournal,
    /// The journal node of that number, from 1.
    Journal(u32),
    /// All journal nodes.
    Journals,
    /// The client of that number, from 1.
    Client(u32),
    /// All clients.
    Clients,
    /// The coordination server.
    Coordination,
    /// All nodes.
    Everyone,
}

impl Actor {
    /// The fixed names and what they stand for.
    pub const NAMES: &[(&str, Actor, &str)] = &[
        ("leader", Actor::Leader, "the journal node that holds the latch, else a random one"),
        ("follower", Actor::Follower, "a random journal node that does not hold the latch"),
        ("random-journal", Actor::RandomJournal, "a random journal node"),
        ("journals", Actor::Journals, "all journal nodes"),
        ("clients", Actor::Clients, "all clients"),
        ("coordination", Actor::Coordination, "the coordination server"),
        ("everyone", Actor::Everyone, "all nodes"),
    ];

    /// Reads a name, `journal-N` and `client-N` included.
    pub fn parse(name: &str) -> Option<Self> {
        let number = |prefix| name.strip_prefix(prefix)?.parse::<u32>().ok().filter(|n| *n > 0);
        let fixed = Self::NAMES.iter().find(|(known, _, _)| *known == name);
        fixed
            .map(|(_, actor, _)| *actor)
            .or_else(|| number("journal-").map(Actor::Journal))
            .or_else(|| number("client-").map(Actor::Client))
    }

    /// The names that are understood, for messages.
    pub fn known() -> String {
        let fixed: Vec<String> =
            Self::NAMES.iter().map(|(name, _, _)| format!("\"{name}\"")).collect();
        format!("one of {}, \"journal-N\", \"client-N\"", fixed.join(", "))
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Journal(number) => write!(f, "journal-{number}"),
            Actor::Client(number) => write!(f, "client-{number}"),
            fixed => {
                let found = Self::NAMES.iter().find(|(_, actor, _)| actor == fixed);
                f.write_str(found.expect("every other actor has a fixed name").0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        let numbered = [Actor::Journal(3), Actor::Client(1)];
        for actor in Actor::NAMES.iter().map(|(_, actor, _)| *actor).chain(numbered) {
            assert_eq!(Actor::parse(&actor.to_string()), Some(actor));
        }
        assert_eq!(Actor::parse("journal-0"), None);
        assert_eq!(Actor::parse("nobody"), None);
    }
}
