//! `sabotage`: how soon the checks catch known bugs.

use super::{
    CliError, Outcome,
    explore::{counted, jobs},
    failure::Keeper,
    find_sabotage, find_scenarios,
    interrupt::Interrupt,
    parse_jobs, print,
    progress::Progress,
    sabotage_page::Page,
    sabotage_shrunk::{Shrinking, shrink_all},
};
use crate::{
    harness::{
        explore::{Detection, Hunt, HuntRun, Hunted, Search, Survey},
        language::{COLUMNS, cut},
        report::describe_group,
        run::SweepSummary,
        sabotage::is_caught_by,
        system::Systems,
    },
    host::Sabotage,
};
use clap::Args;
use std::{collections::BTreeMap, num::NonZeroUsize, path::PathBuf};

/// The first seeds of the searches for one bug.
const STARTS: [u64; 5] = [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000];
/// The least runs of the control from the first start.
const CONTROL_MIN: u64 = 200;

/// Switches known bugs on, one at a time, and counts the runs until each is caught
///
/// A switch takes away the one line of the cluster that prevents a bug; most of
/// these bugs were published, and the table gives their numbers. The shipped
/// scenarios are explored with the switch on from 5 first seeds (0, 1000000, ..),
/// each time until a run does not end as its scenario expects. Each seed is also
/// run without any switch, and none of these runs may fail: a check that cries
/// wolf catches everything. A seed that never asks for a switch is the same run
/// with it, so that only the others are run once more.
///
/// The columns of the table:
///   caught by  the checks that caught it; `!` marks one that is not there for
///              this bug. Or `uncaught`: the line ran, and no run failed. Or
///              `never reached`: it never ran
///   runs       the runs until it was caught, the median of the 5 searches; the
///              same for any --jobs
///   found      the searches that caught it; a bug counts as caught only if all
///              did. An uncaught one is masked by another mechanism if a switch
///              that takes away both was caught
///   line ran   how often the switched line ran in all of them
///
/// A run without a switch that fails, or one that another check caught, is kept
/// under failures/ the moment it is found.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Sabotages {
    /// The switches, as `list --sabotages` names them; all if none is named
    #[arg(value_name = "NAME")]
    switches: Vec<String>,
    /// The most runs from each first seed; 3000 if absent
    #[arg(
        long, value_name = "N", default_value_t = 3000, hide_default_value = true,
        allow_hyphen_values = true, value_parser = clap::value_parser!(u64).range(1..=STARTS[1])
    )]
    seeds: u64,
    /// Runs side by side; all cores if absent
    #[arg(long, value_name = "N", value_parser = parse_jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// Write one JSON object to FILE, or to standard output and no text
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Write the table into FILE, between its two lines that say so (docs/bugs.md)
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Let searches learn: most of their runs go on in other ways from rare moments of those before, and every run has
    /// the switch on
    #[arg(long, conflicts_with = "page")]
    guided: bool,
    /// Shrink the plan that each bug was found with, for the page
    #[arg(long, requires = "page")]
    shrink: bool,
}

impl Sabotages {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let interrupt = Interrupt::listen()?;
        let hunt = Hunt {
            scenarios: find_scenarios(systems, &[])?,
            runs_max: self.seeds,
            jobs: jobs(self.jobs),
            guided: self.guided,
            stop: interrupt.stop().clone(),
        };
        print::check_writable(self.json.as_deref())?;
        let named = |name: &String| find_sabotage(systems, Some(name)).transpose();
        let named: Vec<Sabotage> =
            self.switches.iter().filter_map(named).collect::<Result<_, _>>()?;
        let switches = if named.is_empty() { systems.sabotages() } else { named };
        print::note(&format!(
            "wavetank: {} from {} first seeds, {} runs each at most, over {}",
            counted(switches.len() as u64, "known bug"),
            STARTS.len(),
            self.seeds,
            counted(hunt.scenarios.len() as u64, "scenario"),
        ));
        let silent = print::is_stdout(self.json.as_ref());
        let mut table = Table::new(&hunt, switches.len(), silent);
        let report = table.fill(&switches, &interrupt);
        table.progress.finish();
        let mut result = report.result();
        if !print::is_stdout(self.json.as_ref()) {
            print::out(&report.closing());
        }
        if let Some(path) = &self.json {
            result = result.worse(print::written(print::write_json(path, &report.json())));
        }
        if let Some(path) = self.page.as_ref().filter(|_| !report.interrupted) {
            let shrunk = match self.shrink {
                true => {
                    let (scenarios, stop) = (&hunt.scenarios, interrupt.stop());
                    shrink_all(systems, scenarios, &report.hunted, hunt.jobs, stop)
                }
                false => BTreeMap::new(),
            };
            if interrupt.is_wanted() {
                return Ok(result.worse(Outcome::Interrupted));
            }
            report.page(&shrunk).write(path)?;
        }
        Ok(result)
    }
}

