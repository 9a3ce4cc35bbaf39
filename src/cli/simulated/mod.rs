//! The commands of the simulated world.

mod add_regression;
mod campaign;
mod campaign_sums;
mod causes;
mod check;
mod child;
mod coverage;
mod diff;
mod examples;
mod explore;
mod failure;
mod graph;
mod init;
mod interrupt;
mod junit;
mod kept_runs;
mod list;
mod milestones;
mod new;
mod part;
mod print;
mod progress;
mod query;
mod replay;
mod run;
mod sabotage;
mod sabotage_page;
mod sabotage_shrunk;
mod scenario_tests;
mod shrink;
mod sweep_tests;
mod verify_determinism;
mod virtual_time;

pub use scenario_tests::test_scenarios;
pub use sweep_tests::test_sweep;

use super::{CliError, Outcome};
use crate::{
    harness::{
        language::{did_you_mean, parse_duration},
        scenario::{SCENARIOS, Scenario, discover},
        system::Systems,
    },
    host::Sabotage,
    jobs::Jobs,
};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::{
    collections::BTreeSet,
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Makes waves for a stream-processing cluster, from seeds.
///
/// One seed is one run. A run boots a cluster on simulated machines, does to it what the scenario's
/// faults say, heals it, and judges what it saw.
///
/// Exit codes: 0 all passed, 1 an invariant broke, 2 a bad command, file or scenario, 3 no
/// convergence, 4 not deterministic, 130 ended by a signal; docs/exit-codes.md has what each
/// command promises. Begin with `cargo run -- explore`.
#[derive(Parser)]
#[command(name = "wavetank", version, max_term_width = 80)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(after_help = examples::EXPLORE)]
    Explore(explore::Explore),
    #[command(after_help = examples::CAMPAIGN)]
    Campaign(campaign::Campaign),
    #[command(after_help = examples::RUN)]
    Run(run::Run),
    #[command(after_help = examples::REPLAY)]
    Replay(replay::Replay),
    #[command(after_help = examples::DIFF)]
    Diff(diff::Diff),
    #[command(after_help = examples::SHRINK)]
    Shrink(shrink::Shrink),
    #[command(after_help = examples::QUERY)]
    Query(query::Query),
    #[command(after_help = examples::ADD_REGRESSION)]
    AddRegression(add_regression::AddRegression),
    #[command(after_help = examples::SABOTAGE)]
    Sabotage(sabotage::Sabotages),
    #[command(after_help = examples::LIST)]
    List(list::List),
    #[command(after_help = examples::MILESTONES)]
    Milestones(milestones::Milestones),
    #[command(after_help = examples::CHECK)]
    Check(check::Check),
    #[command(after_help = examples::NEW)]
    New(new::New),
    #[command(after_help = examples::INIT)]
    Init(init::Init),
    #[command(after_help = examples::VERIFY_DETERMINISM)]
    VerifyDeterminism(verify_determinism::VerifyDeterminism),
    #[command(after_help = examples::COVERAGE)]
    Coverage(coverage::Coverage),
    #[command(after_help = examples::DIGEST)]
    Digest(verify_determinism::Digest),
    #[command(after_help = examples::GRAPH)]
    Graph(graph::Graph),
    /// Check that a failure is the same run in this process.
    #[command(hide = true)]
    Confirm(failure::Confirm),
}

/// What commands and options were called before; `None` stands for every command.
const RENAMED: &[(&str, Option<&str>, &str)] = &[
    ("keep", None, "add-regression"),
    ("determinism", None, "verify-determinism"),
    ("run", Some("--keep"), "--save"),
    ("run", Some("--counts"), "--output"),
    ("list", Some("--actors"), "--targets"),
    ("list", Some("--jobs"), "--systems"),
];

/// What to say to somebody who types an old name.
pub fn renamed(arguments: &[String]) -> Option<CliError> {
    let (command, options) = arguments.split_first()?;
    let typed = |(old, option, _): &&(&str, Option<&str>, &str)| {
        *old == command && option.is_none_or(|option| options.iter().any(|typed| typed == option))
    };
    let (command, option, new) = RENAMED.iter().find(typed)?;
    let old = option.map_or(format!("`{command}`"), |option| format!("`{option}` of `{command}`"));
    Some(CliError::new(format!("{old} is called `{new}` now")))
}

