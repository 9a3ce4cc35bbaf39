//! `[swarm]`: within which bounds faults are generated.

use super::{kinds::fault_kinds, links};
use crate::{
    harness::{
        language::{
            DurationRange, Field, Mistakes, NumberRange, Reader, ScenarioError, Settings, Share,
            did_you_mean, maybe_time, numbers, part, shown, time, words,
        },
        system::SystemSpec,
    },
    host::Draws,
};

crate::settings! {
    /// The bounds of a swarm: in each run some kinds of faults take part, each with a strength, and
    /// the faults are drawn from those.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SwarmSpec {
        swarm {
            "kinds" kinds: Share = part("5%..50%"), "How many of the kinds of faults take part in a run.";
            "without" without: Vec<String> = words("kinds of faults", Field::text), "Kinds of faults that never take part.";
            "faults" faults: NumberRange = numbers(0, 200, (1, 14)), "Faults in a run, besides those that are listed.";
            "begin" begin: DurationRange = time("0s", "600m", "0s..25s"), "When those begin that begin at a time.";
            "duration" duration: DurationRange = time("0s", "600m", "50ms..12s"), "How long a fault lasts at most.";
            "on-milestones" on_milestones: Share = part("50%"), "How many of the faults begin on a milestone.";
            "nth" nth: NumberRange = numbers(1, 1_000_000, (1, 24)), "Which time of the milestone; early ones are drawn more often.";
            "after" after: DurationRange = time("0s", "10m", "0ms..60ms"), "How long after the milestone.";
            "messages" messages: Vec<String> = words("beginnings of kinds of messages", Field::text), "The kinds of messages of which a fault of links may strike one.";
            "latency" latency: Option<DurationRange> = maybe_time("0us", "1m"), "The latency of a run's links lies between two values of these; as `network.latency` says when absent.";
        }
    }
}

/// Whether a message of the system begins so.
fn is_message(system: &SystemSpec, prefix: &str) -> bool {
    let groups = system.messages();
    groups.iter().flat_map(|group| &group.kinds).any(|kind| kind.starts_with(prefix))
}

impl SwarmSpec {
    /// The table, if the file has one, as it is understood where that system runs.
    pub fn of(
        file: &mut Reader,
        system: Option<&SystemSpec>,
        mistakes: &mut Mistakes,
    ) -> Option<Self> {
        if !file.has("swarm") {
            return None;
        }
        let [messages, without] = ["messages", "without"].map(|key| file.place("swarm", key));
        let swarm = SwarmSpec::read(file, mistakes);
        let Some(system) = system else { return Some(swarm) };
        let mut keep = |place: &Option<ScenarioError>, message: String, list: &str| {
            let Some(place) = place else { return };
            let told = ScenarioError { message, ..place.clone() };
            let told = told.with_help(format!("see `cargo run -- list --{list}`"));
            let _: Option<()> = mistakes.keep(Err(told));
        };
        for prefix in swarm.messages.iter().filter(|prefix| !is_message(system, prefix)) {
            keep(&messages, links::no_message(system, prefix), "messages");
        }
        let kinds = fault_kinds(system.system());
        let known = || kinds.iter().map(|kind| kind.name);
        for name in swarm.without.iter().filter(|name| !known().any(|kind| kind == **name)) {
            let near = did_you_mean(name, known(), '"');
            keep(
                &without,
                format!("there is no kind of fault \"{}\"{near}", shown(name)),
                "faults",
            );
        }
        Some(swarm)
    }

    /// The latency of the links in the run of a plan seed.
    pub fn draw_latency(&self, seed: u64) -> Option<DurationRange> {
        let bounds = self.latency?;
        let mut draws = Draws::new(seed, "swarm latency", [0, 0]);
        let (one, other) = (bounds.draw(&mut draws), bounds.draw(&mut draws));
        Some(DurationRange { low: one.min(other), high: one.max(other) })
    }
}
