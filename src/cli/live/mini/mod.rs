//! `mini`: the words of a text, counted by a cluster of processes.

mod counts;
mod fleet;
mod kept;
mod kills;
mod node;
mod origin;
mod settings;
mod text;
mod watch;

use super::{
    CliError, Outcome,
    folder::DataFolder,
    supervised::{End, run_supervised},
    text::{Narrator, parse_duration, say},
};
use crate::{
    host::Host,
    jobs::{
        Jobs,
        common::{JobArguments, JobSettings},
        word_count::word_count,
    },
    system::{ids::JobId, protocol::JobStatus},
};
use clap::Args;
use counts::Output;
use fleet::{Fleet, Plan, Report};
use kept::KeptRun;
use kills::{Kills, Pace};
pub use node::MiniNode;
use origin::Origin;
use settings::PARALLELISM;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use text::Text;
use watch::Watch;

/// Count the words of a text with a cluster of processes, exactly once, and compare.
///
/// Starts a coordination server, an object store, a log server, 3 job managers, 4 task executors with
/// 2 slots each and a client, each a process of its own on loopback TCP with a folder of its own. The
/// client brings the text and submits the job, which runs with parallelism 4 and takes checkpoints.
/// At the end the counts are read from the committed output, printed, and compared with the text.
///
/// A word is a run of ASCII letters and digits, and case counts, as in
/// `LC_ALL=C grep -aoE '[[:alnum:]]+' FILE | LC_ALL=C sort | uniq -c`.
///
/// With --data the folder is kept. Whatever ends this command, even SIGKILL of all its processes:
/// the same command again goes on with the same job, and prints the counts again once it has
/// finished.
///
/// Exit codes: 0 the counts are right, 1 they are not, 2 a bad command or file, 3 not finished.
///
/// Try `cargo live mini --input Cargo.lock --kill 3`.
#[derive(Args)]
pub struct Mini {
    /// The text, of any bytes, whose words are counted
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// From where the job reads; if absent `text`, or what the folder's run began with
    #[arg(long, value_name = "ORIGIN")]
    from: Option<Origin>,
    /// Where the processes keep their files; the same folder again carries on. A temporary one if
    /// absent, removed when all passed
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Write all counts to a file, in lines `COUNT WORD` sorted by word
    #[arg(long, value_name = "FILE")]
    counts: Option<PathBuf>,
    /// Print the N most frequent words
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Kill N times a random server, job manager or task executor while the job runs, and start it
    /// again after a second; the text is then read more slowly
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    kill: u32,
    /// What the kills are drawn from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The time from checkpoint to checkpoint; a run that is carried on keeps its own
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    checkpoint_interval: Duration,
    /// Give up after this time
    #[arg(long, value_name = "TIME", default_value = "10min", value_parser = parse_duration)]
    within: Duration,
}

/// Refuses a binary whose processes can't run the word count of this crate.
fn check_jobs(jobs: &Jobs) -> Result<(), CliError> {
    let JobArguments { input, output, .. } = JobArguments::example("counts");
    let job = word_count(JobId(0), input, &output, &JobSettings::default())?;
    jobs.programs().accepts(&job).map_err(|error| {
        CliError::new(format!(
            "`mini` counts words with wavetank's own word-count, and this binary has other jobs ({error}); `submit` \
             runs them"
        ))
    })
}

impl Mini {
    /// Does it.
    pub fn run(&self, log: &str, jobs: &Jobs) -> Result<Outcome, CliError> {
        check_jobs(jobs)?;
        let text = Text::read(&self.input)?;
        self.check()?;
        if let Some(data) = &self.data {
            KeptRun::check_folder(data)?;
        }
        text.check(&self.input, self.from.unwrap_or(Origin::Text))?;
        let mut folder = DataFolder::open(self.data.as_deref(), "mini")?;
        let fate = if folder.kept() { "kept" } else { "removed when all passed" };
        say(&format!("data folder {} ({fate})", folder.path().display()));
        let outcome = self.run_in(folder.path(), &text, log);
        if !matches!(outcome, Ok(Outcome::Passed)) && !folder.kept() {
            folder.keep();
            say(&format!("the data folder is kept; --data {} carries on", folder.path().display()));
        }
        outcome
    }

