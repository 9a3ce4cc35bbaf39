//! How many mutants of the system, drawn by a seed and chosen by nobody, are noticed by scenarios, and how many of the
//! others by unit tests:
//!
//!     cargo run --release --manifest-path benches/mutants/Cargo.toml -- --seed 1 --count 430
//!
//! All mutants are compiled into one test binary behind a switch that is read at start, by `cargo-gamma`
//! (`cargo install cargo-gamma --locked`); a process runs one of them. First it is the sweep of `tests/sweep`, whose
//! seeds are the budget of each mutant; the unit tests of the library see what survives it. What still survives wants a
//! reason in `reasons.toml`, or a check.

#![expect(
    clippy::disallowed_methods,
    reason = "a tool of its own, which reads reports and writes a page"
)]

mod alone;
mod gamma;
mod page;

use anyhow::{Context, Result, bail};
use clap::Parser;
use gamma::{Gamma, Mutant, Oracle, Verdict};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Draws mutants of `src/system`, judges each by scenarios and then by unit tests, and writes the page
#[derive(Parser)]
struct Arguments {
    /// Draws the mutants; another seed is another sample
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many are drawn; one in twenty does not compile
    #[arg(long, default_value_t = 430)]
    count: usize,
    /// The runs of scenarios that each mutant has to survive
    #[arg(long, default_value_t = 230)]
    runs: u64,
    /// Mutants side by side
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// The folder with src/system; the reports go below its target/mutants
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// The page that is written, within the folder
    #[arg(long, default_value = "docs/mutants.md")]
    page: PathBuf,
    /// Take the verdicts from the reports of the last call, run nothing and write the page
    #[arg(long)]
    again: bool,
    /// Rebuild so many of the judged mutants alone with cargo-mutants, and compare
    #[arg(long, value_name = "COUNT")]
    alone: Option<usize>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let gamma = Gamma::new(&arguments.folder, arguments.jobs)?;
    let of_code = gamma.list()?.into_iter().filter_map(|mutant| {
        match is_of_a_switch(&arguments.folder, &mutant) {
            Ok(false) => Some(Ok(mutant)),
            Ok(true) => None,
            Err(error) => Some(Err(error)),
        }
    });
    let mut drawn = draw(of_code.collect::<Result<_>>()?, arguments.seed, arguments.count)?;
    drawn.retain(|mutant| !is_of_a_test(mutant));
    let judged = judge(&gamma, &arguments, drawn)?;
    if let Some(count) = arguments.alone {
        return alone::compare(&arguments, &judged, count);
    }
    let page = page::Page::new(&arguments, &judged)?;
    page.write(&arguments.folder.join(&arguments.page))?;
    println!("{}", page.summary());
    Ok(ExitCode::SUCCESS)
}

/// A mutant and what noticed it.
pub struct Judged {
    mutant: Mutant,
    /// By scenarios; `None` where it does not compile.
    scenarios: Option<Verdict>,
    /// By unit tests; `None` where nobody asked them.
    units: Option<Verdict>,
}

/// Whether a small change is one of a known bug's switch, or of what it does: it is off in every run.
fn is_of_a_switch(folder: &Path, mutant: &Mutant) -> Result<bool> {
    if mutant.end_line > mutant.line + 2 {
        return Ok(false);
    }
    let path = folder.join(&mutant.file);
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let near =
        text.lines().skip(mutant.line.saturating_sub(2)).take(mutant.end_line + 2 - mutant.line);
    Ok(near.into_iter().any(|line| line.contains("sabotage::")))
}

/// Whether it changes a test: gamma leaves out those beside their code, and not those in files of their own.
fn is_of_a_test(mutant: &Mutant) -> bool {
    let path = Path::new(&mutant.file);
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

/// Texts are left out: what an error says is for people, and no test should know it by heart.
fn draw(all: Vec<Mutant>, seed: u64, count: usize) -> Result<Vec<Mutant>> {
    let mut candidates: Vec<Mutant> =
        all.into_iter().filter(|mutant| !mutant.mutator.starts_with("literal.str")).collect();
    if candidates.len() < count {
        bail!("{count} mutants are wanted of {}", candidates.len());
    }
    // The order of the list is not promised.
    candidates.sort_by(|a, b| a.id.cmp(&b.id));
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for place in 0..count {
        let left = (candidates.len() - place) as u64;
        candidates.swap(place, place + usize::try_from(random.next_u64() % left)?);
    }
    candidates.truncate(count);
    Ok(candidates)
}

fn judge(gamma: &Gamma, arguments: &Arguments, drawn: Vec<Mutant>) -> Result<Vec<Judged>> {
    let ids: Vec<&str> = drawn.iter().map(|mutant| &*mutant.id).collect();
    let scenarios = Oracle::Scenarios { runs: arguments.runs };
    let by_scenarios = gamma.judge(&ids, scenarios, arguments.again).context("scenarios")?;
    let survivors: Vec<&str> = ids
        .iter()
        .copied()
        .filter(|id| by_scenarios.get(*id).is_some_and(|verdict| !verdict.is_noticed()))
        .collect();
    let by_units = match survivors.is_empty() {
        true => BTreeMap::new(),
        false => gamma.judge(&survivors, Oracle::Units, arguments.again).context("unit tests")?,
    };
    let judged = |mutant: Mutant| Judged {
        scenarios: by_scenarios.get(&mutant.id).copied(),
        units: by_units.get(&mutant.id).copied(),
        mutant,
    };
    Ok(drawn.into_iter().map(judged).collect())
}
