//! `[swarm]`: within which bounds faults are generated.

use super::{
    DurationRange, Field, NumberRange, Reader, ScenarioError, Share, SystemKind, Term, Writer,
    error::{Mistakes, shown},
    messages::messages,
    settings::{Bounds, Setting, Settings, maybe_time, numbers, part, settings, time, words},
};
use crate::{
    harness::fault::FAULT_KINDS,
    host::{Draws, name_hash},
};

settings! {
    /// The bounds of a swarm: in each run some kinds of faults take part, each with a strength, and
    /// the faults are drawn from those.
    #[derive(Clone, Debug, PartialEq, Eq)]
    SwarmSpec {
        swarm {
            "kinds" kinds: Share = part("5%..50%"), "How many of the kinds of faults take part in a run.";
            "without" without: Vec<String> = words("kinds of faults", kind), "Kinds of faults that never take part.";
            "faults" faults: NumberRange = numbers(0, 200, (1, 14)), "Faults in a run, besides those that are listed.";
            "begin" begin: DurationRange = time("0s", "600m", "0s..25s"), "When those begin that begin at a time.";
            "duration" duration: DurationRange = time("0s", "600m", "50ms..12s"), "How long a fault lasts at most.";
            "on-milestones" on_milestones: Share = part("50%"), "How many of the faults begin on a milestone.";
            "nth" nth: NumberRange = numbers(1, 1_000_000, (1, 24)), "Which time of the milestone; early ones are drawn more often.";
            "after" after: DurationRange = time("0s", "10m", "0ms..60ms"), "How long after the milestone.";
            "messages" messages: Vec<String> = words("beginnings of kinds of messages", message), "The kinds of messages of which a fault of links may strike one.";
            "no-restarts" no_restarts: Share = part("0%"), "How many of the runs allow their job no restart, whatever `restarts` says.";
            "latency" latency: Option<DurationRange> = maybe_time("0us", "1m"), "The latency of a run's links lies between two values of these; as `network.latency` says when absent.";
        }
    }
}

/// Reads the name of a kind of fault.
fn kind(field: &Field) -> Result<String, ScenarioError> {
    let known: Vec<(&str, &str)> = FAULT_KINDS.iter().map(|kind| (kind.name, kind.name)).collect();
    field.one_of(&known, "list --faults").map(str::to_string)
}

/// Reads the beginning of a message's kind, of whatever system.
fn message(field: &Field) -> Result<String, ScenarioError> {
    let prefix = field.text()?;
    let mut known = SystemKind::ALL.iter().flat_map(|system| messages(*system));
    match known.any(|kind| kind.starts_with(&prefix)) {
        true => Ok(prefix),
        false => Err(field
            .refused(format!("no message begins with \"{}\"", shown(&prefix)))
            .with_help("see `wavetank list --messages`")),
    }
}

impl SwarmSpec {
    /// The table, if the file has one.
    pub(super) fn of(file: &mut Reader, mistakes: &mut Mistakes) -> Option<Self> {
        file.has("swarm").then(|| SwarmSpec::read(file, mistakes))
    }

    /// Whether the run of a plan seed allows its job no restart.
    pub(super) fn draw_no_restarts(&self, seed: u64) -> bool {
        let mut draws = Draws::new(seed, "swarm restarts", [0, 0]);
        let share = u32::try_from(self.no_restarts.draw(&mut draws)).unwrap_or(0);
        draws.chance(share)
    }

    /// The latency of the links in the run of a plan seed.
    pub(super) fn draw_latency(&self, seed: u64) -> Option<DurationRange> {
        let bounds = self.latency?;
        let mut draws = Draws::new(seed, "swarm latency", [0, 0]);
        let (one, other) = (bounds.draw(&mut draws), bounds.draw(&mut draws));
        Some(DurationRange { low: one.min(other), high: one.max(other) })
    }
}
