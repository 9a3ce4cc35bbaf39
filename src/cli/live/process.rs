//! Processes that a command starts: this same program, as `node …`.

use super::CliError;
use futures::channel::oneshot;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

/// A running process. It is killed when this is dropped, and ends itself when this process is gone,
/// since its standard input closes then.
pub struct Process {
    child: Child,
    announced: oneshot::Receiver<String>,
    last: oneshot::Receiver<String>,
}

impl Process {
    /// Starts this program as `node` with these arguments.
    pub fn start(arguments: &[OsString]) -> Result<Process, CliError> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("wavetank").arg("node").args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C is for this process, which ends the others in its own way.
        command.process_group(0);
        let mut child = command
            .spawn()
            .map_err(|error| CliError::new(format!("no process could be started: {error}")))?;
        let [announced, last] = two_lines(child.stdout.take().expect("it is piped"));
        Ok(Process { child, announced, last })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the line by which it says where it listens; `None` when it ended before.
    pub async fn announced(&mut self) -> Option<String> {
        (&mut self.announced).await.ok()
    }

    /// That line, once it is there.
    pub fn try_announced(&mut self) -> Option<String> {
        self.announced.try_recv().ok().flatten()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, CliError> {
        Ok(self.child.try_wait()?)
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // It fails only for a process that is gone already.
        let _ = pid.map(|pid| kill_process(pid, Signal::TERM));
    }

    /// The line after the first, or that there is none; `None` while that is open. It may come after the end of the
    /// process.
    pub fn try_last_line(&mut self) -> Option<Option<String>> {
        match self.last.try_recv() {
            Ok(None) => None,
            Ok(line) => Some(line),
            Err(oneshot::Canceled) => Some(None),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "a pipe can only be waited on by a thread")]
fn two_lines(output: ChildStdout) -> [oneshot::Receiver<String>; 2] {
    let (first, first_line) = oneshot::channel();
    let (second, second_line) = oneshot::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(output).lines();
        for sender in [first, second] {
            let Some(Ok(line)) = lines.next() else { return };
            let _ = sender.send(line);
        }
    });
    [first_line, second_line]
}
