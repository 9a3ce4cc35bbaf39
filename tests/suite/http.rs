//! HTTP under faults of links and machines, and whether a seed is one run.
//!
//! `WAVETANK_HTTP_RUNS=1000 cargo test --test suite http::` compares that many runs of one thread instead of 50.

use bytes::Bytes;
use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use wavetank::{
    host::{
        Event, Host, NodeAddress,
        sim::{
            Delay, Hardware, LinkEffect, LinkRule, NodeId, NodeSet, Observer, ProcessEnd, Stamp,
            World, WorldConfig, WorldReport, simulate,
        },
    },
    system::http::{
        HttpClient, HttpClientLimits, HttpError, HttpHandler, HttpLimits, HttpRequest,
        HttpResponse, HttpServer, RoutedRequest, Router,
    },
};

const PORT: u16 = 80;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How processes ended that were not meant to.
#[derive(Default)]
struct Panics(Mutex<Vec<String>>);

impl Observer for Panics {
    fn observe(&self, _: &World, _: Stamp, event: &dyn Event) {
        if let Some(Hardware::Ended(ProcessEnd::Panicked { message })) =
            event.as_any().downcast_ref()
        {
            self.0.lock().unwrap().push(message.clone());
        }
    }
}

/// Runs `body` in a new world on this thread. No process panics in it.
fn run_here<T>(seed: u64, body: impl AsyncFnOnce(World) -> T) -> (T, WorldReport) {
    let panics = Arc::<Panics>::default();
    let run = simulate(WorldConfig::new(seed), panics.clone(), body);
    assert_eq!(*panics.0.lock().unwrap(), [""; 0], "seed {seed}");
    run
}

