//! What a scenario says of a cluster and its jobs.

use super::{
    bounds::TimeBounds,
    jobs::{self, JobSpec},
};
use crate::harness::language::{
    self, DurationRange, Mistakes, NumberRange, Reader, Setting, Writer, fixed, number, time,
};

crate::settings! {
    /// The nodes of a cluster and how long it may take while faults last; the coordination, blob and log
    /// servers come on top, and a writer and a client for each job.
    #[derive(Clone, Debug, PartialEq)]
    ClusterSettings {
        cluster {
            "job-managers" job_managers: NumberRange = number(1, 16, 3), "Job managers, of which one leads.";
            "task-executors" task_executors: NumberRange = number(1, 64, 4), "Task executors.";
            "slots" slots: NumberRange = number(1, 64, 2), "Slots of each task executor.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
            "heartbeat" heartbeat: DurationRange = time("10ms", "10m", "1s"), "From beat to beat; a peer is lost after five of them.";
            "service-time" service_time: DurationRange = time("0ms", "1m", "0ms"), "What handling one record takes.";
            "buffer-timeout" buffer_timeout: DurationRange = time("1ms", "1m", "100ms"), "How long a record may wait in a buffer.";
        }
        meanwhile {
            "checkpoint" checkpoint: DurationRange = fixed("0s", "60m", "2s"), "What a checkpoint may take beyond its time-out.";
            "failover" failover: DurationRange = fixed("3s", "60m", "4s"), "How long a checkpoint may keep a job waiting that restarts or ends.";
            "cancellation" cancellation: DurationRange = fixed("0s", "60m", "15s"), "From the acknowledgement of a cancellation to the job's result, under leaders that stay.";
        }
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
    fn default() -> Self {
        Settings { cluster: ClusterSettings::default(), jobs: vec![JobSpec::default()] }
    }
}

impl Settings {
    /// The slots of all task executors, of drawn settings.
    pub fn slots(&self) -> u32 {
        self.cluster.task_executors.one() * self.cluster.slots.one()
    }

    /// The bounds that invariants check by, of drawn settings; those of jobs aside.
    pub fn time_bounds(&self) -> TimeBounds {
        let ClusterSettings { session_timeout, checkpoint, failover, cancellation, .. } =
            &self.cluster;
        TimeBounds {
            session_timeout: session_timeout.one(),
            checkpoint: checkpoint.one(),
            failover: failover.one(),
            cancellation: cancellation.one(),
            ..TimeBounds::default()
        }
    }
}

impl language::Settings for Settings {
    fn declared() -> Vec<Setting> {
        let mut declared = ClusterSettings::declared();
        declared.extend(jobs::declared());
        declared
    }

    fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Self {
        let cluster = ClusterSettings::read(file, mistakes);
        Settings { cluster, jobs: jobs::read(file, mistakes) }
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

    fn draw(&self, seed: u64) -> Self {
        let cluster = self.cluster.draw(seed);
        let slots = cluster.task_executors.one() * cluster.slots.one();
        Settings { cluster, jobs: jobs::draw(&self.jobs, slots, seed) }
    }
}
