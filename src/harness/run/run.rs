//! One run: boot, faults, healing, convergence, verdict.

use super::recipe::{BranchPoint, Recipe, RunBranch};
use crate::{
    harness::{
        check::{
            Checker, Convergence, EventMatcher, Exits, Outlook, Trigger, Verdict, Violation, Watch,
        },
        event::{KeptEvent, Milestone, Moment},
        nemesis::{ExecutedFault, Injector, Machines},
        scenario::{FaultPlan, Scenario},
        system::{AnySetup, Node, Output, StuckRun},
    },
    host::{
        Sabotage, mix,
        sim::{Branch, FrameFate, NodeId, TraceDigest, TraceLine, World, WorldConfig, simulate},
    },
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How often the harness looks whether a run is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What makes a run.
#[derive(Clone, Debug)]
pub struct RunConfig {
    /// The plan seed: everything that the adversary and the workload draw. A scenario with a seed of
    /// its own draws only the schedule from it.
    pub seed: u64,
    /// The scheduling seed; derived from the plan seed when `None`.
    pub schedule: Option<u64>,
    /// The switch that is on.
    pub sabotage: Option<Sabotage>,
    /// Whether to note which switches are asked for.
    pub notes_asked: bool,
    /// Whether to keep the trace.
    pub trace: bool,
    /// From where on it goes another way than the seeds say.
    pub branches: Vec<RunBranch>,
    /// Whether invariants are judged; without them a run shows what they cost.
    pub checks: bool,
    /// Lines in place of the scenario's workload.
    pub input: Option<Arc<Vec<Bytes>>>,
}

impl RunConfig {
    /// A plain run of a seed.
    pub fn new(seed: u64) -> Self {
        RunConfig {
            seed,
            schedule: None,
            sabotage: None,
            notes_asked: false,
            trace: false,
            branches: Vec::new(),
            checks: true,
            input: None,
        }
    }

    /// The scheduling seed of the run.
    pub fn scheduling_seed(&self) -> u64 {
        self.schedule.unwrap_or_else(|| mix(self.seed, 0x5ced))
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct RunOutcome {
    /// The scenario's name.
    pub scenario: String,
    /// The seed that was asked for.
    pub seed: u64,
    /// The scheduling seed.
    pub schedule: u64,
    /// From where on it went another way than the seeds say.
    pub branches: Vec<RunBranch>,
    /// The digest up to the last of them that was reached.
    pub branched: Option<TraceDigest>,
    /// The switch that was on.
    pub sabotage: Option<Sabotage>,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether that is what the scenario expects.
    pub expected: bool,
    /// Of a run that is stuck: why that may be no bug, and what to look at first.
    pub reasons: Vec<String>,
    /// What broke.
    pub violations: Vec<Violation>,
    /// How often each invariant was evaluated, and each property that has a condition.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// When each milestone was first reached, in that order.
    pub order: Vec<(Duration, Milestone)>,
    /// The plan.
    pub plan: FaultPlan,
    /// What became of it.
    pub executed: Vec<ExecutedFault>,
    /// The events that changed the cluster's state.
    pub history: Vec<(Moment, KeptEvent)>,
    /// How many of them were before those and are gone, since a history is bounded.
    pub history_cut: u64,
    /// The names of the nodes.
    pub nodes: BTreeMap<NodeId, String>,
    /// What came out of it, by the services' own logs.
    pub output: Output,
    /// The digest of the run.
    pub digest: TraceDigest,
    /// The trace, if it was to be kept.
    pub trace: Vec<TraceLine>,
    /// The frames that did not plainly arrive, if the trace was to be kept.
    pub fates: Vec<FrameFate>,
    /// Simulated time.
    pub simulated: Duration,
    /// Frames sent over links.
    pub messages: u64,
    /// How often the sabotage's switched line ran.
    pub sabotage_executions: u64,
    /// The switches that were asked for, if that was to be noted: with any other one the run would be the same.
    pub asked: BTreeSet<Sabotage>,
}

impl RunOutcome {
    /// From what it was made, besides its schedule.
    pub fn recipe(&self) -> Recipe {
        Recipe { seed: self.seed, branches: self.branches.clone() }
    }

    /// An event's text in which nodes go by their names.
    pub fn named(&self, event: &str) -> String {
        let named = |text: String, (node, name): (_, &String)| {
            text.replace(&format!("{node:?}/"), &format!("{name}/"))
        };
        self.nodes.iter().fold(event.trim_start().to_string(), named)
    }
}

/// Runs a scenario once, on this thread.
pub fn run(scenario: &Scenario, config: &RunConfig) -> RunOutcome {
    let seed = scenario.plan_seed(config.seed);
    let plan = FaultPlan::draw(scenario, seed);
    let scenario = &scenario.drawn(config.seed);
    let setup = scenario.system.setup(&scenario.run_parameters(seed, config.input.as_ref()));
    let AnySetup {
        nodes,
        invariants,
        goals,
        kinds,
        properties,
        milestones,
        model,
        output,
        explain,
    } = setup;
    let invariants = if config.checks { invariants } else { Vec::new() };
    let properties = config.checks.then_some(properties);
    let watch = Watch { kinds, invariants, properties, milestones, model };
    let checker = Arc::new(Checker::new(watch));
    let mut world_config = WorldConfig {
        seed,
        scheduling_seed: config.scheduling_seed(),
        latency: scenario.link_latency(),
        sabotage: config.sabotage,
        notes_asked: config.notes_asked,
        trace: config.trace,
        branch: None,
    };
    take_branches(&config.branches, &checker, &mut world_config);
    let mut convergence = Convergence::new(goals, |key| scenario.converge.bound(key));
    let run = RunInProgress { checker: checker.clone(), scenario };
    let body = async |world: World| run.drive(&world, nodes, plan.clone(), &mut convergence).await;
    let ((end, executed, nodes), simulated) = simulate(world_config, checker.clone(), body);
    let report = checker.close(end.at);
    let verdict = match (report.violations.first(), &end.stuck) {
        (Some(violation), _) => Verdict::Violated(violation.invariant.to_string()),
        (None, Some((_, waits_for))) => Verdict::Stuck { waits_for: waits_for.clone() },
        (None, None) => Verdict::Passed,
    };
    let reasons = match (&verdict, &end.stuck) {
        (Verdict::Stuck { .. }, Some((goal, _))) => {
            let stuck = StuckRun { goal, ran: simulated.simulated };
            let own = checker.with_model(|model| explain(model, &stuck));
            own.into_iter().chain(exits(&report.exits, &nodes, &plan, &executed)).collect()
        }
        _ => Vec::new(),
    };
    RunOutcome {
        reasons,
        scenario: scenario.name.clone(),
        seed: config.seed,
        schedule: config.scheduling_seed(),
        branches: config.branches.clone(),
        branched: simulated.branched,
        sabotage: config.sabotage,
        expected: scenario.expect.met_by(&verdict),
        verdict,
        violations: report.violations,
        evaluations: report.evaluations,
        milestones: report.milestones,
        order: report.order,
        plan,
        executed,
        history_cut: report.history.cut(),
        history: report.history.into_events(),
        nodes,
        output: checker.with_model(output),
        digest: simulated.digest,
        trace: simulated.trace,
        fates: simulated.fates,
        simulated: simulated.simulated,
        messages: simulated.messages,
        sabotage_executions: simulated.sabotage_executions,
        asked: simulated.asked,
    }
}

/// Sees to it that a run takes its branches, each behind the one before. An entry can only be the first of them, since
/// behind a branch its number means nothing.
fn take_branches(branches: &[RunBranch], checker: &Arc<Checker>, world: &mut WorldConfig) {
    let Some((first, others)) = branches.split_first() else { return };
    match first.from {
        BranchPoint::Entry(after) => {
            world.branch = Some(Branch { after, number: first.number });
            branch_at_milestones(others.to_vec(), checker);
        }
        BranchPoint::Milestone(_) => branch_at_milestones(branches.to_vec(), checker),
    }
}

fn branch_at_milestones(mut branches: Vec<RunBranch>, checker: &Arc<Checker>) {
    branches.retain(|branch| matches!(branch.from, BranchPoint::Milestone(_)));
    let Some(RunBranch { from: BranchPoint::Milestone(milestone), number }) =
        branches.first().copied()
    else {
        return;
    };
    let of_next = checker.clone();
    let branch: Trigger = Box::new(move |world| {
        world.branch(number);
        branch_at_milestones(branches.split_off(1), &of_next);
    });
    checker.on_milestone(EventMatcher::new(milestone, 1), branch);
}

struct End {
    at: Moment,
    /// The goal that is overdue, and for what it waits.
    stuck: Option<(&'static str, String)>,
}

type Driven = (End, Vec<ExecutedFault>, BTreeMap<NodeId, String>);

/// The processes that ended themselves, and whether somebody harmed their disks for good.
fn exits(
    exits: &Exits,
    names: &BTreeMap<NodeId, String>,
    plan: &FaultPlan,
    executed: &[ExecutedFault],
) -> Vec<String> {
    let told = exits.iter().map(|(node, (times, reason))| {
        let name = &names[node];
        let harm = executed.iter().find(|executed| {
            let struck = executed.resolved.iter().any(|(_, nodes)| nodes.contains(name));
            struck && plan.faults[executed.index].kind.harms_for_good()
        });
        let excuse = match harm {
            Some(fault) => format!("maybe no bug, after {}: ", fault.what),
            None => String::new(),
        };
        format!("{excuse}{name} ended itself {times} times, at last: {reason}")
    });
    told.collect()
}

struct RunInProgress<'a> {
    checker: Arc<Checker>,
    scenario: &'a Scenario,
}

impl RunInProgress<'_> {
    async fn drive(
        &self,
        world: &World,
        nodes: Vec<Node>,
        plan: FaultPlan,
        convergence: &mut Convergence,
    ) -> Driven {
        let (checker, scenario) = (&self.checker, self.scenario);
        let machines = Machines::boot(world, checker, &scenario.system, nodes);
        let injector = Injector::start(world, &machines, checker, plan);
        let look = |convergence: &mut Convergence| {
            let quiet = injector.quiet_since();
            checker.with_model(|model| convergence.look(model, world.elapsed(), quiet))
        };
        let is_stuck = |outlook: &Outlook| matches!(outlook, Outlook::Stuck { .. });
        // Faults may still be due when the clients are done, so both must be.
        let mut outlook = Outlook::Waiting;
        let mut done = false;
        while world.elapsed() < scenario.heal_at && !checker.is_broken() {
            world.sleep(LOOK_EVERY).await;
            if !done && injector.is_done() {
                done = true;
                convergence.healed(injector.lifted());
            }
            outlook = look(convergence);
            if is_stuck(&outlook) || done && outlook != Outlook::Waiting {
                break;
            }
        }
        injector.heal();
        if !done && !is_stuck(&outlook) {
            convergence.healed(injector.lifted());
            outlook = look(convergence);
        }
        while outlook == Outlook::Waiting && !checker.is_broken() {
            world.sleep(LOOK_EVERY).await;
            outlook = look(convergence);
        }
        let stuck = match outlook {
            Outlook::Stuck { goal, waits_for } => Some((goal, waits_for)),
            Outlook::Waiting | Outlook::Converged => None,
        };
        let nodes = world.nodes();
        let names = nodes.iter().map(|node| (*node, world.name(*node).to_string())).collect();
        let at = Moment::new(world.elapsed(), (nodes[0], 0));
        (End { at, stuck }, injector.executed(), names)
    }
}

/// Runs a scenario once, on a thread of its own: what std seeds once per thread is fresh then.
///
/// # Panics
/// When the harness itself does.
#[expect(clippy::disallowed_methods, reason = "a run needs a thread of its own")]
pub fn run_on_fresh_thread(scenario: &Arc<Scenario>, config: &RunConfig) -> RunOutcome {
    let (scenario, config) = (scenario.clone(), config.clone());
    let thread = std::thread::Builder::new().name(format!("run {}", config.seed));
    let run = thread.spawn(move || run(&scenario, &config)).expect("a thread can be started");
    run.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
