//! Every command that README and docs show is run here, page by page, in the order of the page.
#![expect(clippy::disallowed_methods, reason = "reads the pages")]

use crate::clone::ROOT;
use std::{fs, path::Path, process::Command};

/// A sweep on a page is for the reader's machine; here it is begun only.
const SEEDS_MAX: u64 = 60;
/// What is no command of the simulated tool, and where it is run instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("cargo install-live", "cargo install-live"),
    ("cargo test", "cargo test"),
    ("cargo live hello", "cargo live hello"),
    ("cargo live mini", "cargo live mini"),
    ("cargo live start-cluster", "cargo live start-cluster"),
    ("cargo live submit", "cargo live submit"),
    ("cargo live serve", "bash .ci/live-serve"),
    ("cargo live jobs", "cargo live jobs"),
    ("cargo live info", "cargo live info"),
    ("cargo live output", "cargo live output"),
    ("cargo live savepoint", "cargo live savepoint"),
    ("cargo live checkpoint-info", "cargo live checkpoint-info"),
    ("cargo live stop 3f --savepoint", "cargo live stop \"$job\" --savepoint"),
    ("cargo live cancel", "cargo live cancel"),
    ("cargo live stop-cluster", "cargo live stop-cluster"),
    ("bash .ci/run", ""),
    ("cargo bench", ""),
    // It is the reader's, and takes minutes.
    ("cargo build --release", ""),
];

/// When it is set, the samples of the pages are written anew.
pub const REWRITE: &str = "WAVETANK_REWRITE_PAGES";

/// A command of a page.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    line: usize,
    text: String,
    /// What the page says that it exits with.
    exits: i32,
}

/// The commands in the indented blocks of a page.
fn commands(page: &str) -> Vec<Shown> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for (line, text) in (1..).zip(page.lines()) {
        fenced ^= text.trim_start().starts_with("```");
        let shown = text.trim_start();
        if fenced
            || !text.starts_with("    ")
            || !["cargo ", "bash "].iter().any(|c| shown.starts_with(c))
        {
            continue;
        }
        let (text, comment) = shown.split_once("  #").unwrap_or((shown, ""));
        let exits = comment.split_once("exits with ").map_or(0, |(_, code)| {
            code.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().expect("an exit code")
        });
        found.push(Shown { line, text: text.trim().to_string(), exits });
    }
    found
}

/// The arguments of the tool; `None` when it is another command.
fn arguments(command: &str) -> Option<Vec<String>> {
    let rest = command.strip_prefix("cargo run ")?;
    let (_, rest) = rest.split_once("-- ").unwrap_or(("", ""));
    let mut arguments: Vec<String> = Vec::new();
    for (index, part) in rest.split('"').enumerate() {
        match index % 2 {
            0 => arguments.extend(part.split_whitespace().map(String::from)),
            _ => arguments.push(part.to_string()),
        }
    }
    Some(arguments)
}

/// Makes a sweep short, and a search for all known bugs one for the easiest.
fn shortened(mut arguments: Vec<String>) -> Vec<String> {
    if arguments == ["sabotage"] {
        arguments.push("sink-commits-at-barrier".to_string());
    }
    for at in 1..arguments.len() {
        let (before, value) = (arguments[at - 1].clone(), arguments[at].clone());
        if let ("--seeds", Some((from, to))) = (before.as_str(), value.split_once("..")) {
            let (from, to): (u64, u64) = (from.parse().unwrap(), to.parse().unwrap());
            arguments[at] = format!("{from}..{}", to.min(from + SEEDS_MAX));
        }
        if before == "--for" {
            arguments[at] = "1s".to_string();
        }
    }
    arguments
}

/// Runs a page's commands in a clone; `after` is called behind each.
fn follow(page: &str, after: impl Fn(&str, &Path)) {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let ci = fs::read_to_string(Path::new(ROOT).join(".ci/run")).expect("the script");
    let clone = crate::clone::clone(&format!("docs-{}", page.replace('/', "-")));
    let shown = commands(&text);
    assert!(shown.len() > 3, "the commands of {page} were found");
    for Shown { line, text, exits } in shown {
        let Some(arguments) = arguments(&text) else {
            let known = ELSEWHERE.iter().find(|(known, _)| text.starts_with(known));
            let (_, runs) = known.unwrap_or_else(|| panic!("{page}:{line}: who runs {text}?"));
            assert!(ci.contains(runs), "{page}:{line}: {text} is not run by .ci/run");
            continue;
        };
        let binary = env!("CARGO_BIN_EXE_wavetank");
        let mut command = Command::new(binary);
        command.current_dir(&*clone).args(shortened(arguments));
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(exits), "{page}:{line}: {text}\n{said}");
        after(&text, &clone);
    }
}

