//! `determinism`: the same seed in other processes and builds.

use super::{CliError, Outcome, find_scenarios, parse_seeds};
use crate::{
    cli::tank::print::out,
    harness::explore::{RunConfig, RunOutcome, Sweep, compare_traces, run_on_fresh_thread},
    host::sim::TraceLine,
};
use clap::Args;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

/// Runs each seed in two fresh processes and compares their digests. A difference names the first
/// entry that differs, with ten before it.
#[derive(Args)]
pub struct Determinism {
    /// The scenarios, by file or name; all that are shipped if none is named
    scenarios: Vec<String>,
    /// The plan seeds
    #[arg(long, value_parser = parse_seeds, default_value = "0..10")]
    seeds: Range<u64>,
    /// Another build of this binary for the second process, such as target/debug/wavetank
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Break determinism on purpose in the second process
    #[arg(long, hide = true)]
    disturb: bool,
}

/// Prints `seed digest` of a run, or the trace.
#[derive(Args)]
pub struct Digest {
    /// The scenarios among which the seed draws
    scenarios: Vec<String>,
    /// The plan seeds
    #[arg(long, value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Print every entry
    #[arg(long)]
    trace: bool,
    /// Let the process's id decide the scheduling
    #[arg(long, hide = true)]
    disturb: bool,
}

impl Digest {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let sweep = Sweep {
            scenarios: find_scenarios(&self.scenarios)?,
            seeds: self.seeds.clone(),
            jobs: 1,
            sabotage: None,
            until_failure: false,
            stop: Arc::default(),
        };
        for seed in self.seeds.clone() {
            let scenario = &sweep.scenarios[sweep.scenario_of(seed)];
            let schedule = self.disturb.then(|| u64::from(std::process::id()));
            let config = RunConfig { schedule, trace: self.trace, ..RunConfig::new(seed) };
            let outcome: RunOutcome = run_on_fresh_thread(scenario, &config);
            for line in &outcome.trace {
                out(&format!("{} {}", line.time, line.text.replace('\n', " ")));
            }
            if !self.trace {
                out(&format!("{seed} {} {}", outcome.scenario, outcome.digest));
            }
        }
        Ok(Outcome::Held)
    }
}

impl Determinism {
    /// Does it.
    pub fn run(&self) -> Result<Outcome, CliError> {
        let own = Path::new("/proc/self/exe");
        let other = self.against.as_deref().unwrap_or(own);
        let seeds = format!("{}..{}", self.seeds.start, self.seeds.end);
        let first = self.digest(own, &seeds, &[])?;
        let disturb: &[&str] = if self.disturb { &["--disturb"] } else { &[] };
        let second = self.digest(other, &seeds, disturb)?;
        let differing = first.lines().zip(second.lines()).find(|(first, second)| first != second);
        let Some((first, second)) = differing else {
            out(&format!(
                "{} seeds, two processes each: equal digests",
                self.seeds.end - self.seeds.start
            ));
            return Ok(Outcome::Held);
        };
        out(&format!("not deterministic:\n  1 {first}\n  2 {second}"));
        let seed = first.split(' ').next().unwrap_or_default();
        let seed: u64 = seed.parse().map_err(|_| CliError::new(format!("no digest: {first}")))?;
        let seed = format!("{seed}..{}", seed + 1);
        let first = self.trace(own, &seed, &[])?;
        let second = self.trace(other, &seed, disturb)?;
        match compare_traces(&first, &second) {
            Some(difference) => out(&format!("{difference}")),
            None => out("run again with traces, the two processes agreed"),
        }
        Ok(Outcome::NotDeterministic)
    }

    fn trace(&self, binary: &Path, seed: &str, more: &[&str]) -> Result<Vec<TraceLine>, CliError> {
        let more: Vec<&str> = more.iter().copied().chain(["--trace"]).collect();
        let text = self.digest(binary, seed, &more)?;
        let lines = text.lines().filter_map(|line| {
            let (time, text) = line.split_once(' ')?;
            Some(TraceLine { time: time.parse().ok()?, text: text.to_string() })
        });
        Ok(lines.collect())
    }

    fn digest(&self, binary: &Path, seeds: &str, more: &[&str]) -> Result<String, CliError> {
        let mut command = Command::new(binary);
        command.arg("digest").args(["--seeds", seeds]).args(more).args(&self.scenarios);
        let output = command
            .output()
            .map_err(|error| CliError::new(format!("{}: {error}", binary.display())))?;
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr);
            return Err(CliError::new(format!("{}: {}", binary.display(), error.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
