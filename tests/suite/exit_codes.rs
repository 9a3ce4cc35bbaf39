//! What `docs/exit-codes.md` promises, beside what the commands of this world say and what tests show.
#![expect(clippy::disallowed_methods, reason = "reads the pages")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The command that a row is about, if it is one of this world; those of the live one are named `live …`.
fn of_this_world(named: &str) -> Option<&str> {
    match named.strip_prefix("live ") {
        Some(command) => cfg!(not(madsim)).then_some(command),
        None => cfg!(madsim).then_some(named),
    }
}

/// Commands without rows: not each of their codes is shown by a test.
const WITHOUT_ROWS: &[&str] = if cfg!(madsim) { &[] } else { &["hello", "mini"] };

/// The texts of all tests of the crate.
fn tests(folder: &Path, found: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *found += &fs::read_to_string(&path).expect("a text");
        }
    }
}

/// What `--help` of the tool or of a command says.
fn help(command: &[&str]) -> String {
    let tool = Command::new(env!("CARGO_BIN_EXE_wavetank")).args(command).arg("--help").output();
    String::from_utf8(tool.expect("it runs").stdout).expect("a text")
}

/// The commands that a help lists.
fn commands(help: &str) -> BTreeSet<&str> {
    let commands = help.split("Commands:").nth(1).expect("the commands");
    let commands = commands.split("\n\n").next().expect("they end");
    let commands = commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    commands.filter(|command| !["", "help"].contains(command)).collect()
}

/// The codes that a help names.
fn codes(help: &str) -> BTreeSet<&str> {
    let (_, told) = help.split_once("Exit codes: ").expect("it names them");
    // They end with the paragraph, where one follows.
    let told = told.split("\n\n").next().expect("there is always a first");
    let words = told.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    words.collect()
}

#[test]
fn each_exit_code_of_each_command_is_promised_and_shown_by_a_test() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/exit-codes.md")).expect("the page");
    let mut sources = String::new();
    for folder in ["src", "tests"] {
        tests(&Path::new(ROOT).join(folder), &mut sources);
    }
    let mut rows = BTreeMap::<&str, BTreeSet<&str>>::new();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for test in cells[cells.len() - 2].split('`').skip(1).step_by(2) {
            assert!(sources.contains(&format!("fn {test}()")), "{test} is no test: {row}");
        }
        if let [_, command, code, ..] = cells[..]
            && command.starts_with('`')
        {
            assert!(cells[cells.len() - 2].contains('`'), "no test shows {row}");
            if let Some(command) = of_this_world(command.trim_matches('`')) {
                rows.entry(command).or_default().insert(code);
            }
        }
    }
    let all = help(&[]);
    let mut listed = commands(&all);
    for command in WITHOUT_ROWS {
        assert!(listed.remove(command), "{command} is no command any more");
    }
    assert_eq!(rows.keys().copied().collect::<BTreeSet<_>>(), listed);
    for (command, promised) in rows {
        assert_eq!(codes(&help(&[command])), promised, "{command}");
    }
}
