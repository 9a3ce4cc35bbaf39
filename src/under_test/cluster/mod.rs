//! The cluster under test: its jobs on simulated machines, and what must hold of it.

mod bounds;
pub mod callers;
mod event_ref;
mod faults;
mod goals;
pub mod invariants;
mod jobs;
mod lines;
mod milestones;
mod model;
mod nodes;
mod numbers;
mod plain;
mod progress;
pub mod provider;
mod reconciliation;
mod rest_reader;
mod roles;
mod services;
mod settings;
mod spans;
mod words;

pub use bounds::TimeBounds;
pub use event_ref::{EventKind, EventRef};
pub use goals::elected;
pub use jobs::{spec::JobSpec, word_count::WordCountSettings};
pub use lines::check_lines;
pub use milestones::of_foundation as milestones_of_foundation;
pub use model::{Model, Running};
pub use roles::COORDINATION;
pub use settings::{ClusterSettings, Mode, Settings};

use self::{
    invariants::{
        j1_no_foreign_restart::NoForeignRestart, m7_answered_in_quiet::AnsweredInQuiet,
        p1_cluster_ends_with_its_job::ClusterEndsWithItsJob,
        s8_workers_are_needed::WorkersAreNeeded,
        s10_latest_manager_is_obeyed::LatestManagerIsObeyed,
    },
    jobs::{
        KnownJobs,
        job::{JobRun, JobSetup, NodesOfJobs},
    },
    provider::MachinesGateway,
};
use crate::{
    harness::{
        check::{Checker, Invariant},
        event,
        event::Milestone,
        language::{Mistakes, NumberRange, Reader, Setting, Share},
        system::{
            Example, LintContext, MessageGroup, Nodes, Output, OwnFault, Role, RunParameters,
            Setup, StateTarget, SystemUnderTest,
        },
    },
    host::{
        Sabotage,
        sim::{PACKET_KINDS, RESET_KIND},
    },
    jobs::{Jobs, common::Submission},
    system::{
        protocol::{
            DispatcherGateway, JobMasterGateway, JobStatus, ResourceManagerGateway,
            TaskExecutorGateway,
        },
        rpc::{Gateway, Protocol, SERVICE_KINDS},
        sabotage,
        service::{
            coordination::CoordinationGateway, database::DatabaseGateway, log::LogGateway,
            object_store::BlobGateway, resource_provider::ResourceProviderGateway,
        },
    },
};
use bytes::Bytes;
use std::time::Duration;

/// A whole cluster, and one job or several that run in it.
pub struct Cluster {
    /// `None`: those of this crate.
    jobs: Option<KnownJobs>,
}

impl Cluster {
    /// With the jobs of this crate.
    pub const SHIPPED: Cluster = Cluster { jobs: None };

    /// With the jobs of a binary, which stay in memory until its process ends.
    ///
    /// # Panics
    /// When there is none.
    pub fn with_jobs(jobs: &Jobs) -> Self {
        Cluster { jobs: Some(jobs::known(jobs)) }
    }

    fn jobs(&self) -> KnownJobs {
        self.jobs.unwrap_or_else(jobs::shipped)
    }
}

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

impl SystemUnderTest for Cluster {
    const NAME: &'static str = "cluster";
    const DESCRIPTION: &'static str = "A whole cluster and the jobs that it runs: job managers, task executors, the \
         coordination, object store and log servers, a database server where a job writes to one, and a writer and \
         a client for each job.";

    type Settings = Settings;
    type Model = Model;

