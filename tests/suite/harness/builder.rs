//! Scenarios from Rust say what files say.

use super::{SYSTEMS, shipped};
use std::path::Path;
use wavetank::harness::{
    fault::{COMMON_KEYS, FAULT_KINDS, FaultKey},
    scenario::{Keys, Scenario, fault},
};

/// A fault of a kind with these keys at their examples, as a file and as Rust.
fn of_kind(kind: &str, keys: &[&FaultKey]) -> (String, Keys) {
    let lines = keys.iter().map(|key| format!("{} = {}\n", key.key, key.example));
    let text = format!("kind = \"{kind}\"\n{}", lines.collect::<String>());
    let table: toml::Table = toml::from_str(&text).expect("examples are TOML");
    let built = table
        .into_iter()
        .fold(wavetank::harness::scenario::keys(), |built, (key, value)| built.set(&key, value));
    (format!("[[fault]]\n{text}"), built)
}

#[test]
fn each_kind_of_fault_is_the_same_in_rust_and_in_a_file() {
    for kind in FAULT_KINDS {
        let when = |key: &&FaultKey| {
            let hangs = ["on", "with", "nodes", "not-before", "no-later-than"];
            !hangs.contains(&key.key)
        };
        let keys = kind.keys().chain(COMMON_KEYS.iter().filter(when));
        // Which others belong there depends on its shape.
        let isolates = |key: &&FaultKey| !["from", "to"].contains(&key.key);
        let keys = keys.filter(|key| kind.name != "partition" || isolates(key));
        let keys: Vec<&FaultKey> = keys.collect();
        let (text, keys) = of_kind(kind.name, &keys);
        let path = Path::new("scenarios/a.toml");
        let file = SYSTEMS.parse(&format!("description = \"A test.\"\n{text}"), path);
        let built = Scenario::builder("a", "A test.").fault(keys).build(SYSTEMS);
        assert_eq!(built.expect("sound"), file.expect("sound"), "{}", kind.name);
    }
}

#[test]
fn every_shipped_scenario_can_be_built() {
    for path in shipped() {
        let scenario = SYSTEMS.load(&path).expect("it is sound");
        let file: toml::Table = toml::from_str(&scenario.to_toml()).expect("it is TOML");
        let builder = Scenario::builder_of(&scenario.name, file);
        assert_eq!(builder.build(SYSTEMS).as_ref(), Ok(&scenario), "{}", builder.to_toml());
    }
}

#[test]
fn a_mistake_is_explained_as_in_a_file() {
    let wrong = Scenario::builder("a", "A test.").fault(fault("loss").at("1s").duration("2s"));
    let told = wrong.build(SYSTEMS).expect_err("a loss needs a probability").to_string();
    assert_eq!(told, "a.toml:3:1: `fault 1.probability` is missing");
}
