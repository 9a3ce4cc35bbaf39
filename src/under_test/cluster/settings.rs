//! What a scenario says of a cluster and its jobs.

use super::{
    bounds::TimeBounds,
    jobs::{
        KnownJobs, shipped,
        spec::{self, JobSpec},
    },
};
use crate::harness::language::{
    self, DurationRange, Mistakes, NumberRange, Reader, Setting, Share, Writer, fixed, maybe_time,
    number, part, time,
};
use std::time::Duration;

crate::settings! {
    /// The nodes of a cluster and how long it may take while faults last; the coordination, object store and log
    /// servers come on top, and a writer and a client for each job.
    #[derive(Clone, Debug, PartialEq)]
    ClusterSettings {
        cluster {
            "job-managers" job_managers: NumberRange = number(1, 16, 3).size(), "Job managers, of which one leads.";
            "task-executors" task_executors: NumberRange = number(1, 2_000, 4).size(), "Task executors.";
            "rest-readers" rest_readers: NumberRange = number(0, 16, 0).size(), "Readers of REST: each asks web monitors about once a second for jobs.";
            "rest-cancels" rest_cancels: Share = part("0%"), "How many of the runs have readers of REST that cancel jobs now and then.";
            "slots" slots: NumberRange = number(1, 64, 2).size(), "Slots of each task executor.";
            "per-job" per_job: Share = part("0%"), "How many of the runs that have one job are there for it alone, and end with it.";
            "application" application: Share = part("0%"), "How many of the others of those execute a program on the cluster that executes the job, and end with it.";
            "program-fails" program_fails: NumberRange = number(0, 16, 0), "How many executions of the program fail after its job has ended, each for a passing reason.";
            "program-leaves" program_leaves: Option<DurationRange> = maybe_time("0s", "60m"), "How long a program waits for its job before it fails, and leaves the job behind; for its end when absent.";
            "on-demand" on_demand: Share = part("0%"), "How many of the runs have a provider of machines, whose machines the task executors are, and ask it for as many as they need.";
            "machine-delay" machine_delay: DurationRange = time("0ms", "10m", "0ms"), "How long a machine that was asked for takes to come, at most.";
            "machines-twice" machines_twice: Share = part("0%"), "How many of the machines come twice, under one name.";
            "machine-idle" machine_idle: DurationRange = time("1s", "10m", "5s"), "How long a machine may be of no use before it is given back.";
            "scarce" scarce: Share = part("0%"), "How many of the runs have no task executor to spare: as few as their jobs need.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
            "heartbeat" heartbeat: DurationRange = time("10ms", "10m", "1s"), "From beat to beat; a peer is lost after five of them.";
            "service-time" service_time: DurationRange = time("0ms", "1m", "0ms"), "What handling one record takes.";
            "cancellation-timeout" cancellation_timeout: DurationRange = time("1s", "60m", "3m"), "How long a canceled task may take to end before its task executor ends itself.";
            "log-segment-bytes" log_segment_bytes: NumberRange = number(1, 67_108_864, 1_048_576), "So much of a partition's records is written to a file of its own, and no longer kept in memory.";
            "log-memory-bytes" log_memory_bytes: NumberRange = number(1, 67_108_864, 16_777_216), "Records in the log server's memory; if there are more, less goes into a file.";
            "buffer-timeout" buffer_timeout: DurationRange = time("0ms", "1m", "100ms"), "How long a record may wait in a buffer that is not full: not at all if zero.";
        }
        meanwhile {
            "checkpoint" checkpoint: DurationRange = fixed("0s", "60m", "2s"), "What a checkpoint may take beyond its time-out.";
            "failover" failover: DurationRange = fixed("3s", "60m", "4s"), "How long a checkpoint may keep a job waiting that restarts or ends.";
            "cancellation" cancellation: DurationRange = fixed("0s", "60m", "15s"), "From the acknowledgement of a cancellation to the job's result, under leaders that stay.";
            "left-objects" left_objects: DurationRange = fixed("0s", "60m", "20s"), "How long an object may stay that a checkpoint has left which came to nothing, while the job completes others.";
            "next-checkpoint" next_checkpoint: Option<DurationRange> = maybe_time("0s", "60m"), "How long a job that runs may be without another complete checkpoint, beyond its interval or pause; for ever when absent.";
            "progress" progress: DurationRange = fixed("0s", "60m", "30s"), "How long a job may not get on while no fault is in force, beyond what its settings let it wait.";
            "reconciliation" reconciliation: DurationRange = fixed("0s", "60m", "10s"), "How long a task executor may keep what nobody wants while no fault is in force, beyond ten heartbeats and a slot's own time-out.";
        }
    }
}

