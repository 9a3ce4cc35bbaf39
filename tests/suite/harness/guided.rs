//! A sweep that learns, on a node that has luck twice.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};
use wavetank::{
    harness::{
        check::{Check, Goal, Invariant, Model, Verdict},
        event::{EventKind, Milestone, Moment, Reported, event_as},
        explore::{Corpus, guided},
        language::{NumberRange, number},
        run::{Recipe, RunBranch, RunConfig, RunOutcome, Sweep, run_on_fresh_thread},
        scenario::Scenario,
        system::{
            Example, MessageGroup, Node, Nodes, Output, RegisteredSystem, Role, RoleSpec,
            RunParameters, Setup, SystemUnderTest, Systems,
        },
    },
    host::{Event, Evidence, Host, Property},
};

const PLAYER: Role = Role::new(const { &RoleSpec::one("player", "player") });

wavetank::settings! {
    /// How lucky it is.
    #[derive(Clone, Debug, PartialEq)]
    Luck {
        workload {
            "one-in" one_in: NumberRange = number(1, 1_000_000, 1000), "Of how many draws one is a hit.";
        }
    }
}

struct Player;

/// What a player says.
#[derive(Clone, Debug, Hash)]
pub enum Played {
    /// Its first draw was a hit.
    Once,
    /// Its second one was, too.
    Twice,
    /// It has drawn twice.
    Ended,
}

wavetank::event!(Played, |_| Evidence::SelfReport);

impl Reported for Played {
    const KIND: &'static str = "played";
}

wavetank::milestones! {
    /// Of a player.
    pub OF_PLAYERS: Played {
        "hit-once" = _, Played::Once, "The first draw was a hit.";
        "play-ended" = _, Played::Ended, "It has drawn twice.";
    }
}

#[derive(Debug, Default)]
struct HasEnded(bool);

impl Model for HasEnded {
    fn observe(&mut self, _: Moment, event: &dyn Event) {
        self.0 |= matches!(event_as(event), Some(Played::Ended));
    }
}

struct NeverTwice;

impl Invariant<HasEnded> for NeverTwice {
    fn title(&self) -> &'static str {
        "never-twice"
    }

    fn promise(&self) -> &'static str {
        "nobody has such luck"
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<Played>()]
    }

    fn observe(&mut self, at: Moment, event: &dyn Event, _: &HasEnded) -> Check {
        Check::that(!matches!(event_as(event), Some(Played::Twice)), || {
            ("a hit".to_string(), format!("{at}: another one"))
        })
    }
}

async fn play(host: Host, one_in: u64) {
    let host = &host;
    host.sleep(Duration::from_millis(10)).await;
    let first = host.random_u64().is_multiple_of(one_in);
    if first {
        host.announce(&Played::Once);
    }
    host.sleep(Duration::from_millis(10)).await;
    if first && host.random_u64().is_multiple_of(one_in) {
        host.announce(&Played::Twice);
    }
    host.announce(&Played::Ended);
    std::future::pending::<()>().await;
}

impl SystemUnderTest for Player {
    const NAME: &'static str = "player";
    const DESCRIPTION: &'static str = "A node that draws twice.";
    type Settings = Luck;
    type Model = HasEnded;

    fn roles(&self) -> &'static [Role] {
        &[PLAYER]
    }

    fn nodes(&self, _: &Luck) -> Vec<Nodes> {
        vec![Nodes::one(PLAYER)]
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        vec![EventKind::of::<Played>()]
    }

    fn milestones(&self) -> Vec<Milestone> {
        OF_PLAYERS.to_vec()
    }

    // Those of this binary are of other tests.
    fn has_property(&self, _: &Property) -> bool {
        false
    }

    fn messages(&self) -> Vec<MessageGroup> {
        Vec::new()
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        &[("done-within", "that it has played")]
    }

    fn example(&self) -> Example {
        let target = "player";
        Example {
            crashed: target,
            cut_off: target,
            milestone: "hit-once",
            message: "",
            power_cut: target,
            paused: target,
        }
    }

    fn setup(&self, settings: &Luck, _: &RunParameters<'_>) -> Setup<HasEnded> {
        let one_in = settings.one_in.low;
        let waits = |model: &HasEnded| (!model.0).then(|| "the second draw".to_string());
        Setup {
            nodes: vec![Node::one(PLAYER, move |host| play(host, one_in))],
            invariants: vec![Box::new(NeverTwice)],
            goals: vec![Goal::new("done-within", move |model, _| waits(model)).once()],
            output: Box::new(|_| Output::default()),
            explain: Box::new(|_, _| Vec::new()),
        }
    }
}

const SYSTEMS: Systems = Systems::new(&[&RegisteredSystem(Player)]);