    /// Refuses what can't be done.
    fn check(&self) -> Result<(), CliError> {
        if self.checkpoint_interval < Duration::from_millis(100) {
            return Err(CliError::new("--checkpoint-interval must be 100ms at least"));
        }
        let Some(counts) = &self.counts else { return Ok(()) };
        let folder = match counts.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        if counts.is_dir() || !folder.is_dir() {
            let text = format!("--counts {}: that is no file in a folder", counts.display());
            return Err(CliError::new(text));
        }
        Ok(())
    }

    fn run_in(&self, folder: &Path, text: &Text, log: &str) -> Result<Outcome, CliError> {
        let words = text.counts().values().sum();
        let (narrator, watch) = (Narrator::new(), Watch::default());
        let end = run_supervised(folder, Some(self.within), async |host: Host| {
            let plan = self.plan(&host, folder, text, log)?;
            let kills = Kills::new(self.kill, self.seed);
            let fleet = Fleet::new(&host, &plan, &narrator, watch.clone(), kills);
            if plan.kept.is_finished() {
                return fleet.read_again().await;
            }
            let report = fleet.run().await?;
            if report.result.status == JobStatus::Finished {
                plan.kept.finish()?;
            }
            Ok(report)
        });
        narrator.clear();
        match end? {
            End::Finished(report) => self.judge(text, &report, &narrator),
            End::Interrupted => {
                say("interrupted; every process is ended");
                Ok(Outcome::Stuck)
            }
            End::Overdue => {
                let seen = watch.seen().text(words);
                say(&format!("NOT FINISHED within {:?}: {seen}", self.within));
                Ok(Outcome::Stuck)
            }
        }
    }

    /// What is to be run: what the folder says, or a new job.
    fn plan(&self, host: &Host, folder: &Path, text: &Text, log: &str) -> Result<Plan, CliError> {
        let (job, interval) = (JobId(host.random_u128()), self.checkpoint_interval);
        let (kept, known) = KeptRun::open(folder, text, job, self.from, interval)?;
        text.check(&self.input, kept.from())?;
        match (known, kept.is_finished()) {
            (true, true) => say("the folder's job has finished; its output is read again"),
            (true, false) => say(&format!("goes on with the folder's job {}", kept.job())),
            (false, _) => say(&format!("job {}", kept.job())),
        }
        let words = text.counts().values().sum();
        let pace = Pace::new(self.kill, text.lines().len() / PARALLELISM as usize);
        Ok(Plan { kept, words, pace, log: log.to_string() })
    }

    fn judge(
        &self,
        text: &Text,
        report: &Report,
        narrator: &Narrator,
    ) -> Result<Outcome, CliError> {
        let (result, kills) = (&report.result, killed(report.kills));
        if result.status != JobStatus::Finished {
            let cause = result.cause.as_deref().unwrap_or("nobody knows why");
            say(&format!("mini: the job is {}: {cause}", result.status));
            return Ok(Outcome::Violated);
        }
        let output = Output::new(text, &report.output);
        output.most_frequent(self.top).iter().for_each(|line| say(line));
        if let Some(path) = &self.counts {
            output.write(path)?;
        }
        let (words, different) = output.totals();
        let counted = format!("mini: {words} words, {different} different");
        if let Some(difference) = output.difference() {
            say(&format!("{counted}, NOT equal to the text's own count{kills}: {difference}"));
            return Ok(Outcome::Violated);
        }
        let seconds = narrator.elapsed().as_secs_f64();
        say(&format!("{counted}, equal to the text's own count{kills}; {seconds:.1} s"));
        Ok(Outcome::Passed)
    }
}

/// Who was killed, and who was not though that was asked for.
fn killed((done, wanted): (u32, u32)) -> String {
    match (done, wanted) {
        (_, 0) => String::new(),
        (1, 1) => "; 1 process killed".to_string(),
        (done, wanted) if done == wanted => format!("; {done} processes killed"),
        (done, wanted) => format!("; ONLY {done} processes killed of {wanted}, try a longer text"),
    }
}
