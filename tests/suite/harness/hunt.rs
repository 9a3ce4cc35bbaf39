//! How many runs it takes until a known bug is caught.

use super::of_journal;
use crate::journal::sabotage::JOURNAL_WRITTEN_AFTER_REVOKE;
use std::sync::Arc;
use wavetank::{
    harness::{
        check::Verdict,
        explore::{Detection, Hunt, Hunted, Search, Survey},
        run::{FailedRun, Recipe, RunConfig, Sweep, run_on_fresh_thread, sweep},
        scenario::Scenario,
    },
    system::sabotage::STALE_TOKEN_ACCEPTED,
};

fn search(runs: u64, verdict: Option<&str>) -> Search {
    let caught = verdict.map(|name| FailedRun {
        seed: runs - 1,
        recipe: Recipe::of_seed(runs - 1),
        scenario: 0,
        verdict: Verdict::Violated(name.to_string()),
    });
    Search { start: 0, runs, caught, executions: 2 }
}

fn hunted(searches: &[(u64, Option<&str>)]) -> Hunted {
    let searches = searches.iter().map(|(runs, verdict)| search(*runs, *verdict)).collect();
    Hunted { switch: JOURNAL_WRITTEN_AFTER_REVOKE, searches }
}

#[test]
fn the_median_is_of_all_searches() {
    let l3 = Some("L3");
    assert_eq!(hunted(&[]).median(), None);
    assert_eq!(hunted(&[(7, l3)]).median(), Some(7));
    assert_eq!(hunted(&[(9, l3), (1, l3), (4, l3), (30, l3), (2, l3)]).median(), Some(4));
    assert_eq!(hunted(&[(9, l3), (1, l3)]).median(), Some(1), "one that was seen");
    let with_failed = hunted(&[(500, None), (1, l3), (4, l3), (500, None), (2, l3)]);
    assert_eq!((with_failed.median(), with_failed.found()), (Some(4), 3));
    let mostly_failed = hunted(&[(500, None), (1, l3), (500, None), (500, None), (2, l3)]);
    assert_eq!((mostly_failed.median(), mostly_failed.found()), (None, 2));
}

#[test]
fn a_bug_is_caught_by_the_checks_that_are_there_for_it() {
    let caught = hunted(&[(1, Some("no-panic")), (2, Some("L3")), (2, Some("L3"))]);
    assert_eq!(caught.detection(), Detection::Caught);
    let by_some = hunted(&[(1, Some("L3")), (9, None)]);
    assert_eq!(
        by_some.detection(),
        Detection::CaughtBySome,
        "nobody knows whether another search would"
    );
    let verdicts = [("L3".to_string(), true), ("no-panic".to_string(), true)];
    assert_eq!(caught.verdicts(), verdicts);
    let another = hunted(&[(1, Some("L3")), (2, Some("L5")), (9, None)]);
    assert_eq!(another.detection(), Detection::CaughtByAnother);
    assert_eq!(hunted(&[(9, None)]).detection(), Detection::Uncaught);
    let mut masked = hunted(&[(9, None)]);
    let mut shows = hunted(&[(1, Some("L3"))]);
    assert_eq!(masked.masked(&[shows.clone()]), None, "it is no part of that one");
    shows.switch = shows.switch.made_of(&[JOURNAL_WRITTEN_AFTER_REVOKE]);
    assert_eq!(masked.masked(&[shows.clone()]), Some(shows.switch));
    masked.searches[0] = search(1, Some("L3"));
    assert_eq!(masked.masked(&[shows.clone()]), None, "it shows by itself");
    masked.searches[0] = search(9, None);
    shows.searches.push(search(9, None));
    assert_eq!(masked.masked(&[shows]), None, "a search did not find it");
    let mut unreached = hunted(&[(9, None)]);
    unreached.searches[0].executions = 0;
    assert_eq!(unreached.detection(), Detection::NeverReached);
}

