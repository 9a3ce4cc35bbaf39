//! What a run means, without what a different scheduling may change.

use super::timeline::{Term, leadership_timeline};
use crate::{
    harness::run::RunOutcome,
    host::{Property, sim::NodeId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

/// Components whose leaders a snapshot tells, of which there may be one for each of many jobs.
const COMPONENTS_TOLD: usize = 8;

/// The lines that are equal over several schedules of one plan, by section.
///
/// Of a list, those that all schedules have; of a timeline, those before the first difference, and
/// that there is one.
pub fn snapshot(outcomes: &[RunOutcome]) -> String {
    let (first, others) = outcomes.split_first().expect("a snapshot is made of runs");
    let missed = never_came(outcomes);
    let others: Vec<Sections> = others.iter().map(sections).collect();
    let none = Vec::new();
    let mut text =
        format!("{} seed {}, {} schedules\n", first.scenario, first.seed, outcomes.len());
    for (title, order, lines) in sections(first) {
        let of_title = |other: &'_ Sections| other.iter().position(|(other, _, _)| *other == title);
        let others: Vec<&Vec<String>> = others
            .iter()
            .map(|other| of_title(other).map_or(&none, |place| &other[place].2))
            .collect();
        if lines.is_empty() && others.iter().all(|other| other.is_empty()) && title != "plan" {
            continue;
        }
        let _ = writeln!(text, "\n{title}");
        let kept: Vec<&String> = match order {
            Order::Matters => {
                let same = |at: &usize| others.iter().all(|other| other.get(*at) == lines.get(*at));
                (0..lines.len()).take_while(same).map(|at| &lines[at]).collect()
            }
            Order::Free => {
                lines.iter().filter(|line| others.iter().all(|o| o.contains(line))).collect()
            }
        };
        for (at, line) in kept.iter().enumerate() {
            let note = if title == "plan" && missed.contains(&at) { " (never came)" } else { "" };
            let _ = writeln!(text, "  {line}{note}");
        }
        let all_same = others.iter().all(|other| other.len() == kept.len());
        if order == Order::Matters && !(all_same && kept.len() == lines.len()) {
            let _ = writeln!(text, "  (then the schedules part)");
        }
    }
    text
}

/// The places in the plan of faults to which no schedule came.
fn never_came(outcomes: &[RunOutcome]) -> BTreeSet<usize> {
    let planned = 0..outcomes[0].plan.faults.len();
    let came = |index: usize| {
        outcomes.iter().any(|outcome| outcome.executed.iter().any(|done| done.index == index))
    };
    planned.filter(|index| !came(*index)).collect()
}

/// Whether a line means something only behind those before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Matters,
    Free,
}

type Sections = Vec<(String, Order, Vec<String>)>;

/// Names nodes of a role by the order in which they appear.
#[derive(Default)]
struct Names {
    given: BTreeMap<NodeId, String>,
}

impl Names {
    fn name(&mut self, outcome: &RunOutcome, node: NodeId) -> String {
        let count = self.given.len();
        let name = &outcome.nodes[&node];
        let role = name.rsplit_once('-').map_or(name.as_str(), |(role, _)| role).to_string();
        let letter = char::from(b'A' + u8::try_from(count % 26).expect("below 26"));
        self.given.entry(node).or_insert_with(|| format!("{role} {letter}")).clone()
    }
}

fn sections(outcome: &RunOutcome) -> Sections {
    let idle = outcome.evaluations.iter().filter(|(_, count)| **count == 0);
    // A property in a line is part of the code, and changes with it.
    let idle = idle.filter(|(title, _)| !Property::is_title(title));
    let idle = idle.map(|(title, _)| format!("{title}: never evaluated"));
    let broken: BTreeSet<&str> = outcome.violations.iter().map(|broken| broken.title).collect();
    let broken = broken.into_iter().map(|title| format!("{title}: broken"));
    let reached = outcome.milestones.keys().map(ToString::to_string);
    let plan = outcome.plan.faults.iter().map(ToString::to_string).collect();
    let mut sections = vec![("plan".to_string(), Order::Matters, plan)];
    // Between components the order of two terms means nothing.
    let terms = leadership_timeline(outcome);
    let components: BTreeSet<&str> = terms.iter().map(|term| term.component.as_str()).collect();
    let many = components.len() > COMPONENTS_TOLD;
    let last = components.len().saturating_sub(1);
    for (place, component) in components.into_iter().enumerate() {
        // Of very many that are alike a few say as much.
        if many && (COMPONENTS_TOLD / 2..last).contains(&place) {
            continue;
        }
        let told = leadership(outcome, terms.iter().filter(|term| term.component == component));
        sections.push((format!("leadership of {component}"), Order::Matters, told));
    }
    let end = std::iter::once(format!("verdict: {}", outcome.verdict));
    let end = end.chain(outcome.output.end.iter().cloned());
    sections.extend([
        ("end".to_string(), Order::Matters, end.collect()),
        (
            "invariants never evaluated, or broken".to_string(),
            Order::Free,
            broken.chain(idle).collect(),
        ),
        ("milestones reached in every schedule".to_string(), Order::Free, reached.collect()),
    ]);
    sections
}

fn leadership<'a>(outcome: &RunOutcome, terms: impl Iterator<Item = &'a Term>) -> Vec<String> {
    let mut names = Names::default();
    let lines = terms.map(|term| {
        let leader = names.name(outcome, term.leader);
        let confirmed = if term.confirmed.is_some() { "confirmed" } else { "not confirmed" };
        let end = term.end.map_or("leads to the end", |(_, how)| how);
        format!("term {}: {leader}, {confirmed}, {end}", term.epoch)
    });
    lines.collect()
}
