//! Whom a fault strikes, bound by whom another struck; and faults that only happen at their begin.

use super::{
    SYSTEMS,
    faults::{JOB, JOURNAL, mistake},
    run,
};
use std::path::Path;
use wavetank::harness::{run::RunOutcome, scenario::FaultPlan};

/// Whom the fault at that place of the plan struck.
fn struck(outcome: &RunOutcome, index: usize) -> Vec<String> {
    let executed = outcome.executed.iter().find(|executed| executed.index == index);
    let resolved = &executed.expect("it came").resolved;
    resolved.iter().flat_map(|(_, names)| names.clone()).collect()
}

fn of_executors(second: &str) -> RunOutcome {
    let outcome = run(&format!(
        "{JOB}
        [cluster]
        task-executors = 3
        slots = 4
        [[fault]]
        name = \"first\"
        kind = \"pause\"
        target = \"random-task-executor\"
        at = \"1s\"
        duration = \"1s\"
        {second}"
    ));
    assert!(outcome.expected, "{}", outcome.verdict);
    outcome
}

#[test]
fn a_fault_strikes_the_same_or_another_than_one_before_it() {
    let then = |nodes: &str| {
        let second = format!(
            "[[fault]]
            kind = \"pause\"
            target = \"random-task-executor\"
            nodes = {nodes}
            with = {{ fault = \"first\", edge = \"end\" }}
            duration = \"1s\"
            repeat = {{ times = 8, every = \"1500ms\" }}"
        );
        let outcome = of_executors(&second);
        let again: Vec<_> = (1..9).flat_map(|index| struck(&outcome, index)).collect();
        assert_eq!(again.len(), 8, "one each time");
        (struck(&outcome, 0), again)
    };
    let (first, again) = then("{ same-as = \"first\" }");
    assert!(first.len() == 1 && again.iter().all(|node| *node == first[0]), "{first:?} {again:?}");
    let (first, again) = then("{ other-than = \"first\" }");
    assert!(again.iter().all(|node| *node != first[0]), "{first:?} {again:?}");
}

#[test]
fn before_the_other_fault_the_same_is_nobody_and_another_is_anybody() {
    let before = |nodes: &str| {
        let second = format!(
            "[[fault]]
            kind = \"pause\"
            target = \"task-executors\"
            nodes = {nodes}
            at = \"500ms\"
            duration = \"1s\""
        );
        let outcome = of_executors(&second);
        let executed = outcome.executed.iter().find(|executed| executed.index == 1);
        (struck(&outcome, 1).len(), executed.expect("it came").struck())
    };
    assert_eq!(before("{ same-as = \"first\" }"), (0, false));
    assert_eq!(before("{ other-than = \"first\" }"), (3, true));
}

#[test]
fn without_the_other_fault_the_same_is_not_drawn_and_another_is() {
    let drawn = |nodes: &str| {
        let text = format!(
            "{JOURNAL}
            [[fault]]
            name = \"never\"
            kind = \"pause\"
            target = \"leader\"
            at = \"1s\"
            duration = \"1s\"
            chance = \"0%\"
            [[fault]]
            kind = \"crash\"
            target = \"leader\"
            nodes = {nodes}
            at = \"1s\"
            duration = \"1s\""
        );
        let scenario = SYSTEMS.parse(&text, Path::new("scenarios/test.toml")).expect("sound");
        FaultPlan::draw(&scenario, 1).faults
    };
    assert_eq!(drawn("{ same-as = \"never\" }"), []);
    let other = drawn("{ other-than = \"never\" }");
    // A kept plan that named a fault that is not in it could not be read.
    assert!(other.len() == 1 && other[0].among.is_none(), "{other:?}");
}

#[test]
fn mistakes_of_nodes_are_explained() {
    let fault = |kind: &str, nodes: &str| {
        format!(
            "[[fault]]\nname = \"own\"\nat = \"1s\"\nduration = \"1s\"\n{kind}\nnodes = {nodes}\n"
        )
    };
    let crash = |nodes: &str| fault("kind = \"crash\"\ntarget = \"leader\"", nodes);
    assert!(mistake(&crash("{ same-as = \"cut\" }")).contains("no fault has the `name` \"cut\""));
    assert!(mistake(&crash("{ same-as = \"own\" }")).contains("can't refer to itself"));
    assert!(mistake(&crash("{}")).contains("either `same-as` or `other-than`"));
    let both = "{ same-as = \"a\", other-than = \"b\" }";
    assert!(mistake(&crash(both)).contains("either `same-as` or `other-than`"));
    assert!(mistake(&crash("{ like = \"a\" }")).contains("unknown key"));
    for kind in ["kind = \"hold\"", "kind = \"partition\"\nshape = \"halves\""] {
        let told = mistake(&fault(kind, "{ other-than = \"own\" }"));
        assert!(told.contains("`nodes` bounds a `target`, and this"), "{told}");
    }
    let first = "[[fault]]\nname = \"cut\"\nkind = \"hold\"\nat = \"1s\"\nduration = \"1s\"\n";
    let told = mistake(&format!("{first}{}", crash("{ other-than = \"cut\" }")));
    assert!(told.contains("names a fault with a `target`, and this hold has none"), "{told}");
}

#[test]
fn what_only_happens_at_its_begin_needs_no_duration() {
    let of = |fault: &str| format!("{JOURNAL}[[fault]]\nat = \"2s\"\n{fault}");
    let step = "kind = \"clock\"\ntarget = \"journal-1\"\nstep = \"5s\"";
    for fault in [step, "kind = \"reset\"", "kind = \"bit-rot\"\ntarget = \"journal-1\"\nbits = 1"]
    {
        let text = of(fault);
        let scenario = SYSTEMS.parse(&text, Path::new("scenarios/test.toml")).expect("sound");
        assert!(!scenario.to_toml().contains("duration"), "{}", scenario.to_toml());
        let told = scenario.faults[0].to_string();
        assert!(told.ends_with("at 2s"), "{told}");
        assert!(run(&text).expected);
    }
    let drift = "[[fault]]\nat = \"2s\"\nkind = \"clock\"\ntarget = \"journal-1\"\ndrift = \"5%\"";
    assert!(mistake(drift).contains("`fault 1.duration` is missing"));
}

#[test]
fn several_targets_are_struck_together_and_each_node_once() {
    let several = |targets: &str| {
        let fault = format!(
            "{JOB}
            [cluster]
            task-executors = 3
            slots = 4
            [[fault]]
            kind = \"pause\"
            target = {targets}
            at = \"1s\"
            duration = \"1s\""
        );
        let outcome = run(&fault);
        assert!(outcome.expected, "{}", outcome.verdict);
        let what = outcome.plan.faults[0].to_string();
        (struck(&outcome, 0), what)
    };
    let (mut nodes, what) = several("[\"log\", \"task-executor-2\", \"client-1\"]");
    nodes.sort();
    assert_eq!(nodes, ["client-1", "log", "task-executor-2"]);
    assert_eq!(what, "pause log and task-executor-2 and client-1 at 1s, for 1s");
    // A random one, and another random one, and all: nobody is meant twice.
    let random = "\"random-task-executor\"";
    let (two, _) = several(&format!("[{random}, {random}]"));
    assert!(two.len() == 2 && two[0] != two[1], "{two:?}");
    let (mut all, _) = several(&format!("[{random}, \"task-executors\"]"));
    all.sort();
    assert_eq!(all, ["task-executor-1", "task-executor-2", "task-executor-3"]);
}

#[test]
fn several_targets_are_read_and_written_and_mistakes_in_them_explained() {
    let fault = |kind: &str| format!("[[fault]]\nat = \"1s\"\nduration = \"1s\"\n{kind}\n");
    let text = format!(
        "{JOURNAL}{}{}",
        fault("kind = \"partition\"\nshape = \"isolate\"\ntarget = [\"leader\", \"client-1\"]"),
        fault("kind = \"loss\"\nprobability = \"1%\"\nfrom = [\"clients\", \"leader\"]")
    );
    let read = |text: &str| SYSTEMS.parse(text, Path::new("scenarios/test.toml")).expect("sound");
    let scenario = read(&text);
    let written = scenario.to_toml();
    assert!(written.contains("target = [\"leader\", \"client-1\"]"), "{written}");
    assert!(written.contains("from = [\"clients\", \"leader\"]"), "{written}");
    assert_eq!(read(&written).faults, scenario.faults);
    let told = mistake(&fault("kind = \"crash\"\ntarget = [\"leader\", \"lieder\"]"));
    assert!(told.contains("there is no \"lieder\"; did you mean \"leader\"?"), "{told}");
    let told = mistake(&fault("kind = \"crash\"\ntarget = []"));
    assert!(told.contains("a target, or a list of some"), "{told}");
    let many = vec!["\"leader\""; 17].join(", ");
    let told = mistake(&fault(&format!("kind = \"crash\"\ntarget = [{many}]")));
    assert!(told.contains("at most 16 targets"), "{told}");
    let told = mistake(&fault(
        "kind = \"service-error\"\ntarget = [\"coordination\", \"clients\"]\nprobability = \"1%\"",
    ));
    assert!(told.contains("a server"), "{told}");
}
