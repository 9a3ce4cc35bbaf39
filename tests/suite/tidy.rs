//! The laws of the house that no compiler checks. Each rule is shown to bite below.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 600;

/// The floors, bottom to top.
const FLOORS: &[&str] = &["host", "system", "jobs", "harness", "cli"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// What is wrong with a file of `src/`, by rule.
fn faults(path: &str, text: &str) -> Vec<String> {
    let floor = path.split('/').next().unwrap_or_default();
    let code = || text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut faults = Vec::new();
    if floor != "host"
        && code().any(|line| names_crate(line, "tokio") || names_crate(line, "madsim"))
    {
        faults.push("names tokio or madsim outside host".to_string());
    }
    if let Some(height) = FLOORS.iter().position(|known| *known == floor) {
        for upper in &FLOORS[height + 1..] {
            if code().any(|line| line.contains(&format!("crate::{upper}"))) || imports(text, upper)
            {
                faults.push(format!("reaches up to {upper}"));
            }
        }
    }
    let door =
        ["lib.rs", "main.rs", "harness/mod.rs"].contains(&path) || ["host", "cli"].contains(&floor);
    if !door && code().any(|line| line.contains("madsim)") && line.contains("cfg(")) {
        faults.push("switches worlds outside the doors".to_string());
    }
    if text.lines().count() > LINES_MAX {
        faults.push(format!("has more than {LINES_MAX} lines"));
    }
    faults
}

fn names_crate(line: &str, name: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(&format!("use {name}"))
        || line.contains(&format!("{name}::")) && !line.contains(&format!("_{name}::"))
}

/// Whether a `use crate::{ … }` block names a floor.
fn imports(text: &str, floor: &str) -> bool {
    let Some((_, block)) = text.split_once("use crate::{") else { return false };
    let block = block.split("\n};").next().unwrap_or_default();
    block.lines().any(|line| line.starts_with(&format!("    {floor}::")))
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    assert!(found.len() > 50, "the sources were found");
    let mut wrong = Vec::new();
    for path in found {
        let name = path.strip_prefix(&root).expect("it was found there").display().to_string();
        let text = fs::read_to_string(&path).expect("a text");
        wrong.extend(faults(&name, &text).into_iter().map(|fault| format!("src/{name} {fault}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rules_bite() {
    assert_eq!(faults("system/a.rs", "use tokio::time;"), ["names tokio or madsim outside host"]);
    assert_eq!(faults("host/live/a.rs", "use tokio::time;").len(), 0);
    assert_eq!(faults("system/a.rs", "use crate::harness::check;"), ["reaches up to harness"]);
    assert_eq!(faults("host/a.rs", "use crate::{\n    system::rpc,\n};"), ["reaches up to system"]);
    assert_eq!(faults("harness/a.rs", "use crate::system::rpc;").len(), 0);
    assert_eq!(
        faults("jobs/a.rs", "#[cfg(not(madsim))]\nmod b;"),
        ["switches worlds outside the doors"]
    );
    assert_eq!(faults("cli/mod.rs", "#[cfg(madsim)]\nmod b;").len(), 0);
    assert_eq!(faults("jobs/a.rs", &"\n".repeat(700)), ["has more than 600 lines"]);
    assert_eq!(faults("jobs/a.rs", "// cfg(madsim), tokio::time").len(), 0);
}
