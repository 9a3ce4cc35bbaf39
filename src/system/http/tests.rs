//! What the server and the client promise, in both worlds: the same tests, the same bytes.

mod client;
mod drain;
mod limits;
mod protocol;

use super::*;
use crate::host::{Host, NodeAddress, Stream, run_two};
use bytes::Bytes;
use futures::channel::oneshot;
use std::{
    future::{Future, pending},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Far more than an exchange takes in either world.
const LONG: Duration = Duration::from_secs(20);

/// Becomes true when this is dropped.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The server of all tests. `dropped` tells when the handler of `/endless` was dropped.
async fn start(host: &Host, limits: HttpLimits, dropped: Arc<AtomicBool>) -> HttpServer {
    let clock = host.clone();
    let router = Router::new()
        .get("/hello", async |_| Ok(HttpResponse::text(200, "hello")))
        .get("/jobs/overview", async |_| Ok(HttpResponse::text(200, "all jobs")))
        .get("/jobs/:job", async |request: RoutedRequest| {
            let (id, name) = (request.parameter::<u64>("job")?, request.query_parameter("name")?);
            let name: String = name.unwrap_or_default();
            Ok(HttpResponse::json(200, &serde_json::json!({ "id": id, "name": name })))
        })
        .route(Method::DELETE, "/jobs/:job", async |_| {
            // The body is left out: 204 has none.
            Ok::<_, HttpResponse>(HttpResponse { status: 204, ..HttpResponse::text(200, "gone") })
        })
        .post("/echo", async |request: RoutedRequest| {
            let answer = HttpResponse::new(200).with_header("X-Method", request.method.as_str());
            Ok(HttpResponse { body: request.request.body, ..answer })
        })
        .get("/headers", async |request: RoutedRequest| {
            let lines = request.headers.iter().map(|(name, value)| format!("{name}={value};"));
            Ok(HttpResponse::text(200, lines.collect::<String>()))
        })
        .get("/slow/:millis", move |request: RoutedRequest| {
            let clock = clock.clone();
            async move {
                clock.sleep(ms(request.parameter("millis")?)).await;
                Ok(HttpResponse::text(200, "slept"))
            }
        })
        .get("/endless", move |_| {
            let dropped = OnDrop(dropped.clone());
            async move {
                let _dropped = dropped;
                pending().await
            }
        })
        .get("/large/:bytes", async |request: RoutedRequest| {
            let body = vec![b'x'; request.parameter("bytes")?];
            Ok(HttpResponse { body: body.into(), ..HttpResponse::new(200) })
        })
        .get("/unsendable/:what", async |request: RoutedRequest| {
            Ok(match request.parameter::<String>("what")?.as_str() {
                "header" => HttpResponse::new(200).with_header("location", "a\r\nset-cookie: b"),
                _ => HttpResponse::new(101),
            })
        });
    HttpServer::start(host, 0, limits, router.into_handler()).await.expect("a free port")
}

/// What a client does with a server of these limits.
fn with_server<F: Future<Output = ()> + Send + 'static>(
    limits: HttpLimits,
    client: impl FnOnce(Host, NodeAddress, Arc<AtomicBool>) -> F + Send + 'static,
) {
    let (started, address) = oneshot::channel();
    let dropped = Arc::<AtomicBool>::default();
    let seen = dropped.clone();
    run_two(
        async move |host| {
            let server = start(&host, limits, dropped).await;
            let _ = started.send(server.address().clone());
            pending::<()>().await;
            drop(server);
        },
        async move |host| {
            let address = address.await.expect("it starts");
            let ended = host.timeout(LONG, client(host.clone(), address, seen)).await;
            ended.expect("the client ends");
        },
    );
}

/// A client of bytes.
struct Raw {
    host: Host,
    stream: Stream,
    read: Vec<u8>,
}

impl Raw {
    async fn connect(host: &Host, to: &NodeAddress) -> Raw {
        let stream = host.connect(to).await.expect("it listens");
        Raw { host: host.clone(), stream, read: Vec::new() }
    }

    async fn send(&mut self, bytes: impl Into<Bytes>) {
        self.stream.write(bytes.into()).await.expect("the stream takes it");
    }

    /// Reads until the bytes end so; what came until then, with `D` for a date.
    async fn until(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|at| at == end.as_bytes()) {
                return masked(self.read.drain(..at + end.len()).collect());
            }
            match self.stream.read().await.expect("the stream lasts") {
                Some(bytes) => self.read.extend_from_slice(&bytes),
                None => panic!("it ended after {:?}", masked(self.read.clone())),
            }
        }
    }

    /// Reads to the orderly end.
    async fn rest(&mut self) -> String {
        while let Some(bytes) = self.stream.read().await.expect("the stream lasts") {
            self.read.extend_from_slice(&bytes);
        }
        masked(std::mem::take(&mut self.read))
    }

    /// What a server answers to these bytes and nothing after them.
    async fn ask(&mut self, bytes: impl Into<Bytes>) -> String {
        self.send(bytes).await;
        self.rest().await
    }

    /// Whether nothing comes for so long.
    async fn is_silent_for(&mut self, time: Duration) -> bool {
        let Ok(read) = self.host.timeout(time, self.stream.read()).await else { return true };
        self.read.extend_from_slice(&read.expect("the stream lasts").unwrap_or_default());
        false
    }
}

/// The text with `D` for each date.
fn masked(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).expect("the tests' answers are text");
    let line = |line: &str| {
        let date = line.strip_prefix("date: ").map(|date| date.trim_end());
        date.map_or(line.to_string(), |date| {
            assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
            "date: D\r\n".to_string()
        })
    };
    text.split_inclusive('\n').map(line).collect()
}

/// The status of an answer's bytes, and its last line.
fn brief(answer: &str) -> String {
    let status = answer.get(9..12).unwrap_or("---");
    format!("{status} {}", answer.lines().next_back().unwrap_or_default())
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}
