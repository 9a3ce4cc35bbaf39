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
use std::time::Duration;

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
            "latest" latest: DurationRange = time("0s", "600m", "12s..25s"), "When those begin at the latest that hang on a milestone or on another fault.";
            "after-start-up" after_start_up: Share = part("20%"), "In how many of the runs no fault begins before the system has had its time to start.";
            "start-up" start_up: DurationRange = time("0s", "10m", "3s..6s"), "That time; what a fault hangs on is not counted before either.";
            "edges" edges: Share = part("10%"), "In how many of the runs most settings and values of faults are an end of their range: 0, 1 or the most.";
            "quiet" quiet: Share = part("25%"), "In how many of the runs quiet periods come, besides those that are drawn as a kind of fault.";
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

    /// Whether the run of a plan seed is one of such a share of the runs.
    fn is_among(share: Share, concern: &str, seed: u64) -> bool {
        let mut draws = Draws::new(seed, concern, [0, 0]);
        let share = u32::try_from(share.draw(&mut draws)).unwrap_or(0);
        draws.chance(share)
    }

    /// Whether values are at the ends of their ranges in the run of a plan seed.
    pub fn is_at_edges(&self, seed: u64) -> bool {
        Self::is_among(self.edges, "swarm edges", seed)
    }

    /// Whether quiet periods come in the run of a plan seed.
    pub(super) fn has_quiet(&self, seed: u64) -> bool {
        Self::is_among(self.quiet, "swarm quiet", seed)
    }

    /// When faults begin at the earliest in the run of a plan seed, if not at once.
    pub(super) fn earliest(&self, seed: u64) -> Option<Duration> {
        let is_so = Self::is_among(self.after_start_up, "swarm after start-up", seed);
        is_so.then(|| self.start_up.draw(&mut Draws::new(seed, "swarm start-up", [0, 0])))
    }

    /// The latency of the links in the run of a plan seed.
    pub fn draw_latency(&self, seed: u64) -> Option<DurationRange> {
        let bounds = self.latency?;
        let mut draws = Draws::new(seed, "swarm latency", [0, 0]);
        let (one, other) = (bounds.draw(&mut draws), bounds.draw(&mut draws));
        Some(DurationRange { low: one.min(other), high: one.max(other) })
    }
}
