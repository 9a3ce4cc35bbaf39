//! Readers of REST: they ask web monitors for jobs again and again, the leading one or any, and cancel some of them.

mod event;
mod shapes;

pub use event::{RestAnswer, RestEvent, RestQuestion, ToldCounts, ToldJob};

use crate::{
    host::{Host, NodeAddress},
    system::{
        client::{RestClient, RestError},
        cluster::{ClusterConfig, bind},
        ids::JobId,
    },
};
use std::time::Duration;

/// From answer to question.
const PAUSE: Duration = Duration::from_millis(900);
/// Where jobs are canceled, every so many questions.
const CANCELS_EVERY: u64 = 12;

/// A reader, as its node begins it.
#[derive(Clone)]
pub struct RestReaderSettings {
    /// Its number.
    pub number: u32,
    /// The web monitors of all job managers.
    pub monitors: Vec<NodeAddress>,
    /// Whether it cancels jobs.
    pub cancels: bool,
}

struct Reader {
    host: Host,
    settings: RestReaderSettings,
    client: RestClient,
    /// The jobs of which it has heard.
    jobs: Vec<JobId>,
}

/// Reads for as long as its process lives.
pub async fn run_rest_reader_node(host: Host, config: ClusterConfig, settings: RestReaderSettings) {
    let Some(service) = bind(&host, 0).await else { return };
    let client = RestClient::new(&config.services(&service).coordination);
    let mut reader = Reader { host, settings, client, jobs: Vec::new() };
    for ask in 1.. {
        reader.ask(ask).await;
        reader.host.sleep(PAUSE).await;
    }
}

/// One of those that there are, by a draw.
fn one<T>(of: &[T], drawn: u64) -> Option<&T> {
    let index = drawn.checked_rem(of.len() as u64)?;
    of.get(usize::try_from(index).ok()?)
}

impl Reader {
    fn draw_question(&self) -> RestQuestion {
        let (drawn, which) = (self.host.random_u64(), self.host.random_u64());
        let Some(job) = one(&self.jobs, which) else { return RestQuestion::Jobs };
        if self.settings.cancels && (drawn / 4).is_multiple_of(CANCELS_EVERY) {
            return RestQuestion::Cancel(*job);
        }
        match drawn % 4 {
            0 => RestQuestion::Jobs,
            1 => RestQuestion::Overviews,
            2 => RestQuestion::Job(*job),
            _ => RestQuestion::Cluster,
        }
    }

    async fn ask(&mut self, ask: u64) {
        let drawn = self.host.random_u64();
        let by_leader = drawn.is_multiple_of(2);
        let any = one(&self.settings.monitors, drawn / 2).expect("a cluster has a job manager");
        let question = self.draw_question();
        self.host.announce(&RestEvent::Asking { ask, question });
        let event = match self.answer(question, (!by_leader).then_some(any)).await {
            Ok(None) => match question {
                RestQuestion::Cancel(job) => RestEvent::Accepted { ask, job },
                _ => unreachable!("what is read has an answer"),
            },
            Ok(Some((age_ms, answer))) => {
                self.jobs.extend(answer.jobs().iter().map(|told| told.job));
                self.jobs.sort_unstable();
                self.jobs.dedup();
                let reader = self.settings.number;
                RestEvent::Told { reader, ask, by_leader, age_ms, answer }
            }
            Err(RestError::Refused { status, .. }) => RestEvent::Refused { ask, question, status },
            Err(RestError::Shape(error)) => RestEvent::Malformed { ask, why: error.to_string() },
            Err(error) => RestEvent::Untold { ask, why: error.to_string() },
        };
        self.host.announce(&event);
    }

    /// What is told, and how old it is; nothing where a job is to end.
    async fn answer(
        &self,
        question: RestQuestion,
        from: Option<&NodeAddress>,
    ) -> Result<Option<(u64, RestAnswer)>, RestError> {
        let from = match from {
            Some(monitor) => monitor.clone(),
            None => self.client.leader().await?,
        };
        let path = match question {
            RestQuestion::Jobs => "/jobs".to_string(),
            RestQuestion::Overviews => "/jobs/overview".to_string(),
            RestQuestion::Job(job) => format!("/jobs/{job}"),
            RestQuestion::Cluster => "/overview".to_string(),
            RestQuestion::Cancel(job) => {
                self.client.cancel(&from, job).await?;
                return Ok(None);
            }
        };
        Ok(Some(shapes::read(question, self.client.get(&from, &path).await?)?))
    }
}