/// The first block of a page in that language.
fn block(page: &str, language: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block");
    rest.split("```").next().expect("there is always a first").to_string()
}

/// Puts a text in the place of the first block of a page in that language.
fn rewrite(page: &str, language: &str, text: &str) {
    let path = Path::new(ROOT).join(page);
    let whole = fs::read_to_string(&path).expect("a page");
    let old = format!("```{language}\n{}```", block(page, language));
    fs::write(&path, whole.replace(&old, &format!("```{language}\n{text}```"))).expect("a page");
}

/// Holds the report of the failure that a page provokes to the one that it shows.
fn hold_report(page: &str, command: &str, clone: &Path) {
    if command.contains("-- explore word-count/late-offers --sabotage") {
        let report = clone.join("failures/S4-word-count-late-offers-0/report.txt");
        let report = fs::read_to_string(report).expect("the failure that the page shows");
        if std::env::var_os(REWRITE).is_some() {
            rewrite(page, "text", &report);
        }
        let again = format!("{REWRITE}=1 cargo test --test suite docs::");
        assert_eq!(block(page, "text"), report, "another report now? {again}");
    }
}

/// What the tool prints.
fn printed(arguments: &[&str], clone: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
    let output = command.current_dir(clone).args(arguments).output().expect("it runs");
    String::from_utf8(output.stdout).expect("a text")
}

#[test]
fn the_readme_does_what_it_shows() {
    const PAGE: &str = "README.md";
    follow(PAGE, |command, clone| {
        hold_report(PAGE, command, clone);
        if command.contains("-- digest") {
            let arguments = arguments(command).expect("it is the tool's");
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = printed(&arguments, clone);
            let digests = said.split_once('\n').expect("it has a header").1;
            if std::env::var_os(REWRITE).is_some() {
                rewrite(PAGE, "console", digests);
            }
            assert_eq!(block(PAGE, "console"), digests, "{command}");
        }
    });
}

#[test]
fn the_readme_says_what_is_so() {
    let page = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("the page");
    assert!(page.lines().count() <= 180, "it is short");
    let clone = crate::clone::clone("docs-figures");
    let names = |of: &str| {
        let said = printed(&["list", of], &clone);
        said.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).count()
    };
    let invariants = format!("{} invariants judge each step", names("--invariants"));
    let bugs = fs::read_to_string(Path::new(ROOT).join("docs/bugs.md")).expect("the page");
    let (_, table) = bugs.split_once("Of ").expect("its first line");
    let mut figures = table.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let mut figure = || figures.next().expect("it has five");
    let (all, caught, _, most, median) = (figure(), figure(), figure(), figure(), figure());
    assert_eq!(most, "1000");
    let rows = bugs.lines().filter(|line| line.starts_with("| ") && line.contains("` | "));
    let published = rows.filter(|line| !line.contains("` | generic |")).count();
    for said in [
        invariants,
        format!("{caught} of {all} known bugs"),
        format!("{published} of them published"),
        format!("after {median} in the median"),
    ] {
        let flat = page.replace('\n', " ");
        assert!(flat.contains(&said), "README does not say: {said}");
    }
}

#[test]
fn the_page_on_the_explorer_does_what_it_shows() {
    const PAGE: &str = "docs/explorer.md";
    follow(PAGE, |command, clone| hold_report(PAGE, command, clone));
}

#[test]
fn the_page_on_live_clusters_does_what_it_shows() {
    follow("docs/live.md", |_, _| {});
}

