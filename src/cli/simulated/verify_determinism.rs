//! `verify-determinism`: the same seed in other processes and builds.

use super::{
    CliError, Outcome,
    child::{Child, HEADER},
    explore::counted,
    find_scenarios,
    interrupt::Interrupt,
    parse_limit, parse_seeds,
    print::{self, out},
    progress::Progress,
};
use crate::harness::{
    explore::{PrintedEntry, compare_traces},
    run::{RunConfig, RunOutcome, Sweep, run_on_fresh_thread},
    system::Systems,
};
use clap::Args;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

/// Runs each seed in two fresh processes and compares their digests and verdicts. A difference names the
/// first entry of the traces that differs, with ten before it.
#[derive(Args)]
pub struct VerifyDeterminism {
    /// The scenarios, by file or name; all that are shipped if none is named
    scenarios: Vec<String>,
    /// The plan seeds; 0..10 if absent
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, default_value = "0..10", hide_default_value = true, allow_hyphen_values = true)]
    seeds: Range<u64>,
    /// Compare no more seeds after this time, such as 90s, 10m or 8h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_limit, allow_hyphen_values = true)]
    limit: Option<Duration>,
    /// Another build of this binary for the second process, such as target/debug/wavetank
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Break determinism on purpose in the second process
    #[arg(long, hide = true)]
    disturb: bool,
}

/// Prints the digest of each run: after a header, of each run `seed scenario digest verdict`; or a run's whole trace.
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
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let sweep = Sweep::new(find_scenarios(systems, &self.scenarios)?, self.seeds.clone());
        out(&header(&self.seeds, sweep.scenarios.len()));
        for seed in self.seeds.clone() {
            let scenario = &sweep.scenarios[sweep.scenario_of(seed)];
            let schedule = self.disturb.then(|| u64::from(std::process::id()));
            let config = RunConfig { schedule, trace: self.trace, ..RunConfig::new(seed) };
            let outcome: RunOutcome = run_on_fresh_thread(scenario, &config);
            for line in &outcome.trace {
                out(&format!("{} {}", line.time, line.to_string().replace('\n', " ")));
            }
            if !self.trace {
                let verdict = outcome.verdict.to_string().replace('\n', " ");
                out(&format!("{seed} {} {} {verdict}", outcome.scenario, outcome.digest));
            }
        }
        Ok(Outcome::Passed)
    }
}

/// What a process prints first, so that nobody takes another program, or other seeds, for this one.
fn header(seeds: &Range<u64>, scenarios: usize) -> String {
    format!("{HEADER} seeds {}..{} of {scenarios} scenarios", seeds.start, seeds.end)
}

/// How a comparison ended.
enum Compared {
    /// The processes agreed about so many seeds, which are all unless there was no more time.
    Equal(u64),
    /// They differ: what each says of a seed.
    Different { seed: u64, lines: [String; 2] },
    /// Somebody ended it after so many seeds.
    Interrupted(u64),
}