#[test]
fn a_search_does_not_depend_on_the_threads() {
    let hunt = |jobs| {
        let stop = Arc::default();
        Survey::new(Hunt { scenarios: scenarios(), runs_max: 300, jobs, guided: false, stop })
    };
    for start in [2, 40, 1_000_000] {
        let switch = STALE_TOKEN_ACCEPTED;
        let alone = hunt(1).search(switch, start, |_, _| ());
        assert!(alone.caught.is_some() && alone.executions > 0, "{alone:?}");
        assert!(alone.runs > 2, "others were under way when it was caught: {alone:?}");
        assert_eq!(hunt(2).search(switch, start, |_, _| ()), alone);
        assert_eq!(hunt(5).search(switch, start, |_, _| ()), alone);
    }
}

/// What lets a search leave seeds out.
#[test]
fn a_run_that_does_not_ask_for_a_switch_is_the_same_with_it() {
    let switches = [STALE_TOKEN_ACCEPTED, JOURNAL_WRITTEN_AFTER_REVOKE];
    let (mut asked, mut not_asked) = (0, 0);
    for (scenario, seed) in
        scenarios().iter().flat_map(|scenario| (0..6).map(move |s| (scenario, s)))
    {
        let plain = RunConfig::new(seed);
        let noted =
            run_on_fresh_thread(scenario, &RunConfig { notes_asked: true, ..plain.clone() });
        for switch in switches {
            let on = RunConfig { sabotage: Some(switch), ..plain.clone() };
            let on = run_on_fresh_thread(scenario, &on);
            let told = noted.asked.contains(&switch);
            assert_eq!(told, on.sabotage_executions > 0, "{} {seed} {switch:?}", scenario.name);
            assert!(told || on.digest == noted.digest, "{} {seed} {switch:?}", scenario.name);
            *if told { &mut asked } else { &mut not_asked } += 1;
        }
        assert_eq!(
            run_on_fresh_thread(scenario, &plain).digest,
            noted.digest,
            "noting changes nothing"
        );
    }
    assert!(asked > 2 && not_asked > 2, "{asked} {not_asked}");
}

/// Leaving seeds out finds what running all of them finds.
#[test]
fn a_search_finds_what_a_plain_sweep_finds() {
    let (switch, start) = (JOURNAL_WRITTEN_AFTER_REVOKE, 7);
    let hunt = Hunt {
        scenarios: scenarios(),
        runs_max: 300,
        jobs: 2,
        guided: false,
        stop: Arc::default(),
    };
    let mut survey = Survey::new(hunt);
    let found = survey.search(switch, start, |_, _| ());
    let plan = Sweep {
        sabotage: Some(switch),
        until_failure: true,
        ..Sweep::new(scenarios(), start..start + 300)
    };
    let (mut runs, mut executions, mut caught) = (0, 0, None);
    sweep(&plan, |run| {
        runs += 1;
        executions += run.outcome.sabotage_executions;
        caught = caught.take().or(FailedRun::of(&run));
    });
    assert!(caught.is_some());
    assert_eq!(found, Search { start, runs, caught, executions });
    let control = survey.into_control();
    assert!(control.total().runs >= runs && control.failures.is_empty());
}

fn scenarios() -> Vec<Arc<Scenario>> {
    ["flapping", "held-appends", "skewed-clocks"].map(of_journal).to_vec()
}

#[test]
fn a_search_that_learns_is_the_same_on_any_number_of_threads() {
    let search = |jobs| {
        let hunt = Hunt {
            scenarios: scenarios(),
            runs_max: 300,
            jobs,
            guided: true,
            stop: Arc::default(),
        };
        Survey::new(hunt).search(STALE_TOKEN_ACCEPTED, 2, |_, _| ())
    };
    let alone = search(1);
    assert!(alone.caught.is_some() && alone.executions > 0, "{alone:?}");
    assert_eq!(search(3), alone);
}
