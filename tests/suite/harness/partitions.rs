//! The shapes of a partition, and the keys of each.

use super::SYSTEMS;
use std::path::Path;

const SHAPES: [&str; 6] = ["isolate", "halves", "bridge", "pair", "one-way", "ring"];

fn told(keys: &str) -> Result<(), String> {
    let text = format!(
        "description = \"A test.\"\n[[fault]]\nkind = \"partition\"\nat = \"1s\"\n\
         duration = \"1s\"\n{keys}"
    );
    SYSTEMS.parse(&text, Path::new("a.toml")).map(drop).map_err(|error| error.to_string())
}

#[test]
fn each_shape_takes_its_keys_and_no_others() {
    let all = [("target", "leader"), ("from", "clients"), ("to", "coordination")];
    for shape in SHAPES {
        let own: &[&str] = match shape {
            "isolate" | "bridge" => &["target"],
            "pair" | "one-way" => &["from", "to"],
            _ => &[],
        };
        let keys = |left_out: &str, more: &str| {
            let wanted = |key: &&str| (own.contains(key) || *key == more) && *key != left_out;
            let keys = all.iter().filter(|(key, _)| wanted(key));
            let keys = keys.map(|(key, target)| format!("{key} = \"{target}\"\n"));
            format!("shape = \"{shape}\"\n{}", keys.collect::<String>())
        };
        assert_eq!(told(&keys("", "")), Ok(()), "{shape}");
        for (key, _) in all {
            let told = match own.contains(&key) {
                true => told(&keys(key, "")),
                false => told(&keys("", key)),
            };
            let message = told.expect_err("one key too few or too many");
            assert!(message.contains(key), "{shape}: {message}");
        }
    }
    let message = told("target = \"leader\"").expect_err("no shape");
    assert!(message.contains("`fault.shape` is missing") || message.contains("shape"));
}
