//! `explore`: many seeds over the scenarios.

use super::{
    CliError, Outcome,
    causes::Causes,
    failure::{self, FailureReport, Keeper},
    find_sabotage, find_scenarios,
    interrupt::Interrupt,
    junit::junit,
    kept_runs::KeptRuns,
    parse_jobs, parse_length, parse_limit, parse_seeds,
    part::Part,
    print,
    progress::{Progress, clock},
    run::result_of,
    shrink::shrink_briefly,
};
use crate::{
    harness::{
        event::Milestone,
        explore::{Corpus, SHRUNK, Seed, guided},
        language::{COLUMNS, FILE_BYTES_MAX, read_file, wrap},
        report::{describe_group, describe_sweep},
        run::{
            FaultCounts, KindCounts, Recipe, RunConfig, Sweep, SweepRun, SweepSummary,
            never_reached, watched_sweep,
        },
        scenario::FaultPlan,
        system::Systems,
    },
    host::Property,
};
use clap::Args;
use std::{
    collections::BTreeMap, num::NonZeroUsize, ops::Range, path::PathBuf, sync::atomic::Ordering,
    time::Duration,
};

/// After so long without the end of a run a person is told which are under way.
const SILENCE: Duration = Duration::from_secs(30);

/// Groups of failures of which one run is told in full.
const TOLD_MAX: usize = 3;
/// Faults of a single scenario that are told one by one.
const FAULTS_MAX: usize = 12;
/// Runs after which a fault that never came is told.
const RUNS_TO_TELL: u64 = 20;
/// Failures of such a group that are shrunk.
const SHRUNK_MAX: usize = 3;
/// How long a failure is shrunk that is told in full.
const SHRINK_FOR: Duration = Duration::from_secs(10);
/// Runs where neither seeds nor a time are given.
const RUNS: u64 = 100;

/// Runs many seeds. Each seed is one run of one of the scenarios: as many seeds as
/// there are scenarios run each of them once, in an order of their own.
///
/// Without arguments it runs 100 seeds over all shipped scenarios, on all cores. What failed is
/// grouped by verdict and by the events in conflict, and the first run of a group is told in full with the
/// command that shows it again; groups that shrink to the same plan are one cause. Each failure is told on standard error and kept under failures/ the moment it is found, so that
/// a sweep may be killed at any time. Ctrl-C, SIGTERM or SIGHUP ends it with a summary of what has been
/// run; a second one ends at once.
#[derive(Args)]
pub struct Explore {
    /// The scenarios, by file, name, folder or with stars; all under scenarios/ if none is named
    scenarios: Vec<String>,
    /// The plan seeds; 0..100 if absent, or without end if there is a --for
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, allow_hyphen_values = true)]
    seeds: Option<Range<u64>>,
    /// Run this part of the seeds, such as 2/4: the second of four machines
    #[arg(long, value_name = "I/N", value_parser = Part::parse, allow_hyphen_values = true)]
    shard: Option<Part>,
    /// Runs side by side; all cores if absent
    #[arg(long, value_name = "N", value_parser = parse_jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// End at the first run that does not end as its scenario expects
    #[arg(long)]
    until_failure: bool,
    /// Learn: most runs go on in other ways from the rare milestones of those before. As many runs as there are
    /// --seeds; a find is told as SEED@MILESTONE+K, which `run --seed` takes
    #[arg(long)]
    guided: bool,
    /// With --guided: begin with the runs of this file, and keep those there that reached rare milestones
    #[arg(long, value_name = "FILE", requires = "guided")]
    corpus: Option<PathBuf>,
    /// Begin no run after this time, such as 90s, 10m or 8h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_limit, allow_hyphen_values = true)]
    limit: Option<Duration>,
    /// Switch a known bug on; `list --sabotages` names them
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
    /// Shrink each failure that is told in full, and two more that failed alike, with no new candidate after this
    /// time each, such as 30s; 10s if absent, 0s for not at all
    #[arg(long, value_name = "DURATION", value_parser = parse_length, allow_hyphen_values = true)]
    shrink_for: Option<Duration>,
    /// Write one JSON object to FILE, or to standard output and no text
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Keep what `query` asks: a line for each run, with the times of its milestones and faults and what broke
    #[arg(long, value_name = "FILE")]
    runs: Option<PathBuf>,
    /// Write what a CI server reads: a test case for each scenario, and for each that failed one for each way in
    /// which it did
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// All cores, unless fewer are asked for.
pub fn jobs(wanted: Option<NonZeroUsize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.map_or_else(cores, usize::from)
}

