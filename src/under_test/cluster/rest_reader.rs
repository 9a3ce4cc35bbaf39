//! Readers of REST: they ask web monitors for the jobs again and again, the leading one or any.

use crate::{
    host::{Evidence, Host, NodeAddress},
    system::{
        client::{JobTold, JobsTold, RestClient, RestError},
        cluster::{ClusterConfig, bind},
        ids::JobId,
        protocol::JobStatus,
    },
};
use std::time::Duration;

/// From answer to question.
const PAUSE: Duration = Duration::from_millis(900);

/// What a reader announces; a self-report.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RestEvent {
    /// It asks.
    Asking {
        /// Counts the questions of this process.
        ask: u64,
    },
    /// It was told.
    Told {
        /// The reader's number.
        reader: u32,
        /// The question.
        ask: u64,
        /// By the web monitor that was known to lead.
        by_leader: bool,
        /// How old the answer was when it was given, as it says.
        age_ms: u64,
        /// The jobs, and how far they are.
        jobs: Vec<(JobId, JobStatus)>,
    },
    /// It was not told.
    Untold {
        /// The question.
        ask: u64,
        /// Why.
        why: String,
    },
}

crate::event!(RestEvent, |_| Evidence::SelfReport);

/// Reads for as long as its process lives. `monitors` are those of all job managers.
pub async fn run_rest_reader_node(
    host: Host,
    reader: u32,
    config: ClusterConfig,
    monitors: Vec<NodeAddress>,
) {
    let Some(service) = bind(&host, 0).await else { return };
    let client = RestClient::new(&config.services(&service).coordination);
    for ask in 1.. {
        let drawn = host.random_u64();
        let by_leader = drawn.is_multiple_of(2);
        let any = usize::try_from(drawn / 2 % monitors.len() as u64).expect("few monitors");
        host.announce(&RestEvent::Asking { ask });
        let told = read(&client, (!by_leader).then_some(&monitors[any])).await;
        let event = match told {
            Ok((age_ms, jobs)) => RestEvent::Told { reader, ask, by_leader, age_ms, jobs },
            Err(error) => RestEvent::Untold { ask, why: error.to_string() },
        };
        host.announce(&event);
        host.sleep(PAUSE).await;
    }
}

async fn read(
    client: &RestClient,
    from: Option<&NodeAddress>,
) -> Result<(u64, Vec<(JobId, JobStatus)>), RestError> {
    let from = match from {
        Some(monitor) => monitor.clone(),
        None => client.leader().await?,
    };
    let JobsTold { jobs, age_ms } = client.jobs(&from).await?;
    let told = |job: &JobTold| {
        let (id, status) = (job.job(), job.status());
        (id.expect("a job is told by its id"), status.expect("and by a known status"))
    };
    Ok((age_ms, jobs.iter().map(told).collect()))
}