fn sweep(one_in: u64) -> Sweep {
    let text = format!(
        "description = \"Plays.\"\nsystem = \"player\"\nheal-at = \"1s\"\n[workload]\none-in = {one_in}\n"
    );
    let scenario: Result<Scenario, _> =
        SYSTEMS.parse(&text, Path::new("scenarios/player/plays.toml"));
    let scenario = scenario.unwrap_or_else(|mistake| panic!("{mistake}"));
    Sweep { until_failure: true, ..Sweep::new(vec![Arc::new(scenario)], 0..u64::MAX) }
}

/// The runs until the first failure, of so many at most; and what it is made from.
fn search(plan: &Sweep, most: u64) -> (u64, Option<Recipe>) {
    let (mut runs, mut found) = (0, None);
    guided(plan, most, &mut Corpus::default(), |run| {
        runs += 1;
        if !run.outcome.expected && found.is_none() {
            found = Some((runs, run.outcome.recipe()));
        }
    });
    found.map_or((runs, None), |(runs, recipe)| (runs, Some(recipe)))
}

fn again(plan: &Sweep, recipe: &Recipe) -> RunOutcome {
    let branches = recipe.branches.clone();
    run_on_fresh_thread(&plan.scenarios[0], &RunConfig { branches, ..RunConfig::new(recipe.seed) })
}

#[test]
fn two_events_of_one_in_a_thousand_are_found_in_a_hundredth_of_the_runs() {
    // By uniform seeds it takes a million on average.
    let starts = [0, 1_000_000, 2_000_000];
    let mut runs: Vec<u64> = starts
        .map(|start| {
            let plan = Sweep { seeds: start..u64::MAX, ..sweep(1000) };
            let (runs, found) = search(&plan, 30_000);
            let found = found.expect("it is found");
            let run = again(&plan, &found);
            assert_eq!(run.verdict, Verdict::Violated("never-twice".to_string()), "{found}");
            let text = found.to_string();
            assert!(text.contains("@hit-once+"), "{text}");
            runs
        })
        .into();
    runs.sort_unstable();
    assert!(runs[1] <= 10_000, "the median of {runs:?}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let plan = sweep(20);
    let one = search(&plan, 2000);
    assert!(one.1.is_some(), "{one:?}");
    assert_eq!(search(&Sweep { jobs: 3, ..plan }, 2000), one);
}

#[test]
fn a_branch_is_the_same_run_up_to_its_milestone() {
    let plan = sweep(10);
    let hit = (0..).find(|seed| {
        let run = again(&plan, &Recipe::of_seed(*seed));
        run.order.iter().any(|(_, reached)| reached.name() == "hit-once")
    });
    let seed = hit.expect("one in ten is one");
    let known = plan.scenarios[0].system.milestones();
    let run = |text: &str| {
        let branches = RunBranch::parse_all(text, &known).expect("they are branches");
        again(&plan, &Recipe { seed, branches })
    };
    let plain = again(&plan, &Recipe::of_seed(seed));
    let ways: Vec<RunOutcome> = (0..8).map(|number| run(&format!("hit-once+{number}"))).collect();
    assert_eq!(ways[0].digest, plain.digest, "0 is no other way");
    let prefixes: BTreeSet<_> = ways.iter().map(|way| way.branched).collect();
    assert!(prefixes.len() == 1 && ways[0].branched.is_some(), "{prefixes:?}");
    let digests: BTreeSet<_> = ways.iter().map(|way| way.digest).collect();
    // It draws little, so that some ways are the same.
    assert!(digests.len() > 2, "{digests:?}");
    assert_eq!(run("hit-once+3").digest, ways[3].digest, "it is deterministic");
    // A second one begins behind the first.
    let twice = run("hit-once+3@play-ended+1");
    assert!(twice.branched.is_some() && twice.branched != ways[3].branched);
    // What it never comes to changes nothing.
    assert_eq!(run("process-restarted+3").branched, None);
}

#[test]
fn what_a_sweep_has_learned_is_where_the_next_one_begins() {
    let plan = Sweep { until_failure: false, ..sweep(1000) };
    let mut corpus = Corpus::default();
    let mut hits = 0;
    guided(&plan, 3000, &mut corpus, |run| {
        hits += usize::from(run.outcome.order.iter().any(|(_, one)| one.name() == "hit-once"));
    });
    let seeds = corpus.seeds(&plan);
    assert!(hits > 0 && seeds.iter().any(|seed| seed.milestones.contains(&"hit-once".to_string())));
    let text = serde_json::to_string(&seeds).expect("it has string keys only");
    let read: Vec<_> = serde_json::from_str(&text).expect("as it was written");
    assert_eq!(read, seeds);
    let mut next = Corpus::default();
    next.learn(&plan, &read).expect("they are of this build");
    // From its first round on it goes on from there.
    let mut branches = 0;
    guided(&plan, 64, &mut next, |run| branches += usize::from(!run.outcome.branches.is_empty()));
    assert_eq!(branches, 48);
}
