//! The harness, tried on the systems of this repository: the cluster, and the example of a stranger's.

mod among;
mod builder;
mod faults;
mod faults_of_nodes;
mod guided;
mod hunt;
mod keys;
mod lint;
mod many_jobs;
mod mistakes;
mod own_faults;
mod partitions;
mod places;
mod recovery;
mod regression;
mod sweep;
mod targets;
mod template;
mod word_count;
mod write;

use crate::journal::under_test::Journal;
use std::{path::Path, sync::Arc};
use wavetank::{
    harness::{
        run::{RunConfig, RunOutcome, run_on_fresh_thread},
        scenario::{SCENARIOS, Scenario, discover},
        system::{RegisteredSystem, Systems},
    },
    under_test::cluster::Cluster,
};

/// Both systems; a scenario that names none is a journal.
pub const SYSTEMS: Systems =
    Systems::new(&[&RegisteredSystem(Journal), &RegisteredSystem(Cluster::SHIPPED)]);

/// The scenarios of both, all that are shipped.
pub fn shipped() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |folder: &str| discover(&root.join(folder).join(SCENARIOS)).expect("they are there");
    [of(""), of("examples/journal")].concat()
}

/// A shipped scenario of the journal.
pub fn of_journal(name: &str) -> Arc<Scenario> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("examples/journal/scenarios/journal").join(name).with_extension("toml");
    Arc::new(SYSTEMS.load(&path).expect("a shipped scenario"))
}

fn run(text: &str) -> RunOutcome {
    let scenario = SYSTEMS.parse(text, Path::new("scenarios/test.toml"));
    let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
    run_on_fresh_thread(&scenario, &RunConfig { trace: true, ..RunConfig::new(1) })
}

/// How often a run reached a milestone.
fn times(outcome: &RunOutcome, milestone: &str) -> u64 {
    let found = outcome.milestones.iter().find(|(reached, _)| reached.name() == milestone);
    found.map_or(0, |(_, count)| *count)
}
