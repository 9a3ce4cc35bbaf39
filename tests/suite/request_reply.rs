//! A front end between a client and a job that is a loop.

use bytes::Bytes;
use futures::channel::oneshot;
use serde_json::{Value, json};
use std::{future::Future, sync::Arc, time::Duration};
use wavetank::{
    host::{Host, NodeAddress, run_two},
    system::{
        http::{HttpClient, HttpClientLimits, HttpRequest, HttpResponse, Method},
        request_reply::{EventId, FrontEnd, FrontEndConfig, ServiceRequest, ServiceResponse},
        rpc::RpcSystem,
        service::log::{Log, LogClient, LogConfig, LogServer, LogServerConfig, Retention},
    },
};

const SLOT: u32 = 1;
const LIFE: u64 = 77;

/// What a test has at hand.
struct Bench {
    host: Host,
    log: Arc<dyn Log>,
    front_end: FrontEnd,
    client: HttpClient,
}

fn config() -> FrontEndConfig {
    let timeout = Duration::from_secs(2);
    FrontEndConfig { port: 0, timeout, ..FrontEndConfig::new(SLOT, "requests", "responses") }
}

/// Runs a test against a front end of that configuration, on a log of its own.
fn with_front_end<F>(config: FrontEndConfig, test: impl FnOnce(Bench) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (tell, address) = oneshot::channel::<NodeAddress>();
    run_two(
        async move |host| {
            let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
            let server =
                LogServer::start(&service, LogServerConfig::default()).await.expect("a fresh disk");
            tell.send(service.address().clone()).expect("the test waits");
            server.termination().await.expect("nobody ends it");
        },
        async move |host| {
            let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
            let server = LogConfig::new(address.await.expect("the log is there"));
            let log: Arc<dyn Log> = Arc::new(LogClient::new(&service, server));
            for topic in ["requests", "responses"] {
                log.create_topic_until_acknowledged(topic, 2).await.expect("it is new");
            }
            write_old_response(&log).await;
            let front_end = FrontEnd::start(&log, LIFE, config).await.expect("topics and a port");
            let client = HttpClient::new(&host, HttpClientLimits::default());
            test(Bench { host, log: log.clone(), front_end, client }).await;
        },
    );
}

/// A response of an earlier life stands in the partition.
async fn write_old_response(log: &Arc<dyn Log>) {
    let id = EventId { slot: SLOT, incarnation: 1, number: 1 };
    let response = ServiceResponse { id, status: 200, body: Bytes::from_static(b"{}") };
    let records = vec![response.encode().expect("it can be encoded")];
    let written = log.append_until_acknowledged("responses", SLOT, "earlier", 0, records).await;
    written.expect("the topic is there");
}

/// What the job writes for a request.
type Respond = fn(&ServiceRequest) -> Vec<ServiceResponse>;

impl Bench {
    async fn post(&self, path: &str, body: &str) -> HttpResponse {
        let request = HttpRequest::new(Method::POST, path)
            .with_header("idempotency-key", "k-1")
            .with_body(Bytes::copy_from_slice(body.as_bytes()));
        self.client.request(self.front_end.address(), request).await.expect("an answer")
    }

    /// Lets a job run, which begins with the requests of now on, or with all.
    fn job(&self, respond: Respond) {
        for partition in 0..2 {
            let log = self.log.clone();
            self.host.spawn(async move {
                let (mut offset, mut written) = (0, 0);
                let wait = Duration::from_secs(1);
                loop {
                    let read = log.read_until_acknowledged("requests", partition, offset, 10, wait);
                    let batch = read.await.expect("the topic is there");
                    offset += batch.records.len() as u64;
                    let requests = batch.records.iter().map(|record| {
                        ServiceRequest::decode(record).expect("front ends write requests")
                    });
                    let responses: Vec<Bytes> = requests
                        .flat_map(|request| respond(&request))
                        .map(|response| response.encode().expect("it can be encoded"))
                        .collect();
                    let count = responses.len() as u64;
                    let producer = format!("job-{partition}");
                    log.append_until_acknowledged("responses", SLOT, &producer, written, responses)
                        .await
                        .expect("the topic is there");
                    written += count;
                }
            });
        }
    }
}

fn echo(request: &ServiceRequest) -> Vec<ServiceResponse> {
    let mut body: Value = request.json().expect("front ends take JSON alone");
    body["key"] = json!(request.key);
    body["path"] = json!(request.path);
    vec![request.response(200, body)]
}

fn body(response: &HttpResponse) -> Value {
    response.read_json().expect("JSON")
}

#[test]
fn a_request_is_answered_with_its_own_response() {
    with_front_end(config(), async |bench| {
        bench.job(echo);
        for number in 1..=3 {
            let path = format!("/a/{number}");
            let response = bench.post(&path, &json!({ "amount": number }).to_string()).await;
            let id = EventId { slot: SLOT, incarnation: LIFE, number }.to_string();
            let expected = json!({"amount": number, "key": "k-1", "path": path, "event_id": id});
            assert_eq!((response.status, body(&response)), (200, expected));
        }
    });
}