impl ClusterSettings {
    /// What is left of a drawn cluster whose jobs need so many slots, if its seed draws that slots are scarce.
    fn made_scarce(self, needed: u32, seed: u64) -> Self {
        let is_scarce = self.scarce.decided(seed, "scarce slots") == Share::ALWAYS;
        let enough = needed.div_ceil(self.slots.one()).min(self.task_executors.one());
        let task_executors = match is_scarce {
            true => NumberRange::only(enough.into()),
            false => self.task_executors,
        };
        // It is decided, also for who draws from what was drawn.
        ClusterSettings { task_executors, scarce: Share::only(0), ..self }
    }

    /// What its program does, of a drawn cluster.
    pub fn program(&self) -> ProgramBehaviour {
        ProgramBehaviour {
            fails: self.program_fails.one(),
            leaves_after: self.program_leaves.map(DurationRange::one),
        }
    }

    /// The same, there for what its seed draws; for several jobs it is a session cluster.
    fn with_mode(self, jobs: usize, seed: u64) -> Self {
        let alone = |share: Share, what| match jobs {
            1 => share.decided(seed, what),
            _ => Share::only(0),
        };
        let per_job = alone(self.per_job, "per job");
        let application = match per_job == Share::ALWAYS {
            true => Share::only(0),
            false => alone(self.application, "application"),
        };
        let on_demand = self.on_demand.decided(seed, "on demand");
        let rest_cancels = self.rest_cancels.decided(seed, "REST cancels");
        ClusterSettings { per_job, application, on_demand, rest_cancels, ..self }
    }
}

/// The settings of a cluster, and its jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `[cluster]` and `[meanwhile]`.
    pub cluster: ClusterSettings,
    /// Each `[[job]]`, in order; never none.
    pub jobs: Vec<JobSpec>,
}

impl Default for Settings {
    /// A cluster and a word count.
    fn default() -> Self {
        Settings::of(shipped())
    }
}

/// What a program does besides executing its job.
#[derive(Clone, Copy, Debug)]
pub struct ProgramBehaviour {
    /// So many executions of it fail after the job.
    pub fails: u32,
    /// It waits no longer than this for the end of its job, and fails.
    pub leaves_after: Option<Duration>,
}

impl ProgramBehaviour {
    /// Whether it does nothing but wait for its job.
    pub fn is_sound(self) -> bool {
        self.fails == 0 && self.leaves_after.is_none()
    }
}

/// What a drawn cluster is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Jobs that clients submit.
    Session,
    /// Its one job, from its start.
    PerJob,
    /// A program that executes its one job.
    Application,
}

impl Settings {
    /// A cluster and one job, the first of those.
    pub(super) fn of(known: KnownJobs) -> Self {
        Settings { cluster: ClusterSettings::default(), jobs: vec![JobSpec::of(known[0])] }
    }

    /// Every key of a cluster and of those jobs.
    pub(super) fn declared_of(known: KnownJobs) -> Vec<Setting> {
        let mut declared = <ClusterSettings as language::Settings>::declared();
        declared.extend(spec::declared(known));
        declared
    }

    /// Reads what a file says of a cluster and of those jobs.
    pub(super) fn read_of(known: KnownJobs, file: &mut Reader, mistakes: &mut Mistakes) -> Self {
        let cluster = <ClusterSettings as language::Settings>::read(file, mistakes);
        Settings { cluster, jobs: spec::read(known, file, mistakes) }
    }

