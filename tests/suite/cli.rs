//! What a person types and reads: bad input is refused in words, and a new scenario works.
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
    of(Output { status, stdout, stderr })
}

fn of(output: Output) -> Run {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("what is printed is UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert!(!err.contains("panicked"), "{err}");
    Run { code: output.status.code(), out, err }
}

impl Run {
    /// With what standard output said in the place of standard error.
    fn swapped(self) -> Self {
        Run { err: self.out.clone(), ..self }
    }
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
const MISTAKEN: &str = "system = \"cluster\"
description = \"Two mistakes.\"

[[fault]]
kind = \"crash\"
target = \"task-executor-9\"
at = \"5s\"
duration = \"1s\"

[[fault]]
kind = \"crash\"
target = \"job-mastr\"
at = \"5s\"
duration = \"1s\"
";

#[test]
fn a_missing_scenario_is_refused_with_the_one_that_is_near() {
    shown("missing", &refused(run(repository(), &["run", "word-count/crash-lop"])));
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
    folder.file("b.toml", "description = \"Odd.\"\n[[fault]]\nkind = \"hold\"\nat = \"1s\"\nduration = \"1s\"\nchance = \"0%\"\n");
    let run = folder.run(&["check", "a.toml", "b.toml", "c.toml"]);
    assert_eq!((run.code, run.err.as_str()), (Some(2), ""));
    shown("check", &run.out);
}

#[test]
fn check_shows_what_a_seed_draws() {
    let scenario = "word-count/master-cut-off";
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
    folder.file("b.toml", "description = \"A test.\"\n[[job]]\nlines = 1\n");
    let below = ["run", "b.toml", "--json", "plain/report.json"];
    shown("json-below-a-file", &refused(folder.run(&below)));
    let below = ["run", "b.toml", "--input", "plain/text"];
    shown("input-below-a-file", &refused(folder.run(&below)));
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    let folder = Folder::new("key");
    folder.file("a.toml", "description = \"A test.\"\n\n[[job]]\nlins = 3\n");
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

/// A scenario of a short run.
const SHORT: &str = "description = \"A test.\"\n[[job]]\nlines = 1\n";

#[test]
fn numbers_are_read_strictly_and_in_their_own_words() {
    let refused = |arguments: &[&str]| refused(run(repository(), arguments));
    let seed = "expected a whole number from 0 to 18446744073709551615, found \"-1\"";
    for command in [
        &["run", "word-count/quiet", "--seed", "-1"][..],
        &["run", "word-count/quiet", "--schedule", "-1"],
        &["check", "--plan", "-1"],
        &["replay", "nowhere", "--schedule", "-1"],
    ] {
        assert!(refused(command).contains(seed), "{command:?}");
    }
    for seeds in ["-3..5", "5", "0..18446744073709551616"] {
        for command in ["explore", "verify-determinism"] {
            let told = refused(&[command, "--seeds", seeds]);
            assert!(told.contains("expected a range of seeds such as 0..100"), "{told}");
            assert!(told.contains(&format!("found \"{seeds}\"")), "{told}");
        }
    }
    for jobs in ["0", "-1", "x", "1000000"] {
        for command in ["explore", "sabotage"] {
            let told = refused(&[command, "--jobs", jobs]);
            let what = format!("a number of runs side by side, from 1 to 1024, found \"{jobs}\"");
            assert!(told.contains(&what), "{told}");
        }
    }
    for limit in ["0s", "-1s", "10"] {
        for command in ["explore", "verify-determinism"] {
            let told = refused(&[command, "--for", limit]);
            assert!(told.contains("such as 90s, 10m or 2h, found"), "{told}");
        }
    }
    assert_eq!(
        refused(&["run", "word-count/quiet", "--counts", "counts.txt"]),
        "wavetank: `--counts` of `run` is called `--output` now"
    );
}

/// The most bytes of a line of an input.
const LINE_BYTES_MAX: usize = 32_732;

#[test]
fn an_input_without_an_end_is_refused_at_once() {
    let folder = Folder::new("input");
    folder.file("a.toml", SHORT).file("long", "x".repeat(30_000_000));
    folder.file("endless.toml", "x".repeat(5_000_000));
    let made = Command::new("mkfifo").arg(folder.0.join("pipe")).status().expect("it is there");
    assert!(made.success());
    let refused_input = |input: &str| refused(folder.run(&["run", "a.toml", "--input", input]));
    let no_file = "it is a device, a pipe or a socket; a file is expected";
    assert_eq!(refused_input("/dev/zero"), format!("wavetank: /dev/zero: {no_file}"));
    assert_eq!(refused_input("pipe"), format!("wavetank: pipe: {no_file}"));
    assert_eq!(
        refused_input("long"),
        "wavetank: long: line 1 has 30000000 bytes; a line may have 32732"
    );
    // The same of a scenario.
    assert!(refused(folder.run(&["run", "endless.toml"])).contains("more than 4 MiB"));
    for no_scenario in ["/dev/zero", "pipe"] {
        assert!(refused(folder.run(&["check", no_scenario]).swapped()).contains("no scenario"));
    }
}

#[test]
fn a_line_as_long_as_may_be_is_counted() {
    let folder = Folder::new("long-lines");
    let word_count = "system = \"cluster\"\ndescription = \"A test.\"\n";
    folder.file("a.toml", word_count).file("b.toml", "description = \"A test.\"\n");
    folder.file(
        "text",
        format!("{}\nb\n{}\n", "x".repeat(LINE_BYTES_MAX), "y".repeat(LINE_BYTES_MAX)),
    );
    let out = done(folder.run(&["run", "a.toml", "--input", "text", "--output", "-"]));
    assert!(out.contains("3 of 3 words counted, 3 different: equal to the input's"), "{out}");
    let counted: Vec<&str> = out.lines().filter(|line| line.starts_with("      1 ")).collect();
    let words = ["b".to_string(), "x".repeat(LINE_BYTES_MAX), "y".repeat(LINE_BYTES_MAX)];
    assert_eq!(counted, words.map(|word| format!("      1 {word}")));
    // A file that names no system is a word count.
    let unnamed = done(folder.run(&["run", "b.toml", "--input", "text"]));
    assert!(unnamed.contains("3 of 3 words counted, 3 different: equal"), "{unnamed}");
}

#[test]
fn a_poisoned_line_beyond_the_input_is_refused() {
    let folder = Folder::new("poisoned");
    let text = "system = \"cluster\"\ndescription = \"A test.\"\n[[job]]\nlines = 100\n";
    folder.file("a.toml", format!("{text}poisoned = 101\n"));
    let told = refused(folder.run(&["run", "a.toml"]));
    assert_eq!(
        told,
        "wavetank: a.toml:5:12: `poisoned`: there is no line 101; the input has 100 lines"
    );
    folder.file("a.toml", format!("{text}poisoned = 9\n")).file("text", "a\nb\n");
    let told = refused(folder.run(&["run", "a.toml", "--input", "text"]));
    assert_eq!(told, "wavetank: text: the scenario poisons line 9, and it has 2 lines");
}

#[test]
fn nothing_that_a_file_says_reaches_the_terminal_as_a_command() {
    let folder = Folder::new("control");
    let colour = "\u{1b}[31m";
    folder.file("a.toml", "description = \"\\u001b[31mred\"\n");
    folder.file("b.toml", format!("description = \"{colour}red\"\n"));
    folder.file("c.toml", "description = \"A test.\"\n\"\\u001b[31m\" = 1\n");
    folder.file("d.toml", "description = \"A test.\"\nsystem = \"\\u001b[31m\"\n");
    folder.file(&format!("{colour}.toml"), "description = []\n");
    for file in ["a.toml", "b.toml", "c.toml", "d.toml", &format!("{colour}.toml")] {
        for command in ["run", "check"] {
            let run = folder.run(&[command, file]);
            assert_eq!(run.code, Some(2), "{file}: {}{}", run.out, run.err);
            let told = run.out + &run.err;
            assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{file}: {told:?}");
        }
    }
    let told = refused(folder.run(&["run", "a.toml"]));
    assert!(told.contains("expected a text of one line without control characters"), "{told}");
}

#[test]
fn a_folder_that_leads_back_is_not_followed() {
    let folder = Folder::new("loop");
    done(folder.run(&["new", "a"]));
    std::os::unix::fs::symlink("..", folder.0.join("scenarios/word-count/loop")).unwrap();
    std::os::unix::fs::symlink("a.toml", folder.0.join("scenarios/word-count/b.toml")).unwrap();
    let list = done(folder.run(&["list"]));
    assert_eq!(list.matches("word-count/").count(), 2, "a link to a file is a file: {list}");
}

/// Runs the tool where no file can have a byte.
fn on_a_full_disk(folder: &Folder, arguments: &[&str]) -> Run {
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, BINARY]).args(arguments).current_dir(&folder.0);
    of(command.output().expect("it runs"))
}

#[test]
fn what_a_full_disk_cut_short_is_not_there() {
    let folder = Folder::new("full");
    let told = refused(on_a_full_disk(&folder, &["new", "a"]));
    assert!(told.starts_with("wavetank: scenarios/word-count/a.toml: File too large"), "{told}");
    let left = fs::read_dir(folder.0.join("scenarios/word-count")).expect("a folder");
    assert_eq!(left.count(), 0);
    done(folder.run(&["new", "b"]));
    assert!(done(folder.run(&["list"])).starts_with("word-count/b"));
    let kept = on_a_full_disk(&folder, &["run", "word-count/b", "--save"]);
    assert_eq!(kept.code, Some(2), "{}{}", kept.out, kept.err);
    let left: Vec<_> = fs::read_dir(folder.0.join("failures")).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing has a name: {left:?}");
}

#[test]
fn a_list_tells_what_it_can_and_what_is_wrong() {
    let folder = Folder::new("list");
    done(folder.run(&["new", "a"]));
    folder.file("scenarios/empty.toml", "");
    let list = folder.run(&["list"]);
    assert_eq!(list.code, Some(2));
    assert!(
        list.out.starts_with("word-count/a  ") && list.out.lines().count() == 1,
        "{}",
        list.out
    );
    let what = "wavetank: scenarios/empty.toml:1:1: `description` is missing";
    assert_eq!(list.err.trim_end(), what);
}

#[test]
fn a_new_scenario_checks_and_runs_and_is_not_overwritten() {
    let folder = Folder::new("new");
    for (name, path) in
        [("my-fault", "word-count/my-fault"), ("word-count/mine", "word-count/mine")]
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
fn a_new_crate_is_whole_and_nothing_is_overwritten() {
    let folder = Folder::new("init");
    let out = done(folder.run(&["init", "my-system"]));
    assert!(out.starts_with("my-system is written"), "{out}");
    let read = |file: &str| {
        let path = folder.0.join("my-system").join(file);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).expect("it is TOML");
    assert_eq!(manifest["package"]["name"].as_str(), Some("my-system"));
    let wavetank = manifest["dependencies"]["wavetank"]["path"].as_str().expect("a path");
    assert!(Path::new(wavetank).join("src/lib.rs").is_file(), "{wavetank}");
    // All that its README names is there.
    let page = read("README.md");
    let named = page.split('`').skip(1).step_by(2).filter(|name| name.ends_with(".rs"));
    assert!(named.map(read).filter(|text| !text.is_empty()).count() > 4, "{page}");
    assert!(read(".cargo/config.toml").contains("--cfg madsim"));
    let again = refused(folder.run(&["init", "my-system"]));
    assert!(again.contains("my-system is there and not empty"), "{again}");
    for name in ["My-System", "a b", "test"] {
        let told = refused(folder.run(&["init", name]));
        assert!(told.starts_with(&format!("wavetank: {name}: the folder's name")), "{told}");
        assert!(!folder.0.join(name).exists(), "{name}");
    }
}

#[test]
fn a_bad_name_makes_no_scenario() {
    let folder = Folder::new("bad-name");
    for name in ["", "My-Fault", "a b", "../a", "a/b/c", "word-count/", "word-count/../a", "a.toml"]
    {
        let error = refused(folder.run(&["new", name]));
        assert!(error.starts_with(&format!("wavetank: {name:?}: ")), "{error}");
    }
    shown("bad-name", &refused(folder.run(&["new", "Late-Answers"])));
    shown("bad-system", &refused(folder.run(&["new", "wrod-count/a"])));
    assert_eq!(fs::read_dir(folder.0.join("scenarios")).expect("a folder").count(), 0);
    folder.file("scenarios/word-count", "no folder");
    shown("new-below-a-file", &refused(folder.run(&["new", "word-count/a"])));
}

const LISTS: &[&str] = &[
    "--faults",
    "--milestones",
    "--targets",
    "--invariants",
    "--properties",
    "--systems",
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
        // There is one system, and what every system has.
        let least = if arguments.contains(&"--systems") { 2 } else { 3 };
        assert!(rows.len() >= least, "{arguments:?}");
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

#[test]
fn the_graphs_of_a_job_are_told_in_three_ways() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = run(root, &["graph", "word-count"]);
    assert_eq!(told.code, Some(0), "{}", told.err);
    for line in
        ["StreamEdge split -> count: HASH", "JobVertex 1: count -> sink", "1 pipelined region"]
    {
        assert!(told.out.contains(line), "{line}: {}", told.out);
    }
    let dot = run(root, &["graph", "pipelines", "--parallelism", "3", "--format", "dot"]);
    assert!(dot.out.starts_with("digraph \"pipelines\" {"), "{}", dot.out);
    let json = run(root, &["graph", "word-count", "--format", "json"]);
    let read: serde_json::Value = serde_json::from_str(&json.out).expect("it is JSON");
    assert_eq!(read["StreamGraph"]["StreamNodes"][1]["Function"]["reads"], "bytes");
    let unknown = run(root, &["graph", "word-cuont"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.err.contains("there are\n  word-count       Count words"), "{}", unknown.err);
    let refused = run(root, &["graph", "word-count", "--arguments", "{}"]);
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.err.contains("the arguments are refused: missing field `input`"),
        "{}",
        refused.err
    );
}
