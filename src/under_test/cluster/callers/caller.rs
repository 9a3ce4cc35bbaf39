//! Callers of a service: each puts one request after the other to front ends, and some of them again under the same key
//! until it is answered for sure.

use super::event::{Asked, CallerEvent};
use crate::{
    host::{Draws, Host, NodeAddress},
    jobs::{Service, ServiceCall},
    system::{
        cluster::{ClusterConfig, bind},
        http::{HttpClient, HttpClientLimits, HttpError, HttpRequest, HttpResponse, Method},
        request_reply::EVENT_ID_HEADER,
        service::log::LogRefusal,
    },
};
use bytes::Bytes;
use std::time::Duration;

/// From an answer that says that it is not done, or none, to the next try.
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// However often it asks again, it waits no longer than so for an answer, if not as long from the first.
const PATIENCE_MAX: Duration = Duration::from_secs(20);
/// The producer's first record, which a caller that is begun anew finds there.
const FIRST: u64 = 0;

/// A caller, as its node begins it.
#[derive(Clone)]
pub struct CallerSettings {
    /// Its number.
    pub number: u32,
    /// Of what it draws.
    pub seed: u64,
    /// Whom it asks.
    pub service: Service,
    /// The front ends, by slot.
    pub front_ends: Vec<NodeAddress>,
    /// How many requests it has.
    pub requests: u32,
    /// From an answer to the next request.
    pub pause: Duration,
    /// The share of requests under a key, in millionths.
    pub keyed: u32,
    /// How long it waits for an answer at first. Each time that it asks again it waits twice as long as before: whoever
    /// is less patient than the service is fast would never be answered.
    pub patience: Duration,
    /// The topic in which each caller that has finished leaves a record.
    pub finished: String,
}

struct Caller {
    host: Host,
    settings: CallerSettings,
    /// Drawn by each life, so that none takes the keys of another.
    life: u64,
}

/// What is known after a try.
enum Outcome {
    /// The service's own answer.
    Answered,
    /// It was turned away, or never sent.
    NotDone,
    /// Nobody knows.
    Indeterminate,
}

/// Asks all that it has to ask, says so in a topic, and stays for as long as its process lives.
pub async fn run_caller_node(host: Host, config: ClusterConfig, settings: CallerSettings) {
    let Some(service) = bind(&host, 0).await else { return };
    let log = config.services(&service).log;
    let life = host.random_u64();
    let caller = Caller { host: host.clone(), settings, life };
    caller.ask_all().await;
    let CallerSettings { number, finished, .. } = &caller.settings;
    let said = async {
        log.create_topic_until_acknowledged(finished, 1).await?;
        let record = vec![Bytes::from(number.to_string())];
        let producer = format!("caller-{number}");
        log.append_until_acknowledged(finished, 0, &producer, FIRST, record).await?;
        Ok::<(), LogRefusal>(())
    };
    if let Err(refusal) = said.await {
        return host.exit(&format!("the topic {finished}: {refusal}"));
    }
    host.announce(&CallerEvent::Finished { caller: *number });
    std::future::pending().await
}

impl Caller {
    async fn ask_all(&self) {
        let CallerSettings { number, seed, service, requests, pause, keyed, .. } = &self.settings;
        let mut draws = Draws::new(*seed, "calls", [(*number).into(), 0]);
        let mut keys = Draws::new(*seed, "keyed calls", [(*number).into(), 0]);
        for call in 0..u64::from(*requests) {
            let drawn = service.call(call * 1_000 + u64::from(*number), &mut draws);
            let key = keys.chance(*keyed).then(|| format!("{number}-{:x}-{call}", self.life));
            self.ask(call, &drawn, key).await;
            self.host.sleep(*pause).await;
        }
    }

    /// Asks until it is known what became of it, or nobody will ever know.
    async fn ask(&self, call: u64, drawn: &ServiceCall, key: Option<String>) {
        let asked = Asked { path: drawn.path.clone(), key, body: Bytes::from(drawn) };
        for attempt in 1.. {
            match self.attempt(call, attempt, &asked).await {
                Outcome::Answered => return,
                // Under a key it is done once, however often it is asked for.
                Outcome::Indeterminate if asked.key.is_none() => return,
                Outcome::Indeterminate | Outcome::NotDone => self.host.sleep(RETRY_DELAY).await,
            }
        }
    }

    async fn attempt(&self, call: u64, attempt: u32, asked: &Asked) -> Outcome {
        let front_ends = &self.settings.front_ends;
        let drawn = self.host.random_u64() % front_ends.len() as u64;
        let slot = u32::try_from(drawn).expect("few front ends");
        let (caller, asking) = (self.settings.number, asked.clone());
        self.host.announce(&CallerEvent::Asking { caller, call, attempt, slot, asked: asking });
        let mut request = HttpRequest::new(Method::POST, &asked.path).with_body(asked.body.clone());
        if let Some(key) = &asked.key {
            request = request.with_header("idempotency-key", key);
        }
        match self.client(attempt).request(&front_ends[slot as usize], request).await {
            Ok(HttpResponse { status, headers, body }) => {
                let id = headers.get(EVENT_ID_HEADER).and_then(|id| id.parse().ok());
                self.host.announce(&CallerEvent::Answered { call, attempt, status, id, body });
                match (id, status) {
                    (Some(_), _) => Outcome::Answered,
                    (None, 429) => Outcome::NotDone,
                    (None, _) => Outcome::Indeterminate,
                }
            }
            Err(error) => self.unanswered(call, attempt, &error),
        }
    }

    fn client(&self, attempt: u32) -> HttpClient {
        let patience = self.settings.patience;
        let grown = patience.saturating_mul(2_u32.saturating_pow(attempt - 1));
        let total_time = grown.min(PATIENCE_MAX.max(patience));
        HttpClient::new(&self.host, HttpClientLimits { total_time, ..HttpClientLimits::default() })
    }

    fn unanswered(&self, call: u64, attempt: u32, error: &HttpError) -> Outcome {
        let is_indeterminate = error.is_indeterminate();
        self.host.announce(&CallerEvent::Unanswered { call, attempt, is_indeterminate });
        if is_indeterminate { Outcome::Indeterminate } else { Outcome::NotDone }
    }
}