impl VerifyDeterminism {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let interrupt = Interrupt::listen()?;
        let all = self.seeds.end - self.seeds.start;
        print::note(&format!(
            "wavetank: {} in two processes each{}",
            counted(all, "seed"),
            self.against
                .as_ref()
                .map_or(String::new(), |other| format!(", one of {}", other.display()))
        ));
        match self.compare(systems, &interrupt)? {
            Compared::Equal(seeds) => {
                let of_all = if seeds < all { format!(" of {all}") } else { String::new() };
                out(&format!(
                    "{seeds}{of_all} seeds, two processes each: equal digests and verdicts"
                ));
                Ok(Outcome::Passed)
            }
            Compared::Interrupted(seeds) => {
                out(&format!("interrupted: {seeds} of {all} seeds, equal so far"));
                Ok(Outcome::Interrupted)
            }
            Compared::Different { seed, lines: [first, second] } => {
                out(&format!("not deterministic:\n  1 {first}\n  2 {second}"));
                let digest = |line: &str| line.split(' ').nth(2).map(String::from);
                if digest(&first) == digest(&second) {
                    out("the runs are the same, but they are judged otherwise");
                } else {
                    self.name_difference(seed)?;
                }
                Ok(Outcome::NotDeterministic)
            }
        }
    }

    /// Compares what the two processes print, line by line as they come.
    fn compare(&self, systems: Systems, interrupt: &Interrupt) -> Result<Compared, CliError> {
        let scenarios = find_scenarios(systems, &self.scenarios)?.len();
        let mut progress = Progress::start();
        let [mut first, mut second] = self.children(&self.seeds, &[])?;
        let header = header(&self.seeds, scenarios);
        let all = self.seeds.end - self.seeds.start;
        // The other program first: this one is known to be the right one.
        let began = second.expect_header(&header).and_then(|()| first.expect_header(&header));
        let mut done = 0;
        let outcome = began.and_then(|()| {
            for seed in self.seeds.clone() {
                let elapsed = progress.elapsed();
                if interrupt.is_wanted() {
                    return Ok(Compared::Interrupted(done));
                }
                if self.limit.is_some_and(|limit| done > 0 && elapsed >= limit) {
                    return Ok(Compared::Equal(done));
                }
                let lines = [first.line_of(seed)?, second.line_of(seed)?];
                if lines[0] != lines[1] {
                    return Ok(Compared::Different { seed, lines });
                }
                done += 1;
                let of_time = self.limit.map_or(0.0, |limit| elapsed.div_duration_f64(limit));
                progress
                    .show(of_time.max(done as f64 / all as f64), || format!("{done}/{all} seeds"));
            }
            first.expect_end()?;
            second.expect_end()?;
            Ok(Compared::Equal(done))
        });
        progress.finish();
        // Ctrl-C ends the children too, whatever they were about to say.
        match (interrupt.is_wanted(), outcome) {
            (true, Err(_)) | (true, Ok(Compared::Equal(_))) if done < all => {
                Ok(Compared::Interrupted(done))
            }
            (_, outcome) => outcome,
        }
    }

    /// Names the first entry in which two traces of a seed differ.
    fn name_difference(&self, seed: u64) -> Result<(), CliError> {
        let [mut first, mut second] = self.children(&(seed..seed + 1), &["--trace"])?;
        let (first, second) = (trace(&mut first)?, trace(&mut second)?);
        match compare_traces(&first, &second) {
            Some(difference) => out(&format!("{difference}")),
            None => out("run again with traces, the two processes agreed"),
        }
        Ok(())
    }

    /// The two processes.
    fn children(&self, seeds: &Range<u64>, more: &[&str]) -> Result<[Child; 2], CliError> {
        let own = Path::new("/proc/self/exe");
        let seeds = format!("{}..{}", seeds.start, seeds.end);
        let arguments = |disturb: bool| {
            let fixed = ["digest", "--seeds", &seeds].into_iter().chain(more.iter().copied());
            let disturb = disturb.then_some("--disturb");
            let all = fixed.chain(disturb).map(String::from).chain(self.scenarios.iter().cloned());
            all.collect::<Vec<_>>()
        };
        let other = self.against.as_deref().unwrap_or(own);
        Ok([
            Child::start(own, "this build", &arguments(false))?,
            Child::start(other, &other.display().to_string(), &arguments(self.disturb))?,
        ])
    }
}

/// The whole trace that a process prints.
fn trace(child: &mut Child) -> Result<Vec<PrintedEntry>, CliError> {
    let _header = child.line()?;
    let mut lines = Vec::new();
    while let Some(line) = child.line()? {
        if let Some((time, text)) = line.split_once(' ')
            && let Ok(time) = time.parse()
        {
            lines.push(PrintedEntry { time, text: text.to_string() });
        }
    }
    Ok(lines)
}
