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
         absent), some time `after` it (within the very step when absent); only at this `node`, \
         only of this `checkpoint` or the job's `attempt` of this number, only `of` the leadership of the \"dispatcher\", \
         the \"resource-manager\", the \"job\" or the \"journal\"",
        "{ milestone = \"leader-granted\", nth = \"1..3\", after = \"0ms..50ms\" }",
    ),
    optional(
        "with",
        "another `fault`, by its name, at whose first \"start\" or \"end\" (`edge`; the start when \
         absent) it begins, some time `after` it; beside `on`: with which the counting of `nth` \
         begins",
        "{ fault = \"cut\", edge = \"end\", after = \"0ms..2s\" }",
    ),
    needed("duration", "how long it lasts at most", "\"500ms..5s\""),
    optional(
        "until",
        "the milestone that ends it earlier, written as `on` is; `nth` counts from its begin",
        "{ milestone = \"leader-granted\" }",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{fault::FAULT_KINDS, scenario::Scenario};
    use std::path::Path;

    /// They exclude each other.
    const WHEN: [&str; 3] = ["at", "on", "with"];

    /// Those whose keys don't depend on one another; `partition.rs` tests the other.
    fn plain() -> impl Iterator<Item = &'static FaultWords> {
        FAULT_KINDS.iter().filter(|kind| kind.name != "partition")
    }

    /// Reads a scenario with one fault of these keys.
    fn read<'a>(kind: &str, keys: impl Iterator<Item = &'a FaultKey>) -> Result<(), String> {
        let lines = keys.map(|key| format!("{} = {}\n", key.key, key.example));
        let fault = lines.collect::<String>();
        let other = "[[fault]]\nname = \"cut\"\nkind = \"hold\"\nat = \"1s\"\nduration = \"1s\"";
        let own = format!("[[fault]]\nkind = \"{kind}\"\n{fault}");
        let text = format!("description = \"A test.\"\n{other}\n{own}");
        Scenario::parse(&text, Path::new("a.toml")).map(drop).map_err(|error| error.to_string())
    }

    fn keys(kind: &FaultWords) -> impl Iterator<Item = &'static FaultKey> {
        kind.keys().chain(COMMON_KEYS)
    }

    #[test]
    fn each_kind_takes_its_keys_and_no_other() {
        const OTHER: FaultKey = optional("zzz", "", "1");
        for kind in plain() {
            for only in WHEN {
                let taken = keys(kind).filter(|key| key.key == only || !WHEN.contains(&key.key));
                assert_eq!(read(kind.name, taken), Ok(()), "{}", kind.name);
            }
            let taken = keys(kind).filter(|key| !["at", "with"].contains(&key.key)).chain([&OTHER]);
            let refused = read(kind.name, taken).expect_err("an unknown key").replace('\n', " ");
            let known = refused.split_once("expected one of ").expect("the known keys").1;
            let mut known: Vec<&str> =
                known.split(',').map(|key| key.trim().trim_matches('`')).collect();
            known.retain(|key| *key != "kind");
            let mut told: Vec<&str> = keys(kind).map(|key| key.key).collect();
            known.sort_unstable();
            told.sort_unstable();
            assert_eq!(known, told, "{}", kind.name);
        }
    }

    #[test]
    fn what_is_needed_is_needed_and_nothing_else() {
        for kind in plain() {
            for left_out in keys(kind).filter(|key| !WHEN.contains(&key.key)) {
                let others = keys(kind)
                    .filter(|key| !["at", "with"].contains(&key.key) && key.key != left_out.key);
                let read = read(kind.name, others);
                assert_eq!(
                    read.is_err(),
                    left_out.needed,
                    "{} without {}",
                    kind.name,
                    left_out.key
                );
            }
        }
    }
}