/// Reads the command line of a binary with these jobs; what is wrong with it ends the process.
pub fn parse(jobs: &Jobs) -> Arguments {
    let is_own = crate::jobs::shipped().iter().all(|job| jobs.get(job.name()).is_ok());
    let command = Arguments::command();
    // The examples are scenarios of this crate.
    let command = match is_own {
        true => command,
        false => command.mut_subcommands(|of| {
            let told = of.get_after_help().map(|told| examples::elsewhere(&told.to_string()));
            match told {
                Some(told) => of.after_help(told),
                None => of,
            }
        }),
    };
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Does what the command line says.
pub fn run(arguments: Arguments, systems: Systems, jobs: &Jobs) -> Result<Outcome, CliError> {
    if !matches!(arguments.command, Command::Graph(_)) {
        jobs.check()?;
    }
    match arguments.command {
        Command::Run(command) => command.run(systems),
        Command::Explore(command) => command.run(systems),
        Command::Campaign(command) => command.run(systems),
        Command::Replay(command) => command.run(systems),
        Command::Diff(command) => command.run(systems),
        Command::Shrink(command) => command.run(systems),
        Command::AddRegression(command) => command.run(systems),
        Command::Coverage(command) => command.run(),
        Command::Query(command) => command.run(systems),
        Command::Confirm(command) => command.run(systems),
        Command::Sabotage(command) => command.run(systems),
        Command::List(command) => command.run(systems),
        Command::Milestones(command) => command.run(systems),
        Command::Check(command) => command.run(systems),
        Command::New(command) => command.run(systems),
        Command::Init(command) => command.run(systems),
        Command::VerifyDeterminism(command) => command.run(systems),
        Command::Digest(command) => command.run(systems),
        Command::Graph(command) => command.run(jobs),
    }
}

/// Finds a scenario's file by its path or by its name.
fn find_path(text: &str) -> Result<PathBuf, CliError> {
    let named = Path::new(SCENARIOS).join(format!("{text}.toml"));
    let path = if named.is_file() { named } else { PathBuf::from(text) };
    if path.is_file() {
        return Ok(path);
    }
    if path.is_dir() {
        let what = format!("{text:?} is a folder; a scenario is a file");
        return Err(CliError::new(what));
    }
    let missing = format!("there is no scenario {text:?}");
    let known: Vec<String> = match shipped() {
        Ok(known) => known.iter().map(|path| name_in(path)).collect(),
        Err(none) => return Err(CliError::new(format!("{missing}\n  {none}"))),
    };
    let near = did_you_mean(text, known.iter().map(String::as_str), '"');
    let hint = "`cargo run -- list` names those there are";
    Err(CliError::new(format!("{missing}{near}\n  {hint}")))
}

/// The name of a shipped scenario, by its file.
fn name_in(path: &Path) -> String {
    let path = path.strip_prefix(SCENARIOS).unwrap_or(path);
    path.with_extension("").display().to_string()
}

/// Finds a scenario by its file or by its name.
fn find_scenario(systems: Systems, text: &str) -> Result<Arc<Scenario>, CliError> {
    Ok(Arc::new(systems.load(&find_path(text)?)?))
}

/// The files of the scenarios that are shipped.
fn shipped() -> Result<Vec<PathBuf>, CliError> {
    let root = Path::new(SCENARIOS);
    let paths = if root.is_dir() { discover(root)? } else { Vec::new() };
    if paths.is_empty() { Err(no_scenarios()) } else { Ok(paths) }
}

fn no_scenarios() -> CliError {
    let here = format!("there are no scenarios under {SCENARIOS}/ here");
    CliError::new(format!("{here}; run from the repository's root, or name a file"))
}

/// The scenarios of these names, each once, or all that are shipped. A name may be that of a folder of
/// scenarios, or have stars that stand for any letters.
fn find_scenarios(systems: Systems, names: &[String]) -> Result<Vec<Arc<Scenario>>, CliError> {
    let mut paths = Vec::new();
    for name in names {
        paths.extend(match shipped_like(name)? {
            found if found.is_empty() => vec![find_path(name)?],
            found => found,
        });
    }
    if names.is_empty() {
        paths = shipped()?;
    }
    let mut seen = BTreeSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    paths.iter().map(|path| Ok(Arc::new(systems.load(path)?))).collect()
}

/// The shipped scenarios of a folder, or those that a name with stars stands for; none for another name.
fn shipped_like(name: &str) -> Result<Vec<PathBuf>, CliError> {
    let folder = name.trim_end_matches('/').trim_start_matches(SCENARIOS).trim_start_matches('/');
    let is_folder = !folder.is_empty() && Path::new(SCENARIOS).join(folder).is_dir();
    if !is_folder && !name.contains('*') {
        return Ok(Vec::new());
    }
    let pattern = if is_folder { format!("{folder}/*") } else { name.to_string() };
    let mut found = shipped()?;
    found.retain(|path| matches_stars(&pattern, &name_in(path)));
    if found.is_empty() {
        let hint = "`cargo run -- list` names those there are";
        return Err(CliError::new(format!("no scenario is named like {name:?}\n  {hint}")));
    }
    Ok(found)
}

/// Whether a text is what a pattern says, in which each star stands for any letters.
fn matches_stars(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Reads a seed.
fn parse_seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number from 0 to {}, found {text:?}", u64::MAX))
}

/// Reads `A..B`.
fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let expected = || {
        format!("expected a range of seeds such as 0..100, none above {}, found {text:?}", u64::MAX)
    };
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let from: u64 = from.parse().map_err(|_| expected())?;
    let to: u64 = to.parse().map_err(|_| expected())?;
    if from >= to {
        return Err(format!("the range {text} is empty; the first seed must be below the second"));
    }
    Ok(from..to)
}