    /// That of its first job.
    fn folder(&self) -> &'static str {
        self.jobs()[0].name()
    }

    fn declared(&self) -> Vec<Setting> {
        Settings::declared_of(self.jobs())
    }

    fn read(&self, file: &mut Reader, mistakes: &mut Mistakes) -> Settings {
        Settings::read_of(self.jobs(), file, mistakes)
    }

    fn default_settings(&self) -> Settings {
        Settings::of(self.jobs())
    }

    fn roles(&self) -> &'static [Role] {
        roles::ALL
    }

    fn nodes(&self, settings: &Settings) -> Vec<Nodes> {
        let cluster = &settings.cluster;
        let jobs = sum(settings.jobs.iter().map(JobSpec::count));
        let providers = NumberRange {
            low: u64::from(cluster.on_demand == Share::ALWAYS),
            high: u64::from(cluster.on_demand.high > 0),
        };
        let with_database = settings.jobs.iter().filter(|job| job.uses_database());
        let databases = with_database.fold(NumberRange::only(0), |known, job| NumberRange {
            low: known.low.max(u64::from(job.is_always_there())),
            high: 1,
        });
        let of_jobs = |role: Role| Nodes { name: role.name(), count: jobs, key: None };
        let summed = |role: Role, of: fn(&JobSpec) -> NumberRange| Nodes {
            name: role.name(),
            count: sum(settings.jobs.iter().map(of)),
            key: None,
        };
        vec![
            Nodes::one(roles::COORDINATION),
            Nodes::one(roles::OBJECT_STORE),
            Nodes::one(roles::LOG),
            Nodes::some(roles::JOB_MANAGER, cluster.job_managers, "job-managers"),
            Nodes::some(roles::TASK_EXECUTOR, cluster.task_executors, "task-executors"),
            Nodes { name: roles::RESOURCE_PROVIDER.name(), count: providers, key: None },
            summed(roles::WRITER, JobSpec::writers),
            of_jobs(roles::CLIENT),
            Nodes::some(roles::REST_READER, cluster.rest_readers, "rest-readers"),
            Nodes { name: roles::DATABASE.name(), count: databases, key: None },
            summed(roles::FRONT_END, JobSpec::front_ends),
            summed(roles::CALLER, JobSpec::callers),
        ]
    }

    fn targets(&self) -> &'static [StateTarget<Model>] {
        roles::STATE_TARGETS
    }

    fn numbered(&self, settings: &Settings) -> Vec<Nodes> {
        // Of the first job: it is always there.
        let count = settings.jobs[0].slots();
        vec![Nodes { name: "subtask", count, key: Some(("[job]", "parallelism")) }]
    }

    fn event_kinds(&self) -> Vec<event::EventKind> {
        event_kinds()
    }

    fn milestones(&self) -> Vec<Milestone> {
        milestones::all()
    }

    fn faults(&self) -> &'static [OwnFault] {
        faults::ALL
    }

    fn messages(&self) -> Vec<MessageGroup> {
        let mut groups = messages(&[
            CoordinationGateway::PROTOCOL,
            BlobGateway::PROTOCOL,
            LogGateway::PROTOCOL,
            DispatcherGateway::PROTOCOL,
            ResourceManagerGateway::PROTOCOL,
            JobMasterGateway::PROTOCOL,
            TaskExecutorGateway::PROTOCOL,
            ResourceProviderGateway::PROTOCOL,
            MachinesGateway::PROTOCOL,
            DatabaseGateway::PROTOCOL,
        ]);
        let kinds = PACKET_KINDS.iter().map(|kind| kind.name()).collect();
        groups.push(MessageGroup { prefix: "stream.".to_string(), kinds });
        groups
    }

    fn sabotages(&self) -> &'static [Sabotage] {
        sabotage::ALL
    }

    fn goals(&self) -> &'static [(&'static str, &'static str)] {
        goals::KEYS
    }

    fn example(&self) -> Example {
        Example {
            crashed: "random-task-executor",
            cut_off: "job-master",
            milestone: "checkpoint-triggered",
            message: "TaskExecutorGateway.",
            power_cut: "coordination",
            paused: "busy-task-executor",
        }
    }

    fn setup(&self, settings: &Settings, run: &RunParameters<'_>) -> Setup<Model> {
        let (config, mode) = (nodes::cluster_config(&settings.cluster), settings.mode());
        let mut before = NodesOfJobs::default();
        let mut jobs: Vec<JobSetup> = (1..)
            .zip(&settings.jobs)
            .map(|(number, job)| {
                let of_job = before;
                before.writers += job.writers().one();
                before.front_ends += job.front_ends().one();
                before.callers += job.callers().one();
                job.setup(&JobRun {
                    number,
                    before: of_job,
                    seed: jobs::spec::seed_of(run.seed, number),
                    // A user's text is that of the first job.
                    input: run.input.filter(|_| number == 1),
                    latency: run.latency.low,
                    service_time: settings.cluster.service_time.one(),
                    config: &config,
                    submission: match mode {
                        Mode::Session => Submission::ByClient,
                        Mode::PerJob | Mode::Application => Submission::WithCluster,
                    },
                    submitted_after: match mode {
                        Mode::Session => job.submitted_after().one(),
                        Mode::PerJob | Mode::Application => Duration::ZERO,
                    },
                })
            })
            .collect();
        if mode == Mode::Application && settings.cluster.program_leaves.is_some() {
            jobs[0].expected_status.push(JobStatus::Canceled);
        }
        let purpose = nodes::Purpose::new(mode, &jobs[0].plan, settings.cluster.program());
        let mut bounds = settings.time_bounds();
        bounds.checkpoint_timeouts = jobs.iter().flat_map(JobSetup::checkpoint_timeouts).collect();
        let mut invariants = invariants_of_cluster(&bounds);
        // Under faults a restart may have any reason.
        if !run.has_faults {
            let sound = jobs.iter().filter(|job| !job.fails_on_purpose).map(|job| job.id);
            invariants.push(Box::new(NoForeignRestart::new(sound)));
        }
        let is_sound = settings.cluster.program().is_sound();
        let ends = ClusterEndsWithItsJob::new(mode).with_program(is_sound);
        invariants.push(Box::new(ends));
        let mut goals = match mode {
            Mode::Session => vec![goals::of_leaders()],
            Mode::PerJob | Mode::Application => vec![goals::of_end(&settings.cluster, jobs[0].id)],
        };
        goals.push(goals::of_reconciliation(&settings.cluster));
        if mode == Mode::Session {
            goals.extend((1..=settings.cluster.rest_readers.one()).map(goals::of_reader));
        }
        if settings.is_on_demand() {
            let needed = settings.jobs.iter().map(|job| job.slots().one()).sum::<u32>();
            let enough = needed.div_ceil(settings.cluster.slots.one());
            invariants.push(Box::new(WorkersAreNeeded::new(enough as usize)));
            invariants.push(Box::new(LatestManagerIsObeyed::default()));
            goals.push(goals::of_machines(jobs.iter().map(|job| job.id).collect()));
        }
        let programs = jobs::spec::programs(self.jobs());
        let uses_database = settings.jobs.iter().any(JobSpec::uses_database);
        if uses_database {
            invariants.extend(invariants::of_databases());
        }
        if before.front_ends > 0 {
            invariants.extend(invariants::of_services());
            if !run.has_faults {
                invariants.push(Box::new(AnsweredInQuiet));
            }
        }
        if settings.jobs.iter().any(JobSpec::writes_files) {
            invariants.extend(invariants::of_files());
        }
        let cluster = &settings.cluster;
        let mut nodes =
            nodes::nodes(cluster, &config, &programs, &purpose, uses_database, run.seed);
        let (mut outputs, mut explanations) = (Vec::new(), Vec::new());
        let (slots, needed) = (settings.slots(), needed_slots(settings).low);
        let all_can_run = too_few_slots(u64::from(slots), needed).is_none();
        for job in jobs {
            if all_can_run {
                goals.push(goals::of_progress(job.id, &settings.cluster));
            }
            goals.extend(goals::of_job(&job, run.has_faults, mode));
            invariants.push(job.oracle);
            invariants.extend(job.besides);
            nodes.extend(job.nodes);
            outputs.push(job.output);
            explanations.push(job.explain);
        }
        Setup {
            nodes,
            invariants,
            goals,
            output: Box::new(move |model| {
                joined(outputs.into_iter().map(|output| output(model)).collect())
            }),
            explain: Box::new(move |model, stuck| {
                let few =
                    too_few_slots(u64::from(slots), needed).map(|few| format!("no bug: {few}"));
                few.into_iter().chain(explanations.iter().flat_map(|e| e(model, stuck))).collect()
            }),
        }
    }

    fn lints(&self, settings: &Settings, context: &LintContext) -> Vec<String> {
        let slots = settings.cluster.task_executors.low * settings.cluster.slots.low;
        let few = too_few_slots(slots, needed_slots(settings).high);
        let few = few.map(|few| format!("{few}: not all can run at once"));
        let several = settings.jobs.iter().map(|job| job.count().low).sum::<u64>() > 1;
        let of_mode = settings.cluster.per_job.high > 0 || settings.cluster.application.high > 0;
        let unused = (several && of_mode).then(|| {
            "a cluster with several jobs is a session cluster, whatever the seed".to_string()
        });
        let jobs = settings.jobs.iter().flat_map(|job| job.lints(context));
        few.into_iter().chain(unused).chain(jobs).collect()
    }

    fn check_input(&self, settings: &Settings, lines: &[Bytes]) -> Result<(), String> {
        settings.jobs[0].check_input(lines)
    }
}

