//! `init`: writes a crate to start from: one that puts a small system of its own under test, or a job.

use super::{CliError, Outcome, print::out};
use crate::{cli::simulated::print::write_new, harness::system::Systems};
use clap::Args;
use std::path::{Path, PathBuf};

/// Writes a crate that puts a system of your own into the simulation: a server, a client, a promise that is
/// broken on purpose, and the scenario that finds out. With --job it is a job of your own for the cluster that is
/// there: in simulation, live and in a test.
///
/// It needs nothing but this repository, to which its Cargo.toml points. Start by running it as it is, then
/// change it into yours; its README says which file is what.
#[derive(Args)]
pub struct Init {
    /// The folder to make; its name is the crate's: small letters, digits, dashes
    path: PathBuf,
    /// A job and its scenarios, and no system
    #[arg(long)]
    job: bool,
}

/// A crate that is copied: it is one of the examples, so it is built and tested.
struct Template {
    /// What it is called there.
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// What it is, and what to type first.
    about: &'static str,
}

/// Where wavetank's sources are, for the new crate's dependency.
const WAVETANK: &str = env!("CARGO_MANIFEST_DIR");

/// The dependency in the crate that is copied.
const OWN_DEPENDENCY: &str = "wavetank = { path = \"../..\" }";
/// How a page of an example names one that is not copied.
const OWN_PAGE: &str = "(../../README.md)";

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../examples/", $folder, "/", $name)))),+]
    };
}

const SYSTEM: Template = Template {
    name: "tally",
    about: "a server, a client, a promise, and a bug that the first sweep finds. Next:\n\n  \
            cd {path}\n  \
            cargo run -- explore             finds it\n  \
            cargo run -- replay failures/... shows it again, the very same run\n  \
            cargo test                       is red until it is mended\n\n\
            Its README.md says which file is what, and where the bug is.",
    files: files! {
    "tally":
    ".cargo/config.toml",
    ".gitignore",
    "Cargo.toml",
    "README.md",
    "src/lib.rs",
    "src/main.rs",
    "src/message.rs",
    "src/server.rs",
    "src/client.rs",
    "src/under_test.rs",
    "scenarios/tally/power-cuts.toml",
    "scenarios/tally/quiet.toml",
    "snapshots/tally__quiet.snap",
    "tests/scenarios.rs",
    },
};

const JOB: Template = Template {
    name: "word-count",
    about: "a word count, what it must come to, its scenarios and a test. Next:\n\n  \
            cd {path}\n  \
            cargo run -- explore             runs it under all faults\n  \
            cargo live submit word-count --target local -- --input src/lib.rs\n  \
            cargo test                       every scenario, and some seeds of it\n\n\
            src/lib.rs is the job, .cargo/config.toml what chooses the world; its README.md tells the rest.",
    files: files! {
    "word-count":
    ".cargo/config.toml",
    ".gitignore",
    "Cargo.toml",
    "README.md",
    "src/lib.rs",
    "src/main.rs",
    "scenarios/word-count/quiet.toml",
    "scenarios/word-count/swarm.toml",
    "snapshots/word-count__quiet.snap",
    "snapshots/word-count__swarm.snap",
    "tests/cluster.rs",
    "tests/scenarios.rs",
    },
};

impl Init {
    /// Does it.
    pub fn run(&self, _: Systems) -> Result<Outcome, CliError> {
        let name = crate_name(&self.path)?;
        if is_taken(&self.path) {
            let path = self.path.display();
            return Err(CliError::new(format!("{path} is there and not empty; name a new folder")));
        }
        let template = if self.job { JOB } else { SYSTEM };
        for (file, text) in template.files {
            let text = match *file {
                "Cargo.toml" => template.manifest(text, name),
                "README.md" => text.replace(OWN_PAGE, &format!("({WAVETANK}/README.md)")),
                _ => (*text).to_string(),
            };
            write_new(&self.path.join(file), &text)?;
        }
        let path = self.path.display().to_string();
        out(&format!("{path} is written: {}", template.about.replace("{path}", &path)));
        Ok(Outcome::Passed)
    }
}

/// The crate's name, from the folder's.
fn crate_name(path: &Path) -> Result<&str, CliError> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
    // Cargo refuses the names of what it brings along.
    let reserved = ["test", "core", "std", "alloc", "wavetank"].contains(&name);
    if begins && !reserved && name.chars().all(allowed) {
        return Ok(name);
    }
    let what = "the folder's name is the crate's: a small letter, then small letters, digits and dashes, such \
                as \"my-system\"";
    Err(CliError::new(format!("{}: {what}", path.display())))
}

/// Whether something is in the way.
#[expect(clippy::disallowed_methods, reason = "the user's own folder")]
fn is_taken(path: &Path) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.exists(),
    }
}

impl Template {
    /// The manifest of a crate of that name that depends on this repository.
    fn manifest(&self, text: &str, name: &str) -> String {
        let dependency = toml::Value::from(WAVETANK);
        let named = |name: &str| format!("name = \"{name}\"\nversion");
        text.replace(&named(self.name), &named(name))
            .replace(OWN_DEPENDENCY, &format!("wavetank = {{ path = {dependency} }}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_gets_the_name_and_the_path() {
        for (template, sources) in [(SYSTEM, "tally"), (JOB, "word_count")] {
            let (_, text) = template
                .files
                .iter()
                .find(|(file, _)| *file == "Cargo.toml")
                .expect("there is one");
            let manifest = template.manifest(text, "my-system");
            let manifest: toml::Table = toml::from_str(&manifest).expect("TOML");
            assert_eq!(manifest["package"]["name"].as_str(), Some("my-system"));
            assert_eq!(manifest["lib"]["name"].as_str(), Some(sources), "its sources name it so");
            assert_eq!(manifest["dependencies"]["wavetank"]["path"].as_str(), Some(WAVETANK));
        }
    }

    #[test]
    fn a_folder_that_names_no_crate_is_refused() {
        for name in ["My-System", "a b", "", "-a", "1a", "..", "test", "ö"] {
            assert!(crate_name(Path::new(name)).is_err(), "{name}");
        }
        assert_eq!(crate_name(Path::new("a/my-system2")).ok(), Some("my-system2"));
    }
}
