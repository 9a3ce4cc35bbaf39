//! One seed is one run: in every process, and whatever else the machine does.
use crate::clone::clone;
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

const BINARY: &str = env!("CARGO_BIN_EXE_wavetank");

fn wavetank(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn two_fresh_processes_agree_on_every_digest() {
    let output = wavetank(&["verify-determinism", "--seeds", "0..50"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("50 seeds, two processes each: equal digests and verdicts"));
}

#[test]
fn processes_that_compete_for_the_machine_agree() {
    let digest = || {
        let mut command = wavetank(&["digest", "--seeds", "50..80"]);
        command.stdout(std::process::Stdio::piped()).spawn().expect("it runs")
    };
    let running: Vec<_> = (0..6).map(|_| digest()).collect();
    let digests: Vec<String> = running
        .into_iter()
        .map(|child| text(&child.wait_with_output().expect("it ends")))
        .collect();
    assert_eq!(digests[0].lines().count(), 31, "a header, and a line a seed");
    assert!(digests.iter().all(|other| *other == digests[0]));
}

#[test]
fn a_difference_is_found_and_named_with_the_entries_before_it() {
    let output = wavetank(&["verify-determinism", "--seeds", "0..2", "--disturb"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let report = text(&output);
    let parts = report.split("the runs part at entry ").nth(1).expect("it names the entry");
    let entry: usize = parts.split(':').next().and_then(|n| n.parse().ok()).expect("a number");
    let shown = parts.lines().filter(|line| line.starts_with("    ")).count();
    assert_eq!(shown, entry.min(10), "{report}");
    assert!(report.contains("\n  1 ") && report.contains("\n  2 "), "{report}");
}

/// What `determinism` says of another program, beside a seed or two.
fn against(program: &Path) -> (Option<i32>, String) {
    let program = program.to_str().expect("a plain path");
    let compare =
        ["verify-determinism", "word-count/quiet", "--seeds", "3..5", "--against", program];
    let output = wavetank(&compare).output().expect("it runs");
    assert!(!text(&output).contains("equal digests") || output.status.success());
    (output.status.code(), text(&output))
}

#[test]
fn another_program_is_no_build_of_this_one() {
    for (program, what) in [
        ("/bin/true", "/bin/true: it printed nothing: it is no build of wavetank"),
        (
            "/bin/false",
            "/bin/false: it ended with exit status: 1 and said nothing; is it a build of",
        ),
        ("/bin/yes", "/bin/yes: it "),
        ("/bin/echo", "/bin/echo: it printed \"digest --seeds 3..5 word-count/quiet\": it is no"),
        ("/nowhere/wavetank", "/nowhere/wavetank: No such file or directory"),
        ("/bin/cat", "/bin/cat: it ended with exit status: 1: /bin/cat: "),
        ("/etc", "/etc: Permission denied"),
    ] {
        let (code, told) = against(Path::new(program));
        assert_eq!(code, Some(2), "{program}: {told}");
        assert!(told.contains(what), "{program}: {told}");
    }
}

/// A program that does something with what this build prints.
#[expect(clippy::disallowed_methods, reason = "the test's own file")]
fn filter(folder: &Path, name: &str, filter: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let (script, built) = (folder.join(name), folder.join(format!("{name}.new")));
    let text = format!("#!/bin/sh\n\"{BINARY}\" \"$@\" | {filter}\n");
    std::fs::write(&built, text).expect("it can be written");
    let rights = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&built, rights).expect("it is ours");
    std::fs::rename(&built, &script).expect("it is ours");
    script
}

#[test]
fn runs_are_compared_one_by_one_with_their_verdicts() {
    let folder = clone("determinism");
    let against = |name: &str, script: &str| against(&filter(&folder, name, script));
    let (code, told) = against("same", "cat");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = against("verdict", "sed '3s/passed$/violated:L2/'");
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("judged otherwise") && told.contains("violated:L2"), "{told}");
    for (name, script, what) in [
        ("fewer", "head -n 2", "it ended before seed 4"),
        ("more", "sed '$p'", "after the last seed it printed \"4 word-count/quiet "),
        ("other-seed", "sed '2s/^3 /9 /'", "expected the run of seed 3, found \"9 "),
        ("newer", "sed '1s/digest 1/digest 2/'", "it answers \"wavetank-digest 2 seeds 3..5"),
        ("older", "sed 1d", "it is no build of wavetank, or an older one"),
        ("endless", "head -c 0; cat /dev/zero", "a line without an end"),
    ] {
        let (code, told) = against(name, script);
        assert_eq!(code, Some(2), "{name}: {told}");
        assert!(told.contains(what), "{name}: {told}");
    }
}

/// A comparison of very many seeds.
const MANY: &[&str] = &["verify-determinism", "word-count/quiet", "--seeds", "0..100000000"];

#[test]
fn a_time_limit_ends_a_comparison() {
    let output = wavetank(&[MANY, &["--for", "1s"]].concat()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains(" of 100000000 seeds, two processes each: equal"));
}

#[test]
fn a_comparison_that_is_interrupted_says_so() {
    let mut command = wavetank(MANY);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it runs");
    let mut first = [0];
    child.stderr.as_mut().expect("a pipe").read_exact(&mut first).expect("it tells the seeds");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("there is kill").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output));
    assert!(text(&output).contains(" of 100000000 seeds, equal so far"), "{}", text(&output));
}
