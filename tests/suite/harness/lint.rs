//! What is sound but hardly meant is told.

use super::SYSTEMS;
use std::path::Path;
use wavetank::harness::scenario::lints;

fn told(text: &str) -> Vec<String> {
    let path = Path::new("scenarios/journal/a.toml");
    let text = format!("description = \"A test.\"\n{text}");
    lints(&SYSTEMS.parse(&text, path).expect("a sound scenario"))
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
        let of = |target: &str| odd(&format!("kind = \"{kind}\"\ntarget = \"{target}\"\n{more}"));
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
    let repeated = "at = \"5s\"\nduration = \"1s\"\nrepeat = { times = \"1..9\", every = \"9s\" }";
    assert_eq!(of_fault(repeated), [last]);
    let slots = "system = \"cluster\"\n[cluster]\nslots = 1\ntask-executors = 2";
    assert_eq!(told(slots).len(), 1, "too few slots");
}
#[test]
fn settings_under_which_no_checkpoint_can_complete_are_told() {
    let word_count = |more: &str| told(&format!("system = \"cluster\"\n{more}"));
    let never = |told: Vec<String>| told.iter().any(|text| text.contains("none can complete"));
    let slow = "[network]\nlatency = \"500ms..2s\"\n[[job]]\ncheckpoint-timeout = \"4s\"";
    assert!(never(word_count(slow)));
    assert!(never(word_count(&slow.replace("4s", "2s..4s"))));
    assert!(!never(word_count(&slow.replace("4s", "2s..5s"))), "some may");
    assert!(!never(word_count(&slow.replace("500ms", "100ms"))), "some may");
    assert!(!never(word_count(&format!("expect = \"stuck\"\n{slow}"))), "it is meant");
    assert!(never(word_count(
        "[[job]]\ncheckpoint-timeout = \"10ms\"\n[swarm]\nlatency = \"2ms..1s\""
    )));
    assert!(!never(word_count("")));
}

#[test]
fn a_function_that_fails_beyond_the_input_is_told() {
    let told = told("system = \"cluster\"\n[[job]]\nlines = 10\nfail-at = 11\npanic-at = 10");
    let what = "`fail-at` is beyond the input of 10 lines, so it never comes";
    assert!(told.iter().any(|text| text == what), "{told:?}");
    assert!(!told.iter().any(|text| text.contains("panic-at")), "{told:?}");
}
