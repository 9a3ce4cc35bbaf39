//! A plan: a scenario's faults with everything drawn that a seed draws.
//!
//! A plan depends on the scenario and the seed alone, never on the code under test.

use super::Scenario;
use crate::{
    harness::fault::{Among, PlannedFault, When, fault_kinds, generate},
    host::Draws,
};
use std::collections::BTreeSet;

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultPlan {
    /// In the order of the scenario's file, repetitions in place; each is drawn.
    pub faults: Vec<PlannedFault>,
    /// For each of them the place in the scenario's file of the one from which it is drawn; behind
    /// those the place of its kind, if the scenario's swarm has made it.
    pub origins: Vec<usize>,
}

impl FaultPlan {
    /// Draws a scenario's plan. Each fault has a stream of its own, so that adding one to the file
    /// leaves the others as they were.
    pub fn draw(scenario: &Scenario, seed: u64) -> Self {
        let mut drawn = Vec::new();
        for (index, spec) in scenario.faults.iter().enumerate() {
            let mut chance = Draws::new(seed, "chance", [index as u64, 0]);
            let share = u32::try_from(spec.chance.draw(&mut chance)).unwrap_or(0);
            if chance.chance(share) {
                let mut draws = Draws::new(seed, "plan", [index as u64, 0]);
                drawn.extend(
                    PlannedFault::draw(spec, &mut draws).into_iter().map(|fault| (fault, index)),
                );
            }
        }
        if let Some(swarm) = &scenario.swarm {
            let listed = scenario.faults.len();
            let made = generate(swarm, &scenario.system, seed);
            for (index, (spec, kind)) in (0..).zip(made) {
                let faults =
                    PlannedFault::draw(&spec, &mut Draws::new(seed, "swarm plan", [index, 0]));
                // Of what comes again and again only what comes for sure.
                let comes = |fault: &PlannedFault| {
                    fault.window.no_later_than.is_none_or(|latest| latest < scenario.heal_at)
                };
                let faults = faults.into_iter().filter(comes);
                drawn.extend(faults.map(|fault| (fault, listed + kind)));
            }
        }
        // What has not begun by then never does.
        let too_late =
            |fault: &PlannedFault| matches!(fault.when, When::At(at) if at >= scenario.heal_at);
        drawn.retain(|(fault, _)| !too_late(fault));
        let (faults, origins) = without_orphans(drawn).into_iter().unzip();
        FaultPlan { faults, origins }
    }

    /// What stands at the place of an origin: a fault of the scenario's file, or a kind of which its
    /// swarm makes faults.
    pub fn origin(scenario: &Scenario, origin: usize) -> Option<[String; 2]> {
        match scenario.faults.get(origin) {
            Some(fault) => Some([format!("fault {}", origin + 1), fault.kind.to_string()]),
            None => {
                let kinds = fault_kinds(scenario.system.system());
                let kind = kinds.get(origin - scenario.faults.len())?;
                Some(["swarm".to_string(), kind.name.to_string()])
            }
        }
    }
}

/// Leaves out what needs a fault that the seed has not drawn, and what bounds others by it.
fn without_orphans(mut faults: Vec<(PlannedFault, usize)>) -> Vec<(PlannedFault, usize)> {
    loop {
        let names: BTreeSet<String> = faults.iter().filter_map(|(f, _)| f.name.clone()).collect();
        let before = faults.len();
        let is_there = |(other, needs): (&str, bool)| !needs || names.contains(other);
        faults.retain(|(fault, _)| fault.others().all(is_there));
        if faults.len() == before {
            let bounds = |among: &Among| names.contains(among.fault());
            faults.iter_mut().for_each(|(fault, _)| drop(fault.among.take_if(|one| !bounds(one))));
            return faults;
        }
    }
}
