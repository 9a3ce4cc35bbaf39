//! `new`: writes a scenario to start from.

use super::{CliError, Outcome};
use crate::{
    cli::simulated::print::{out, write_new},
    harness::{
        language::did_you_mean,
        scenario::{SCENARIOS, template},
        system::{AnySystem, Systems},
    },
};
use clap::Args;
use std::path::Path;

/// Writes a commented scenario to start from, under scenarios/.
#[derive(Args)]
pub struct New {
    /// Small letters, digits and dashes; FOLDER/NAME for another system than the first that `list
    /// --systems` names
    name: String,
}

impl New {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let (system, name) = read_name(systems, &self.name)?;
        let root = Path::new(SCENARIOS);
        // Elsewhere it would lie where no command looks for it.
        if !root.is_dir() && !Path::new("Cargo.toml").is_file() {
            return Err(CliError::new(
                "there is no scenarios/ here, and no Cargo.toml beside which to make it; run from the root of a crate",
            ));
        }
        let folder = root.join(system.folder());
        let path = folder.join(name).with_extension("toml");
        write_new(&path, &template(system))?;
        out(&next_steps(&path, &format!("{}/{name}", system.folder())));
        Ok(Outcome::Passed)
    }
}

/// Reads `NAME` or `FOLDER/NAME`.
fn read_name(systems: Systems, text: &str) -> Result<(&'static dyn AnySystem, &str), CliError> {
    let (system, name) = match text.split_once('/') {
        None => (systems.default_system(), text),
        Some((system, name)) => {
            let of_folder = systems.all().iter().copied().find(|known| known.folder() == system);
            let found = of_folder.ok_or_else(|| {
                let known: Vec<&str> = systems.all().iter().map(|system| system.folder()).collect();
                let near = did_you_mean(system, known.iter().copied(), '"');
                let known = known.join("\" or \"");
                CliError::new(format!("{text:?}: expected \"{known}\" before the slash{near}"))
            })?;
            (found, name)
        }
    };
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || !name.chars().all(allowed) {
        let what = "a name is made of small letters, digits and dashes, such as \"lost-answers\"";
        return Err(CliError::new(format!("{text:?}: {what}")));
    }
    Ok((system, name))
}

fn next_steps(path: &Path, name: &str) -> String {
    format!(
        "{} is written. It runs as it is. Next:\n\n  \
         cargo run -- check {name}            explains mistakes\n  \
         cargo run -- check {name} --plan 7   shows what seed 7 draws\n  \
         cargo run -- run {name} --seed 7     runs that seed\n  \
         cargo run -- explore {name}          runs seeds 0 to 99\n  {}",
        path.display(),
        as_test(name)
    )
}

/// How it becomes a test.
fn as_test(name: &str) -> String {
    if Path::new("tests/scenarios.rs").is_file() {
        return format!(
            "cargo test --test scenarios {name}   runs it as a test\n\n\
             Its first test fails and writes a snapshot for your review under snapshots/: NAME.snap.new, which you \
             rename to NAME.snap."
        );
    }
    "\nThis crate has no tests/scenarios.rs yet, which makes every scenario a test case; `init --job` writes one."
        .to_string()
}
