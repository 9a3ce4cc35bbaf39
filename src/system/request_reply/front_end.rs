//! Takes requests and answers them.

use super::{
    FrontEndConfig, REQUEST_BYTES_MAX,
    blocking_map::PutError,
    event::{Ending, FrontEndEvent},
    event_id::EventId,
    in_flight::{InFlight, Outcome},
    message::ServiceRequest,
    requests::RequestWriters,
    responses::read_responses,
};
use crate::{
    host::{Instant, NodeAddress},
    system::{
        http::{HttpRequest, HttpResponse, HttpServer, Method},
        sabotage,
        scope::Scope,
        service::log::{Log, LogRefusal},
    },
};
use futures::{FutureExt, channel::oneshot};
use serde_json::Value;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The header of a service's own answer that says which request it answers.
pub const EVENT_ID_HEADER: &str = "event-id";
/// What a handler may take beside what it waits for.
const HANDLER_TIME_BESIDE: Duration = Duration::from_secs(5);

/// Connections beside those whose requests are in flight or wait for room: they are told that too many wait.
const CONNECTIONS_BESIDE: usize = 64;

/// Why a front end can't begin.
#[derive(Debug, thiserror::Error)]
pub enum FrontEndError {
    /// One of its topics can't be used.
    #[error("the topic {topic}: {refusal}")]
    Topic {
        /// Which.
        topic: String,
        /// What the log says.
        refusal: LogRefusal,
    },
    /// The response topic has no partition for it.
    #[error("the topic {topic} has {partitions} partitions, and the front end's slot is {slot}")]
    NoSlot {
        /// The response topic.
        topic: String,
        /// How many it has.
        partitions: usize,
        /// The slot.
        slot: u32,
    },
    /// It can't listen.
    #[error("it can't listen: {0}")]
    Listen(#[from] io::Error),
}

/// What all requests of a front end share.
struct Serving {
    in_flight: InFlight,
    writers: RequestWriters,
    numbers: AtomicU64,
}

/// One front end. Dropping it ends everything, and cuts its connections.
pub struct FrontEnd {
    server: HttpServer,
    scope: Scope,
}

impl FrontEnd {
    /// Begins, as soon as the log says where its partition of the response topic ends: what is in there is for
    /// others. `incarnation` is one that no other front end at the slot ever has, such as a random number.
    ///
    /// # Errors
    /// [`FrontEndError`].
    pub async fn start(
        log: &Arc<dyn Log>,
        incarnation: u64,
        config: FrontEndConfig,
    ) -> Result<FrontEnd, FrontEndError> {
        let host = log.host().clone();
        let ends = ends_of(log, &config.responses).await?;
        let offset = *ends.get(config.slot as usize).ok_or_else(|| FrontEndError::NoSlot {
            topic: config.responses.clone(),
            partitions: ends.len(),
            slot: config.slot,
        })?;
        let partitions = ends_of(log, &config.requests).await?.len();
        let writers = RequestWriters::new(&config, incarnation, partitions);
        let (port, mut http) = (config.port, config.http.clone());
        // Whoever has waited for room and then for a response is answered here.
        http.connections =
            http.connections.max(config.capacity + config.waiting_max + CONNECTIONS_BESIDE);
        http.handler_time = config.room_timeout + config.timeout + HANDLER_TIME_BESIDE;
        let numbers = AtomicU64::new(1);
        let began = FrontEndEvent::Began {
            slot: config.slot,
            incarnation,
            offset,
            requests: config.requests.clone(),
            responses: config.responses.clone(),
            capacity: config.capacity,
            timeout: config.timeout,
        };
        let in_flight = InFlight::new(&host, incarnation, config);
        let serving = Arc::new(Serving { in_flight, writers, numbers });
        let scope = Scope::default();
        let (reader, of_reader) = (serving.clone(), log.clone());
        let read = async move { read_responses(&reader.in_flight, &of_reader, offset).await };
        host.spawn(scope.wrap(read).map(drop));
        for partition in 0..partitions {
            let (serving, log) = (serving.clone(), log.clone());
            let write =
                async move { serving.writers.run(&serving.in_flight, &log, partition).await };
            host.spawn(scope.wrap(write).map(drop));
        }
        let handler = Arc::new(move |request| answer(serving.clone(), request).boxed());
        let server = HttpServer::start(&host, port, http, handler).await?;
        host.announce(&began);
        Ok(FrontEnd { server, scope })
    }

    /// Where it listens.
    pub fn address(&self) -> &NodeAddress {
        self.server.address()
    }

