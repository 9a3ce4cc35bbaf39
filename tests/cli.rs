//! What a person types and reads: bad input is refused in words, and a new scenario works.
#![cfg(madsim)]
#![expect(clippy::disallowed_methods, reason = "the test's own files and processes")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

/// A folder of its own, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wavetank-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(path.join("scenarios")).expect("a folder can be made");
        Folder(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        fs::write(self.0.join(name), bytes).expect("a file can be written");
        self
    }

    fn run(&self, arguments: &[&str]) -> Run {
        run(&self.0, arguments)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What came of a command.
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(folder: &Path, arguments: &[&str]) -> Run {
    let Output { status, stdout, stderr } =
        Command::new(BINARY).args(arguments).current_dir(folder).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
    let run = Run { code: status.code(), out: text(stdout), err: text(stderr) };
    assert!(!run.err.contains("panicked"), "{arguments:?}: {}", run.err);
    run
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Refused as bad input: what standard error said.
#[track_caller]
fn refused(run: Run) -> String {
    assert_eq!(run.code, Some(2), "{}{}", run.out, run.err);
    run.err.trim_end().to_string()
}

/// Done: what standard output said.
#[track_caller]
fn done(run: Run) -> String {
    assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
    run.out
}

/// Compares what a person reads with a file under `snapshots/cli`.
fn shown(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/cli"),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, text);
    });
}

/// Two mistakes, in faults of their own.
const MISTAKEN: &str = "subject = \"word-count\"
description = \"Two mistakes.\"

[[fault]]
kind = \"crash\"
target = \"task-executor-9\"
at = \"5s\"
lasts = \"1s\"

[[fault]]
kind = \"crash\"
target = \"job-mastr\"
at = \"5s\"
lasts = \"1s\"
";

#[test]
fn a_missing_scenario_is_refused_with_the_one_that_is_near() {
    shown("missing", &refused(run(repository(), &["run", "journal/flaping"])));
}

#[test]
fn elsewhere_the_tool_says_where_it_must_run() {
    let folder = Folder::new("elsewhere");
    for command in ["list", "explore", "check"] {
        assert_eq!(
            refused(folder.run(&[command])),
            "wavetank: there are no scenarios under scenarios/ here; run from the repository's \
             root, or name a file",
            "{command}"
        );
    }
    shown("elsewhere", &refused(folder.run(&["run", "quiet"])));
}

#[test]
fn a_mistake_in_a_file_is_told_with_its_place() {
    let folder = Folder::new("mistake");
    folder.file("a.toml", MISTAKEN);
    shown("mistake", &refused(folder.run(&["run", "a.toml"])));
}

#[test]
fn check_explains_every_mistake_and_goes_on_to_the_next_file() {
    let folder = Folder::new("check");
    folder.file("a.toml", MISTAKEN);
    folder.file("b.toml", "description = \"Odd.\"\n[[fault]]\nkind = \"hold\"\nat = \"1s\"\nlasts = \"1s\"\nchance = \"0%\"\n");
    let run = folder.run(&["check", "a.toml", "b.toml", "c.toml"]);
    assert_eq!((run.code, run.err.as_str()), (Some(2), ""));
    shown("check", &run.out);
}

#[test]
fn check_shows_what_a_seed_draws() {
    let scenario = "journal/leader-cut-off";
    let out = done(run(repository(), &["check", scenario, "--plan", "7"]));
    shown("plan", &out);
    assert_eq!(out, done(run(repository(), &["check", scenario, "--plan", "7"])));
}

#[test]
fn every_shipped_scenario_is_sound() {
    let out = done(run(repository(), &["check"]));
    assert!(out.lines().any(|line| line.starts_with("ok  word-count/quiet: ")), "{out}");
    assert!(!out.contains("odd:"), "{out}");
}

#[test]
fn what_is_no_text_or_no_file_is_refused() {
    let folder = Folder::new("no-file");
    folder.file("a.toml", b"description = \"\xff\"\n").file("plain", "");
    shown("not-utf-8", &refused(folder.run(&["run", "a.toml"])));
    shown("folder", &refused(folder.run(&["run", "scenarios"])));
    shown("below-a-file", &refused(folder.run(&["run", "plain/a.toml"])));
    folder.file("b.toml", "description = \"A test.\"\n[workload]\nlines = 1\n");
    let below = ["run", "b.toml", "--json", "plain/report.json"];
    shown("json-below-a-file", &refused(folder.run(&below)));
    let below = ["run", "b.toml", "--input", "plain/text"];
    shown("input-below-a-file", &refused(folder.run(&below)));
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    let folder = Folder::new("key");
    folder.file("a.toml", "description = \"A test.\"\n\n[workload]\nlins = 3\n");
    shown("unknown-key", &refused(folder.run(&["run", "a.toml"])));
}