/// The table while it is being filled.
struct Table<'a> {
    hunt: &'a Hunt,
    silent: bool,
    progress: Progress,
    searches: usize,
    done: usize,
    control: Keeper<'a>,
    /// The switch that is looked for.
    switched: Option<(Sabotage, Keeper<'a>)>,
}

impl<'a> Table<'a> {
    fn new(hunt: &'a Hunt, switches: usize, silent: bool) -> Self {
        Table {
            hunt,
            silent,
            progress: Progress::start(),
            searches: switches * STARTS.len(),
            done: 0,
            control: Keeper::new(&hunt.scenarios, None),
            switched: None,
        }
    }

    fn fill(&mut self, switches: &[Sabotage], interrupt: &Interrupt) -> Report {
        let mut report = Report::new(self.hunt, switches.len());
        let mut survey = Survey::new(self.hunt.clone());
        self.print(&row(HEADER, |cell| cell));
        for switch in switches {
            self.switched = Some((*switch, Keeper::new(&self.hunt.scenarios, Some(*switch))));
            let search = |start: &u64| self.search(&mut survey, *switch, *start);
            let searches = STARTS.iter().map(search).collect();
            let hunted = Hunted { switch: *switch, searches };
            if interrupt.is_wanted() {
                break;
            }
            self.print(&row_of(&hunted, self.hunt.runs_max));
            report.hunted.push(hunted);
        }
        survey.survey(STARTS[0], CONTROL_MIN, |seeds, run| self.tell(seeds, CONTROL_MIN, run));
        report.interrupted = interrupt.is_wanted();
        report.control = survey.into_control();
        report
    }

    fn search(&mut self, survey: &mut Survey, switch: Sabotage, start: u64) -> Search {
        let all = self.hunt.runs_max;
        let search = survey.search(switch, start, |seeds, run| self.tell(seeds, all, run));
        self.done += 1;
        search
    }

    /// Keeps a run that nobody wanted, and tells how far the search is.
    fn tell(&mut self, seeds: u64, all_seeds: u64, run: HuntRun<'_>) {
        let (what, kept) = match (run, &mut self.switched) {
            // That a switch is caught is no failure; that something else breaks is one.
            (HuntRun::Switched(run), Some((switch, keeper))) => {
                let wanted = is_caught_by(*switch, &run.outcome.verdict);
                (switch.name(), (!wanted).then(|| keeper.keep(run)).flatten())
            }
            (HuntRun::Switched(run) | HuntRun::Control(run), _) => {
                ("without a switch", self.control.keep(run))
            }
        };
        if let Some(told) = kept {
            self.progress.aside(|| print::note(&told));
        }
        let (done, all) = (self.done, self.searches);
        let share = seeds as f64 / all_seeds as f64;
        // The least of the control counts as one more search.
        self.progress.show((done as f64 + share) / (all as f64 + 1.0), || {
            format!("{what}: {seeds} seeds, {done}/{all} searches")
        });
    }

    fn print(&self, line: &str) {
        if !self.silent {
            self.progress.aside(|| print::out(line));
        }
    }
}

