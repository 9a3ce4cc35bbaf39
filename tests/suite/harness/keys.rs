//! The keys of each kind of fault, held to what the reader takes.

use super::SYSTEMS;
use std::path::Path;
use wavetank::harness::fault::{COMMON_KEYS, FAULT_KINDS, FaultKey, FaultWords};

/// They exclude each other.
const WHEN: [&str; 3] = ["at", "on", "with"];

/// Those whose keys don't depend on one another; `partitions.rs` tests the other.
fn plain() -> impl Iterator<Item = &'static FaultWords> {
    FAULT_KINDS.iter().filter(|kind| kind.name != "partition")
}

/// They bound what hangs on something else than a time.
const WINDOW: [&str; 2] = ["not-before", "no-later-than"];

/// Reads a scenario with one fault of these keys.
fn read<'a>(kind: &str, keys: impl Iterator<Item = &'a FaultKey>) -> Result<(), String> {
    let lines = keys.map(|key| format!("{} = {}\n", key.key, key.example));
    let fault = lines.collect::<String>();
    let other = "[[fault]]\nname = \"cut\"\nkind = \"pause\"\ntarget = \"everyone\"\nat = \"1s\"\nduration = \"1s\"";
    let own = format!("[[fault]]\nkind = \"{kind}\"\n{fault}");
    let text = format!("description = \"A test.\"\n{other}\n{own}");
    SYSTEMS.parse(&text, Path::new("a.toml")).map(drop).map_err(|error| error.to_string())
}

fn keys(kind: &FaultWords) -> impl Iterator<Item = &'static FaultKey> {
    kind.keys().chain(COMMON_KEYS)
}

/// Of those that one fault of this kind can have at a time.
fn together(kind: &FaultWords) -> impl Iterator<Item = &'static FaultKey> {
    let has_target = kind.keys().any(|key| key.key == "target");
    keys(kind).filter(move |key| key.key != "nodes" || has_target)
}

#[test]
fn each_kind_takes_its_keys_and_no_other() {
    const OTHER: FaultKey = FaultKey { key: "zzz", needed: false, meaning: "", example: "1" };
    for kind in plain() {
        for only in WHEN {
            let fits = |key: &&FaultKey| only != "at" || !WINDOW.contains(&key.key);
            let taken = together(kind).filter(|key| key.key == only || !WHEN.contains(&key.key));
            let taken = taken.filter(fits);
            assert_eq!(read(kind.name, taken), Ok(()), "{}", kind.name);
        }
        let taken = together(kind).filter(|key| !["at", "with"].contains(&key.key)).chain([&OTHER]);
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
        for left_out in together(kind).filter(|key| !WHEN.contains(&key.key)) {
            let others = together(kind)
                .filter(|key| !["at", "with"].contains(&key.key) && key.key != left_out.key);
            let read = read(kind.name, others);
            // How long these last means nothing.
            let at_once = left_out.key == "duration" && ["reset", "bit-rot"].contains(&kind.name);
            let needed = left_out.needed && !at_once;
            assert_eq!(read.is_err(), needed, "{} without {}", kind.name, left_out.key);
        }
    }
}