/// The same on a thread of its own.
#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
fn run<T: Send + 'static>(
    seed: u64,
    body: impl AsyncFnOnce(World) -> T + Send + 'static,
) -> (T, WorldReport) {
    std::thread::spawn(move || run_here(seed, body)).join().expect("the run does not panic")
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn handler(host: &Host, endless_dropped: &Arc<AtomicBool>) -> HttpHandler {
    let (clock, dropped) = (host.clone(), endless_dropped.clone());
    Router::new()
        .get("/hello/:name", async |request: RoutedRequest| {
            Ok(HttpResponse::text(200, request.parameter::<String>("name")?))
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
        .post("/echo", async |request: RoutedRequest| {
            Ok(HttpResponse { body: request.request.body, ..HttpResponse::new(200) })
        })
        .get("/panic", async |_| panic!("on purpose"))
        .into_handler()
}

/// A node that serves until it ends.
fn boot_server(world: &World, limits: &HttpLimits, endless_dropped: &Arc<AtomicBool>) -> NodeId {
    let node = world.add_node("server");
    let (limits, dropped) = (limits.clone(), endless_dropped.clone());
    world.boot(node, |host| async move {
        let handler = handler(&host, &dropped);
        let _server = HttpServer::start(&host, PORT, limits, handler).await.expect("a free port");
        pending().await
    });
    node
}

fn client(host: &Host) -> HttpClient {
    HttpClient::new(host, HttpClientLimits { total_time: ms(8000), ..HttpClientLimits::default() })
}

/// What became of a request, once it is known.
type Answered = Arc<Mutex<Option<Result<HttpResponse, HttpError>>>>;

/// What a client on a node of its own makes of one request.
fn boot_client(world: &World, name: &str, request: HttpRequest) -> (NodeId, Answered) {
    let node = world.add_node(name);
    let result = Answered::default();
    let seen = result.clone();
    world.boot(node, |host| async move {
        let to = NodeAddress::new("server", PORT);
        let answered = client(&host).request(&to, request).await;
        *seen.lock().unwrap() = Some(answered);
        pending().await
    });
    (node, result)
}

fn both_ways(world: &World, one: NodeId, other: NodeId, effect: &LinkEffect) {
    for (from, to) in [(one, other), (other, one)] {
        let (from, to) = (NodeSet::one(from), NodeSet::one(to));
        world.add_rule(LinkRule { from, to, kind: None, nth: None, effect: effect.clone() });
    }
}

/// Some clients that ask for different things under faults; what each of them saw, and when.
async fn script(world: World) -> Vec<String> {
    let limits = HttpLimits { connections: 6, ..HttpLimits::default() };
    let server = boot_server(&world, &limits, &Arc::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    for n in 0..8_u64 {
        let node = world.add_node(&format!("client-{n}"));
        let (log, clock) = (seen.clone(), world.clone());
        world.boot(node, |host| async move {
            let to = NodeAddress::new("server", PORT);
            for round in 0..4_u64 {
                let request = match (n + round) % 4 {
                    0 => HttpRequest::get(format!("/hello/{n}")).with_header("x-round", "1"),
                    1 => HttpRequest::get("/nowhere"),
                    2 => HttpRequest::get(format!("/slow/{}", host.random_u64() % 50)),
                    _ => HttpRequest::post_json("/echo", &vec![n; 20_000]),
                };
                let answer = match client(&host).request(&to, request).await {
                    Ok(answer) => format!("{} {:?}", answer.status, answer.headers),
                    Err(error) => error.to_string(),
                };
                log.lock().unwrap().push(format!("{:?} {n}: {answer}", clock.elapsed()));
                host.sleep(host.jitter(ms(20))).await;
            }
            pending().await
        });
        let loss = LinkEffect::Loss { per_million: 30_000 };
        let slow = LinkEffect::Delay(Delay::Uniform(ms(0), ms(30)));
        let short = LinkEffect::CutShort { per_million: 30_000 };
        for effect in [loss, slow, short] {
            both_ways(&world, server, node, &effect);
        }
    }
    world.sleep(Duration::from_secs(60)).await;
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn one_seed_is_one_run_however_often_it_runs_in_one_thread() {
    let runs = std::env::var("WAVETANK_HTTP_RUNS").map_or(50, |runs| runs.parse().unwrap());
    // Others in between, so that what a thread keeps is never the same.
    let mut first = Vec::<(Vec<String>, WorldReport)>::new();
    for n in 0..runs {
        let seed: usize = n % 5;
        let run = run_here(seed as u64, script);
        match first.get(seed) {
            None => first.push(run),
            Some((seen, report)) => {
                assert_eq!(report.digest, run.1.digest, "run {n} of seed {seed}");
                assert_eq!(*seen, run.0, "run {n} of seed {seed}");
            }
        }
    }
    for (seen, report) in &first {
        assert!(seen.len() == 32 && report.entries > 300, "{} {}", seen.len(), report.entries);
        assert!(seen.iter().filter(|answer| answer.contains(": 200 ")).count() > 8, "{seen:#?}");
    }
    assert_ne!(first[0].1.digest, first[1].1.digest);
    let kinds = [": 200 ", ": 404 ", ": 503 ", "ended before"];
    let all: Vec<_> = first.iter().flat_map(|(seen, _)| seen).collect();
    for kind in kinds {
        assert!(all.iter().any(|answer| answer.contains(kind)), "none {kind}: {all:#?}");
    }
}

#[test]
fn a_handler_ends_with_its_peer_and_its_place_is_free() {
    let limits = HttpLimits { connections: 1, ..HttpLimits::default() };
    for seed in 0..10 {
        let limits = limits.clone();
        run(seed, async move |world| {
            let dropped = Arc::<AtomicBool>::default();
            boot_server(&world, &limits, &dropped);
            let (node, _) = boot_client(&world, "client", HttpRequest::get("/endless"));
            world.sleep(ms(500)).await;
            assert!(!dropped.load(Ordering::Relaxed));
            world.end_process(node, ProcessEnd::Killed);
            world.sleep(ms(100)).await;
            assert!(dropped.load(Ordering::Relaxed), "its peer was reset");
            let (_, result) = boot_client(&world, "next", HttpRequest::get("/hello/b"));
            world.sleep(ms(100)).await;
            let answer = result.lock().unwrap().take().expect("it is answered");
            assert_eq!(answer.expect("an answer").body, "b");
        });
    }
}

#[test]
fn a_silent_peer_holds_a_handler_for_its_time_only() {
    run(1, async |world| {
        let dropped = Arc::<AtomicBool>::default();
        let limits = HttpLimits { handler_time: ms(3000), ..HttpLimits::default() };
        boot_server(&world, &limits, &dropped);
        let (node, _) = boot_client(&world, "client", HttpRequest::get("/endless"));
        world.sleep(ms(500)).await;
        world.end_process(node, ProcessEnd::PowerCut);
        world.sleep(ms(2400)).await;
        assert!(!dropped.load(Ordering::Relaxed));
        world.sleep(ms(200)).await;
        assert!(dropped.load(Ordering::Relaxed));
    });
}

#[test]
fn a_server_that_dies_in_an_answer_leaves_it_unknown() {
    let body = vec![b'x'; 3_000_000];
    for (end, expected) in [(ProcessEnd::Killed, "Closed"), (ProcessEnd::PowerCut, "Timeout")] {
        let limits = HttpLimits { body_bytes: 4_000_000, ..HttpLimits::default() };
        for (at, path) in [(100, "/slow/5000"), (400, "/echo")] {
            let request = match path {
                "/echo" => HttpRequest::post_json(path, &0).with_body(body.clone()),
                _ => HttpRequest::get(path),
            };
            let (end, limits) = (end.clone(), limits.clone());
            run(1, async move |world| {
                // So that 3 MB take half a second each way.
                world.set_stream_rate(6_000_000);
                let server = boot_server(&world, &limits, &Arc::default());
                let (_, result) = boot_client(&world, "client", request);
                world.sleep(ms(at)).await;
                world.end_process(server, end);
                world.sleep(ms(9000)).await;
                let error = result.lock().unwrap().take().expect("it has ended");
                let error = error.expect_err("there is no whole answer");
                assert!(format!("{error:?}").starts_with(expected), "{path} {error:?}");
                assert!(error.is_indeterminate());
            });
        }
    }
}

#[test]
fn a_server_out_of_reach_has_handled_nothing() {
    run(1, async |world| {
        let server = boot_server(&world, &HttpLimits::default(), &Arc::default());
        world.sleep(ms(100)).await;
        let (from, to) = (NodeSet::All, NodeSet::one(server));
        let effect = LinkEffect::Cut;
        let cut = world.add_rule(LinkRule { from, to, kind: None, nth: None, effect });
        let (_, result) = boot_client(&world, "client", HttpRequest::get("/hello/a"));
        world.sleep(ms(9000)).await;
        let error = result.lock().unwrap().take().expect("its time is over");
        let error = error.expect_err("nobody answers");
        assert!(matches!(error, HttpError::Timeout { sent: false, .. }), "{error:?}");
        assert!(!error.is_indeterminate());
        world.remove_rule(cut);
        let (_, result) = boot_client(&world, "next", HttpRequest::get("/hello/b"));
        world.sleep(ms(100)).await;
        assert!(result.lock().unwrap().take().expect("it is answered").is_ok());
    });
}

#[test]
fn a_link_that_heals_delivers_the_answer() {
    run(1, async |world| {
        let server = boot_server(&world, &HttpLimits::default(), &Arc::default());
        let (node, result) = boot_client(&world, "client", HttpRequest::get("/slow/1000"));
        world.sleep(ms(500)).await;
        let (from, to) = (NodeSet::one(server), NodeSet::one(node));
        let effect = LinkEffect::Cut;
        let cut = world.add_rule(LinkRule { from, to, kind: None, nth: None, effect });
        world.sleep(ms(3000)).await;
        assert!(result.lock().unwrap().is_none());
        world.remove_rule(cut);
        world.sleep(ms(4000)).await;
        let answer = result.lock().unwrap().take().expect("it is answered");
        assert_eq!(answer.expect("an answer").body, "slept");
    });
}

#[test]
fn connections_that_break_anywhere_give_a_whole_answer_or_none() {
    let counts = [AtomicU64::new(0), AtomicU64::new(0)];
    for seed in 0..30 {
        let ((answers, errors), _) = run(seed, async move |world| {
            let limits = HttpLimits { connections: 2, ..HttpLimits::default() };
            let server = boot_server(&world, &limits, &Arc::default());
            let node = world.add_node("client");
            let short = LinkEffect::CutShort { per_million: 60_000 };
            both_ways(&world, server, node, &short);
            let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
            let counted = counts.clone();
            world.boot(node, |host| async move {
                let to = NodeAddress::new("server", PORT);
                for n in 0..20_u8 {
                    let body = Bytes::from(vec![n; 5000]);
                    let request = HttpRequest::post_json("/echo", &0).with_body(body.clone());
                    match client(&host).request(&to, request).await {
                        Ok(answer) if answer.status == 200 => {
                            assert_eq!(answer.body, body);
                            counted[0].fetch_add(1, Ordering::Relaxed);
                        }
                        // Places of broken connections that linger.
                        Ok(answer) => assert_eq!(answer.status, 503),
                        // All that would have connected it may be lost.
                        Err(
                            HttpError::Closed { .. }
                            | HttpError::Connect { .. }
                            | HttpError::Timeout { sent: false, .. },
                        ) => {
                            counted[1].fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                pending().await
            });
            world.sleep(Duration::from_secs(100)).await;
            // Whatever broke has left its place.
            let (_, result) = boot_client(&world, "next", HttpRequest::get("/hello/b"));
            world.sleep(ms(100)).await;
            let answer = result.lock().unwrap().take().expect("it is answered");
            assert_eq!(answer.expect("an answer").body, "b");
            (counts[0].load(Ordering::Relaxed), counts[1].load(Ordering::Relaxed))
        });
        counts[0].fetch_add(answers, Ordering::Relaxed);
        counts[1].fetch_add(errors, Ordering::Relaxed);
    }
    let [answers, errors] = counts.map(AtomicU64::into_inner);
    assert!(answers > 100 && errors > 30, "{answers} {errors}");
}

#[test]
fn an_answer_is_read_though_the_server_broke_the_stream_before_the_request_was_sent() {
    run(1, async |world| {
        let node = world.add_node("server");
        world.boot(node, |host| async move {
            let mut listener = host.listen(PORT).await.expect("a free port");
            let mut stream = listener.accept().await.expect("it listens");
            stream.read().await.expect("a beginning");
            // More than is read at once.
            let head = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 50000\r\n\r\n";
            let answer = head.to_string() + &"x".repeat(50_000);
            stream.write(answer.into()).await.expect("it is taken");
            // What is not read resets the client's side.
            drop(stream);
            pending().await
        });
        let request = HttpRequest::post_json("/echo", &0).with_body(vec![b'x'; 5_000_000]);
        let (_, result) = boot_client(&world, "client", request);
        world.sleep(ms(7000)).await;
        let answer = result.lock().unwrap().take().expect("it is answered");
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (413, 50_000));
    });
}

#[test]
#[should_panic(expected = "on purpose")]
fn a_handler_that_panics_is_the_death_of_the_process() {
    run_here(1, async |world| {
        boot_server(&world, &HttpLimits::default(), &Arc::default());
        let (_, result) = boot_client(&world, "client", HttpRequest::get("/panic"));
        world.sleep(ms(1000)).await;
        let error = result.lock().unwrap().take().expect("it has ended");
        let error = error.expect_err("there is no answer");
        assert!(error.is_indeterminate());
    });
}
