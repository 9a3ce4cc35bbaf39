//! The live commands, as a person types them.
#![expect(clippy::disallowed_methods, reason = "a test's own files are on no node's disk")]

mod database;
mod folder;
mod modes;
mod postgres;
mod savepoints;
mod serve;
mod session;

use std::{
    collections::BTreeMap,
    fmt::Write,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
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

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text.as_ref()).expect("a writable temporary folder");
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
    // A job's output may be of any bytes.
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
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

#[test]
fn hello_is_answered_by_another_process() {
    let told = live(&["hello", "--name", "Ada"]);
    told.ends_with(0, "Hello Ada");
}

#[test]
fn a_command_that_has_moved_away_says_where_to() {
    live(&["journal", "--input", "README.md"]).ends_with(2, "examples/journal");
}

/// Lines of a few words that come again and again, and bytes that are no text.
fn worded_lines(count: usize) -> Vec<u8> {
    let words = ["Tank", "wave", "hull-42", "the", "th\u{e9}", "to, be!", "x", "The"];
    let mut text = Vec::new();
    for line in 0..count {
        for place in 0..6 {
            text.extend_from_slice(words[(line * 7 + place * place) % words.len()].as_bytes());
            text.extend_from_slice([&b" "[..], b"\t", b"\xff", b"'"][(line + place) % 4]);
        }
        text.push(b'\n');
    }
    text
}

/// What `--counts` is to write for a text.
fn counts_of(text: &[u8]) -> String {
    let mut counts = BTreeMap::<&[u8], u64>::new();
    for word in text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    counts.iter().fold(String::new(), |mut lines, (word, count)| {
        writeln!(lines, "{count} {}", String::from_utf8_lossy(word)).expect("memory");
        lines
    })
}

#[test]
fn the_words_of_a_text_are_counted_by_a_cluster_and_read_again_from_its_folder() {
    let folder = Folder::new("mini");
    let text = worded_lines(500);
    let (input, data) = (folder.file("text", &text), folder.data());
    let counts = folder.file("counts", "");
    let mini = ["mini", "--input", &input, "--data", &data, "--counts", &counts, "--top", "2"];
    let told = live(&mini);
    told.ends_with(0, "different, equal to the text's own count");
    assert_eq!(std::fs::read_to_string(&counts).expect("counts"), counts_of(&text));

    let again = live(&mini);
    again.ends_with(0, "its output is read again");
    again.ends_with(0, "equal to the text's own count");
    assert_eq!(again.count("started"), 1, "only the log server: {}", again.out);

    let other = folder.file("other", "another text");
    let told = live(&["mini", "--input", &other, "--data", &data]);
    told.ends_with(2, "a finished run of another text");
    live(&["mini", "--input", &input, "--data", &data, "--from", "log"])
        .ends_with(2, "with --from text; say so too");
}

#[test]
fn killed_processes_of_a_word_count_change_no_count() {
    let folder = Folder::new("mini-kill");
    let text = worded_lines(400);
    let (input, counts) = (folder.file("text", &text), folder.file("counts", ""));
    let kills = ["--kill", "2", "--seed", "3", "--from", "log"];
    let told = live(&[&["mini", "--input", &input, "--counts", &counts], &kills[..]].concat());
    told.ends_with(0, "equal to the text's own count; 2 processes killed");
    assert_eq!(told.count("  killed "), 2, "{}", told.out);
    assert_eq!(std::fs::read_to_string(&counts).expect("counts"), counts_of(&text));
}

#[test]
fn a_run_that_takes_too_long_says_how_far_it_came_and_keeps_its_folder() {
    let folder = Folder::new("mini-within");
    let (input, data) = (folder.file("text", worded_lines(400)), folder.data());
    // The kills make the text last some ten seconds, in the second life too.
    let slow = ["--kill", "4", "--within", "1500ms"];
    let told = live(&[&["mini", "--input", &input, "--data", &data], &slow[..]].concat());
    told.ends_with(3, "NOT FINISHED within 1.5s");
    live(&["mini", "--input", &input, "--data", &data])
        .ends_with(0, "equal to the text's own count");
}

/// Lets a command run until it says that the job runs, and a little longer.
fn until_running(command: &mut Child) {
    let out = BufReader::new(command.stdout.take().expect("it is piped"));
    let mut lines = out.lines().map(|line| line.expect("commands print text"));
    assert!(lines.any(|line| line.contains("the job is running")), "it ended before");
    // Whoever prints must not find the pipe full or closed.
    std::thread::spawn(move || lines.for_each(drop));
    std::thread::sleep(Duration::from_millis(800));
}

/// SIGKILL for a process and its children at once.
fn kill_all(mut command: Child) {
    let id = command.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let children = children.expect("the process runs");
    let all = children.split_whitespace().map(String::from).chain([id.to_string()]);
    let killed = Command::new("kill").arg("-9").args(all).status().expect("there is a kill");
    assert!(killed.success(), "some process had ended by itself");
    command.wait().expect("it is a child");
}

#[test]
fn a_word_count_whose_every_process_is_killed_goes_on_in_its_folder() {
    let folder = Folder::new("mini-again");
    let text = worded_lines(600);
    let (input, data) = (folder.file("text", &text), folder.data());
    let counts = folder.file("counts", "");
    let mini = ["mini", "--input", &input, "--data", &data, "--checkpoint-interval", "300ms"];
    for life in 0..5 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wavetank"));
        command.args(mini).stdout(Stdio::piped());
        // The first life says how slowly the text is read in all of them.
        command.args((life == 0).then_some(["--kill", "4"]).iter().flatten());
        let mut command = command.spawn().expect("the binary runs");
        until_running(&mut command);
        kill_all(command);
    }
    let told = live(&[&mini[..], &["--counts", &counts]].concat());
    told.ends_with(0, "goes on with the folder's job");
    told.ends_with(0, "equal to the text's own count");
    assert_eq!(std::fs::read_to_string(&counts).expect("counts"), counts_of(&text));
}

#[test]
fn a_text_or_folder_that_can_not_be_used_is_refused() {
    let folder = Folder::new("mini-wrong");
    let mini = |arguments: &[&str]| live(&[&["mini", "--input"], arguments].concat());
    let text = folder.file("text", "a b");
    mini(&["/no/such/file"]).ends_with(2, "No such file");
    mini(&[&folder.file("empty", "")]).ends_with(2, "it is empty");
    mini(&[&folder.file("long", "w".repeat(40_000))]).ends_with(2, "a word has 40000 letters");
    mini(&[&text, "--counts", "/no/such/folder/counts"]).ends_with(2, "--counts");
    mini(&[&text, "--within", "20"]).ends_with(2, "such as 20ms");
    mini(&[&text, "--data", &text]).ends_with(2, "Not a directory");
    let own = folder.0.to_str().expect("a path that is text");
    mini(&[&text, "--data", own]).ends_with(2, "it is not from this command");
    std::fs::create_dir(folder.data()).expect("a writable temporary folder");
    folder.file("data/mini.json", "{\"format\":1,");
    mini(&[&text, "--data", &folder.data()]).ends_with(2, "mini.json can't be read");
}
