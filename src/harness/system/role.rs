//! What runs on a node.

use crate::harness::language::NumberRange;
use std::{cmp::Ordering, fmt};

/// What runs on a node, by its declaration. Two of one name are the same.
#[derive(Clone, Copy)]
pub struct Role(&'static RoleSpec);

/// The declaration of a role.
pub struct RoleSpec {
    /// Its name. A node is called so, or so with `-` and its number where there can be several.
    pub name: &'static str,
    /// What it is, in a few words with no article: "object store", "task executor".
    pub what: &'static str,
    /// What several are called in scenario files; `None` where there is always one.
    pub plural: Option<&'static str>,
    /// What its disk holds.
    pub disk: Disk,
    /// Whether a new machine of a new name can take its place when it is lost for good.
    pub is_replaceable: bool,
    /// Whether it asks its host for injected errors, so that `service-error` can strike it.
    pub answers_errors: bool,
    /// How the kinds of messages begin that its own endpoints serve, without the dot.
    pub serves: &'static [&'static str],
}

/// What a node's disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Nothing: no fault of a disk strikes it.
    Nothing,
    /// Copies, or what can be made again: the system survives that it is wiped or rots.
    Copies,
    /// The only copy of what was promised: faults spare it unless a scenario says otherwise.
    OnlyCopy,
}

impl RoleSpec {
    /// A role of one node: its name and what it is, without the article. It keeps nothing, can't be
    /// replaced, answers no injected errors and serves nothing.
    pub const fn one(name: &'static str, what: &'static str) -> Self {
        RoleSpec {
            name,
            what,
            plural: None,
            disk: Disk::Nothing,
            is_replaceable: false,
            answers_errors: false,
            serves: &[],
        }
    }

    /// The same of several nodes, which have numbers from 1.
    pub const fn some(name: &'static str, plural: &'static str, what: &'static str) -> Self {
        RoleSpec { plural: Some(plural), ..RoleSpec::one(name, what) }
    }

    /// What its disk holds.
    #[must_use]
    pub const fn with_disk(self, disk: Disk) -> Self {
        RoleSpec { disk, ..self }
    }

    /// A new machine of a new name can take its place.
    #[must_use]
    pub const fn replaceable(self) -> Self {
        RoleSpec { is_replaceable: true, ..self }
    }

    /// It asks its host for injected errors.
    #[must_use]
    pub const fn answering_errors(self) -> Self {
        RoleSpec { answers_errors: true, ..self }
    }

    /// How the kinds of messages begin that its own endpoints serve, without the dot.
    #[must_use]
    pub const fn serving(self, serves: &'static [&'static str]) -> Self {
        RoleSpec { serves, ..self }
    }
}

impl Role {
    /// The role of a declaration.
    pub const fn new(spec: &'static RoleSpec) -> Self {
        Role(spec)
    }

    /// Its declaration.
    pub fn spec(self) -> &'static RoleSpec {
        self.0
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The name of its node of a number; of the only one without.
    pub fn node_name(self, number: Option<u32>) -> String {
        match number {
            Some(number) => format!("{}-{number}", self.0.name),
            None => self.0.name.to_string(),
        }
    }
}

impl PartialEq for Role {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Role {}

impl PartialOrd for Role {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Role {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.name.cmp(other.0.name)
    }
}

impl fmt::Debug for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// The nodes of a role, or what else goes by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The role's name, or that of a numbered target.
    pub name: &'static str,
    /// How many there are.
    pub count: NumberRange,
    /// The table and the key that say so.
    pub key: Option<(&'static str, &'static str)>,
}

impl Nodes {
    /// The only node of a role.
    pub fn one(role: Role) -> Self {
        Nodes { name: role.name(), count: NumberRange::only(1), key: None }
    }

    /// So many nodes of a role, as a key of `[cluster]` says.
    pub fn some(role: Role, count: NumberRange, key: &'static str) -> Self {
        Nodes { name: role.name(), count, key: Some(("cluster", key)) }
    }
}
