//! The words in which clients and the server of the coordination service speak.

use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, time::Duration};

/// Counts the server's writes from 1. Every write makes one revision.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

/// Names a lease; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub u64);

impl fmt::Debug for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lease-{}", self.0)
    }
}

/// A lease as it was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Its name.
    pub id: LeaseId,
    /// How long it lives without a keep-alive, in milliseconds of the server's clock.
    pub ttl_ms: u64,
}

impl Lease {
    /// How long it lives without a keep-alive, by the service's clock.
    pub fn ttl(&self) -> Duration {
        Duration::from_millis(self.ttl_ms)
    }
}

/// Why a lease is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LeaseEnd {
    /// No keep-alive within its time.
    Expired,
    /// Its owner gave it up.
    Revoked,
}

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Compare {
    /// The key does not exist at this moment; it may have existed and may again.
    Absent {
        /// The key.
        key: String,
    },
    /// The key exists with this value.
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// Nothing has written or removed the key after this revision, whether it exists or not. Unlike
    /// absence and a count of writes this never becomes true again, so a late transaction that was
    /// made for an earlier life of the key is refused. Refused as well where the server no longer
    /// knows what was removed since.
    Unchanged {
        /// The key.
        key: String,
        /// The revision at which the key was seen.
        since: Revision,
    },
}

/// A change that a transaction makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Change {
    /// Writes a key.
    Put {
        /// The key.
        key: String,
        /// Its value.
        value: Vec<u8>,
        /// The lease with which the key goes; `None` for a key that stays.
        lease: Option<LeaseId>,
    },
    /// Removes a key; an absent one stays absent.
    Delete {
        /// The key.
        key: String,
    },
}

impl Change {
    /// The key that it writes or removes.
    pub fn key(&self) -> &str {
        match self {
            Change::Put { key, .. } | Change::Delete { key } => key,
        }
    }
}

/// Changes that are made together if all conditions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transaction {
    /// The conditions, all of which must hold.
    pub compares: Vec<Compare>,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// It is refused as [`Refusal::Full`] where it would not leave a quarter of the store free.
    pub leaves_room: bool,
}

impl Transaction {
    /// A transaction without conditions and changes.
    pub fn new() -> Self {
        Transaction::default()
    }

    /// Adds a condition.
    pub fn when(mut self, compare: Compare) -> Self {
        self.compares.push(compare);
        self
    }

    /// Adds a change.
    pub fn then(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Leaves a quarter of the store to what can't be put off: for what begins something new.
    #[must_use]
    pub fn leaving_room(self) -> Self {
        Transaction { leaves_room: true, ..self }
    }

    /// Adds a write of a key that stays.
    pub fn put(self, key: impl Into<String>, value: Vec<u8>) -> Self {
        self.then(Change::Put { key: key.into(), value, lease: None })
    }

    /// Adds a write of a key that goes with a lease.
    pub fn put_ephemeral(self, key: impl Into<String>, value: Vec<u8>, lease: LeaseId) -> Self {
        self.then(Change::Put { key: key.into(), value, lease: Some(lease) })
    }
}

/// A transaction was made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Transacted {
    /// The revision that it made.
    pub revision: Revision,
}

/// Why the server did not do what it was asked; nothing of it was done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// A condition does not hold.
    #[error("condition {index} of the transaction does not hold")]
    Condition {
        /// Its place in the transaction.
        index: u64,
    },
    /// A lease is unknown or over.
    #[error("{0:?} is over")]
    LeaseOver(LeaseId),
    /// Too many watches of the process, or of all, wait already.
    #[error("the server holds too many watches")]
    TooManyWatches,
    /// The process, or all together, have too many leases.
    #[error("the server holds too many leases")]
    TooManyLeases,
    /// A key, pattern or value is too large, or the transaction has too many conditions and changes.
    #[error("too large")]
    TooLarge,
    /// The server holds as many keys or bytes as it can.
    #[error("the server is full")]
    Full,
}

impl Refusal {
    /// Whether the call stays refused; for want of room it may be done when it is made again.
    pub fn is_lasting(&self) -> bool {
        match self {
            Refusal::Condition { .. } | Refusal::LeaseOver(_) | Refusal::TooLarge => true,
            Refusal::TooManyWatches | Refusal::TooManyLeases | Refusal::Full => false,
        }
    }
}

/// Which keys a read or a watch is about. A key's parts are what its slashes part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyPattern {
    /// This key alone: `a`, but not `ab` nor `a/b`.
    Exact(String),
    /// The keys that begin with this text, as they are spelled: of `a` also `ab` and `a/b/c`.
    Prefix(String),
    /// The keys one part below this one: of `a` it is `a/b`, but not `a`, `ab`, `a/` nor `a/b/c`.
    Children(String),
}

impl KeyPattern {
    /// Whether a key matches it.
    pub fn matches(&self, key: &str) -> bool {
        match self {
            KeyPattern::Exact(exact) => key == exact,
            KeyPattern::Prefix(prefix) => key.starts_with(prefix),
            KeyPattern::Children(parent) => key
                .strip_prefix(parent)
                .and_then(|below| below.strip_prefix('/'))
                .is_some_and(|name| !name.is_empty() && !name.contains('/')),
        }
    }

    /// With what every key begins that matches it.
    pub fn common(&self) -> Cow<'_, str> {
        match self {
            KeyPattern::Exact(text) | KeyPattern::Prefix(text) => Cow::Borrowed(text),
            KeyPattern::Children(parent) => Cow::Owned(format!("{parent}/")),
        }
    }
}

/// A key as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// Writes since it was created, from 1.
    pub version: u64,
    /// The revision that created it.
    pub created: Revision,
    /// The revision that wrote it last.
    pub modified: Revision,
    /// The lease with which it goes.
    pub lease: Option<LeaseId>,
}

/// The matching keys at a revision; those that one answer could not hold as they stood then or later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The revision at which this was true.
    pub revision: Revision,
    /// The keys, in order.
    pub keys: Vec<KeyValue>,
}

impl Range {
    /// The condition that a key of the range is still as it was found here, also when it was absent.
    pub fn unchanged(&self, key: impl Into<String>) -> Compare {
        Compare::Unchanged { key: key.into(), since: self.revision }
    }

    /// One of the keys.
    pub fn get(&self, key: &str) -> Option<&KeyValue> {
        self.keys.iter().find(|found| found.key == key)
    }
}

/// A part of the matching keys, as it stood at a revision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Page {
    /// The revision at which this was true.
    pub revision: Revision,
    /// The keys, in order, from the one on that was asked for.
    pub keys: Vec<KeyValue>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// What changed among the matching keys after a revision. Superseded values are skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Update {
    /// The revision up to which this tells everything.
    pub revision: Revision,
    /// Whether `keys` are all there are: no revision was named, or what was removed since that one is no
    /// longer known.
    pub whole: bool,
    /// Keys written since, in the order of their revisions.
    pub keys: Vec<KeyValue>,
    /// Keys removed since and not there now.
    pub removed: Vec<String>,
}

impl Update {
    /// Whether it tells of anything.
    pub fn has_news(&self) -> bool {
        self.whole || !self.keys.is_empty() || !self.removed.is_empty()
    }
}
