//! `submit`: a job of this binary is run: by a cluster that runs, or of one that is made for it.

use super::{
    connection::{Connection, DISPATCHER, Target, connected},
    deployer::{ClusterDeployer, Deployed},
    deployment::DeploymentResult,
    folder::ClusterFolder,
    follow::follow,
    local::with_local_cluster,
    object_store::ObjectStoreArgument,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::{Size, Timeouts},
        programs::{Prepared, Unprepared, prepare},
        text::{Narrator, parse_bytes, parse_duration, say},
    },
    jobs::Jobs,
    system::{
        graph::{SavepointSource, StateBackend},
        ids::JobId,
        job_manager::Application,
        protocol::{JobResult, JobStatus},
    },
};
use clap::{Args, ValueEnum};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Submit a job: to a cluster that runs, or to one that is made for it.
///
/// JOB is a job of this binary; its own arguments stand behind --, and `-- --help` tells them. The job's
/// id is the first line of what is printed, as soon as the cluster has taken the job on: from then on it goes
/// on whatever becomes of this command, of the cluster's processes or of the machine.
///
/// A cluster of the job's own, per-job or application, is made in a new folder and goes on in the background. `jobs`,
/// `info`, `cancel` and `stop-cluster` take that folder while it runs. It ends when its job has ended; DIR/result.json
/// tells what it came to, and its data stay: `start-cluster` on the folder serves them again. One that was stopped or
/// killed before goes on, in the same way, with `start-cluster`.
///
/// Exit codes: 0 the cluster has taken the job on, with --wait or locally it has finished; 1 it has failed or was
/// canceled; 2 it could not be submitted; 3 no job manager gives an answer, or the cluster did not come up; 130
/// interrupted before the cluster of the job's own had taken it on, or locally: the cluster is ended.
///
/// Try `cargo live submit word-count --target per-job --wait -- --input README.md`.
#[derive(Args)]
pub struct Submit {
    /// The job's name
    #[arg(value_name = "JOB")]
    job: String,
    /// Which cluster runs it
    #[arg(long, value_enum, default_value_t = ClusterTarget::Session)]
    target: ClusterTarget,
    /// How many subtasks each vertex of the job has, each in a slot
    #[arg(long, value_name = "N", default_value_t = 1)]
    parallelism: u32,
    /// Where tasks keep their state by key, and how it gets into checkpoints
    #[arg(long, value_enum, default_value_t = Backend::Heap)]
    state_backend: Backend,
    /// Memory for the state of each keyed operator of a subtask, where it is on disk
    #[arg(long, value_name = "BYTES", default_value = "64MiB", value_parser = parse_bytes)]
    state_memory: u64,
    /// Begin from the savepoint that lies there in the cluster's object store, as `savepoint` and `stop` have printed it,
    /// at any parallelism. The job's own arguments must be those that it was taken with
    #[arg(long, value_name = "PATH")]
    from_savepoint: Option<String>,
    /// Leave out state of operators that the job does not have
    #[arg(long, requires = "from_savepoint")]
    allow_non_restored_state: bool,
    /// Follow the job until it has ended, and tell how far it is; a local cluster is always waited for
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    size: OwnSize,
    /// The folder of the cluster. Without it: wavetank-cluster for a session, a new one named after it and the job
    /// for a cluster of the job's own, a temporary one for a local cluster
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Give up when nobody has answered, or the cluster is not there, for so long
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = parse_duration)]
    within: Duration,
    /// The job's own arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// Which cluster runs a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClusterTarget {
    /// One in this command's own process, which ends with the job
    Local,
    /// The one that `start-cluster` has started
    Session,
    /// A new one of processes, which is made for this job alone and ends with it
    PerJob,
    /// The same, but the program itself is executed on the cluster, by the job manager that leads
    Application,
}

/// Where tasks keep their state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// In memory; in checkpoints it goes to the job's master, 32 KiB of a task at most
    Memory,
    /// In memory; in checkpoints it lies in the object store
    Heap,
    /// On the disks of the task executors, more than memory; each checkpoint adds what has changed to the object store
    Disk,
}

/// The size of a cluster of the job's own.
#[derive(Args, Debug)]
#[command(next_help_heading = "A cluster of the job's own (not --target session)")]
struct OwnSize {
    /// Job managers: one leads, the others take over [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    job_managers: Option<u16>,
    /// Task executors [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    executors: Option<u16>,
    /// Start task executors when the job needs them, --executors at most
    #[arg(long)]
    on_demand: bool,
    /// Slots of each task executor: a job needs as many as its greatest parallelism [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    slots: Option<u32>,
    #[command(flatten)]
    object_store: ObjectStoreArgument,
}