const HEADER: [&str; 6] = ["switch", "published", "caught by", "runs", "found", "line ran"];

/// A line of the table. What caught a bug goes through `paint` once it has its width.
fn row(cells: [&str; 6], paint: impl FnOnce(String) -> String) -> String {
    let [switch, published, caught_by, runs, found, line_ran] = cells;
    let caught_by = paint(format!("{:<13}", cut(caught_by, 13)));
    let switch = cut(switch, 31);
    format!("{switch:<31} {published:<11} {caught_by} {runs:>5} {found:>5} {line_ran:>8}")
}

fn row_of(hunted: &Hunted, runs_max: u64) -> String {
    let detection = hunted.detection();
    let runs = hunted.median().map_or(format!(">{runs_max}"), |runs| runs.to_string());
    let found = format!("{}/{}", hunted.found(), hunted.searches.len());
    let (switch, published) = (hunted.switch.name(), hunted.switch.published());
    let (told, line_ran) = (told(hunted), hunted.executions().to_string());
    row([switch, published, &told, &runs, &found, &line_ran], |cell| {
        print::paint(
            &cell,
            if detection == Detection::Caught { Outcome::Passed } else { Outcome::Violated },
        )
    })
}

/// What caught it, or why nothing did.
fn told(hunted: &Hunted) -> String {
    match hunted.detection() {
        Detection::NeverReached => "never reached".to_string(),
        Detection::Uncaught => "uncaught".to_string(),
        Detection::Caught | Detection::CaughtBySome | Detection::CaughtByAnother => {
            let verdicts = hunted.verdicts().into_iter();
            let marked = verdicts.map(|(name, wanted)| name + if wanted { "" } else { "!" });
            marked.collect::<Vec<_>>().join(" ")
        }
    }
}

/// What all searches came to.
struct Report {
    scenarios: Vec<String>,
    switches: usize,
    runs_max: u64,
    hunted: Vec<Hunted>,
    control: SweepSummary,
    interrupted: bool,
}

impl Report {
    fn new(hunt: &Hunt, switches: usize) -> Self {
        Report {
            scenarios: hunt.scenarios.iter().map(|scenario| scenario.name.clone()).collect(),
            switches,
            runs_max: hunt.runs_max,
            hunted: Vec::new(),
            control: SweepSummary::default(),
            interrupted: false,
        }
    }

    fn caught(&self) -> usize {
        self.hunted.iter().filter(|hunted| hunted.detection() == Detection::Caught).count()
    }

    fn masked(&self) -> usize {
        self.hunted.iter().filter(|hunted| hunted.masked(&self.hunted).is_some()).count()
    }

    /// Whether nothing is amiss in what was searched.
    fn is_clean(&self) -> bool {
        self.control.failures.is_empty() && self.caught() + self.masked() == self.hunted.len()
    }

    fn result(&self) -> Outcome {
        match (self.is_clean(), self.interrupted) {
            (false, _) => Outcome::Violated,
            (true, true) => Outcome::Interrupted,
            (true, false) => Outcome::Passed,
        }
    }