impl Explore {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let interrupt = Interrupt::listen()?;
        print::check_writable(self.json.as_deref())?;
        print::check_writable(self.junit.as_deref())?;
        let mut kept = self.runs.as_ref().map(|path| KeptRuns::create(path)).transpose()?;
        if self.shard.is_some() && self.seeds().is_empty() {
            return Err(CliError::new("there are fewer seeds than shards: name more --seeds"));
        }
        let sabotage = find_sabotage(systems, self.sabotage.as_deref())?;
        let plan = Sweep {
            jobs: jobs(self.jobs),
            sabotage,
            until_failure: self.until_failure,
            stop: interrupt.stop().clone(),
            ..Sweep::new(find_scenarios(systems, &self.scenarios)?, self.seeds())
        };
        let mut corpus = self.corpus(&plan)?;
        print::check_writable(self.corpus.as_deref())?;
        print::note(&self.opening(&plan));
        let mut keeper = Keeper::new(&plan.scenarios, sabotage);
        let (summary, wall) = self.sweep(&plan, &mut keeper, corpus.as_mut(), kept.as_mut());
        let swept = Swept {
            command: self,
            plan: &plan,
            summary,
            wall,
            interrupted: interrupt.is_wanted(),
            keeper,
        };
        let mut told = swept.tell_failures();
        let causes = swept.shrink_failures(systems, &mut told, &interrupt);
        let mut result =
            told.values().map(|told| told.outcome).fold(swept.result(), Outcome::worse);
        if !print::is_stdout(self.json.as_ref()) {
            swept.print(&told, &causes, result);
        }
        if let Some(path) = &self.json {
            result = result.worse(print::written(print::write_json(path, &swept.json(&causes))));
        }
        if let Some(kept) = kept {
            result = result.worse(print::written(kept.end()));
        }
        if let Some((path, corpus)) = self.corpus.as_ref().zip(corpus) {
            let seeds = serde_json::json!(corpus.seeds(&plan));
            result = result.worse(print::written(print::write_json(path, &seeds)));
        }
        if let Some(path) = &self.junit {
            result = result.worse(print::written(print::write_file(path, &swept.junit())));
        }
        Ok(result)
    }

    fn seeds(&self) -> Range<u64> {
        let end = if self.limit.is_some() { u64::MAX } else { RUNS };
        let all = self.seeds.clone().unwrap_or(0..end);
        self.shard.map_or(all.clone(), |part| part.of_seeds(&all))
    }

    /// How many runs there are to be; `None` of a sweep that only a time ends.
    fn runs(&self) -> Option<u64> {
        let Range { start, end } = self.seeds();
        (self.seeds.is_some() || self.limit.is_none()).then_some(end - start)
    }

    /// What is about to be run, so that a sweep that is killed can be repeated.
    fn opening(&self, plan: &Sweep) -> String {
        let Range { start, end } = plan.seeds;
        let end = self.runs().map_or(String::new(), |_| end.to_string());
        let limit = self.limit.map_or(String::new(), |limit| format!(" for {}", clock(limit)));
        let switch = plan.sabotage.map_or(String::new(), |switch| format!(", {}", switch.name()));
        format!(
            "wavetank: seeds {start}..{end}{limit} over {}, {}{switch}",
            counted(plan.scenarios.len() as u64, "scenario"),
            format_args!("{} at a time", plan.jobs),
        )
    }

    /// What an earlier guided sweep has kept; `None` of a sweep that is not guided.
    fn corpus(&self, plan: &Sweep) -> Result<Option<Corpus>, CliError> {
        let mut corpus = Corpus::default();
        if let Some(path) = self.corpus.as_ref().filter(|path| path.exists()) {
            let refused = |error: &dyn std::fmt::Display| {
                CliError::new(format!(
                    "{}: {error}\n  it is no corpus of this build",
                    path.display()
                ))
            };
            let text = read_file(path, FILE_BYTES_MAX).map_err(|error| refused(&error))?;
            // One that was begun and interrupted is empty.
            if !text.is_empty() {
                let seeds: Vec<Seed> =
                    serde_json::from_slice(&text).map_err(|error| refused(&error))?;
                corpus.learn(plan, &seeds).map_err(|error| refused(&error))?;
            }
        }
        Ok(self.guided.then_some(corpus))
    }

    fn sweep(
        &self,
        plan: &Sweep,
        keeper: &mut Keeper<'_>,
        corpus: Option<&mut Corpus>,
        mut kept: Option<&mut KeptRuns>,
    ) -> (SweepSummary, Duration) {
        let mut progress = Progress::start();
        let known = known_milestones(plan).len();
        let mut summary = SweepSummary::default();
        let (mut runs, mut failed, mut simulated) = (0_u64, 0_u64, Duration::ZERO);
        let all = self.runs().map_or(f64::INFINITY, |all| all as f64);
        let of_all = self.runs().map_or(String::new(), |all| format!("/{all}"));
        let on_run = |run: SweepRun| {
            runs += 1;
            failed += u64::from(!run.outcome.expected);
            simulated += run.outcome.simulated;
            if let Some(told) = keeper.keep(&run) {
                progress.aside(|| print::note(&told));
            }
            if let Some(kept) = &mut kept {
                kept.add(&run);
            }
            summary.add(run);
            let elapsed = progress.elapsed();
            let of_time = self.limit.map_or(0.0, |limit| elapsed.div_duration_f64(limit));
            if of_time >= 1.0 {
                plan.stop.store(true, Ordering::Relaxed);
            }
            progress.show(of_time.max(runs as f64 / all), || {
                let ratio = simulated.div_duration_f64(elapsed);
                let reached = summary.milestones.len();
                format!(
                    "{runs}{of_all} runs, {failed} failed, {ratio:.0}x, {reached}/{known} milestones"
                )
            });
        };
        match corpus {
            Some(corpus) => {
                let runs = self.runs().unwrap_or(u64::MAX);
                guided(plan, runs, corpus, on_run);
            }
            None => {
                watched_sweep(plan, SILENCE, on_run, |seeds| print::note(&silence(plan, &seeds)));
            }
        }
        (summary, progress.finish())
    }
}

