//! The cluster under test: a word count on simulated machines, and what must hold of it.

mod bounds;
mod event_ref;
mod goals;
pub mod invariants;
mod lints;
mod milestones;
mod model;
mod nodes;
mod output;
mod roles;
mod settings;
mod stuck;
mod words;

pub use bounds::TimeBounds;
pub use event_ref::{EventKind, EventRef};
pub use goals::elected;
pub use milestones::of_ground_floor as milestones_of_ground_floor;
pub use model::{Model, Running};
pub use roles::COORDINATION;
pub use settings::{Settings, WordCountSpec};

use crate::{
    harness::{
        check::{Checker, Invariant},
        event,
        event::Milestone,
        system::{
            Example, LintContext, MessageGroup, Nodes, Role, RunParameters, SettingMistake, Setup,
            StateTarget, SystemUnderTest,
        },
    },
    host::{
        Sabotage,
        sim::{PACKET_KINDS, RESET_KIND},
    },
    system::{
        protocol::{
            DispatcherGateway, JobMasterGateway, ResourceManagerGateway, TaskExecutorGateway,
        },
        rpc::{Gateway, Protocol, SERVICE_KINDS},
        sabotage,
        service::{blobs::BlobGateway, coordination::CoordinationGateway, log::LogGateway},
        task_executor::RECORD_BYTES_MAX,
    },
};
use bytes::Bytes;

/// A whole cluster that counts words in one job.
pub struct WordCount;

/// The most bytes of a line of a user's text: a line is a record, and so is a word with its count.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX - 32;

/// The messages of protocols, and those that every system's remote calls make.
pub fn messages(protocols: &[&'static Protocol]) -> Vec<MessageGroup> {
    let of = |protocol: &&'static Protocol| {
        let kinds = protocol.methods.iter().flat_map(|method| {
            let reply = method.is_ask.then(|| method.reply_kind.name());
            [method.kind.name()].into_iter().chain(reply)
        });
        MessageGroup { prefix: format!("{}.", protocol.name), kinds: kinds.collect() }
    };
    let service = SERVICE_KINDS.iter().chain([&RESET_KIND]).map(|kind| kind.name());
    let service = MessageGroup { prefix: String::new(), kinds: service.collect() };
    protocols.iter().map(of).chain([service]).collect()
}

impl SystemUnderTest for WordCount {
    const NAME: &'static str = "word-count";
    const DESCRIPTION: &'static str = "A whole cluster that counts words in one job: job managers, task executors, the \
         coordination, blob and log servers, the writer of the input topic, and a client.";

    type Settings = Settings;
    type Model = Model;