/// The parts of the Indexed Job count from 0, those of the command from 1.
#[test]
fn each_index_of_the_kubernetes_job_runs_its_part() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/kubernetes.yaml")).expect("the page");
    let (_, script) = page.split_once("- >-\n").expect("it has a script");
    let script: Vec<&str> = script.lines().take(2).map(str::trim).collect();
    let script = script.join(" ");
    let of = page.split_once("completions: ").expect("it says of how many").1;
    let of = of.lines().next().expect("a number");
    assert!(script.ends_with(&format!("/{of}\"")), "{script}");
    let clone = crate::clone::clone("docs-kubernetes");
    let here = script
        .replace("./wavetank", env!("CARGO_BIN_EXE_wavetank"))
        .replace("/sums/", "sums-")
        .replace("0..10000000", "0..32 --shard-seeds 1 word-count/quiet");
    let merged = ["0", "15"].iter().flat_map(|index| {
        let mut sh = Command::new("sh");
        sh.current_dir(&*clone).env("JOB_COMPLETION_INDEX", index).args(["-c", &here]);
        let output = sh.output().expect("there is a shell");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("2 of 32 shards, 2 runs"), "{said}");
        ["--merge".to_string(), format!("sums-{index}")]
    });
    let mut arguments = vec!["campaign", "all", "word-count/quiet", "--seeds", "0..32"];
    arguments.extend(["--shard-seeds", "1"]);
    let merged: Vec<String> = merged.collect();
    arguments.extend(merged.iter().map(String::as_str));
    let said = printed(&arguments, &clone);
    assert!(said.starts_with("4 of 32 shards, 4 runs"), "{said}");
}

#[test]
fn the_page_on_scenarios_does_what_it_shows() {
    const PAGE: &str = "docs/scenarios.md";
    follow(PAGE, |command, clone| {
        if command.contains("-- new executor-stalls") {
            // The page tells the reader to put this in place of what `new` wrote.
            let file = clone.join("scenarios/word-count/executor-stalls.toml");
            assert!(file.is_file(), "`new` wrote the file that the page names");
            fs::write(file, block(PAGE, "toml")).expect("it can be written");
        }
    });
}

#[test]
fn the_page_on_components_does_what_it_shows() {
    follow("docs/components.md", |_, _| {});
}

#[test]
fn the_words_of_a_text_are_counted_as_the_page_says() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/explorer.md")).expect("the page");
    let shown = page.split('`').find(|code| code.contains("sort | uniq -c")).expect("the command");
    let clone = crate::clone::clone("docs-output");
    // It begins with a separator, and a locale would sort its words otherwise.
    fs::write(clone.join("FILE"), " - b B a1,a1\n\na_c \u{e4}b\n").expect("it can be written");
    let sh = Command::new("sh").current_dir(&*clone).args(["-c", shown]).output();
    let counted = String::from_utf8(sh.expect("there is a shell").stdout).expect("a text");
    let run = ["run", "word-count/quiet", "--input", "FILE", "--output", "counts"];
    let binary = env!("CARGO_BIN_EXE_wavetank");
    let status = Command::new(binary).current_dir(&*clone).args(run).output().expect("it runs");
    assert!(status.status.success(), "{status:?}");
    let counts = fs::read_to_string(clone.join("counts")).expect("it was written");
    assert_eq!(counts.lines().count(), 5, "{counts}");
    assert_eq!(counts, counted, "{shown}");
}

#[test]
fn the_pages_name_files_that_are_there() {
    for page in [
        "README.md",
        "docs/scenarios.md",
        "docs/components.md",
        "docs/exit-codes.md",
        "docs/explorer.md",
        "docs/live.md",
        "docs/benches.md",
        "ARCHITECTURE.md",
    ] {
        let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
        let named = text.split('`').skip(1).step_by(2);
        let ours = ["src/", "tests/", "examples/"];
        for path in named.filter(|word| ours.iter().any(|folder| word.starts_with(folder))) {
            // `tests/rpc` stands for a folder or a file of tests.
            let path = path.trim_end_matches('/');
            let is = |path: &str| Path::new(ROOT).join(path).exists();
            let there = is(path) || is(&format!("{path}.rs")) || path.contains('*');
            assert!(there, "{page} names {path}, which is not there");
        }
    }
}

#[test]
fn commands_are_read_as_they_are_meant() {
    let page = "text\n    cargo run -- a \"b c\"  # a note, exits with 3\n```\n    cargo run -- x\n```\n    cargo test\n";
    let shown = commands(page);
    assert_eq!(shown.len(), 2);
    assert_eq!((shown[0].line, shown[0].exits), (2, 3));
    assert_eq!(arguments(&shown[0].text).unwrap(), ["a", "b c"]);
    assert_eq!(arguments(&shown[1].text), None);
    let long = ["--seeds", "5..5000", "--for", "10m"].map(String::from).to_vec();
    assert_eq!(shortened(long), ["--seeds", "5..65", "--for", "1s"]);
}