/// How many slots the jobs that are always there need together.
fn needed_slots(settings: &Settings) -> NumberRange {
    sum(settings.jobs.iter().filter(|job| job.is_always_there()).map(JobSpec::all_slots))
}

fn sum(of: impl Iterator<Item = NumberRange>) -> NumberRange {
    of.fold(NumberRange::only(0), |sum, of| NumberRange {
        low: sum.low + of.low,
        high: sum.high + of.high,
    })
}

fn too_few_slots(slots: u64, needed: u64) -> Option<String> {
    (slots < needed).then(|| format!("the jobs need {needed} slots, and the cluster has {slots}"))
}

/// Jobs whose outputs are told one by one.
const OUTPUTS_TOLD: usize = 4;

/// What came out of several jobs; in full it is the first one's, which takes a user's text.
fn joined(mut outputs: Vec<Output>) -> Output {
    if outputs.len() == 1 {
        return outputs.swap_remove(0);
    }
    let mut joined = Output::default();
    let more = outputs.len().saturating_sub(OUTPUTS_TOLD);
    for (number, output) in (1..).zip(outputs).take(OUTPUTS_TOLD) {
        let of_job = |text: &String| format!("job {number}: {text}");
        match number {
            1 => joined.lines = output.lines,
            _ => joined.summary += "; ",
        }
        joined.summary += &of_job(&output.summary);
        joined.end.extend(output.end.iter().map(of_job));
        joined.compared = joined.compared.or(output.compared);
    }
    if more > 0 {
        joined.summary += &format!("; and {more} jobs more");
    }
    joined
}

/// The kinds of the cluster's events, what comes most often first; those of the hardware aside.
pub fn event_kinds() -> Vec<event::EventKind> {
    let own = EventKind::ALL.iter().filter(|kind| **kind != EventKind::Hardware);
    own.map(|kind| kind.of_harness()).collect()
}

fn invariants_of_cluster(bounds: &TimeBounds) -> Vec<Box<dyn Invariant<Model>>> {
    let mut invariants = invariants::of_foundation(bounds, &[]);
    invariants.extend(invariants::of_jobs(bounds));
    invariants
}

/// A checker of all that must hold of a cluster that runs jobs, for a world that is driven by hand.
pub fn checker(bounds: &TimeBounds) -> Checker {
    Checker::of(kinds_and_hardware(), invariants_of_cluster(bounds))
}

/// A checker of all that must hold of the foundation, for a world that is driven by hand.
pub fn checker_of_foundation(bounds: &TimeBounds) -> Checker {
    Checker::of::<Model>(kinds_and_hardware(), invariants::of_foundation(bounds, &[]))
}

fn kinds_and_hardware() -> Vec<event::EventKind> {
    EventKind::ALL.iter().map(|kind| kind.of_harness()).collect()
}