/// The runs that are under way while none has ended for long.
fn silence(plan: &Sweep, seeds: &[u64]) -> String {
    let told = seeds.iter().map(|seed| {
        let scenario = &plan.scenarios[plan.scenario_of(*seed)].name;
        format!("\n  cargo run -- run {scenario} --seed {seed} --log wavetank=debug")
    });
    let long = clock(SILENCE);
    format!("wavetank: no run has ended for {long}; under way:{}", told.collect::<String>())
}

/// The milestones that some swept scenario can reach.
pub fn known_milestones(plan: &Sweep) -> Vec<Milestone> {
    let mut found: Vec<Milestone> =
        plan.scenarios.iter().flat_map(|scenario| scenario.system.milestones()).collect();
    found.sort();
    found.dedup();
    found
}

/// A number and a noun.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A sweep that has ended.
struct Swept<'a> {
    command: &'a Explore,
    plan: &'a Sweep,
    summary: SweepSummary,
    wall: Duration,
    interrupted: bool,
    keeper: Keeper<'a>,
}

impl Swept<'_> {
    fn result(&self) -> Outcome {
        let first_of_each = self.summary.failures.values().map(|group| &group.first.outcome);
        let ended = if self.interrupted { Outcome::Interrupted } else { Outcome::Passed };
        first_of_each.map(result_of).fold(ended, Outcome::worse)
    }

    /// The simulated over the wall time.
    fn ratio(&self) -> f64 {
        let wall = self.wall.max(Duration::from_micros(1));
        self.summary.total().simulated.div_duration_f64(wall)
    }

    /// Runs the first of each group of failures again in a fresh process and tells of it; by its seed.
    fn tell_failures(&self) -> BTreeMap<Recipe, FailureReport> {
        let groups = self.summary.groups();
        let told = groups.iter().take(TOLD_MAX).map(|(_, group)| {
            let first = &group.first;
            let scenario = &self.plan.scenarios[first.scenario];
            let told = failure::tell(scenario, &first.outcome, self.plan.sabotage, None);
            (first.outcome.recipe(), told)
        });
        told.collect()
    }

    /// Makes the plans of those smaller that are told in full, and of some others that failed alike: what has the same
    /// plan then has the same cause.
    fn shrink_failures(
        &self,
        systems: Systems,
        told: &mut BTreeMap<Recipe, FailureReport>,
        interrupt: &Interrupt,
    ) -> Causes {
        let groups = self.summary.groups();
        let mut causes = Causes::of(&groups);
        let limit = self.command.shrink_for.unwrap_or(SHRINK_FOR);
        let stop = &self.plan.stop;
        if limit.is_zero() {
            return causes;
        }
        // The time of the sweep may be over, and that of shrinking is its own.
        stop.store(false, Ordering::Relaxed);
        for (place, (_, group)) in groups.iter().enumerate().take(TOLD_MAX) {
            for recipe in group.runs.keys().take(SHRUNK_MAX) {
                let report = told.get_mut(recipe);
                let is_sound =
                    report.as_ref().is_none_or(|told| told.outcome != Outcome::NotDeterministic);
                let kept = report.as_ref().and_then(|told| told.folder.clone());
                let folder = kept.or_else(|| self.keeper.folder(recipe).cloned());
                let Some(folder) = folder.filter(|_| is_sound && !interrupt.is_wanted()) else {
                    continue;
                };
                // What was shrunk before may have had more time.
                let is_there = folder.join(SHRUNK).exists();
                let line = match is_there {
                    true => Ok(None),
                    false => shrink_briefly(systems, &folder, limit, self.plan.jobs, stop),
                };
                let line = line.unwrap_or_else(|error| Some(format!("not shrunk: {error}")));
                if let (Some(line), Some(report)) = (line, report) {
                    report.text += &format!("\n{line}");
                }
                causes.shrunk(systems, place, &folder);
            }
        }
        causes.merge();
        causes
    }

    fn print(&self, told: &BTreeMap<Recipe, FailureReport>, causes: &Causes, result: Outcome) {
        let known = known_milestones(self.plan);
        let swept: Vec<&str> =
            self.plan.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        print::out(&format!("{}\n", describe_sweep(&self.summary, &swept, &known)));
        print::out(&self.faults());
        for (signature, group) in &self.summary.groups() {
            let told = describe_group(signature, group);
            print::out(&print::paint(&told[0], result_of(&group.first.outcome)));
            told[1..].iter().for_each(|line| print::out(line));
        }
        for (recipe, told) in told {
            print::out(&format!("\n-- seed {recipe}\n{}\n", told.text));
        }
        causes.lines().iter().for_each(|line| print::out(line));
        print::out(&self.closing(causes, result));
    }

    /// In how many runs the faults came: each of a single scenario, else those that never did.
    fn faults(&self) -> String {
        let single = self.plan.scenarios.len() == 1;
        let mut text = String::new();
        for ((name, origin), counts) in &self.summary.faults {
            let FaultCounts { drawn, came, idle } = counts;
            let found = self.plan.scenarios.iter().find(|scenario| scenario.name == *name);
            let Some(scenario) = found else { continue };
            let Some([which, what]) = FaultPlan::origin(scenario, *origin) else { continue };
            if single && self.plan.scenarios[0].faults.len() <= FAULTS_MAX {
                let struck = came - idle;
                let idle = match idle {
                    0 => String::new(),
                    idle => format!(", and came in {idle} others without striking anything"),
                };
                let runs = format!("struck in {struck} of {drawn} runs that drew it{idle}");
                text += &wrap(&format!("{which:<9} "), &format!("{what} {runs}"));
                text.push('\n');
            } else if came == idle && *drawn >= RUNS_TO_TELL {
                let what = format!("of {name} never struck in {drawn} runs: {what}");
                text += &wrap(&format!("{which:<9} "), &what);
                text.push('\n');
            }
        }
        text
    }

    fn closing(&self, causes: &Causes, result: Outcome) -> String {
        let total = self.summary.total();
        let failed = total.runs - total.passed;
        let mut lines = Vec::new();
        if self.interrupted {
            let of_all = self.command.runs().map_or(String::new(), |all| format!(" of {all}"));
            lines.push(format!("interrupted: {}{of_all} runs", total.runs));
        }
        // Of a guided sweep most runs are of no seed's own.
        if (self.interrupted || self.command.limit.is_some()) && !self.command.guided {
            let start = self.plan.seeds.start;
            lines.push(format!("seeds {start}..{} were run", start.saturating_add(total.runs)));
        }
        if let Some(switch) = self.plan.sabotage {
            let times = counted(self.summary.sabotage_executions, "time");
            let checks = switch.caught_by().join(" or ");
            lines.push(format!("the switched line ran {times}; {checks} is to catch it"));
        }
        let runs = counted(total.runs, "run");
        let verdict = match (total.runs, failed) {
            (0, _) => "nothing was run".to_string(),
            (_, 0) => format!("{runs} ended as expected"),
            _ => format!("{failed} of {runs} failed, {}", counted(causes.count() as u64, "cause")),
        };
        let (simulated, wall) = (clock(total.simulated), self.wall.as_secs_f64());
        lines.push(format!(
            "{}: {simulated} simulated in {wall:.1}s, {:.0}x",
            print::paint(&verdict, result),
            self.ratio()
        ));
        if result == Outcome::Passed {
            lines.extend(self.next());
        }
        lines.join("\n")
    }

    /// What to do after a clean sweep; nothing when there are no more seeds.
    fn next(&self) -> Option<String> {
        let from = self.plan.seeds.start.checked_add(self.summary.total().runs)?;
        if from == u64::MAX || self.command.guided {
            return None;
        }
        let seeds = format!("--seeds {from}..{}", from.saturating_add(100 * RUNS));
        let names = self.command.scenarios.iter().map(|name| format!(" {name}"));
        let command = format!("cargo run --release -- explore{}", names.collect::<String>());
        let line = format!("next: {command} {seeds}");
        Some(match line.chars().count() + " (or --for 10m)".len() <= COLUMNS {
            true => format!("{line} (or --for 10m)"),
            false => format!("next: the same with --release and {seeds} (or --for 10m)"),
        })
    }

    /// What became of the drawn faults, of all and of each kind.
    fn faults_json(&self) -> serde_json::Value {
        let told = |counts: &KindCounts| {
            serde_json::json!({
                "drawn": counts.drawn,
                "came": counts.came,
                "struck": counts.struck,
                "struck_nothing_share": counts.idle_share(),
            })
        };
        let kinds = self.summary.kinds.iter().map(|(kind, counts)| (*kind, told(counts)));
        serde_json::json!({
            "all": told(&self.summary.all_kinds()),
            "kinds": kinds.collect::<BTreeMap<_, _>>(),
        })
    }

    fn junit(&self) -> String {
        let names: Vec<&str> =
            self.plan.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
        junit(&self.summary, &names, self.wall.as_secs_f64())
    }

    fn json(&self, causes: &Causes) -> serde_json::Value {
        let Sweep { seeds, scenarios, sabotage, .. } = self.plan;
        let SweepSummary { tallies, evaluations, milestones, sabotage_executions, .. } =
            &self.summary;
        let total = self.summary.total();
        let tallies = tallies.iter().map(|(name, tally)| {
            serde_json::json!({
                "scenario": name,
                "runs": tally.runs,
                "passed": tally.passed,
                "violated": tally.violated,
                "stuck": tally.stuck,
                "simulated_seconds": tally.simulated.as_secs_f64(),
            })
        });
        let failures = self.summary.failed_runs().into_values().map(|run| {
            serde_json::json!({
                "seed": run.seed,
                "branches": run.recipe.branches_as_text(),
                "schedule": RunConfig::new(run.seed).scheduling_seed(),
                "scenario": scenarios[run.scenario].name,
                "verdict": run.verdict.to_string(),
                "folder": self.keeper.folder(&run.recipe),
                "shrunk": self.keeper.folder(&run.recipe).map(|at| at.join(SHRUNK)).filter(|at| at.exists()),
            })
        });
        let missed = never_reached(milestones, &known_milestones(self.plan))
            .into_iter()
            .map(Milestone::name);
        serde_json::json!({
            "seeds": { "from": seeds.start, "to": self.command.runs().map(|_| seeds.end) },
            "runs": total.runs,
            "interrupted": self.interrupted,
            "wall_seconds": self.wall.as_secs_f64(),
            "simulated_seconds": total.simulated.as_secs_f64(),
            "simulated_over_wall": self.ratio(),
            "scenarios": tallies.collect::<Vec<_>>(),
            "invariants": by_code(evaluations.iter().filter(|(title, _)| !Property::is_title(title))),
            "properties": evaluations.iter().filter(|(title, _)| Property::is_title(title)).collect::<BTreeMap<_, _>>(),
            "milestones": milestones.iter().map(|(m, count)| (m.name(), *count)).collect::<BTreeMap<_, _>>(),
            "milestones_never_reached": missed.collect::<Vec<_>>(),
            "faults": self.faults_json(),
            "failures": failures.collect::<Vec<_>>(),
            "causes": causes.json(),
            "sabotage": sabotage.map(|switch| {
                serde_json::json!({ "switch": switch.name(), "line_ran": sabotage_executions })
            }),
        })
    }
}

/// An invariant's code, which doesn't change when its title does.
pub fn code(title: &str) -> &str {
    title.split(' ').next().unwrap_or(title)
}

/// Counts by the invariants' codes.
fn by_code<'a>(
    evaluations: impl Iterator<Item = (&'a &'static str, &'a u64)>,
) -> BTreeMap<&'static str, u64> {
    evaluations.map(|(title, count)| (code(title), *count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_reads_as_people_write_it() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("1.5h", 5400)] {
            assert_eq!(parse_limit(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "10", "ten minutes", "-1s", "1d", "0s"] {
            let error = parse_limit(text).expect_err(text);
            assert!(error.contains("such as 90s, 10m or 2h") && error.contains(text), "{error}");
        }
    }
}
