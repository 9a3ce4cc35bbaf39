//! `journal`: a file's lines through a cluster of processes.

use super::{
    CliError, Outcome,
    folder::DataFolder,
    observe::Observer,
    strike::Pace,
    supervise::{Plan, Report, Supervisor},
    supervised::{End, run_supervised},
    text::{Narrator, parse_duration, say},
    verify::first_difference,
};
use crate::host::{Host, MESSAGE_BYTES_MAX};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The journal is read back in pages of so many lines, each of them one message.
const PAGE_LINES: usize = 1000;
/// Leaves room in that message for the lines' keys.
const PAGE_BYTES_MAX: usize = MESSAGE_BYTES_MAX / 2;

/// Send a file's lines to a cluster of processes, kill its leaders, and compare.
///
/// Starts a coordination server, journal nodes and a client, each a process of its own on loopback
/// TCP with a folder of its own. The journal nodes elect a leader; the client sends it the lines; it
/// writes them to the coordination server and acknowledges. Whoever is killed is started again after
/// a second. At the end the journal is read back and compared with the file, line by line.
///
/// Try `cargo live journal --input Cargo.lock --kill-leader 2`.
#[derive(Args)]
pub struct Journal {
    /// The text whose lines are sent
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Kill the leading journal node N times while lines are being sent; a short file is then sent
    /// more slowly
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    kill_leader: u32,
    /// Kill the coordination server N times while lines are being sent
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    kill_coordination: u32,
    /// Where the processes keep their files; the same folder again carries on. A temporary one if
    /// absent, removed when all passed
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How many journal nodes there are, one of which leads
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    journals: u32,
    /// Lines sent in one call
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    batch: u64,
    /// How long the client waits after each call
    #[arg(long, value_name = "TIME", default_value = "20ms", value_parser = parse_duration)]
    pause: Duration,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    within: Duration,
}

impl Journal {
    /// Does it.
    pub fn run(&self, log: &str) -> Result<Outcome, CliError> {
        let lines = read_lines(&self.input)?;
        self.check(&lines)?;
        let mut folder = DataFolder::open(self.data.as_deref(), "journal")?;
        let fate = if folder.kept() { "kept" } else { "removed when all passed" };
        say(&format!("data folder {} ({fate})", folder.path().display()));
        let outcome = self.run_in(&folder, lines, log);
        if !matches!(outcome, Ok(Outcome::Passed)) && !folder.kept() {
            folder.keep();
            say(&format!("the data folder is kept; --data {} carries on", folder.path().display()));
        }
        outcome
    }

    /// Refuses what can't be done.
    fn check(&self, lines: &[String]) -> Result<(), CliError> {
        let input = self.input.display();
        if lines.is_empty() {
            return Err(CliError::new(format!(
                "--input {input} is empty; it must have a line to send"
            )));
        }
        for (option, kills) in
            [("--kill-leader", self.kill_leader), ("--kill-coordination", self.kill_coordination)]
        {
            if kills as usize >= lines.len() {
                let text = format!(
                    "{option} {kills} needs a file of at least {} lines, so that some are on their \
                     way at each kill; {input} has {}",
                    kills + 1,
                    lines.len()
                );
                return Err(CliError::new(text));
            }
        }
        for (page, lines) in lines.chunks(PAGE_LINES).enumerate() {
            let bytes: usize = lines.iter().map(String::len).sum();
            if bytes > PAGE_BYTES_MAX {
                let first = page * PAGE_LINES + 1;
                let text = format!(
                    "--input {input}: lines {first} to {} have {bytes} bytes; a journal is read {PAGE_LINES} \
                     lines at a time, which may have {PAGE_BYTES_MAX} bytes together",
                    first + lines.len() - 1,
                );
                return Err(CliError::new(text));
            }
        }
        Ok(())
    }

    fn run_in(
        &self,
        folder: &DataFolder,
        lines: Arc<Vec<String>>,
        log: &str,
    ) -> Result<Outcome, CliError> {
        let plan = Plan {
            folder: folder.path().to_path_buf(),
            input: folder.path().join("input"),
            lines,
            journals: self.journals,
            pace: Pace { batch: self.batch, pause: self.pause },
            leader_kills: self.kill_leader,
            coordination_kills: self.kill_coordination,
            log: log.to_string(),
        };
        write_input(&plan)?;
        let (narrator, observer) = (Narrator::new(), Observer::default());
        let end = run_supervised(&plan.folder, self.within, async |host: Host| {
            Supervisor::new(&host, &plan, &narrator, &observer).run().await
        });
        narrator.clear();
        match end? {
            End::Finished(report) => Ok(self.judge(&plan, &report, &narrator)),
            End::Interrupted => {
                say("interrupted; every process is ended");
                Ok(Outcome::Stuck)
            }
            End::Overdue => {
                let seen = observer.seen();
                say(&format!(
                    "NOT FINISHED within {:?}: {} of {} lines stand, {}, term {}",
                    self.within,
                    seen.lines,
                    plan.lines.len(),
                    if seen.leader.is_some() { "there is a leader" } else { "there is no leader" },
                    seen.term
                ));
                Ok(Outcome::Stuck)
            }
        }
    }

    fn judge(&self, plan: &Plan, report: &Report, narrator: &Narrator) -> Outcome {
        let input = self.input.display();
        if let Some(difference) = first_difference(&report.entries, &plan.lines) {
            say(&format!("journal: NOT equal to {input}: {difference}"));
            return Outcome::Violated;
        }
        let mut text = format!("journal: {} lines, equal to {input}", report.entries.len());
        text += &kills(report);
        let sent = report.entries.len() - report.stood;
        if sent == 0 {
            text += "; all of them stood before, so there was nothing to send and nobody to kill";
        } else {
            let seconds = report.sending.as_secs_f64();
            let took = narrator.elapsed().as_secs_f64();
            let rate = sent as f64 / seconds;
            text +=
                &format!("; {sent} sent in {seconds:.1} s, {rate:.0} lines/s; {took:.1} s in all");
        }
        say(&text);
        Outcome::Passed
    }
}

/// Who was killed how often, and who was not though that was asked for.
fn kills(report: &Report) -> String {
    let mut text = String::new();
    for (strikes, whom) in
        [(&report.leader_strikes, "leader"), (&report.coordination_strikes, "coordination server")]
    {
        let plural = if strikes.done == 1 { "" } else { "s" };
        match (strikes.done, strikes.left()) {
            (0, 0) => {}
            (done, 0) => text += &format!("; {done} {whom}{plural} killed"),
            (done, left) => {
                text += &format!("; ONLY {done} {whom}{plural} killed of {}", left + done as usize);
                text += ", try a longer --pause";
            }
        }
    }
    text
}

/// Reads the lines of the user's file.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
pub fn read_lines(path: &Path) -> Result<Arc<Vec<String>>, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::new(format!("--input {}: {error}", path.display())))?;
    Ok(Arc::new(text.lines().map(String::from).collect()))
}

/// Keeps the lines where the client finds them in each of its lives, whatever happens to the file.
#[expect(clippy::disallowed_methods, reason = "a file that the client reads as the user's own")]
fn write_input(plan: &Plan) -> Result<(), CliError> {
    // The line ends make sure that a line which ends with a CR is read back as it was.
    let text: String = plan.lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
    std::fs::write(&plan.input, text)
        .map_err(|error| CliError::new(format!("{}: {error}", plan.input.display())))
}
