//! Scenarios: what runs, on what hardware, under which faults, and what must hold at the end.

mod builder;
mod converge;
mod expectation;
mod lint;
mod plan;
mod read;
mod template;
mod write;

pub use builder::{Keys, ScenarioBuilder, fault, keys, milestone, other};
pub use converge::Converge;
pub use expectation::Expectation;
pub use lint::lints;
pub use plan::FaultPlan;
pub use read::{SCENARIOS, discover};
pub use template::template;

use super::{
    event::Milestone,
    fault::{FaultSpec, PlannedFault, SwarmSpec},
    language::{DurationRange, Fixed, Setting, Time, fixed, time},
    system::{AnySystem, Placement, RunParameters, SystemSpec},
};
use crate::host::sim::Delay;
use bytes::Bytes;
use std::{sync::Arc, time::Duration};

/// A scenario, as its file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// `folder/name`, from the file's place below `scenarios/`.
    pub name: String,
    /// What it shows, in a line.
    pub description: String,
    /// What runs.
    pub system: SystemSpec,
    /// Latency of every link.
    pub latency: DurationRange,
    /// The faults, in the order of the file.
    pub faults: Vec<FaultSpec>,
    /// Within which bounds more faults are generated; none when `None`.
    pub swarm: Option<SwarmSpec>,
    /// How long faults may go on; what has not begun by then never does.
    pub heal_at: Duration,
    /// How long after that the system may take to converge.
    pub converge: Converge,
    /// What *passed* means for this scenario.
    pub expect: Expectation,
    /// The plan seed of every run: another seed draws another schedule only. Of a kept plan.
    pub seed: Option<u64>,
    /// Milestones without which a run shows nothing; it is stale when none of its runs reaches one.
    pub reaches: Vec<Milestone>,
}

const HEAL_AT: Fixed = fixed("0s", "600m", "60s");
const LATENCY: Time = time("0us", "1m", "500us..2ms");

impl Scenario {
    /// The keys besides those of the system.
    pub fn settings(system: &dyn AnySystem) -> Vec<Setting> {
        let meaning = "When faults end: what has not begun by then never does.";
        let mut settings = vec![
            Setting::new("", "heal-at", meaning, &HEAL_AT),
            Setting {
                table: "",
                key: "expect",
                meaning: "What a run must come to.",
                bounds: "\"passed\", \"stuck\" or \"violated:INVARIANT\"".to_string(),
                default: Some("\"passed\"".to_string()),
                only: None,
                least: None,
            },
            Setting {
                table: "",
                key: "seed",
                meaning: "Of a kept plan: the plan seed of every run, so that a seed draws a schedule.",
                bounds: "a whole number".to_string(),
                default: None,
                only: None,
                least: None,
            },
            Setting {
                table: "",
                key: "reaches",
                meaning: "Of a kept plan: milestones that one of its runs must reach, else it is stale.",
                bounds: "a list of milestones".to_string(),
                default: None,
                only: None,
                least: None,
            },
            Setting::new("network", "latency", "How long a frame takes on any link.", &LATENCY),
        ];
        settings.extend(<Placement as crate::harness::language::Settings>::declared());
        settings.extend(Converge::settings(system));
        settings.extend(<SwarmSpec as crate::harness::language::Settings>::declared());
        settings
    }

    /// The scenario with what the plan of `seed` draws from the ranges of its settings.
    #[must_use]
    pub fn drawn(&self, seed: u64) -> Scenario {
        let seed = self.plan_seed(seed);
        let latency = self.swarm.as_ref().and_then(|swarm| swarm.draw_latency(seed));
        let at_edges = self.swarm.as_ref().is_some_and(|swarm| swarm.is_at_edges(seed));
        let system = if at_edges { &self.system.at_edges(seed) } else { &self.system };
        Scenario {
            system: system.draw(seed),
            latency: latency.unwrap_or(self.latency),
            converge: self.converge.draw(seed),
            ..self.clone()
        }
    }

    /// The scenario that draws just these faults, whatever seed is asked for.
    pub fn pinned<'a>(
        &self,
        seed: u64,
        faults: impl Iterator<Item = &'a PlannedFault>,
    ) -> Scenario {
        let faults = faults.map(PlannedFault::to_spec).collect();
        Scenario { faults, swarm: None, seed: Some(self.plan_seed(seed)), ..self.drawn(seed) }
    }

    /// The seed of everything but the schedule, in a run that asks for `seed`.
    pub fn plan_seed(&self, seed: u64) -> u64 {
        self.seed.unwrap_or(seed)
    }

    /// What decides a run of a plan seed besides the drawn settings.
    pub(in crate::harness) fn run_parameters<'a>(
        &self,
        seed: u64,
        input: Option<&'a Arc<Vec<Bytes>>>,
    ) -> RunParameters<'a> {
        let has_faults = !self.faults.is_empty() || self.swarm.is_some();
        RunParameters { seed, input, latency: self.latency, has_faults }
    }

    /// The base latency of all links.
    pub fn link_latency(&self) -> Delay {
        Delay::Uniform(self.latency.low, self.latency.high)
    }
}