#[test]
fn of_many_responses_one_is_given_and_those_of_others_to_nobody() {
    with_front_end(config(), async |bench| {
        bench.job(|request| {
            let mut foreign = request.response(201, json!({}));
            foreign.id.incarnation = 1;
            let mut of_another = request.response(202, json!({}));
            of_another.id.slot = 0;
            let mut of_none = request.response(203, json!({}));
            of_none.id.number += 1;
            let twice = request.response(200, json!({}));
            vec![foreign, of_another, of_none, twice.clone(), twice]
        });
        for _ in 0..3 {
            assert_eq!(bench.post("/", "{}").await.status, 200);
        }
    });
}

#[test]
fn without_a_response_it_is_504_and_a_late_one_harms_nobody() {
    with_front_end(config(), async |bench| {
        let begin = bench.host.now();
        assert_eq!(bench.post("/", "{}").await.status, 504);
        let took = bench.host.now().saturating_since(begin);
        assert!(took >= Duration::from_secs(2), "{took:?}");
        bench.job(echo);
        let response = bench.post("/", r#"{"now": true}"#).await;
        assert_eq!((response.status, &body(&response)["now"]), (200, &json!(true)));
    });
}

#[test]
fn what_the_log_refuses_is_503_long_before_the_time_out() {
    with_front_end(config(), async |bench| {
        let full = Retention { bytes_max: Some(1), ..Retention::default() };
        bench.log.set_retention_until_acknowledged("requests", full).await.expect("it is there");
        let begin = bench.host.now();
        assert_eq!(bench.post("/", "{}").await.status, 503);
        let took = bench.host.now().saturating_since(begin);
        assert!(took < Duration::from_secs(2), "{took:?}");
        bench.log.set_retention_until_acknowledged("requests", Retention::default()).await.unwrap();
        bench.job(echo);
        assert_eq!(bench.post("/", "{}").await.status, 200);
    });
}

#[test]
fn what_is_no_request_is_refused_and_takes_no_room() {
    let config = FrontEndConfig { capacity: 1, waiting_max: 0, ..config() };
    with_front_end(config, async |bench| {
        bench.job(echo);
        assert_eq!(bench.post("/", "{").await.status, 400);
        let get = HttpRequest::get("/");
        let response = bench.client.request(bench.front_end.address(), get).await.unwrap();
        assert_eq!((response.status, response.headers.get("allow")), (405, Some("POST")));
        assert_eq!(bench.post("/", "{}").await.status, 200);
    });
}

#[test]
fn beyond_the_room_requests_wait_and_beyond_that_they_are_turned_away() {
    let config = FrontEndConfig { capacity: 1, waiting_max: 1, ..config() };
    with_front_end(config, async |bench| {
        let begin = bench.host.now();
        let (first, second, third) = futures::join!(
            bench.post("/", "{}"),
            async {
                bench.host.sleep(Duration::from_millis(300)).await;
                bench.post("/", "{}").await
            },
            async {
                bench.host.sleep(Duration::from_millis(600)).await;
                let response = bench.post("/", "{}").await;
                (response, bench.host.now().saturating_since(begin))
            }
        );
        let (third, after) = third;
        assert_eq!((first.status, second.status, third.status), (504, 504, 429));
        assert_eq!(third.headers.get("retry-after"), Some("1"));
        assert!(after < Duration::from_secs(2), "{after:?}");
        let took = bench.host.now().saturating_since(begin);
        assert!(
            took >= Duration::from_secs(4),
            "the second one's time begins with its room: {took:?}"
        );
    });
}

#[test]
fn what_fits_in_no_record_is_413_and_harms_no_other() {
    let mut config = config();
    config.http.body_bytes = 4 * 1024 * 1024;
    with_front_end(config, async |bench| {
        bench.job(echo);
        let large = format!("\"{}\"", "x".repeat(2 * 1024 * 1024));
        let (large, small) = futures::join!(bench.post("/", &large), bench.post("/", "{}"));
        assert_eq!((large.status, small.status), (413, 200));
    });
}

#[test]
fn who_waits_for_room_for_too_long_is_turned_away() {
    const ROOM_TIMEOUT: Duration = Duration::from_millis(500);
    let config = FrontEndConfig { capacity: 1, room_timeout: ROOM_TIMEOUT, ..config() };
    with_front_end(config, async |bench| {
        let (first, (second, after)) = futures::join!(bench.post("/", "{}"), async {
            bench.host.sleep(Duration::from_millis(200)).await;
            let begin = bench.host.now();
            let response = bench.post("/", "{}").await;
            (response, bench.host.now().saturating_since(begin))
        });
        assert_eq!((first.status, second.status), (504, 429));
        assert!(after >= ROOM_TIMEOUT && after < Duration::from_millis(1500), "{after:?}");
    });
}

#[test]
fn the_time_of_handlers_follows_from_the_time_outs() {
    let mut config = config();
    config.http.handler_time = Duration::from_millis(500);
    with_front_end(config, async |bench| {
        assert_eq!(bench.post("/", "{}").await.status, 504, "and not the server's own 503");
    });
}

#[test]
fn an_entry_ends_with_its_connection() {
    let config = FrontEndConfig { capacity: 1, waiting_max: 1, ..config() };
    with_front_end(config, async |bench| {
        let gone = bench.host.timeout(Duration::from_millis(500), bench.post("/", "{}")).await;
        assert!(gone.is_err());
        bench.job(echo);
        let begin = bench.host.now();
        assert_eq!(bench.post("/", "{}").await.status, 200);
        let took = bench.host.now().saturating_since(begin);
        assert!(took < Duration::from_millis(1400), "its room was free again: {took:?}");
    });
}