#[test]
fn seeds_and_bugs_are_read_strictly() {
    let refused = |arguments: &[&str]| refused(run(repository(), arguments));
    shown("empty-seeds", &refused(&["explore", "--seeds", "5..5"]));
    shown("reversed-seeds", &refused(&["explore", "--seeds", "9..5"]));
    shown("unknown-bug", &refused(&["explore", "--sabotage", "stale-tokens-accepted"]));
    shown("run-alone", &refused(&["run"]));
}

#[test]
fn a_new_scenario_checks_and_runs_and_is_not_overwritten() {
    let folder = Folder::new("new");
    for (name, path) in
        [("my-fault", "word-count/my-fault"), ("journal/my-fault", "journal/my-fault")]
    {
        let out = done(folder.run(&["new", name]));
        assert!(out.contains(&format!("scenarios/{path}.toml is written")), "{out}");
        assert!(out.contains(&format!("cargo run -- check {path}")), "{out}");
        done(folder.run(&["check", path]));
        for seed in 0..20 {
            done(folder.run(&["run", path, "--seed", &seed.to_string()]));
        }
        let again = refused(folder.run(&["new", name]));
        let what =
            format!("wavetank: scenarios/{path}.toml: it is there already; nothing was written");
        assert_eq!(again, what);
    }
    assert_eq!(done(folder.run(&["check"])).matches("ok  ").count(), 2);
}

#[test]
fn a_bad_name_makes_no_scenario() {
    let folder = Folder::new("bad-name");
    for name in ["", "My-Fault", "a b", "../a", "a/b/c", "journal/", "journal/../a", "a.toml"] {
        let error = refused(folder.run(&["new", name]));
        assert!(error.starts_with(&format!("wavetank: {name:?}: ")), "{error}");
    }
    shown("bad-name", &refused(folder.run(&["new", "Journal"])));
    shown("bad-subject", &refused(folder.run(&["new", "jurnal/a"])));
    assert_eq!(fs::read_dir(folder.0.join("scenarios")).expect("a folder").count(), 0);
    folder.file("scenarios/journal", "no folder");
    shown("new-below-a-file", &refused(folder.run(&["new", "journal/a"])));
}

const LISTS: &[&str] = &[
    "--faults",
    "--milestones",
    "--actors",
    "--invariants",
    "--jobs",
    "--messages",
    "--sabotages",
];

#[test]
fn lists_fit_on_a_screen_and_say_the_same_in_json() {
    for more in LISTS.iter().map(|list| vec![*list]).chain([vec![]]) {
        let arguments = [vec!["list"], more].concat();
        let out = done(run(repository(), &arguments));
        let wide: Vec<&str> = out.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{arguments:?}");
        let json = done(run(repository(), &[&arguments[..], &["--json"]].concat()));
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let rows = json.as_array().expect("an array");
        assert!(rows.len() > 2, "{arguments:?}");
        for row in rows {
            let name = row["name"].as_str().expect("each row has a name");
            assert!(out.contains(name), "{arguments:?}: {name}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_mistake() {
    let mut child = Command::new(BINARY)
        .args(["list", "--messages", "--json"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_help_of_every_command_explains_each_option_and_shows_an_example() {
    let help = done(run(repository(), &["--help"]));
    let commands = help.split("Commands:").nth(1).expect("a list of commands");
    let commands = commands.split("\n\n").next().expect("it ends with an empty line");
    let commands: Vec<&str> =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"check") && commands.contains(&"new"), "{commands:?}");
    for command in commands.into_iter().filter(|command| !["", "help"].contains(command)) {
        let help = done(run(repository(), &[command, "--help"]));
        assert!(help.contains(&format!(" -- {command}")), "{command} has no example:\n{help}");
        let lines: Vec<&str> = help.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            assert!(line.chars().count() <= 88, "{command}: {line:?} is too long");
            let option = line.trim_start();
            if line.starts_with(' ') && (option.starts_with('-') || option.starts_with('[')) {
                let beside = option.split("  ").nth(1).is_some();
                let below =
                    lines.get(number + 1).is_some_and(|next| next.starts_with("          "));
                assert!(beside || below, "{command}: {line:?} is not explained");
            }
        }
    }
}