    /// What follows the table.
    fn closing(&self) -> String {
        let mut lines = vec![String::new()];
        for hunted in
            self.hunted.iter().filter(|hunted| hunted.detection() == Detection::CaughtByAnother)
        {
            let checks = hunted.switch.caught_by().join(" or ");
            let text = format!("! {} is to be caught by {checks}", hunted.switch.name());
            lines.push(cut(&text, COLUMNS));
        }
        for hunted in
            self.hunted.iter().filter(|hunted| hunted.detection() == Detection::CaughtBySome)
        {
            let (found, all) = (hunted.found(), hunted.searches.len());
            let name = hunted.switch.name();
            lines.push(format!("{name}: {found} of {all} searches found it; more --seeds may"));
        }
        if self.interrupted {
            let (done, all) = (self.hunted.len(), self.switches);
            let control =
                if done == all { ", the runs without a switch not to their end" } else { "" };
            lines.push(format!("interrupted: {done} of {all} searched for{control}"));
        }
        let (runs, failed) = (self.control.total().runs, self.control.failed_runs().len());
        if runs > 0 {
            let result = if failed == 0 { Outcome::Passed } else { Outcome::Violated };
            let verdict = print::paint(&format!("{failed} failed"), result);
            lines.push(format!("without a switch: {}, {verdict}", counted(runs, "run")));
        }
        for (signature, group) in self.control.groups() {
            let first = &group.first.outcome;
            lines.extend(describe_group(signature, group));
            lines.push(format!("  cargo run -- run {} --seed {}", first.scenario, first.seed));
        }
        for hunted in &self.hunted {
            if let Some(shown) = hunted.masked(&self.hunted) {
                let (name, shown) = (hunted.switch.name(), shown.name());
                lines.push(format!("{name}: masked, as {shown} shows"));
            }
        }
        let masked = match self.masked() {
            0 => String::new(),
            masked => format!(", {masked} masked"),
        };
        let verdict = format!("{} of {} caught{masked}", self.caught(), self.switches);
        lines.push(print::paint(&verdict, self.result()));
        lines.extend(self.again());
        lines.join("\n")
    }

    /// The command that shows a catch in full.
    fn again(&self) -> Option<String> {
        let (switch, run) = self.hunted.iter().find_map(|hunted| {
            let run = hunted.searches.iter().find_map(|search| search.caught.as_ref())?;
            Some((hunted.switch.name(), run))
        })?;
        let (scenario, seed) = (&self.scenarios[run.scenario], run.seed);
        let command = format!("cargo run -- run {scenario} --seed {seed} --sabotage {switch}");
        Some(format!("next, to see one of them caught:\n  {command}"))
    }

    fn page<'a>(&'a self, shrunk: &'a BTreeMap<Sabotage, Shrinking>) -> Page<'a> {
        Page {
            shrunk,
            hunted: &self.hunted,
            scenarios: &self.scenarios,
            searches: STARTS.len(),
            runs_max: self.runs_max,
            control: (self.control.total().runs, self.control.failed_runs().len()),
        }
    }

    fn json(&self) -> serde_json::Value {
        let control = self.control.total();
        let failures = self.control.failed_runs().into_values().map(|run| {
            serde_json::json!({
                "seed": run.seed,
                "scenario": self.scenarios[run.scenario],
                "verdict": run.verdict.to_string(),
            })
        });
        serde_json::json!({
            "starts": STARTS,
            "runs_max": self.runs_max,
            "interrupted": self.interrupted,
            "switches": self.hunted.iter().map(|hunted| self.json_of(hunted)).collect::<Vec<_>>(),
            "control": {
                "runs": control.runs,
                "failures": failures.collect::<Vec<_>>(),
            },
            "clean": self.result() == Outcome::Passed,
            "wanted": self.switches,
        })
    }