    /// Takes no more connections, and ends when those that are there are answered, or at `deadline`. Whether none was cut.
    pub async fn drain(self, deadline: Instant) -> bool {
        let drained = self.server.drain(deadline).await;
        drop(self.scope);
        drained
    }
}

async fn ends_of(log: &Arc<dyn Log>, topic: &str) -> Result<Vec<u64>, FrontEndError> {
    let ends = log.end_offsets_until_acknowledged(topic).await;
    ends.map_err(|refusal| FrontEndError::Topic { topic: topic.to_string(), refusal })
}

/// The entry of a request, until the drop.
struct Entry {
    serving: Arc<Serving>,
    id: EventId,
    partition: usize,
}

impl Entry {
    /// Removes the entry; whether nobody else has.
    fn end(&self, how: Ending) -> bool {
        if self.serving.in_flight.host.sabotaged(sabotage::UNANSWERED_ENTRIES_KEPT) {
            return true;
        }
        self.serving.writers.forget(self.partition, self.id.number);
        self.serving.in_flight.end(self.id, how).is_some()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(Ending::Abandoned);
    }
}

/// What a request has to say, or why it is not accepted.
fn decode(request: &HttpRequest) -> Result<Option<String>, HttpResponse> {
    if request.method != Method::POST {
        let refused = HttpResponse::error(405, "a service is asked by POST");
        return Err(refused.with_header("allow", "POST"));
    }
    request.json::<Value>()?;
    Ok(request.headers.get("idempotency-key").map(str::to_string))
}

async fn answer(serving: Arc<Serving>, request: HttpRequest) -> HttpResponse {
    let key = match decode(&request) {
        Ok(key) => key,
        Err(refused) => return refused,
    };
    let Serving { in_flight, writers, numbers } = &*serving;
    let id = in_flight.id(numbers.fetch_add(1, Ordering::Relaxed));
    let HttpRequest { path, query, body, .. } = request;
    let request = ServiceRequest { id, key, path, query, body };
    let partition = writers.partition(&request.path);
    let record = request.encode().expect("a request can be encoded");
    if record.len() > REQUEST_BYTES_MAX {
        let why = format!("a request may have {REQUEST_BYTES_MAX} bytes, and has {}", record.len());
        return HttpResponse::error(413, &why);
    }
    let (tell, outcome) = oneshot::channel();
    if in_flight.host.sabotaged(sabotage::WRITTEN_BEFORE_ITS_ENTRY) {
        writers.write(partition, id.number, record.clone());
    }
    let room = in_flight.waiting.put(id, tell);
    match in_flight.host.timeout(in_flight.config.room_timeout, room).await {
        Ok(Ok(())) => {}
        Ok(Err(PutError::Full { waiting })) => return turn_away(in_flight, waiting),
        Ok(Err(PutError::Exists)) => unreachable!("no number is drawn twice"),
        Err(_) => return turn_away(in_flight, in_flight.waiting.waiting()),
    }
    let entry = Entry { serving: serving.clone(), id, partition };
    let count = in_flight.waiting.len();
    in_flight.host.announce(&FrontEndEvent::RequestAccepted { id, in_flight: count });
    if !in_flight.host.sabotaged(sabotage::WRITTEN_BEFORE_ITS_ENTRY) {
        writers.write(partition, id.number, record);
    }
    wait(&entry, outcome).await
}

fn turn_away(in_flight: &InFlight, waiting: usize) -> HttpResponse {
    in_flight.host.announce(&FrontEndEvent::TurnedAway { waiting });
    HttpResponse::error(429, "too many requests wait").with_header("retry-after", "1")
}

async fn wait(entry: &Entry, mut outcome: oneshot::Receiver<Outcome>) -> HttpResponse {
    let InFlight { host, config, .. } = &entry.serving.in_flight;
    let told = match host.timeout(config.timeout, &mut outcome).await {
        Ok(told) => told,
        Err(_) if entry.end(Ending::TimedOut) => {
            let why = "no response came in time; it may be done all the same";
            return HttpResponse::error(504, why);
        }
        // Whoever has removed the entry tells the outcome in the same step.
        Err(_) => outcome.await,
    };
    match told.expect("whoever removes the entry tells") {
        Outcome::Response(response) => HttpResponse {
            body: response.body,
            ..HttpResponse::new(response.status)
                .with_header("content-type", "application/json")
                .with_header(EVENT_ID_HEADER, response.id.to_string())
        },
        Outcome::Refused(refusal) => {
            HttpResponse::error(503, &format!("{refusal}; it may be done all the same"))
        }
    }
}