impl OwnSize {
    fn size(&self, target: ClusterTarget) -> Result<Size, CliError> {
        let OwnSize { job_managers, executors, on_demand, slots, object_store } = self;
        let elsewhere = object_store.is_given();
        let refused = match target {
            ClusterTarget::Session => {
                let sized = job_managers.is_some() || executors.is_some() || slots.is_some();
                sized || *on_demand || elsewhere
            }
            ClusterTarget::Local => {
                job_managers.is_some_and(|count| count > 1) || *on_demand || elsewhere
            }
            ClusterTarget::PerJob | ClusterTarget::Application => false,
        };
        match (refused, target) {
            (true, ClusterTarget::Local) => Err(CliError::new(
                "--job-managers, --on-demand, --object-store: a local cluster has one job manager, which can't be killed, its \
                     task executors, and its objects beside them",
            )),
            (true, _) => Err(CliError::new(
                "--job-managers, --executors, --on-demand, --slots and --object-store are those of a cluster of the job's own; \
                 --target per-job makes one, and those of a session cluster `start-cluster` says",
            )),
            (false, _) => Ok(Size {
                job_managers: job_managers.unwrap_or(1),
                task_executors: executors.unwrap_or(2),
                on_demand: *on_demand,
                slots: slots.unwrap_or(4),
                rest_port: 0,
                timeouts: Timeouts::DEFAULT,
            }),
        }
    }
}

impl Submit {
    /// Does it.
    pub fn run(&self, log: &str, jobs: &Jobs) -> Result<Outcome, CliError> {
        let prepared = match prepare(jobs, &self.job, &self.arguments, None) {
            Ok(prepared) => prepared,
            Err(Unprepared::Refused(error)) => return Err(error),
            Err(Unprepared::Arguments(told)) => {
                // Whoever read it may have gone.
                let _ = told.print();
                return Ok(if told.use_stderr() { Outcome::BadInput } else { Outcome::Passed });
            }
        };
        // What is wrong with the graph is told before anything is uploaded or started.
        prepared.job(JobId(0), self.parallelism)?;
        let size = self.size.size(self.target)?;
        let is_own = matches!(self.target, ClusterTarget::PerJob | ClusterTarget::Application);
        if is_own && self.state_backend != Backend::Heap {
            return Err(CliError::new(
                "--state-backend: a cluster of the job's own keeps its state on the heap",
            ));
        }
        if self.from_savepoint.is_some() && self.target != ClusterTarget::Session {
            return Err(CliError::new(
                "--from-savepoint: jobs of a session cluster begin from savepoints, and a cluster of the job's own begins from \
                 none",
            ));
        }
        match self.target {
            ClusterTarget::Session => {
                let folder = self.data.as_deref().map(ClusterFolder::new).unwrap_or_default();
                let target = Target { folder, within: self.within };
                connected(&target, async |connection| {
                    self.submit(&connection, &prepared, self.wait).await
                })
            }
            ClusterTarget::Local => {
                let data = self.data.as_deref();
                let ended = with_local_cluster(jobs, data, size, self.within, async |connection| {
                    self.submit(&connection, &prepared, true).await
                });
                if data.is_none() && matches!(ended, Ok(Outcome::Passed)) {
                    say("the cluster is gone, and the output with it; --data DIR keeps both");
                }
                ended
            }
            ClusterTarget::PerJob | ClusterTarget::Application => self.deploy(&prepared, size, log),
        }
    }

    /// Hands a job to a cluster that runs.
    async fn submit(
        &self,
        connection: &Connection,
        prepared: &Prepared,
        wait: bool,
    ) -> Result<Outcome, CliError> {
        let (job, narrator) = (JobId(connection.host.random_u128()), Narrator::new());
        let services = &connection.services;
        let uploading = prepared.upload(job, &*services.objects);
        connection.answered("the object store", uploading).await??;
        let mut graph = prepared.job(job, self.parallelism)?;
        graph.state_backend = match self.state_backend {
            Backend::Memory => StateBackend::Memory,
            Backend::Heap => StateBackend::default(),
            Backend::Disk => StateBackend::Disk { memory: self.state_memory },
        };
        graph.savepoint = self.from_savepoint.as_ref().map(|path| SavepointSource {
            path: path.trim_end_matches('/').to_string(),
            may_leave_state: self.allow_non_restored_state,
        });
        let (log, output) = (&services.log, prepared.output(job));
        let created = prepared.create_topic(job, &**log, self.parallelism);
        let created = connection.answered("the log server", created).await?;
        created.map_err(|refusal| CliError::new(format!("topic {output}: {refusal}")))?;
        let submitted = connection.jobs.submit(&graph);
        let submitted = connection.answered(DISPATCHER, submitted).await;
        let submitted = submitted.map_err(|error| {
            CliError::stuck(format!("{error}; whether it has taken job {job} on, `jobs` will tell"))
        })?;
        submitted.map_err(|refusal| {
            CliError::new(format!("the cluster does not take the job: {refusal}"))
        })?;
        say(&job.to_string());
        if !wait {
            return Ok(Outcome::Passed);
        }
        let result = follow(connection, job, &narrator).await?;
        narrator.clear();
        let read = connection.folder.command(&format!("output {}", prepared.output(job)));
        let place = match (prepared.is_table(), self.target) {
            // Nobody is asked any more when a local cluster is gone.
            (true, _) | (_, ClusterTarget::Local) => prepared.place(job),
            _ => format!("{}; `{read}` prints it", prepared.place(job)),
        };
        Ok(judge(&result, &place, &narrator))
    }

