//! Parts that run in a process of their own, and the memory that it takes.

use crate::measure::Effort;
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

/// This program once more, for a part that must not see the memory of others.
pub struct Child(std::process::Child);

impl Child {
    /// Starts it with the part's argument.
    pub fn start(part: &str, effort: Effort) -> Self {
        let mut child = Command::new("/proc/self/exe");
        child.arg(part).stdout(Stdio::piped());
        if effort.divisor > 1 {
            child.arg("--quick");
        }
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
