//! What is sound in a scenario but hardly meant.

use super::{NumberRange, Scenario, SystemSpec, WordCountSpec, exact_duration};
use crate::harness::{
    check::Expectation,
    fault::{FaultKind, FaultSpec, Tolerates, When},
};
use std::time::Duration;

/// What is sound in a scenario but hardly meant, a line each.
pub fn lints(scenario: &Scenario) -> Vec<String> {
    let mut found = of_cluster(scenario);
    for (index, fault) in scenario.faults.iter().enumerate() {
        let told = of_fault(fault, scenario.heal_at);
        found.extend(told.into_iter().map(|text| format!("fault {}: {text}", index + 1)));
    }
    found
}

fn of_cluster(scenario: &Scenario) -> Vec<String> {
    let mut found = Vec::new();
    if let SystemSpec::WordCount(spec) = &scenario.system {
        let slots = spec.task_executors.low * spec.slots.low;
        let parallelism = spec.parallelism.high;
        if slots < parallelism {
            found.push(format!(
                "a job of `parallelism` {parallelism} needs as many slots, and there are {slots}: \
                 it can't run"
            ));
        }
        found.extend(no_checkpoint(scenario, spec));
        found.extend(never_fails(spec));
    }
    let folder = scenario.name.split_once('/').map(|(folder, _)| folder);
    let kind = scenario.system.kind();
    if let Some(other) = super::SystemKind::ALL.iter().find(|other| folder == Some(other.name()))
        && *other != kind
    {
        found.push(format!("it stands among the {other} scenarios, but its `system` is {kind}"));
    }
    found
}

/// Traversals of links from a checkpoint's trigger to its completion: the trigger, a task's state on its
/// way to the blob server and the answer, the acknowledgement, the same for the metadata, and the pointer.
const CROSSINGS_OF_CHECKPOINT: u32 = 8;

/// That no checkpoint can be complete before its time is up: then no job can end either.
fn no_checkpoint(scenario: &Scenario, spec: &WordCountSpec) -> Option<String> {
    let latency = match scenario.swarm.as_ref().and_then(|swarm| swarm.latency) {
        Some(of_swarm) => of_swarm.low,
        None => scenario.latency.low,
    };
    let least = latency.checked_mul(CROSSINGS_OF_CHECKPOINT)?;
    let most = spec.checkpoint_timeout.high;
    (most <= least && scenario.expect == Expectation::Passed).then(|| {
        let [latency, least, most] = [latency, least, most].map(exact_duration);
        format!(
            "a checkpoint crosses links {CROSSINGS_OF_CHECKPOINT} times, which takes {least} at a \
             `latency` of {latency}, and `checkpoint-timeout` is {most}: none can complete, and no \
             job ends"
        )
    })
}

/// Functions that fail at a line to which no subtask comes.
fn never_fails(spec: &WordCountSpec) -> Vec<String> {
    let lines = spec.lines.high;
    let keys = [("fail-at", spec.fail_at), ("panic-at", spec.panic_at)];
    let beyond = keys.into_iter().filter(|(_, at)| at.is_some_and(|at| at.low > lines));
    beyond
        .map(|(key, _)| format!("`{key}` is beyond the input of {lines} lines, so it never comes"))
        .collect()
}

