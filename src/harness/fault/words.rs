//! The kinds of faults and their keys, in words; a test holds them to what the reader takes.

/// A key of a `[[fault]]` table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultKey {
    /// The key.
    pub key: &'static str,
    /// Whether a fault can't be without it.
    pub needed: bool,
    /// What it means, in a line.
    pub meaning: &'static str,
    /// A value as a file writes it.
    pub example: &'static str,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultWords {
    /// Its name in files.
    pub name: &'static str,
    /// What it does, in a line.
    pub does: &'static str,
    /// Its own keys, besides [`COMMON_KEYS`], in groups.
    pub(super) keys: &'static [&'static [FaultKey]],
}

impl FaultWords {
    /// Its own keys, besides [`COMMON_KEYS`].
    pub fn keys(&self) -> impl Iterator<Item = &'static FaultKey> + Clone + use<> {
        self.keys.iter().copied().flatten()
    }
}

const fn needed(key: &'static str, meaning: &'static str, example: &'static str) -> FaultKey {
    FaultKey { key, needed: true, meaning, example }
}

const fn optional(key: &'static str, meaning: &'static str, example: &'static str) -> FaultKey {
    FaultKey { key, needed: false, meaning, example }
}

/// The keys of every fault.
pub const COMMON_KEYS: &[FaultKey] = &[
    optional("name", "by which other faults refer to it", "\"first-cut\""),
    optional(
        "at",
        "when it begins, since the run began; `at`, `on` or `with` is needed",
        "\"2s..10s\"",
    ),
    optional(
        "on",
        "the milestone on which it begins, see `list --milestones`: the `nth` time (1 when \
         absent), some time `after` it (within the very step when absent); only at this `node`, and \
         only where the milestone says this of the keys that `list --milestones` gives it",
        "{ milestone = \"leader-granted\", nth = \"1..3\", after = \"0ms..50ms\" }",
    ),
    optional(
        "with",
        "another `fault`, by its name, at whose first \"start\" or \"end\" (`edge`; the start when \
         absent) it begins, some time `after` it; beside `on`: with which the counting of `nth` \
         begins",
        "{ fault = \"cut\", edge = \"end\", after = \"0ms..2s\" }",
    ),
    needed(
        "duration",
        "how long it lasts at most; not needed of what only happens at its begin: a reset, bits that \
         flip, a clock's step",
        "\"500ms..5s\"",
    ),
    optional(
        "nodes",
        "of the nodes that its `target` means only those that the fault of a name struck (`same-as`), or all \
         but those (`other-than`)",
        "{ other-than = \"cut\" }",
    ),
    optional(
        "until",
        "the milestone that ends it earlier, written as `on` is; `nth` counts from its begin",
        "{ milestone = \"leader-granted\" }",
    ),
    optional(
        "not-before",
        "beside `on` or `with`: milestones before this time of the run are not counted, and with what another \
         fault does before then it begins at this time",
        "\"5s\"",
    ),
    optional(
        "no-later-than",
        "beside `on` or `with`: it begins at this time of the run if what it hangs on has not come",
        "\"12s..25s\"",
    ),
    optional(
        "must-strike",
        "\"yes\": where its target means no running node, a drawn running one is struck; when its time is \
         over and nothing has met it, it goes on, of all links, disks and calls, until something has (a \
         server is restarted where nobody uses a disk); \"no\" when absent",
        "\"yes\"",
    ),
    optional(
        "repeat",
        "how many `times` it comes in all, and `every` how long from beginning to beginning",
        "{ times = \"1..3\", every = \"3s..8s\" }",
    ),
    optional("chance", "the probability that it comes at all; 100% when absent", "\"50%\""),
    optional(
        "pick",
        "decides among several nodes when it fires; drawn when absent, written into kept plans",
        "\"17\"",
    ),
];
