//! One run: boot, faults, healing, convergence, verdict.

use crate::{
    harness::{
        check::{
            Checker, Convergence, Invariant, KeptEvent, Milestone, Model, Moment, Outlook,
            StuckRun, Verdict, Violation, journal_invariants, word_count_invariants,
        },
        fault::{ExecutedFault, FaultPlan, Injector},
        scenario::{Scenario, SystemSpec},
        world::{
            Cluster, Main, Role, job_of_seed, journal_lines, journal_nodes, word_count_lines,
            word_count_nodes,
        },
    },
    host::{
        Sabotage, mix,
        sim::{FrameFate, NodeId, TraceDigest, TraceLine, World, WorldConfig, simulate},
    },
    jobs::{
        journal::{ENTRY_PREFIX, Entry},
        word_count::Counted,
    },
};
use bytes::Bytes;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

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
    /// Whether to keep the trace.
    pub trace: bool,
    /// Whether invariants are judged; without them a run shows what they cost.
    pub checks: bool,
    /// Lines in place of the scenario's workload.
    pub input: Option<Arc<Vec<Bytes>>>,
}

impl RunConfig {
    /// A plain run of a seed.
    pub fn new(seed: u64) -> Self {
        RunConfig { seed, schedule: None, sabotage: None, trace: false, checks: true, input: None }
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
    /// How often each invariant was evaluated.
    pub evaluations: BTreeMap<&'static str, u64>,
    /// How often each milestone was reached.
    pub milestones: BTreeMap<Milestone, u64>,
    /// The plan.
    pub plan: FaultPlan,
    /// What became of it.
    pub executed: Vec<ExecutedFault>,
    /// The events that changed the cluster's state.
    pub history: Vec<(Moment, KeptEvent)>,
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
}

/// What a run puts out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The entries of the journal, in order.
    Journal(Vec<Entry>),
    /// How often each word was counted.
    Counts(BTreeMap<String, u64>),
}

impl Output {
    fn of(scenario: &Scenario, model: &Model) -> Self {
        match &scenario.system {
            SystemSpec::Journal(_) => {
                let entries = model.keys.iter().filter(|(key, _)| key.starts_with(ENTRY_PREFIX));
                let decoded = entries.filter_map(|(_, value)| postcard::from_bytes(value).ok());
                Output::Journal(decoded.collect())
            }
            SystemSpec::WordCount(_) => {
                let mut counts = BTreeMap::new();
                for record in model.output.values().flatten() {
                    // What can't be read is a violation of X4, and no word.
                    if let Ok(Counted { word, count }) = postcard::from_bytes(record) {
                        let most = counts.entry(word).or_insert(0);
                        *most = count.max(*most);
                    }
                }
                Output::Counts(counts)
            }
        }
    }

    /// In a few words.
    pub fn describe(&self) -> String {
        match self {
            Output::Journal(entries) => format!("{} lines stand", entries.len()),
            Output::Counts(counts) => {
                format!(
                    "{} words counted, {} different",
                    counts.values().sum::<u64>(),
                    counts.len()
                )
            }
        }
    }
}

