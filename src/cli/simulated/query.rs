//! `query`: questions to the runs of a sweep.

use super::{
    CliError, Outcome,
    explore::code,
    print::{self, out},
};
use crate::harness::{
    explore::{Answer, Question, ShortRun},
    fault::fault_kinds,
    language::{did_you_mean, read_file, wrap},
    system::Systems,
};
use clap::Args;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// The most bytes of a file of runs.
const BYTES_MAX: u64 = 1 << 30;
/// What was before of which so much is told.
const BEFORE_MAX: usize = 12;

/// Asks the runs of a sweep what was before a failure, and whether it comes without
///
/// `explore --runs FILE` keeps each run as its moments: when each milestone was first reached, when each kind of
/// fault first struck, and what broke. A question is a name, an invariant, `stuck`, a milestone or a kind of
/// fault, and what must have been before or behind. The answer counts the runs that match, says how many needed
/// no fault at all, and tells what else was before, beside the runs without it: what is in all of the first and
/// in few of the others is where to look.
#[derive(Args)]
pub struct Query {
    /// What is asked for, such as C3, stuck, leader-confirmed or power-cut
    what: String,
    /// The file of `explore --runs`; runs.jsonl if absent
    #[arg(long, value_name = "FILE", default_value = "runs.jsonl", hide_default_value = true)]
    runs: PathBuf,
    /// Only runs in which this was before; may stand more than once, like the next three
    #[arg(long, value_name = "NAME")]
    preceded_by: Vec<String>,
    /// Only runs in which this was not before
    #[arg(long, value_name = "NAME")]
    not_preceded_by: Vec<String>,
    /// Only runs in which this came behind
    #[arg(long, value_name = "NAME")]
    followed_by: Vec<String>,
    /// Only runs in which this did not come behind
    #[arg(long, value_name = "NAME")]
    not_followed_by: Vec<String>,
    /// Write one JSON object to FILE, or to standard output and no text
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl Query {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        print::check_writable(self.json.as_deref())?;
        let runs = read(&self.runs)?;
        let question = Question {
            what: self.what.clone(),
            preceded_by: self.preceded_by.clone(),
            not_preceded_by: self.not_preceded_by.clone(),
            followed_by: self.followed_by.clone(),
            not_followed_by: self.not_followed_by.clone(),
        };
        check(systems, &question, &runs)?;
        let answer = question.ask(&runs);
        if !print::is_stdout(self.json.as_ref()) {
            tell(&question, &answer);
        }
        let written =
            self.json.as_ref().map(|path| print::write_json(path, &serde_json::json!(answer)));
        Ok(written.map_or(Outcome::Passed, print::written))
    }
}

/// Refuses what is asked for if it is in none of the runs, and any other name that no system has.
fn check(systems: Systems, question: &Question, runs: &[ShortRun]) -> Result<(), CliError> {
    let found: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.moments.keys().map(String::as_str)).collect();
    let of_systems = systems.all().iter().flat_map(|system| {
        let invariants = system.invariants().into_iter().map(|words| code(words.title));
        let faults = fault_kinds(*system).into_iter().map(|kind| kind.name);
        invariants.chain(faults).collect::<Vec<_>>()
    });
    let mut known: BTreeSet<&str> = of_systems.chain(found.iter().copied()).collect();
    known.extend(systems.milestones().iter().map(|milestone| milestone.name()));
    for (place, name) in question.names().enumerate() {
        let near = |names: &BTreeSet<&str>| did_you_mean(name, names.iter().copied(), '"');
        if !known.contains(name.as_str()) {
            let what = format!("there is no milestone, fault or invariant {name:?}");
            return Err(CliError::new(what + &near(&known)));
        }
        if place == 0 && !found.contains(name.as_str()) {
            return Err(CliError::new(format!(
                "in none of these runs was {name:?}{}",
                near(&found)
            )));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<ShortRun>, CliError> {
    let refused = |what: String| {
        let hint = "`cargo run -- explore --runs FILE` writes it";
        CliError::new(format!("{}: {what}\n  {hint}", path.display()))
    };
    let text = read_file(path, BYTES_MAX).map_err(|error| refused(error.to_string()))?;
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let run = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line)
            .map_err(|error| refused(format!("line {}: {error}", number + 1)))
    };
    lines.map(run).collect()
}

fn tell(question: &Question, answer: &Answer) {
    let Answer { runs, with_it, matching, without_a_fault, failed, .. } = answer;
    out(&format!("{}: in {with_it} of {runs} runs", question.what));
    if matching != with_it {
        out(&format!("  {matching} of them match"));
    }
    out(&format!("  {failed} of those failed, {without_a_fault} had no fault before it"));
    for (scenario, seed) in &answer.examples {
        out(&format!("  cargo run -- run {scenario} --seed {seed}"));
    }
    if *matching == 0 || answer.before.is_empty() {
        return;
    }
    let without = runs - with_it;
    out(&format!("\nwhat was before it: of the {matching}, and of the {without} runs without it"));
    for one in answer.before.iter().take(BEFORE_MAX) {
        let share = |count: u64, all: u64| (count * 100).checked_div(all).unwrap_or(0);
        let (here, there) = (share(one.matching, *matching), share(one.others, without));
        out(&wrap("  ", &format!("{here:>3}%  {there:>3}%  {}", one.what)));
    }
    if answer.before.len() > BEFORE_MAX {
        out(&format!("  and {} more", answer.before.len() - BEFORE_MAX));
    }
}
