//! Parts that run in a process of their own, and the memory that it takes.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

/// What the operating system says of this process's memory under a name of `/proc/self/status`, in kB.
pub fn memory_kb(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.expect("a line").trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What glibc takes from the system in pieces of its own, in bytes: it would else learn to keep what was large once.
const LARGE_BYTES: &str = "131072";

/// This program once more, for a part that must not see the memory of others.
pub struct Child(std::process::Child);

impl Child {
    /// Starts it with the part's argument, and the options of this one.
    pub fn start(part: &str) -> Self {
        let options = std::env::args().skip(1).filter(|argument| argument.starts_with("--"));
        let mut child = Command::new("/proc/self/exe");
        child.arg(part).args(options).stdout(Stdio::piped());
        child.env("MALLOC_MMAP_THRESHOLD_", LARGE_BYTES);
        Child(child.spawn().expect("a child can be started"))
    }

    /// Shows each line to `see` when it comes, until the child has ended well.
    pub fn each_line(mut self, mut see: impl FnMut(&str)) {
        let output = self.0.stdout.take().expect("it is piped");
        for line in BufReader::new(output).lines() {
            see(&line.expect("text"));
        }
        assert!(self.0.wait().expect("it was started").success(), "the child ended well");
    }
}
