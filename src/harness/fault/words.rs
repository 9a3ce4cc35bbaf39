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
    /// Its own keys, besides [`COMMON_KEYS`].
    pub keys: &'static [FaultKey],
}

const fn needed(key: &'static str, meaning: &'static str, example: &'static str) -> FaultKey {
    FaultKey { key, needed: true, meaning, example }
}

const fn optional(key: &'static str, meaning: &'static str, example: &'static str) -> FaultKey {
    FaultKey { key, needed: false, meaning, example }
}

const FROM: FaultKey = optional("from", "the senders; everyone when absent", "\"everyone\"");
const TO: FaultKey = optional("to", "the receivers; everyone when absent", "\"everyone\"");
const MESSAGE: FaultKey = optional(
    "message",
    "only kinds that begin with this, see `list --messages`; all when absent",
    "\"CoordinationGateway.transact\"",
);
const TARGET: FaultKey =
    needed("target", "whom it strikes, see `list --actors`", "\"coordination\"");

/// The kinds and what they do.
pub const FAULT_KINDS: &[FaultWords] = &[
    FaultWords {
        name: "loss",
        does: "A share of the frames is lost.",
        keys: &[needed("share", "how many of the frames", "\"5%..20%\""), FROM, TO, MESSAGE],
    },
    FaultWords {
        name: "delay",
        does: "Frames take longer.",
        keys: &[needed("by", "each by up to this", "\"10ms..200ms\""), FROM, TO, MESSAGE],
    },
    FaultWords {
        name: "duplicate",
        does: "A share of the frames arrives twice.",
        keys: &[needed("share", "how many of the frames", "\"5%..20%\""), FROM, TO, MESSAGE],
    },
    FaultWords {
        name: "corrupt",
        does: "A share of the frames arrives damaged.",
        keys: &[needed("share", "how many of the frames", "\"0.1%..4%\""), FROM, TO, MESSAGE],
    },
    FaultWords {
        name: "hold",
        does: "Frames are kept back until the end.",
        keys: &[FROM, TO, MESSAGE],
    },
    FaultWords {
        name: "partition",
        does: "Somebody can't reach the rest, nor be reached.",
        keys: &[needed("isolate", "whom, see `list --actors`", "\"coordination\"")],
    },
    FaultWords {
        name: "one-way",
        does: "Nothing passes from one to the other; the way back is open.",
        keys: &[
            needed("from", "the senders", "\"clients\""),
            needed("to", "the receivers", "\"coordination\""),
        ],
    },
    FaultWords {
        name: "crash",
        does: "The process is killed, and restarted at the end.",
        keys: &[TARGET],
    },
    FaultWords {
        name: "power-cut",
        does: "The machine loses power and what was not synced, and is restarted at the end.",
        keys: &[TARGET],
    },
    FaultWords { name: "pause", does: "The process stands still until the end.", keys: &[TARGET] },
    FaultWords {
        name: "disk-error",
        does: "A share of the disk's operations fails with EIO until the end.",
        keys: &[
            TARGET,
            needed(
                "operation",
                "\"read\", \"write\", \"sync\", \"metadata\" or \"any\"",
                "\"sync\"",
            ),
            needed("share", "how many of the operations", "\"1%..10%\""),
        ],
    },
    FaultWords {
        name: "clock",
        does: "The clock drifts until the end, or wall time is stepped once; one of both is needed.",
        keys: &[
            TARGET,
            optional("drift", "how much faster or slower it runs, -50% to 50%", "\"-5%..5%\""),
            optional("step", "by how much wall time jumps", "\"-5s..5s\""),
        ],
    },
];

/// The keys of every fault.
pub const COMMON_KEYS: &[FaultKey] = &[
    optional("at", "when it begins, since the run began; `at` or `on` is needed", "\"2s..10s\""),
    optional(
        "on",
        "the milestone on which it begins, see `list --milestones`: the `nth` time (1 when \
         absent), some time `after` it (within the very step when absent)",
        "{ milestone = \"leader-granted\", nth = \"1..3\", after = \"0ms..50ms\" }",
    ),
    needed("lasts", "how long it lasts", "\"500ms..5s\""),
    optional(
        "repeat",
        "how many `times` it comes in all, and `every` how long from beginning to beginning",
        "{ times = \"1..3\", every = \"3s..8s\" }",
    ),
    optional("chance", "in which share of the runs it comes at all; 100% when absent", "\"50%\""),
    optional(
        "pick",
        "decides among several nodes when it fires; drawn when absent, written into kept plans",
        "\"17\"",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::scenario::Scenario;
    use std::path::Path;

    /// Reads a scenario with one fault of these keys; `at` and `on` exclude each other.
    fn read<'a>(kind: &str, keys: impl Iterator<Item = &'a FaultKey>) -> Result<(), String> {
        let lines = keys.map(|key| format!("{} = {}\n", key.key, key.example));
        let fault = lines.collect::<String>();
        let text = format!("description = \"A test.\"\n[[fault]]\nkind = \"{kind}\"\n{fault}");
        Scenario::parse(&text, Path::new("a.toml")).map(drop).map_err(|error| error.to_string())
    }

    fn keys(kind: &FaultWords) -> impl Iterator<Item = &'static FaultKey> {
        kind.keys.iter().chain(COMMON_KEYS)
    }

    #[test]
    fn each_kind_takes_its_keys_and_no_other() {
        const OTHER: FaultKey = optional("zzz", "", "1");
        for kind in FAULT_KINDS {
            for without in ["at", "on"] {
                let taken = keys(kind).filter(|key| key.key != without);
                assert_eq!(read(kind.name, taken), Ok(()), "{}", kind.name);
            }
            let taken = keys(kind).filter(|key| key.key != "at").chain([&OTHER]);
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
        for kind in FAULT_KINDS {
            for left_out in keys(kind).filter(|key| !["at", "on"].contains(&key.key)) {
                let others = keys(kind).filter(|key| key.key != "at" && key.key != left_out.key);
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
