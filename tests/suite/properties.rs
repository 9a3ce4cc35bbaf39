//! Properties in a line, in the code of a system that another crate brings along.

use crate::journal::under_test::Journal;
use std::{path::Path, sync::Arc, time::Duration};
use wavetank::{
    harness::{
        check::{Goal, Model, Verdict},
        event::{EventKind, Milestone, Moment},
        language::{NumberRange, number},
        run::{RunConfig, RunOutcome, SweepRun, SweepSummary, run_on_fresh_thread},
        scenario::{FaultPlan, Scenario},
        system::{
            AnySystem, Example, Guard, MessageGroup, Node, Nodes, Output, OwnFault,
            RegisteredSystem, Role, RoleSpec, RunParameters, Setup, SystemUnderTest, Systems,
        },
    },
    host::{Event, Host, Property, PropertyEvent, PropertyKind},
};

const TICKER: Role = Role::new(const { &RoleSpec::one("ticker", "ticker") });

wavetank::settings! {
    /// How a ticker ticks.
    #[derive(Clone, Debug, PartialEq)]
    Ticks {
        workload {
            "ticks" ticks: NumberRange = number(1, 100, 5), "How often it ticks.";
            "most" most: NumberRange = number(0, 100, 100), "How often it may.";
        }
    }
}

/// Stands still, and does so for as long as nobody undoes both.
const STILL: OwnFault = OwnFault::new("still", "A ticker stands still.", |injector, node| {
    let world = injector.world().clone();
    injector.pause(node).and(Guard::new(move || {
        world.enter_line(node, "go on");
    }))
});

struct Ticker;

#[derive(Debug, Default)]
struct Ticked(bool);

impl Model for Ticked {
    fn observe(&mut self, _: Moment, event: &dyn Event) {
        let event = event.as_any().downcast_ref::<PropertyEvent>();
        self.0 |= event.is_some_and(|event| event.property.name() == "ticker-done");
    }
}

async fn tick(host: Host, ticks: u64, most: u64) {
    let host = &host;
    for tick in 1..=ticks {
        host.sleep(Duration::from_millis(100)).await;
        let details = |what: &str| {
            assert!(tick > most || tick == 3, "{what} is not told at {tick}");
            format!("{what} {tick} of {ticks}")
        };
        wavetank::always!(host, "ticks-bounded", tick <= most, "{}", details("tick"));
        wavetank::sometimes!(host, "third-tick", tick == 3, "{}", details("tick"));
        if tick > 100 {
            wavetank::always!(host, "never-evaluated", false);
            wavetank::reachable!(host, "never-reached");
        }
    }
    wavetank::reachable!(host, "ticker-done");
    assert_eq!(host.next_line().await, "go on");
    wavetank::reachable!(host, "told-to-go-on");
    std::future::pending::<()>().await;
}

impl SystemUnderTest for Ticker {
    const NAME: &'static str = "ticker";
    const DESCRIPTION: &'static str = "A node that ticks.";
    type Settings = Ticks;
    type Model = Ticked;

