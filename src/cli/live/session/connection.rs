//! The way to a cluster that runs: its file says where the coordination service is, that says who leads.

use super::{folder::ClusterFolder, name, state::RunningCluster};
use crate::{
    cli::live::{
        CliError, Outcome,
        cluster::{Timeouts, cluster_config},
        text::{parse_duration, warn},
    },
    host::{
        Host, NodeAddress,
        live::{ExitReason, LOOPBACK, NodeConfig, run_node},
    },
    system::{
        client::{JobClient, RestClient, RestError},
        ids::JobId,
        protocol::{JobOverview, JobRefusal},
        rpc::{RpcService, RpcSystem},
        service::Services,
    },
};
use clap::Args;
use futures::pin_mut;
use std::time::Duration;

/// After so long a person is told what is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// From try to try where a web monitor does not answer.
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// The dispatcher, to a person.
pub(super) const DISPATCHER: &str = "a job manager that leads";

/// A cluster, as one names it to whom something is asked of it.
#[derive(Args)]
pub struct Target {
    /// Where it is.
    #[command(flatten)]
    pub folder: ClusterFolder,
    /// Give up when nobody has answered for so long; a new leader may take some seconds to come
    #[arg(long, value_name = "TIME", default_value = "1min", value_parser = parse_duration)]
    pub within: Duration,
}

/// A client of a cluster that runs.
pub struct Connection {
    /// This process's node.
    pub host: Host,
    /// Its socket.
    pub service: RpcService,
    /// The cluster's services.
    pub services: Services,
    /// Speaks to the leading dispatcher.
    pub jobs: JobClient,
    /// Speaks to the leading web monitor.
    pub rest: RestClient,
    /// Where the cluster is.
    pub folder: ClusterFolder,
    /// How long an answer may take.
    within: Duration,
}

impl Connection {
    /// A client on this node.
    pub async fn new(
        host: &Host,
        folder: &ClusterFolder,
        cluster: &RunningCluster,
        within: Duration,
    ) -> Result<Connection, CliError> {
        let service = RpcSystem::default().bind(host, 0).await?;
        let services = cluster_config(cluster.servers(), Timeouts::DEFAULT).services(&service);
        let jobs = JobClient::new(&service, &services.coordination);
        let rest = RestClient::new(&services.coordination);
        let (host, folder) = (host.clone(), folder.clone());
        Ok(Connection { host, service, services, jobs, rest, folder, within })
    }

    /// Waits for an answer, but not for ever. What gives none is named to the person who waits.
    pub async fn answered<T>(
        &self,
        who: &str,
        answer: impl Future<Output = T>,
    ) -> Result<T, CliError> {
        pin_mut!(answer);
        let patience = PATIENCE.min(self.within);
        if let Ok(answer) = self.host.timeout(patience, answer.as_mut()).await {
            return Ok(answer);
        }
        let rest = self.within - patience;
        if !rest.is_zero() {
            warn(&format!("waits for {who}"));
            if let Ok(answer) = self.host.timeout(rest, answer).await {
                return Ok(answer);
            }
        }
        Err(CliError::stuck(format!("{who} has given no answer within {:?}", self.within)))
    }

    /// All jobs of which the dispatcher knows.
    pub async fn overviews(&self) -> Result<Vec<JobOverview>, CliError> {
        self.answered(DISPATCHER, self.jobs.overviews()).await
    }

    /// The one job whose id begins with these digits.
    pub async fn job(&self, digits: &str) -> Result<JobId, CliError> {
        name::find(digits, &self.overviews().await?).map_err(CliError::new)
    }

    /// What the dispatcher says of a job.
    pub async fn of_job<T>(
        &self,
        answer: impl Future<Output = Result<T, JobRefusal>>,
    ) -> Result<T, CliError> {
        let answered = self.answered(DISPATCHER, answer).await?;
        answered.map_err(|refusal| CliError::new(refusal.to_string()))
    }

    /// What the leading web monitor tells under a path. One that can't tell now is asked again.
    pub async fn told(&self, path: &str) -> Result<serde_json::Value, CliError> {
        let telling = async {
            loop {
                match self.tell(path).await {
                    Err(RestError::Refused { status: 404, why }) => return Err(CliError::new(why)),
                    Err(error) => tracing::debug!(%error, path, "no web monitor tells"),
                    Ok(told) => return Ok(told),
                }
                self.host.sleep(RETRY_DELAY).await;
            }
        };
        self.answered("a web monitor that leads", telling).await?
    }

    async fn tell(&self, path: &str) -> Result<serde_json::Value, RestError> {
        let leader: NodeAddress = self.rest.leader().await?;
        self.rest.get(&leader, path).await
    }
}

/// Does `work` as a client of the cluster that runs in the folder. Signals end this process at once, and leave
/// the cluster alone.
pub fn connected(
    target: &Target,
    work: impl AsyncFnOnce(Connection) -> Result<Outcome, CliError>,
) -> Result<Outcome, CliError> {
    let cluster = target.folder.running()?;
    let mut end = None;
    let reason = run_node(client(&target.folder), async |host| {
        end = Some(match Connection::new(&host, &target.folder, &cluster, target.within).await {
            Ok(connection) => work(connection).await,
            Err(error) => Err(error),
        });
    })?;
    end.unwrap_or_else(|| match reason {
        ExitReason::Panicked { message } => Err(CliError::new(message)),
        reason => Err(CliError::new(format!("the client has ended: {reason:?}"))),
    })
}

/// A node that writes nothing.
fn client(folder: &ClusterFolder) -> NodeConfig {
    NodeConfig {
        name: "client".to_string(),
        hostname: LOOPBACK.to_string(),
        data: folder.path().to_path_buf(),
        members: Vec::new(),
    }
}
