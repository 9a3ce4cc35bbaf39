//! The live commands, as a person types them.
#![cfg(live)]
#![expect(clippy::disallowed_methods, reason = "a test's own files are on no node's disk")]

use std::{
    fmt::Write,
    path::PathBuf,
    process::{Command, Output},
};

/// A folder of its own for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let folder =
            std::env::temp_dir().join(format!("wavetank-test-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a writable temporary folder");
        Folder(folder)
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a writable temporary folder");
        path.to_str().expect("a path that is text").to_string()
    }

    fn data(&self) -> String {
        self.0.join("data").to_str().expect("a path that is text").to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("the folder is still there");
    }
}

/// What a command said, and its exit code.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

fn live(arguments: &[&str]) -> Told {
    let output = Command::new(env!("CARGO_BIN_EXE_wavetank")).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("commands print text");
    Told { code: status.code(), out: text(stdout), err: text(stderr) }
}

impl Told {
    #[track_caller]
    fn ends_with(&self, code: i32, said: &str) {
        let Told { out, err, .. } = self;
        assert_eq!(self.code, Some(code), "{out}{err}");
        assert!(out.contains(said) || err.contains(said), "no {said:?} in:\n{out}{err}");
    }

    fn count(&self, said: &str) -> usize {
        self.out.lines().filter(|line| line.contains(said)).count()
    }
}

fn numbered_lines(count: usize) -> String {
    (1..=count).fold(String::new(), |mut text, number| {
        writeln!(text, "line {number}, told apart by its number alone").expect("memory");
        text
    })
}

#[test]
fn hello_is_answered_by_another_process() {
    let told = live(&["hello", "--name", "Ada"]);
    told.ends_with(0, "Hello Ada");
}

#[test]
fn a_killed_leader_loses_and_repeats_no_line_and_the_journal_carries_on() {
    let folder = Folder::new("kill-leader");
    let (input, data) = (folder.file("lines", &numbered_lines(300)), folder.data());
    let told = live(&["journal", "--input", &input, "--kill-leader", "1", "--data", &data]);
    told.ends_with(0, "journal: 300 lines, equal to");
    assert_eq!(told.count("killed leader journal-"), 1, "{}", told.out);
    assert_eq!(told.count("leads, term"), 2, "{}", told.out);

    let longer = folder.file("longer", &numbered_lines(400));
    let told = live(&["journal", "--input", &longer, "--data", &data]);
    told.ends_with(0, "journal: 400 lines, equal to");
    assert!(told.out.contains("100 sent"), "{}", told.out);

    let told = live(&["journal", "--input", &input, "--data", &data]);
    told.ends_with(1, "line 301 differs");
}

#[test]
fn a_killed_coordination_server_comes_back_with_every_line() {
    let folder = Folder::new("kill-coordination");
    let input = folder.file("lines", &numbered_lines(300));
    let told = live(&["journal", "--input", &input, "--kill-coordination", "1"]);
    told.ends_with(0, "journal: 300 lines, equal to");
    assert_eq!(told.count("killed coordination"), 1, "{}", told.out);
}

#[test]
fn a_run_that_takes_too_long_says_how_far_it_came() {
    let folder = Folder::new("within");
    let (input, data) = (folder.file("lines", &numbered_lines(300)), folder.data());
    let slow = ["--batch", "1", "--pause", "1s", "--within", "1500ms"];
    let told = live(&[&["journal", "--input", &input, "--data", &data], &slow[..]].concat());
    told.ends_with(3, "NOT FINISHED within 1.5s");
}

#[test]
fn wrong_input_is_refused_with_what_was_expected() {
    let folder = Folder::new("wrong");
    let missing = folder.0.join("missing");
    let missing = missing.to_str().expect("a path that is text");
    live(&["journal", "--input", missing]).ends_with(2, "No such file");
    let empty = folder.file("empty", "");
    live(&["journal", "--input", &empty]).ends_with(2, "is empty");
    let short = folder.file("short", "one\ntwo\n");
    let told = live(&["journal", "--input", &short, "--kill-leader", "2"]);
    told.ends_with(2, "--kill-leader 2 needs a file of at least 3 lines");
    let told = live(&["journal", "--input", &short, "--data", &short]);
    told.ends_with(2, "choose another");
    live(&["journal", "--input", &short, "--pause", "20"]).ends_with(2, "such as 20ms");
}
