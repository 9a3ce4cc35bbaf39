//! What is sound in a scenario but hardly meant.

use super::{Expectation, Scenario};
use crate::harness::{
    fault::{FaultKind, FaultSpec, Targets, Tolerates, When},
    language::NumberRange,
    system::{Disk, LintContext, Role, Target},
};
use std::time::Duration;

/// What is sound in a scenario but hardly meant, a line each.
pub fn lints(scenario: &Scenario) -> Vec<String> {
    let mut found = of_system(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        let told = of_fault(fault, scenario);
        found.extend(told.into_iter().map(|text| format!("fault {}: {text}", index + 1)));
    }
    found
}

fn of_system(scenario: &Scenario) -> Vec<String> {
    let latency = match scenario.swarm.as_ref().and_then(|swarm| swarm.latency) {
        Some(of_swarm) => of_swarm.low,
        None => scenario.latency.low,
    };
    let expects_passed = scenario.expect == Expectation::Passed;
    scenario.system.lints(&LintContext { latency_min: latency, expects_passed })
}

fn of_fault(fault: &FaultSpec, scenario: &Scenario) -> Vec<String> {
    let mut found = Vec::new();
    if fault.chance.high == 0 {
        found.push("`chance` is 0%, so it never comes".to_string());
    }
    if let Some(key) = does_nothing(&fault.kind) {
        found.push(format!("`{key}` is 0%, so it does nothing"));
    }
    if fault.duration.high.is_zero() && !fault.kind.is_momentary() {
        found.push("`duration` is 0s, so it ends as it begins".to_string());
    }
    if let Some(repeat) = fault.repeat
        && repeat.times.high == 0
    {
        found.push("`repeat.times` is 0, so it never comes".to_string());
    }
    if let When::On(condition) = &fault.when
        && condition.nth.low == 0
    {
        found.push("`on.nth` counts from 1, so with 0 it never begins".to_string());
    }
    found.extend(strikes_nothing(&fault.kind, scenario.system.system().roles()));
    found.extend(beyond_the_end(fault, scenario.heal_at));
    found
}

/// Why a fault can strike nothing, whatever a run comes to.
fn strikes_nothing(kind: &FaultKind, roles: &[Role]) -> Option<String> {
    let disks = |targets: &Targets| -> Vec<Disk> {
        let means = |target: Target, role| target.role().is_none_or(|meant| meant == role);
        let of = |role: &&Role| targets.iter().any(|target| means(target, **role));
        roles.iter().filter(of).map(|role| role.spec().disk).collect()
    };
    let all =
        |targets: &Targets, wanted: &[Disk]| disks(targets).iter().all(|d| wanted.contains(d));
    match kind {
        FaultKind::Clock { drift: None, .. } => {
            Some("nothing here reads a wall clock, so a `step` alone strikes nothing".to_string())
        }
        FaultKind::BitRot { target, tolerates, .. }
        | FaultKind::DiskSetBack { target, tolerates, .. }
            if *tolerates != Some(Tolerates::Nothing)
                && all(target, &[Disk::OnlyCopy, Disk::Nothing]) =>
        {
            Some(
                "disks that hold the only copy are spared unless `tolerates = \"nothing\"`, so it \
                 strikes nothing"
                    .to_string(),
            )
        }
        FaultKind::WipeDisk { target } if all(target, &[Disk::OnlyCopy]) => Some(
            "a disk that holds the only copy is kept, so it is a `power-cut` by another name"
                .to_string(),
        ),
        FaultKind::DiskError { target, .. }
        | FaultKind::DiskFull { target, .. }
        | FaultKind::DiskSlow { target, .. }
        | FaultKind::DiskStall { target, .. }
        | FaultKind::BitRot { target, .. }
        | FaultKind::DiskSetBack { target, .. }
            if all(target, &[Disk::Nothing]) =>
        {
            Some("its target keeps no files, so it strikes nothing".to_string())
        }
        _ => None,
    }
}

/// What may begin too late to begin at all.
fn beyond_the_end(fault: &FaultSpec, heal_at: Duration) -> Option<String> {
    let When::At(at) = &fault.when else { return None };
    let end = heal_at.as_secs_f64();
    if at.high >= heal_at {
        return Some(format!("`at` reaches beyond `heal-at` ({end}s), where nothing begins"));
    }
    let repeat = fault.repeat?;
    let NumberRange { low: fewest, high: most } = repeat.times;
    let earliest = |times: u64| {
        let later = u32::try_from(times.saturating_sub(1)).unwrap_or(u32::MAX);
        repeat.every.low.checked_mul(later).and_then(|later| at.low.checked_add(later))
    };
    let beyond = |times| earliest(times).is_none_or(|begins| begins >= heal_at);
    (fewest <= most && beyond(most))
        .then(|| format!("the last of `repeat` begin after `heal-at` ({end}s), so never"))
}

/// Whether the kind's probability, share or drift is nothing.
fn does_nothing(kind: &FaultKind) -> Option<&'static str> {
    let nothing = |key: &str| ["probability", "share", "drift"].contains(&key);
    kind.terms().into_iter().find(|(key, value)| nothing(key) && value == "0%").map(|(key, _)| key)
}