    /// What the cluster of drawn settings is there for.
    pub fn mode(&self) -> Mode {
        let drawn = |share: Share| share == Share::ALWAYS;
        match (drawn(self.cluster.per_job), drawn(self.cluster.application)) {
            (true, _) => Mode::PerJob,
            (false, true) => Mode::Application,
            (false, false) => Mode::Session,
        }
    }

    /// Whether drawn settings have a provider of machines.
    pub fn is_on_demand(&self) -> bool {
        self.cluster.on_demand == Share::ALWAYS
    }

    /// The slots of all task executors, of drawn settings.
    pub fn slots(&self) -> u32 {
        self.cluster.task_executors.one() * self.cluster.slots.one()
    }

    /// The bounds that invariants check by, of drawn settings; those of jobs aside.
    pub fn time_bounds(&self) -> TimeBounds {
        let ClusterSettings {
            session_timeout,
            checkpoint,
            failover,
            cancellation,
            left_objects,
            ..
        } = &self.cluster;
        let next_checkpoint = self.cluster.next_checkpoint.map(DurationRange::one);
        TimeBounds {
            session_timeout: session_timeout.one(),
            heartbeat_timeout: heartbeat_timeout(&self.cluster),
            checkpoint: checkpoint.one(),
            failover: failover.one(),
            cancellation: cancellation.one(),
            left_objects: left_objects.one(),
            next_checkpoint,
            ..TimeBounds::default()
        }
    }
}

/// How long a peer may send no beat before it is lost, of drawn settings.
pub fn heartbeat_timeout(settings: &ClusterSettings) -> Duration {
    settings.heartbeat.one() * 5
}

/// With the jobs of this crate where nobody says which there are.
impl language::Settings for Settings {
    fn declared() -> Vec<Setting> {
        Settings::declared_of(shipped())
    }

    fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Self {
        Settings::read_of(shipped(), file, mistakes)
    }

    fn write(&self, writer: &mut Writer) {
        self.cluster.write(writer);
        self.jobs.iter().for_each(|job| job.write(writer));
    }

    fn read_keys(table: &mut Reader, mistakes: &mut Mistakes) -> Self {
        Self::read(table, mistakes)
    }

    fn write_keys(&self, writer: &mut Writer) {
        language::Settings::write(self, writer);
    }

    fn at_edges(&self, seed: u64) -> Self {
        let cluster = self.cluster.at_edges(seed);
        Settings { cluster, jobs: spec::at_edges(&self.jobs, seed) }
    }

    fn draw(&self, seed: u64) -> Self {
        let cluster = self.cluster.draw(seed);
        let slots = cluster.task_executors.one() * cluster.slots.one();
        let jobs = spec::draw(&self.jobs, slots, seed);
        let needed = jobs.iter().map(|job| job.slots().one()).sum();
        let cluster = cluster.made_scarce(needed, seed).with_mode(jobs.len(), seed);
        Settings { cluster, jobs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::language::Settings as _;

    #[test]
    fn a_scarce_cluster_has_no_task_executor_to_spare_and_needs_no_second_draw() {
        let cluster = ClusterSettings {
            task_executors: NumberRange::only(6),
            slots: NumberRange::only(3),
            scarce: Share::only(330_000),
            ..ClusterSettings::default()
        };
        let settings = Settings { cluster, jobs: vec![JobSpec::default()] };
        let draw = |seed| settings.draw(seed).cluster;
        let scarce = (0..200).filter(|seed| draw(*seed).task_executors == NumberRange::only(2));
        let count = scarce.count();
        assert!((40..95).contains(&count), "a third of 200, and {count} were");
        for seed in 0..200 {
            let drawn = settings.draw(seed);
            assert!(drawn.slots() >= 4, "the job needs four slots");
            assert_eq!(drawn, drawn.draw(seed));
        }
    }
}