/// Runs a scenario once, on this thread.
pub fn run(scenario: &Scenario, config: &RunConfig) -> RunOutcome {
    let seed = scenario.plan_seed(config.seed);
    let plan = FaultPlan::draw(scenario, seed);
    let scenario = &scenario.drawn(config.seed);
    let setting = Setting::of(scenario, seed, config.input.as_ref());
    let invariants = if config.checks { setting.invariants } else { Vec::new() };
    let checker = Arc::new(Checker::new(invariants));
    let world_config = WorldConfig {
        seed,
        scheduling_seed: config.scheduling_seed(),
        latency: scenario.link_latency(),
        sabotage: config.sabotage,
        trace: config.trace,
    };
    let (nodes, clients) = (setting.nodes, setting.clients);
    let run = RunInProgress { checker: checker.clone(), scenario, seed, clients };
    let body = async |world: World| run.drive(&world, nodes, plan.clone()).await;
    let ((end, executed, nodes), simulated) = simulate(world_config, checker.clone(), body);
    let report = checker.close(end.at);
    let verdict = match (report.violations.first(), &end.stuck) {
        (Some(violation), _) => Verdict::Violated(violation.invariant.to_string()),
        (None, Some((_, waits_for))) => Verdict::Stuck { waits_for: waits_for.clone() },
        (None, None) => Verdict::Passed,
    };
    let stuck = |goal| StuckRun {
        goal,
        scenario,
        model: &report.model,
        job: job_of_seed(seed),
        plan: &plan,
        executed: &executed,
        names: &nodes,
        ran: simulated.simulated,
    };
    let reasons = match (&verdict, &end.stuck) {
        (Verdict::Stuck { .. }, Some((goal, _))) => stuck(*goal).reasons(),
        _ => Vec::new(),
    };
    RunOutcome {
        reasons,
        scenario: scenario.name.clone(),
        seed: config.seed,
        schedule: config.scheduling_seed(),
        sabotage: config.sabotage,
        expected: scenario.expect.met_by(&verdict),
        verdict,
        violations: report.violations,
        evaluations: report.evaluations,
        milestones: report.milestones,
        plan,
        executed,
        history: report.history,
        nodes,
        output: Output::of(scenario, &report.model),
        digest: simulated.digest,
        trace: simulated.trace,
        fates: simulated.fates,
        simulated: simulated.simulated,
        messages: simulated.messages,
        sabotage_executions: simulated.sabotage_executions,
    }
}

struct End {
    at: Moment,
    /// The goal that is overdue, and for what it waits.
    stuck: Option<(&'static str, String)>,
}

type Driven = (End, Vec<ExecutedFault>, BTreeMap<NodeId, String>);

/// What a run begins with.
struct Setting {
    invariants: Vec<Box<dyn Invariant>>,
    nodes: Vec<(Role, Main)>,
    clients: u32,
}

impl Setting {
    fn of(scenario: &Scenario, seed: u64, input: Option<&Arc<Vec<Bytes>>>) -> Self {
        match &scenario.system {
            SystemSpec::Journal(spec) => {
                let lines = journal_lines(spec, seed, input);
                Setting {
                    nodes: journal_nodes(spec, &lines),
                    clients: u32::try_from(lines.len()).expect("few clients"),
                    invariants: journal_invariants(lines, scenario.time_bounds()),
                }
            }
            SystemSpec::WordCount(spec) => {
                let lines = word_count_lines(spec, seed, input);
                Setting {
                    nodes: word_count_nodes(spec, seed, &lines),
                    clients: 1,
                    invariants: word_count_invariants(scenario.time_bounds()),
                }
            }
        }
    }
}

struct RunInProgress<'a> {
    checker: Arc<Checker>,
    scenario: &'a Scenario,
    seed: u64,
    clients: u32,
}

impl RunInProgress<'_> {
    async fn drive(&self, world: &World, nodes: Vec<(Role, Main)>, plan: FaultPlan) -> Driven {
        let (checker, scenario) = (&self.checker, self.scenario);
        let cluster = Cluster::boot(world, checker, nodes);
        let injector = Injector::start(world, &cluster, checker, plan);
        let job = job_of_seed(self.seed);
        let mut convergence = Convergence::new(scenario, self.clients, job);
        let look = |convergence: &mut Convergence<'_>| {
            checker.with_model(|model| convergence.look(model, world.elapsed()))
        };
        // Faults may still be due when the clients are done, so both must be.
        let mut outlook = Outlook::Waiting;
        let mut done = false;
        while world.elapsed() < scenario.heal_at && !checker.is_broken() {
            world.sleep(LOOK_EVERY).await;
            if !done && injector.is_done() {
                done = true;
                convergence.healed(injector.lifted());
            }
            outlook = look(&mut convergence);
            if done && outlook != Outlook::Waiting {
                break;
            }
        }
        injector.heal();
        if !done {
            convergence.healed(injector.lifted());
            outlook = look(&mut convergence);
        }
        while outlook == Outlook::Waiting && !checker.is_broken() {
            world.sleep(LOOK_EVERY).await;
            outlook = look(&mut convergence);
        }
        let stuck = match outlook {
            Outlook::Stuck { goal, waits_for } => Some((goal, waits_for)),
            Outlook::Waiting | Outlook::Converged => None,
        };
        let nodes = world.nodes();
        let names = nodes.iter().map(|node| (*node, world.name(*node).to_string())).collect();
        let at = Moment { time: world.elapsed(), process: (nodes[0], 0) };
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