    fn roles() -> &'static [Role] {
        roles::ALL
    }

    fn nodes(Settings(spec): &Settings) -> Vec<Nodes> {
        vec![
            Nodes::one(roles::COORDINATION),
            Nodes::one(roles::BLOBS),
            Nodes::one(roles::LOG),
            Nodes::some(roles::JOB_MANAGER, spec.job_managers, "job-managers"),
            Nodes::some(roles::TASK_EXECUTOR, spec.task_executors, "task-executors"),
            Nodes::one(roles::WRITER),
            Nodes::one(roles::CLIENT),
        ]
    }

    fn targets() -> &'static [StateTarget<Model>] {
        roles::STATE_TARGETS
    }

    fn numbered(Settings(spec): &Settings) -> Vec<Nodes> {
        let key = Some(("workload", "parallelism"));
        vec![Nodes { name: "subtask", count: spec.parallelism, key }]
    }

    fn event_kinds() -> Vec<event::EventKind> {
        event_kinds()
    }

    fn milestones() -> Vec<Milestone> {
        milestones::all()
    }

    fn messages() -> Vec<MessageGroup> {
        let mut groups = messages(&[
            CoordinationGateway::PROTOCOL,
            BlobGateway::PROTOCOL,
            LogGateway::PROTOCOL,
            DispatcherGateway::PROTOCOL,
            ResourceManagerGateway::PROTOCOL,
            JobMasterGateway::PROTOCOL,
            TaskExecutorGateway::PROTOCOL,
        ]);
        let kinds = PACKET_KINDS.iter().map(|kind| kind.name()).collect();
        groups.push(MessageGroup { prefix: "stream.".to_string(), kinds });
        groups
    }

    fn sabotages() -> &'static [Sabotage] {
        sabotage::ALL
    }

    fn goals() -> &'static [(&'static str, &'static str)] {
        goals::KEYS
    }

    fn example() -> Example {
        Example {
            crashed: "random-task-executor",
            cut_off: "job-master",
            milestone: "checkpoint-triggered",
            message: "TaskExecutorGateway.",
            power_cut: "coordination",
            paused: "busy-task-executor",
        }
    }

    fn setup(Settings(spec): &Settings, run: &RunParameters<'_>) -> Setup<Model> {
        let lines = nodes::word_count_lines(spec, run.seed, run.input);
        let job = nodes::job_of_seed(run.seed);
        let bounds = spec.time_bounds();
        let mut invariants = invariants_of_cluster(bounds);
        invariants.push(Box::new(invariants::x4_exactly_once::ExactlyOnce::default()));
        let input = run.input.cloned();
        let of_run =
            stuck::JobOfRun { spec: spec.clone(), seed: run.seed, job, latency: run.latency.low };
        Setup {
            nodes: nodes::word_count_nodes(spec, run.seed, &lines),
            invariants,
            goals: goals::goals(spec, job, run.has_faults),
            output: Box::new(move |model| {
                output::output(model, input.as_ref().map(|lines| &lines[..]))
            }),
            explain: Box::new(move |model, stuck| of_run.reasons(model, stuck)),
        }
    }

    fn mistakes(Settings(spec): &Settings) -> Vec<SettingMistake> {
        let beyond = spec.poisoned_beyond();
        let mistake = |message| SettingMistake { table: "workload", key: "poisoned", message };
        beyond.map(mistake).into_iter().collect()
    }

    fn lints(Settings(spec): &Settings, context: &LintContext) -> Vec<String> {
        lints::lints(spec, context)
    }

    fn check_input(Settings(spec): &Settings, lines: &[Bytes]) -> Result<(), String> {
        if let Some(poisoned) = spec.poisoned
            && poisoned.high > lines.len() as u64
        {
            let (line, all) = (poisoned.high, lines.len());
            return Err(format!("the scenario poisons line {line}, and it has {all} lines"));
        }
        check_lines(lines, LINE_BYTES_MAX)
    }
}

/// The kinds of the cluster's events, what comes most often first; those of the hardware aside.
pub fn event_kinds() -> Vec<event::EventKind> {
    let own = EventKind::ALL.iter().filter(|kind| **kind != EventKind::Hardware);
    own.map(|kind| kind.of_harness()).collect()
}

fn invariants_of_cluster(bounds: TimeBounds) -> Vec<Box<dyn Invariant<Model>>> {
    let mut invariants = invariants::of_ground_floor(bounds, &[]);
    invariants.extend(invariants::of_jobs(bounds));
    invariants
}

/// A checker of all that must hold of a cluster that runs jobs, for a world that is driven by hand.
pub fn checker(bounds: TimeBounds) -> Checker {
    Checker::of(kinds_and_hardware(), invariants_of_cluster(bounds))
}

/// A checker of all that must hold of the ground floor, for a world that is driven by hand.
pub fn checker_of_ground_floor(bounds: TimeBounds) -> Checker {
    Checker::of::<Model>(kinds_and_hardware(), invariants::of_ground_floor(bounds, &[]))
}

fn kinds_and_hardware() -> Vec<event::EventKind> {
    EventKind::ALL.iter().map(|kind| kind.of_harness()).collect()
}

/// Whether no line is longer than that.
///
/// # Errors
/// The first that is.
pub fn check_lines(lines: &[Bytes], bytes_max: usize) -> Result<(), String> {
    match (1..).zip(lines).find(|(_, line)| line.len() > bytes_max) {
        Some((number, line)) => {
            let bytes = line.len();
            Err(format!("line {number} has {bytes} bytes; a line may have {bytes_max}"))
        }
        None => Ok(()),
    }
}