    /// Makes a cluster for the job.
    fn deploy(&self, prepared: &Prepared, size: Size, log: &str) -> Result<Outcome, CliError> {
        let random = || u128::from(getrandom::u64().expect("the operating system has randomness"));
        let drawn = JobId((random() << 64) | random());
        let named = format!("wavetank-cluster-{}", &drawn.to_string()[..8]);
        let path = std::path::absolute(self.data.as_deref().unwrap_or(Path::new(&named)))?;
        let (folder, narrator) = (ClusterFolder::new(&path), Narrator::new());
        let (within, object_store) = (self.within, &self.size.object_store);
        let deployer = ClusterDeployer { folder: &folder, size, within, log, object_store };
        let (job, deployed) = match self.target {
            ClusterTarget::Application => {
                let arguments = &self.arguments;
                let deployed = deployer.deploy_application(
                    prepared,
                    arguments,
                    self.parallelism,
                    &narrator,
                )?;
                (Application::JOB, deployed)
            }
            _ => {
                let deployed =
                    deployer.deploy_per_job(prepared, drawn, self.parallelism, &narrator)?;
                (drawn, deployed)
            }
        };
        let result = match deployed {
            Deployed::Failed(outcome) => return Ok(outcome),
            Deployed::Ended(result) => {
                say(&job.to_string());
                result
            }
            Deployed::Runs { url } => {
                say(&job.to_string());
                narrator.say(&format!("its cluster runs in {}, {url}", path.display()));
                if !self.wait {
                    return Ok(Outcome::Passed);
                }
                self.until_ended(&folder, job, &narrator)?
            }
        };
        let outcome = judge(&result.end.job_result(), &prepared.place(job), &narrator);
        let kept = folder.command("start-cluster");
        narrator.say(&format!(
            "its cluster has ended as {}; `{kept}` serves its data again",
            result.end.status
        ));
        Ok(outcome)
    }

    /// Follows a job to the end of its cluster. Signals end this command at once, and leave the cluster alone.
    fn until_ended(
        &self,
        folder: &ClusterFolder,
        job: JobId,
        narrator: &Narrator,
    ) -> Result<DeploymentResult, CliError> {
        let target = Target { folder: folder.clone(), within: self.within };
        let followed = connected(&target, async |connection| {
            follow(&connection, job, narrator).await?;
            narrator.clear();
            Ok(Outcome::Passed)
        });
        // It may have ended before it was asked anything.
        match DeploymentResult::of(folder, job)? {
            Some(result) => Ok(result),
            None => Err(followed.err().unwrap_or_else(|| CliError::stuck("it has left no result"))),
        }
    }
}

fn judge(result: &JobResult, place: &str, narrator: &Narrator) -> Outcome {
    if result.status == JobStatus::Finished {
        narrator.say(&format!("its output is committed to {place}"));
        return Outcome::Passed;
    }
    if let Some(cause) = &result.cause {
        narrator.say(&format!("it failed: {cause}"));
    }
    Outcome::Violated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_that_of_a_cluster_of_the_job_s_own() {
        let none = OwnSize {
            job_managers: None,
            executors: None,
            on_demand: false,
            slots: None,
            object_store: ObjectStoreArgument::default(),
        };
        let size = none.size(ClusterTarget::PerJob).expect("it is the usual one");
        assert_eq!((size.job_managers, size.task_executors, size.slots), (1, 2, 4));
        none.size(ClusterTarget::Session).expect("nothing was said");
        let (job_managers, executors, slots) = (Some(2), Some(3), Some(1));
        let some = OwnSize { job_managers, executors, slots, ..none };
        assert_eq!(some.size(ClusterTarget::Application).expect("it is one").task_executors, 3);
        for target in [ClusterTarget::Session, ClusterTarget::Local] {
            let refused = some.size(target).expect_err("it has none").to_string();
            assert!(refused.contains("--job-managers"), "{refused}");
        }
    }
}
