//! The client's side of a cluster that is made for one job or one program.

use super::{
    connection::Connection,
    deployment::{Deployment, DeploymentMode, DeploymentResult, input_file, job_graph_file},
    folder::ClusterFolder,
    launch::{Launch, Launched, Starting, TICK},
    object_store::ObjectStoreArgument,
};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::{Size, write_job_graph},
        folder::write_whole,
        programs::Prepared,
        text::Narrator,
    },
    host::Host,
    jobs::Job,
    system::{graph::JobGraph, ids::JobId, job_manager::Application},
};
use std::time::Duration;

/// A look at the cluster gives up after that, so that a supervisor that has ended is seen.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Makes a cluster for one job: a folder with all that the cluster is to know, and a supervisor that starts it there.
pub struct ClusterDeployer<'a> {
    /// Where; nothing is there yet.
    pub folder: &'a ClusterFolder,
    /// What the cluster consists of.
    pub size: Size,
    /// How long it may take until it runs the job.
    pub within: Duration,
    /// Which tracing lines its processes print.
    pub log: &'a str,
    /// Where its objects are.
    pub object_store: &'a ObjectStoreArgument,
}

/// A cluster that was deployed.
pub enum Deployed {
    /// It has taken its job on.
    Runs {
        /// The URL of a web monitor.
        url: String,
    },
    /// It has ended already.
    Ended(DeploymentResult),
    /// It did not come up, which has been told.
    Failed(Outcome),
}

impl ClusterDeployer<'_> {
    /// A cluster that runs this program's job; `job` is the job's id.
    pub fn deploy_per_job(
        &self,
        prepared: &Prepared,
        job: JobId,
        parallelism: u32,
        narrator: &Narrator,
    ) -> Result<Deployed, CliError> {
        let graph = prepared.job(job, parallelism)?;
        self.check(&graph)?;
        let output = prepared.output(job);
        let deployment = Deployment::new(job, output, parallelism, DeploymentMode::PerJob);
        self.deploy(deployment, prepared, Some(&graph), narrator)
    }

    /// A cluster that executes this program.
    pub fn deploy_application(
        &self,
        prepared: &Prepared,
        arguments: &[String],
        parallelism: u32,
        narrator: &Narrator,
    ) -> Result<Deployed, CliError> {
        let job = Application::JOB;
        // What is wrong with the program's job is told before a cluster is there for it.
        self.check(&prepared.job(job, parallelism)?)?;
        let (program, arguments) = (prepared.name().to_string(), arguments.to_vec());
        let mode = DeploymentMode::Application { program, arguments };
        let deployment = Deployment::new(job, prepared.output(job), parallelism, mode);
        self.deploy(deployment, prepared, None, narrator)
    }

    /// Refuses a job that would wait for slots for ever.
    fn check(&self, job: &JobGraph) -> Result<(), CliError> {
        let (needed, offered) =
            (job.required_slots(), u32::from(self.size.task_executors) * self.size.slots);
        match needed > offered {
            true => Err(CliError::new(format!(
                "the job needs {needed} slots, and its cluster would have {offered}; --executors and --slots give \
                 it more"
            ))),
            false => Ok(()),
        }
    }

    fn deploy(
        &self,
        mut deployment: Deployment,
        prepared: &Prepared,
        graph: Option<&JobGraph>,
        narrator: &Narrator,
    ) -> Result<Deployed, CliError> {
        self.folder.check_new()?;
        let lock = self.folder.claim()?;
        self.object_store.settle(self.folder.path())?;
        if let Some(text) = prepared.text() {
            deployment.text = Some(Job::text_name(deployment.job));
            write_whole(&input_file(self.folder), text)?;
        }
        if let Some(graph) = graph {
            write_job_graph(&job_graph_file(self.folder), graph)?;
        }
        deployment.write(self.folder)?;
        let ClusterDeployer { folder, size, within, log, .. } = *self;
        let launched =
            Launch { folder, size, within, log }.run(lock, narrator, async |host, starting| {
                until_taken_on(host, starting, deployment.job, narrator).await
            });
        Ok(match launched? {
            Launched::Ready(deployed) => deployed,
            Launched::Ended(outcome) => Deployed::Failed(outcome),
        })
    }
}

/// Waits until a dispatcher leads that knows the job, or the cluster has ended.
async fn until_taken_on(
    host: &Host,
    starting: &mut Starting<'_>,
    job: JobId,
    narrator: &Narrator,
) -> Result<Deployed, CliError> {
    let mut client = None;
    loop {
        if let Err(why) = starting.goes_on() {
            return DeploymentResult::read(starting.folder)?.map(Deployed::Ended).ok_or(why);
        }
        match (&client, starting.running()?) {
            (None, Some(cluster)) => {
                client = Some(Connection::new(host, starting.folder, &cluster, LOOK_MAX).await?);
                starting.miss("no job manager has taken the job on yet");
            }
            (None, None) => {}
            (Some(connection), running) => {
                let details = host.timeout(LOOK_MAX, connection.jobs.details(job)).await;
                let url = running.and_then(|cluster| cluster.rest.into_iter().next());
                if let (Ok(Ok(_)), Some(url)) = (details, url) {
                    return Ok(Deployed::Runs { url });
                }
            }
        }
        narrator.progress(starting.missing());
        host.sleep(TICK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::live::{cluster::Timeouts, programs::prepare},
        jobs::shipped,
    };

    #[test]
    fn a_job_that_no_such_cluster_can_run_is_refused_before_anything_is_made() {
        let arguments = ["--records".to_string(), "5".to_string()];
        let Ok(prepared) = prepare(&shipped(), "word-count", &arguments, None) else {
            panic!("it is right")
        };
        let folder = ClusterFolder::new("/no/such/folder".as_ref());
        let within = Duration::from_secs(1);
        let (rest_port, timeouts, log) = (0, Timeouts::DEFAULT, "warn");
        let size = Size {
            job_managers: 1,
            task_executors: 2,
            on_demand: false,
            slots: 2,
            rest_port,
            timeouts,
        };
        let object_store = &ObjectStoreArgument::default();
        let deployer = ClusterDeployer { folder: &folder, size, within, log, object_store };
        let job = |parallelism| prepared.job(JobId(1), parallelism).expect("sound");
        deployer.check(&job(4)).expect("its vertices share four slots, and there are as many");
        let refused = deployer.check(&job(5)).expect_err("there are not").to_string();
        assert!(refused.contains("needs 5 slots") && refused.contains("--slots"), "{refused}");
    }
}