    fn json_of(&self, hunted: &Hunted) -> serde_json::Value {
        let searches = hunted.searches.iter().map(|search| {
            let caught = search.caught.as_ref();
            serde_json::json!({
                "start": search.start,
                "runs": search.runs,
                "line_ran": search.executions,
                "seed": caught.map(|run| run.seed),
                "scenario": caught.map(|run| &self.scenarios[run.scenario]),
                "verdict": caught.map(|run| run.verdict.to_string()),
            })
        });
        serde_json::json!({
            "switch": hunted.switch.name(),
            "published": hunted.switch.published(),
            "expected": hunted.switch.caught_by(),
            "masked_as_shown_by": hunted.masked(&self.hunted),
            "outcome": match hunted.detection() {
                Detection::Caught => "caught",
                Detection::CaughtBySome => "caught by some searches",
                Detection::CaughtByAnother => "caught by another check",
                Detection::Uncaught => "uncaught",
                Detection::NeverReached => "never reached",
            },
            "caught_by": hunted.verdicts().into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            "runs_to_find": hunted.median(),
            "found": hunted.found(),
            "line_ran": hunted.executions(),
            "searches": searches.collect::<Vec<_>>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        harness::{
            check::Verdict,
            run::{FailedRun, Recipe},
        },
        system::sabotage::{ALL, STALE_TOKEN_ACCEPTED},
    };

    fn hunted(switch: Sabotage, names: &[Option<&str>], executions: u64) -> Hunted {
        let search = |name: &Option<&str>| Search {
            start: 0,
            runs: 1_000_000,
            caught: name.map(|name| FailedRun {
                seed: 999_999,
                recipe: Recipe::of_seed(999_999),
                scenario: 0,
                verdict: Verdict::Violated(name.to_string()),
            }),
            executions,
        };
        Hunted { switch, searches: names.iter().map(search).collect() }
    }

    #[test]
    fn the_table_fits_a_page() {
        let long = [Some("coordination-durable"), None, Some("no-panic"), None, Some("C10")];
        for switch in ALL {
            for (names, times) in [(&long[..], 9_999_999), (&[None; 5], 7), (&[None; 5], 0)] {
                let line = row_of(&hunted(*switch, names, times), 1000);
                assert!(line.chars().count() <= COLUMNS, "{line}");
                assert!(line.starts_with(switch.name()), "{line}");
            }
        }
        assert!(row(HEADER, |cell| cell).len() <= COLUMNS);
    }

    #[test]
    fn a_row_tells_what_became_of_a_bug() {
        let cells = |names: &[Option<&str>], times| {
            let line = row_of(&hunted(STALE_TOKEN_ACCEPTED, names, times), 500);
            line.split_whitespace().skip(2).map(String::from).collect::<Vec<_>>().join(" ")
        };
        let l2 = Some("L2");
        assert_eq!(cells(&[l2, l2, None], 3), "L2 1000000 2/3 9");
        assert_eq!(cells(&[None, l2, None], 3), "L2 >500 1/3 9");
        assert_eq!(cells(&[l2, l2, Some("X4")], 3), "L2 X4! 1000000 3/3 9");
        assert_eq!(cells(&[None, None, None], 3), "uncaught >500 0/3 9");
        assert_eq!(cells(&[None, None, None], 0), "never reached >500 0/3 0");
    }

    #[test]
    fn the_result_is_that_of_every_bug_and_the_control() {
        let l2 = [Some("L2"), Some("L2")];
        let report = |names: &[&[Option<&str>]]| Report {
            scenarios: vec!["a/b".to_string()],
            switches: names.len(),
            runs_max: 500,
            hunted: names.iter().map(|n| hunted(STALE_TOKEN_ACCEPTED, n, 1)).collect(),
            control: SweepSummary::default(),
            interrupted: false,
        };
        assert_eq!(report(&[&l2, &l2]).result(), Outcome::Passed);
        assert_eq!(report(&[&l2, &[None]]).result(), Outcome::Violated);
        assert_eq!(report(&[&l2, &[Some("L2"), Some("X4")]]).result(), Outcome::Violated);
        let by_some = report(&[&[Some("L2"), None]]);
        assert_eq!(by_some.result(), Outcome::Violated);
        let text = by_some.closing();
        assert!(text.contains("0 of 1 caught") && text.contains("1 of 2 searches"), "{text}");
        let interrupted = Report { interrupted: true, switches: 3, ..report(&[&l2]) };
        assert_eq!(interrupted.result(), Outcome::Interrupted, "two were not searched for");
        let text = interrupted.closing();
        assert!(text.contains("1 of 3 searched for") && text.contains("1 of 3 caught"), "{text}");
        let nothing = Report { interrupted: true, switches: 3, ..report(&[]) };
        assert_eq!(nothing.result(), Outcome::Interrupted);
        let uncaught = Report { interrupted: true, switches: 3, ..report(&[&[None, None]]) };
        assert_eq!(uncaught.result(), Outcome::Violated, "that stays whatever comes");
        let text = report(&[&l2, &[Some("X4")]]).closing();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(text.contains("1 of 2 caught"), "{text}");
        assert!(text.contains("! stale-token-accepted is to be caught by L2"), "{text}");
    }
}
