//! Whom a fault strikes, by role and by state; resolved when the fault fires.

use super::{placement::Place, role::Role};
use crate::{
    harness::language::{KeyValue, no_range},
    host::sim::NodeId,
};
use std::fmt;

/// A name in a scenario file for one node or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All nodes.
    Everyone,
    /// The only node of a role, or all of them.
    All(Role),
    /// A drawn part of a role's nodes: at least one and, of several, not all.
    Part(Role),
    /// A random node of a role.
    Random(Role),
    /// The node of a role of that number, from 1.
    Number(Role, u32),
    /// The node of a role that the state of the system tells.
    State(StateName),
    /// All nodes at one place: that of this number, else that of a random node.
    At(Place, Option<u32>),
}

/// A target that the state of the system tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StateName {
    name: &'static str,
    role: Role,
    /// Which, from 1; of those that are numbered.
    number: Option<u32>,
}

impl StateName {
    /// The name, without its number.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The role of the nodes that it may mean.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Which, from 1; of those that are numbered.
    pub fn number(&self) -> Option<u32> {
        self.number
    }
}

/// A target that a system finds by its state: its declaration.
pub struct StateTarget<M> {
    /// Its name in scenario files; of a numbered one without `-` and the number.
    pub name: &'static str,
    /// Whether the name goes with a number.
    pub is_numbered: bool,
    /// Whom it means, in a line.
    pub meaning: &'static str,
    /// The role of the nodes that it may mean.
    pub role: Role,
    /// Whether it means any node of the role when the state tells none.
    pub or_any: bool,
    /// Which of some nodes it means, by the state; one of them is drawn. The number is that of the name,
    /// else 0.
    pub find: fn(&M, u32, &[NodeId]) -> Vec<NodeId>,
}

/// A target's name and whom it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetWords {
    /// The name; of a numbered one the first.
    pub name: String,
    /// Whether its end is a number.
    pub is_numbered: bool,
    /// Whom it means.
    pub meaning: String,
    /// The target.
    pub target: Target,
}

/// The targets that a role makes: by number, all, a part, a random one.
fn of_role(role: Role) -> Vec<TargetWords> {
    let words = |name: &str, meaning: String, target| TargetWords {
        name: name.to_string(),
        is_numbered: matches!(target, Target::Number(..)),
        meaning,
        target,
    };
    let what = role.spec().what;
    let Some(plural) = role.spec().plural else {
        return vec![words(role.name(), format!("the {what}"), Target::All(role))];
    };
    vec![
        words(plural, format!("all {what}s"), Target::All(role)),
        words(
            &format!("some-{plural}"),
            format!("a drawn part of the {what}s, not all"),
            Target::Part(role),
        ),
        words(&format!("random-{role}"), format!("a random {what}"), Target::Random(role)),
        words(
            &role.node_name(Some(1)),
            format!("the {what} of that number"),
            Target::Number(role, 1),
        ),
    ]
}

/// The targets of a system of these roles and of what it finds by its state.
pub(super) fn known<M>(roles: &[Role], states: &[StateTarget<M>]) -> Vec<TargetWords> {
    let of_state = |state: &StateTarget<M>| {
        let number = state.is_numbered.then_some(1);
        let target = Target::State(StateName { name: state.name, role: state.role, number });
        TargetWords {
            name: target.to_string(),
            is_numbered: state.is_numbered,
            meaning: state.meaning.to_string(),
            target,
        }
    };
    let everyone = TargetWords {
        name: "everyone".to_string(),
        is_numbered: false,
        meaning: "all nodes".to_string(),
        target: Target::Everyone,
    };
    let at =
        |(name, is_numbered, meaning, target)| TargetWords { name, is_numbered, meaning, target };
    let of_places = Place::ALL.into_iter().flat_map(|place| {
        let (all, key) = (format!("all nodes of the {place}"), place.key());
        [
            (
                format!("random-{place}"),
                false,
                format!("{all} of a random node, see `{key}` of `[placement]`"),
                Target::At(place, None),
            ),
            (
                format!("{place}-1"),
                true,
                format!("{all} of that number"),
                Target::At(place, Some(1)),
            ),
        ]
    });
    let of_roles = roles.iter().flat_map(|role| of_role(*role));
    let known = states.iter().map(of_state).chain(of_roles).chain([everyone]);
    known.chain(of_places.map(at)).collect()
}

impl Target {
    /// The role of the nodes that it may mean; `None` when it may be any.
    pub fn role(self) -> Option<Role> {
        match self {
            Target::Everyone | Target::At(..) => None,
            Target::All(role)
            | Target::Part(role)
            | Target::Random(role)
            | Target::Number(role, _) => Some(role),
            Target::State(state) => Some(state.role),
        }
    }

    /// The same with another number, if it goes by one.
    fn numbered(self, number: u32) -> Option<Self> {
        match self {
            Target::Number(role, _) => Some(Target::Number(role, number)),
            Target::At(place, Some(_)) => Some(Target::At(place, Some(number))),
            Target::State(StateName { number: Some(_), name, role }) => {
                Some(Target::State(StateName { name, role, number: Some(number) }))
            }
            _ => None,
        }
    }

    /// Reads a name as it is understood in a system of these targets.
    pub fn parse(name: &str, known: &[TargetWords]) -> Option<Self> {
        let plain = |words: &&TargetWords| !words.is_numbered && words.name == name;
        if let Some(found) = known.iter().find(plain) {
            return Some(found.target);
        }
        known.iter().filter(|words| words.is_numbered).find_map(|words| {
            let prefix = words.name.trim_end_matches('1');
            let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
            words.target.numbered(number).filter(|_| number > 0)
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Everyone => f.write_str("everyone"),
            Target::All(role) => f.write_str(role.spec().plural.unwrap_or(role.name())),
            Target::Part(role) => write!(f, "some-{}", role.spec().plural.unwrap_or(role.name())),
            Target::Random(role) => write!(f, "random-{role}"),
            Target::Number(role, number) => write!(f, "{role}-{number}"),
            Target::State(StateName { name, number: Some(number), .. }) => {
                write!(f, "{name}-{number}")
            }
            Target::State(StateName { name, number: None, .. }) => f.write_str(name),
            Target::At(place, Some(number)) => write!(f, "{place}-{number}"),
            Target::At(place, None) => write!(f, "random-{place}"),
        }
    }
}

impl KeyValue for Target {
    no_range!();

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}
