//! Some of the judged mutants, each made in the source and built alone by `cargo-mutants`: that all are compiled at once
//! must change no verdict.

use crate::{Arguments, Judged, gamma::FILES};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    process::{Command, ExitCode},
};

/// A mutant as `cargo-mutants` lists it.
#[derive(Deserialize)]
struct Listed {
    file: String,
    name: String,
    genre: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

#[derive(Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

#[derive(Deserialize)]
struct Outcomes {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: serde_json::Value,
    summary: String,
}

/// Rebuilds up to `count` mutants that both tools make, and tells whose verdict differs.
pub fn compare(arguments: &Arguments, judged: &[Judged], count: usize) -> Result<ExitCode> {
    let output = command(arguments).args(["--list", "--json"]).output()?;
    if !output.status.success() {
        bail!(
            "cargo-mutants lists nothing (cargo install cargo-mutants --locked): {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let listed: Vec<Listed> = serde_json::from_slice(&output.stdout).context("its list")?;
    let twin = |judged: &Judged| listed.iter().find(|listed| is_same(judged, listed));
    let pairs: Vec<(&Judged, &Listed)> = judged
        .iter()
        .filter(|judged| judged.scenarios.is_some())
        .filter_map(|judged| Some((judged, twin(judged)?)))
        .take(count)
        .collect();
    println!("{} mutants that both tools make", pairs.len());
    let verdicts = rebuild(arguments, pairs.iter().map(|(_, listed)| &*listed.name))?;
    let mut differ = 0;
    for (judged, listed) in &pairs {
        let together = judged.scenarios.is_some_and(super::Verdict::is_noticed);
        let alone = verdicts.get(&listed.name).map(|summary| &**summary);
        let is_same = match alone {
            Some("CaughtMutant" | "Timeout") => together,
            Some("MissedMutant") => !together,
            _ => false,
        };
        differ += usize::from(!is_same);
        let told = if together { "noticed" } else { "not noticed" };
        let mark = if is_same { "same" } else { "DIFFERS" };
        println!(
            "{mark:<8} together {told}, alone {}: {}",
            alone.unwrap_or("not judged"),
            listed.name
        );
    }
    println!("{differ} of {} differ", pairs.len());
    Ok(if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether both tools make this change. Those whose place one of them tells otherwise are left out.
fn is_same(judged: &Judged, listed: &Listed) -> bool {
    let mutant = &judged.mutant;
    if mutant.file != listed.file {
        return false;
    }
    let starts_there =
        mutant.line == listed.span.start.line && mutant.column == listed.span.start.column;
    match (&*listed.genre, &*mutant.mutator) {
        // A body, with and without its braces.
        ("FnValue", of) if of.starts_with("fn_value.") => {
            mutant.replacement == listed.replacement
                && mutant.line < listed.span.start.line
                && mutant.end_line == listed.span.end.line + 1
        }
        ("MatchArmGuard", "match_guard.always_true" | "match_guard.always_false") => {
            starts_there && mutant.replacement == listed.replacement
        }
        ("UnaryOperator", "unary.remove_not") => starts_there,
        _ => false,
    }
}

fn rebuild<'a>(
    arguments: &Arguments,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, String>> {
    let reports = std::path::absolute(arguments.folder.join("target/mutants/alone"))?;
    let mut command = command(arguments);
    command.arg("--output").arg(&reports);
    command.args(["--baseline", "skip", "--timeout", "300", "--no-shuffle"]);
    for name in names {
        command.args(["--re", &format!("^{}$", regex::escape(name))]);
    }
    command.args(["--", "--test", "sweep"]);
    command.env("WAVETANK_SWEEP", format!("0..{}", arguments.runs)).env("WAVETANK_FAIL_FAST", "1");
    // Its exit code tells that some survived.
    command.status().context("cargo mutants")?;
    let path = reports.join("mutants.out/outcomes.json");
    let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let outcomes: Outcomes = serde_json::from_slice(&text)?;
    let name = |outcome: &Outcome| {
        Some(outcome.scenario.get("Mutant")?.get("name")?.as_str()?.to_string())
    };
    Ok(outcomes
        .outcomes
        .into_iter()
        .filter_map(|outcome| Some((name(&outcome)?, outcome.summary)))
        .collect())
}

fn command(arguments: &Arguments) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(&arguments.folder).args(["mutants", "--file", FILES]);
    command
}