fn of_fault(fault: &FaultSpec, heal_at: Duration) -> Vec<String> {
    let mut found = Vec::new();
    if fault.chance.high == 0 {
        found.push("`chance` is 0%, so it never comes".to_string());
    }
    if let Some(key) = does_nothing(&fault.kind) {
        found.push(format!("`{key}` is 0%, so it does nothing"));
    }
    if fault.duration.high.is_zero() {
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
    found.extend(strikes_nothing(&fault.kind));
    found.extend(beyond_the_end(fault, heal_at));
    found
}

/// Why a fault can strike nothing, whatever a run comes to.
fn strikes_nothing(kind: &FaultKind) -> Option<String> {
    match kind {
        FaultKind::Clock { drift: None, .. } => {
            Some("nothing here reads a wall clock, so a `step` alone strikes nothing".to_string())
        }
        FaultKind::BitRot { tolerates, .. } if *tolerates != Some(Tolerates::Nothing) => Some(
            "only servers keep files, and they are spared unless `tolerates = \"nothing\"`, so it \
             strikes nothing"
                .to_string(),
        ),
        FaultKind::WipeDisk { target } if target.is_service() => {
            Some("the disk of a server is kept, so it is a `power-cut` by another name".to_string())
        }
        FaultKind::DiskError { target, .. }
        | FaultKind::DiskFull { target }
        | FaultKind::DiskSlow { target, .. }
        | FaultKind::DiskStall { target, .. }
        | FaultKind::BitRot { target, .. }
            if !target.has_files() =>
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn told(text: &str) -> Vec<String> {
        let path = Path::new("scenarios/journal/a.toml");
        let text = format!("description = \"A test.\"\n{text}");
        lints(&Scenario::parse(&text, path).expect("a sound scenario"))
    }

    fn of_fault(more: &str) -> Vec<String> {
        told(&format!("[[fault]]\nkind = \"loss\"\nprobability = \"5%\"\n{more}"))
    }

    #[test]
    fn a_plain_scenario_is_not_odd() {
        assert_eq!(told(""), Vec::<String>::new());
        let repeated = "at = \"5s\"\nduration = \"1s\"\nrepeat = { times = 3, every = \"5s\" }";
        assert_eq!(of_fault(repeated), Vec::<String>::new());
    }

    #[test]
    fn what_can_strike_nothing_is_told() {
        let odd = |fault: &str| {
            let when = "at = \"5s\"\nduration = \"1s\"";
            told(&format!("system = \"journal\"\n[[fault]]\n{fault}\n{when}")).join(" ")
        };
        let file = "its target keeps no files";
        for kind in ["disk-error", "disk-full", "disk-slow", "disk-stall"] {
            let more = match kind {
                "disk-error" => "operation = \"write\"\nprobability = \"5%\"",
                "disk-slow" => "operation = \"write\"\nby = \"5ms\"",
                "disk-stall" => "operation = \"write\"",
                _ => "",
            };
            let of =
                |target: &str| odd(&format!("kind = \"{kind}\"\ntarget = \"{target}\"\n{more}"));
            assert!(of("leader").contains(file), "{kind}: {}", of("leader"));
            assert_eq!(of("coordination"), "", "{kind}");
            assert_eq!(of("everyone"), "", "{kind}");
        }
        assert!(odd("kind = \"bit-rot\"\ntarget = \"coordination\"\nbits = 1").contains("spared"));
        assert!(odd("kind = \"clock\"\ntarget = \"leader\"\nstep = \"5s\"").contains("wall clock"));
        assert_eq!(odd("kind = \"clock\"\ntarget = \"leader\"\ndrift = \"5%\""), "");
        assert!(odd("kind = \"wipe-disk\"\ntarget = \"coordination\"").contains("power-cut"));
    }

    #[test]
    fn what_is_hardly_meant_is_told() {
        let never = "fault 1: `chance` is 0%, so it never comes";
        assert_eq!(of_fault("at = \"5s\"\nduration = \"1s\"\nchance = \"0%\""), [never]);
        let late = "fault 1: `at` reaches beyond `heal-at` (60s), where nothing begins";
        assert_eq!(of_fault("at = \"5s..70s\"\nduration = \"1s\""), [late]);
        let last = "fault 1: the last of `repeat` begin after `heal-at` (60s), so never";
        let repeated =
            "at = \"5s\"\nduration = \"1s\"\nrepeat = { times = \"1..9\", every = \"9s\" }";
        assert_eq!(of_fault(repeated), [last]);
        let slots = "system = \"word-count\"\n[cluster]\nslots = 1\ntask-executors = 2";
        assert_eq!(told(slots).len(), 2, "too few slots, and the wrong folder");
    }
    #[test]
    fn settings_under_which_no_checkpoint_can_complete_are_told() {
        let word_count = |more: &str| told(&format!("system = \"word-count\"\n{more}"));
        let never = |told: Vec<String>| told.iter().any(|text| text.contains("none can complete"));
        let slow = "[network]\nlatency = \"500ms..2s\"\n[workload]\ncheckpoint-timeout = \"4s\"";
        assert!(never(word_count(slow)));
        assert!(never(word_count(&slow.replace("4s", "2s..4s"))));
        assert!(!never(word_count(&slow.replace("4s", "2s..5s"))), "some may");
        assert!(!never(word_count(&slow.replace("500ms", "100ms"))), "some may");
        assert!(!never(word_count(&format!("expect = \"stuck\"\n{slow}"))), "it is meant");
        assert!(never(word_count(
            "[workload]\ncheckpoint-timeout = \"10ms\"\n[swarm]\nlatency = \"2ms..1s\""
        )));
        assert!(!never(word_count("")));
    }

    #[test]
    fn a_function_that_fails_beyond_the_input_is_told() {
        let told =
            told("system = \"word-count\"\n[workload]\nlines = 10\nfail-at = 11\npanic-at = 10");
        let what = "`fail-at` is beyond the input of 10 lines, so it never comes";
        assert!(told.iter().any(|text| text == what), "{told:?}");
        assert!(!told.iter().any(|text| text.contains("panic-at")), "{told:?}");
    }
}