/// Runs side by side at most.
const JOBS_MAX: usize = 1024;

/// Reads how many runs go side by side.
fn parse_jobs(text: &str) -> Result<NonZeroUsize, String> {
    let jobs = text.parse().ok().filter(|jobs: &NonZeroUsize| jobs.get() <= JOBS_MAX);
    let what = "expected a number of runs side by side, from 1 to";
    jobs.ok_or_else(|| format!("{what} {JOBS_MAX}, found {text:?}"))
}

/// Reads a time limit.
fn parse_limit(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a duration such as 90s, 10m or 2h, found {text:?}");
    parse_duration(text).filter(|limit| !limit.is_zero()).ok_or_else(expected)
}

/// The same, or no time at all.
fn parse_length(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a duration such as 15s, or 0s, found {text:?}");
    parse_duration(text).ok_or_else(expected)
}

/// The known bug of a name, if one is given.
fn find_sabotage(systems: Systems, name: Option<&str>) -> Result<Option<Sabotage>, CliError> {
    let Some(name) = name else { return Ok(None) };
    systems.sabotage(name).map(Some).map_err(|near| {
        let there_is = format!("there is no known bug {name:?} to switch on{near}");
        CliError::new(format!("{there_is}\n  `cargo run -- list --sabotages` names all"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters() {
        let cases = [
            ("word-count/*", "word-count/swarm", true),
            ("word-count/*", "journal/swarm", false),
            ("*swarm*", "word-count/swarm", true),
            ("*/cut*off", "word-count/executor-cut-off", false),
            ("*/*cut*off", "word-count/executor-cut-off", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*", "", true),
            ("quiet", "quiet", true),
            ("quiet", "quieter", false),
        ];
        for (pattern, text, matches) in cases {
            assert_eq!(matches_stars(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn an_old_name_is_answered_with_the_new_one() {
        let told = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_string).collect();
            renamed(&words).map(|error| error.to_string())
        };
        assert_eq!(
            told("keep failures/a b").as_deref(),
            Some("`keep` is called `add-regression` now")
        );
        let save = "`--keep` of `run` is called `--save` now";
        assert_eq!(told("run a --seed 1 --keep").as_deref(), Some(save));
        assert_eq!(told("run keep --seed 1"), None);
        assert_eq!(told("explore --jobs 1"), None);
    }
}