    fn roles(&self) -> &'static [Role] {
        &[TICKER]
    }

    fn nodes(&self, _: &Ticks) -> Vec<Nodes> {
        vec![Nodes::one(TICKER)]
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        Vec::new()
    }

    fn milestones(&self) -> Vec<Milestone> {
        Vec::new()
    }

    fn faults(&self) -> &'static [OwnFault] {
        &[STILL]
    }

    fn messages(&self) -> Vec<MessageGroup> {
        Vec::new()
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        &[("done-within", "that it has ticked")]
    }

    fn example(&self) -> Example {
        let target = "ticker";
        Example {
            crashed: target,
            cut_off: target,
            milestone: "third-tick",
            message: "",
            power_cut: target,
            paused: target,
        }
    }

    fn setup(&self, settings: &Ticks, _: &RunParameters<'_>) -> Setup<Ticked> {
        let (ticks, most) = (settings.ticks.low, settings.most.low);
        let waits = |model: &Ticked| (!model.0).then(|| "the last tick".to_string());
        Setup {
            nodes: vec![Node::one(TICKER, move |host| tick(host, ticks, most))],
            invariants: Vec::new(),
            goals: vec![Goal::new("done-within", move |model, _| waits(model)).once()],
            output: Box::new(|_| Output::default()),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

const SYSTEMS: Systems = Systems::new(&[&RegisteredSystem(Ticker)]);

fn scenario(rest: &str) -> Arc<Scenario> {
    let text = format!("description = \"Ticks.\"\nsystem = \"ticker\"\nheal-at = \"5s\"\n{rest}");
    let scenario = SYSTEMS.parse(&text, Path::new("scenarios/ticker/ticks.toml"));
    Arc::new(scenario.unwrap_or_else(|mistake| panic!("{mistake}")))
}

fn outcome(rest: &str) -> RunOutcome {
    run_on_fresh_thread(&scenario(rest), &RunConfig::new(1))
}

fn times(outcome: &RunOutcome, milestone: &str) -> Option<u64> {
    outcome.milestones.iter().find(|(one, _)| one.name() == milestone).map(|(_, times)| *times)
}

#[test]
fn a_fault_of_its_own_is_undone_when_it_ends_and_when_the_run_is_healed() {
    let still = |duration: &str| {
        let fault = "[[fault]]\nkind = \"still\"\ntarget = \"ticker\"\nat = \"100ms\"\n";
        let run = outcome(&format!("{fault}duration = \"{duration}\"\n"));
        assert_eq!(run.verdict, Verdict::Passed);
        assert!(run.executed[0].struck());
        // It can't have ticked to the end before it went on.
        assert!(run.simulated >= run.executed[0].ended.expect("healed"));
        (run.executed[0].ended, times(&run, "told-to-go-on"))
    };
    let (ended, told) = still("2s");
    assert!(ended.is_some_and(|at| at < Duration::from_secs(3)) && told == Some(1));
    let (ended, told) = still("60s");
    assert!(ended.is_some_and(|at| at >= Duration::from_secs(5)), "when all is healed: {ended:?}");
    assert_eq!(told, Some(1));
}

#[test]
fn a_swarm_draws_no_fault_for_which_a_system_has_no_word() {
    let swarm = scenario("[swarm]\nkinds = \"100%\"\nfaults = 40\n");
    let plans = (0..20).flat_map(|seed| FaultPlan::draw(&swarm, seed).faults);
    let kinds: std::collections::BTreeSet<&str> = plans.map(|fault| fault.kind.name()).collect();
    assert!(kinds.contains("still") && kinds.len() > 20, "{kinds:?}");
    assert!(!kinds.contains("service-error"), "no server of a ticker answers errors");
}

#[test]
fn a_run_counts_conditions_and_reaches_milestones() {
    let run = outcome("");
    assert_eq!(run.verdict, Verdict::Passed);
    assert_eq!((times(&run, "third-tick"), times(&run, "ticker-done")), (Some(1), Some(1)));
    assert_eq!(times(&run, "never-reached"), None);
    assert_eq!(run.evaluations["always ticks-bounded"], 5);
    assert_eq!(run.evaluations["sometimes third-tick"], 5, "false ones too");
    assert_eq!(run.evaluations["always never-evaluated"], 0);
    assert!(!run.evaluations.contains_key("reachable ticker-done"), "a line has no condition");
    let unchecked = RunConfig { checks: false, ..RunConfig::new(1) };
    assert!(run_on_fresh_thread(&scenario(""), &unchecked).evaluations.is_empty());
}

#[test]
fn an_always_that_fails_breaks_by_its_own_name() {
    let broken = "[workload]\nmost = 2\n";
    let run = outcome(broken);
    assert_eq!(run.verdict.to_string(), "violated:ticks-bounded");
    let [violation] = &run.violations[..] else { panic!("told once: {:?}", run.violations) };
    assert_eq!(violation.title, "always ticks-bounded");
    assert_eq!(violation.promise, "`tick <= most` holds whenever it is evaluated");
    assert_eq!(violation.now, "tick 3 of 5");
    assert!(violation.before.contains("properties.rs:"), "{}", violation.before);
    assert!(!run.expected);
    assert!(outcome(&format!("expect = \"violated:ticks-bounded\"\n{broken}")).expected);
    let unknown = "expect = \"violated:ticks-unbounded\"\n";
    let text = format!("description = \"Ticks.\"\nsystem = \"ticker\"\n{unknown}");
    let mistake = SYSTEMS.parse(&text, Path::new("a.toml")).expect_err("no such property");
    assert!(mistake.to_string().contains("violated:ticks-bounded"), "{mistake}");
}

#[test]
fn a_fault_hangs_on_a_property() {
    let run = outcome(
        "[[fault]]\nkind = \"crash\"\ntarget = \"ticker\"\non = { milestone = \"third-tick\" }\n\
         duration = \"1s\"\n",
    );
    assert_eq!(run.verdict, Verdict::Passed);
    assert_eq!((times(&run, "third-tick"), times(&run, "process-restarted")), (Some(2), Some(1)));
}

#[test]
fn a_sweep_tells_what_no_run_came_to() {
    let mut summary = SweepSummary::default();
    let swept = scenario("");
    let candidates = swept.system.milestones();
    summary.add(SweepRun { scenario: 0, outcome: outcome("") });
    let text = wavetank::harness::report::describe_sweep(&summary, &[], &candidates);
    assert!(text.contains("never evaluated: always never-evaluated"), "{text}");
    assert!(
        text.contains(
            "never reached: process-restarted, thread-held, process-exited,\n  never-reached"
        ),
        "{text}"
    );
}

#[test]
fn a_system_has_the_properties_of_its_crate() {
    let names = |properties: Vec<&'static Property>| -> Vec<&str> {
        properties.into_iter().map(Property::name).collect()
    };
    let own = names(RegisteredSystem(Ticker).properties());
    let all = [
        "never-evaluated",
        "never-reached",
        "third-tick",
        "ticker-done",
        "ticks-bounded",
        "told-to-go-on",
    ];
    assert_eq!(own, all);
    let journal = RegisteredSystem(Journal).properties();
    assert!(journal.iter().any(|one| one.name() == "unawaited-answer-ignored"), "{journal:?}");
    let in_order = |one: &&Property| (one.name(), one.kind());
    assert!(Property::all().is_sorted_by_key(in_order));
    let done = Property::all().iter().find(|one| one.name() == "ticker-done").expect("registered");
    assert_eq!((done.kind(), done.title()), (PropertyKind::Reachable, "reachable ticker-done"));
}
