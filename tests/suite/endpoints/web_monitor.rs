//! A web monitor between a client and stubs of the leaders that it asks: how old its answers are, and what it says
//! where nobody answers.

use super::{
    bench::{Bench, bench, coordination, service},
    dispatcher::{Dispatcher, JOB, Mood, StubDispatcher},
    stubs::{Manager, Shared, StubManager},
};
use crate::leadership::ms;
use serde_json::Value;
use std::sync::Arc;
use wavetank::{
    host::Host,
    system::{
        http::{HttpClient, HttpClientLimits, HttpRequest, HttpResponse, Method},
        leadership::leader_key,
        protocol::{DISPATCHER, JobRefusal, JobStatus, RESOURCE_MANAGER},
        service::coordination::{Change, Session, Transaction},
        web_monitor::{WebMonitor, WebMonitorConfig},
    },
};

/// A web monitor, and the dispatcher that leads.
struct Case {
    bench: Bench,
    /// Of the web monitor's process.
    host: Host,
    monitor: WebMonitor,
    dispatcher: Shared<Dispatcher>,
}

fn case(body: impl AsyncFnOnce(Case) + Send + 'static) {
    bench(async |bench| {
        let dispatcher = Shared::<Dispatcher>::default();
        *dispatcher.now() = Dispatcher::of(JobStatus::Running);
        bench.lead(DISPATCHER, 1, StubDispatcher(dispatcher.clone())).await;
        bench.lead(RESOURCE_MANAGER, 1, StubManager(Shared::<Manager>::default())).await;
        let own = service(&bench.world, "monitor").await;
        let coordination = coordination(&own);
        let session = Arc::new(Session::open(&coordination));
        let config = WebMonitorConfig::default();
        let monitor = WebMonitor::start(&own, &coordination, &session, config).await;
        let (host, monitor) = (own.host().clone(), monitor.expect("a free port"));
        bench.settle().await;
        body(Case { bench, host, monitor, dispatcher }).await;
    });
}

impl Case {
    async fn ask(&self, request: HttpRequest) -> HttpResponse {
        let client = HttpClient::new(self.bench.service.host(), HttpClientLimits::default());
        client.request(self.monitor.address(), request).await.expect("a web monitor that answers")
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask(HttpRequest::get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.read_json().expect("JSON")
    }

    async fn age(&self, path: &str) -> u64 {
        self.get(path).await["age-ms"].as_u64().expect("an age")
    }

    /// The status of the answer, and its words.
    async fn cancel(&self) -> (u16, String) {
        let answer = self.ask(HttpRequest::new(Method::PATCH, format!("/jobs/{JOB}"))).await;
        (answer.status, String::from_utf8_lossy(&answer.body).to_string())
    }

    async fn pass(&self, millis: u64) {
        self.bench.world.sleep(ms(millis)).await;
    }

    fn asked(&self) -> u32 {
        self.dispatcher.now().asked
    }
}

fn of_job() -> String {
    format!("/jobs/{JOB}")
}

#[test]
fn an_answer_is_given_again_for_three_seconds_and_for_thirty_where_there_is_no_other() {
    case(async |case| {
        for path in ["/jobs".to_string(), of_job()] {
            let before = case.asked();
            assert!(case.age(&path).await < 100);
            case.pass(2_800).await;
            assert!((2_800..3_000).contains(&case.age(&path).await));
            assert_eq!(case.asked(), before + 1, "{path}: it is kept");
            case.pass(400).await;
            assert!(case.age(&path).await < 100);
            assert_eq!(case.asked(), before + 2, "{path}: it is asked anew");
        }
        case.dispatcher.now().mood = Mood::GoesAway;
        case.pass(20_000).await;
        let began = case.bench.world.elapsed();
        assert!((20_000..30_000).contains(&case.age(&of_job()).await));
        assert!(case.bench.world.elapsed() >= began + ms(3_000), "the leader is waited for");
        case.pass(8_000).await;
        for path in ["/jobs".to_string(), of_job(), "/overview".to_string()] {
            assert_eq!(case.ask(HttpRequest::get(path)).await.status, 503);
        }
    });
}

#[test]
fn what_a_leader_refuses_is_not_kept() {
    case(async |case| {
        case.dispatcher.now().refusal = Some(JobRefusal::Unknown(JOB));
        assert_eq!(case.ask(HttpRequest::get(of_job())).await.status, 404);
        case.dispatcher.now().refusal = None;
        assert_eq!(case.get(&of_job()).await["state"], "RUNNING");
        case.dispatcher.now().refusal = Some(JobRefusal::Unknown(JOB));
        case.pass(3_100).await;
        assert_eq!(case.ask(HttpRequest::get(of_job())).await.status, 404);
        // Nor is it given again where the leader says nothing: the job may be there by now.
        case.dispatcher.now().mood = Mood::GoesAway;
        case.pass(30_000).await;
        assert_eq!(case.ask(HttpRequest::get(of_job())).await.status, 503);
    });
}

#[test]
fn an_overview_is_as_old_as_the_older_of_its_parts() {
    case(async |case| {
        for (first, second) in [("/jobs", "/taskmanagers"), ("/taskmanagers", "/jobs")] {
            case.get(first).await;
            case.pass(2_000).await;
            assert!(case.age(second).await < 100);
            case.pass(500).await;
            let age = case.age("/overview").await;
            assert!((2_500..2_700).contains(&age), "{first} before {second}: {age}");
            case.pass(4_000).await;
        }
    });
}

/// A cancellation is never answered by what was kept of another, and what is kept of its job is out of date.
#[test]
fn each_cancellation_is_handed_on_and_what_is_kept_of_its_job_is_forgotten() {
    case(async |case| {
        case.get(&of_job()).await;
        case.get("/jobs").await;
        assert_eq!(case.cancel().await.0, 202);
        *case.dispatcher.now() = Dispatcher { canceled: 1, ..Dispatcher::of(JobStatus::Canceled) };
        assert_eq!(case.get(&of_job()).await["state"], "CANCELED");
        assert_eq!(case.get("/jobs").await["jobs"][0]["status"], "CANCELED");
        case.dispatcher.now().refusal = Some(JobRefusal::Terminated(JobStatus::Canceled));
        assert_eq!(case.cancel().await.0, 409);
        assert_eq!(case.dispatcher.now().canceled, 2);
    });
}

#[test]
fn a_cancellation_of_which_nobody_says_what_became_of_it_is_503() {
    case(async |case| {
        case.get(&of_job()).await;
        for (mood, words) in [
            (Mood::SaysNothing, "it is not known whether job"),
            (Mood::GoesAway, "the leading dispatcher gives no answer"),
        ] {
            case.dispatcher.now().mood = mood;
            let (status, why) = case.cancel().await;
            assert!(status == 503 && why.contains(words), "{status}: {why}");
        }
        // In doubt is in doubt, also where the last try came to nothing for sure.
        case.dispatcher.now().mood = Mood::SaysNothing;
        let dispatcher = case.dispatcher.clone();
        let host = case.host.clone();
        host.clone().spawn(async move {
            host.sleep(ms(1_000)).await;
            dispatcher.now().mood = Mood::GoesAway;
        });
        let (status, why) = case.cancel().await;
        assert!(status == 503 && why.contains("it is not known whether job"), "{status}: {why}");
        // It may have been canceled, so what was kept before is not given again.
        *case.dispatcher.now() = Dispatcher::of(JobStatus::Cancelling);
        assert_eq!(case.get(&of_job()).await["state"], "CANCELLING");
        case.dispatcher.now().refusal = Some(JobRefusal::NoMaster);
        assert_eq!(case.cancel().await.0, 503);
        let nobody = Transaction::new().then(Change::Delete { key: leader_key(DISPATCHER) });
        case.bench.coordination.transact(nobody).await.expect("no condition");
        case.pass(500).await;
        let (status, why) = case.cancel().await;
        assert!(status == 503 && why.contains("no dispatcher is known to lead"), "{status}: {why}");
    });
}

/// By the clock of the web monitor, whatever that of the job's master says, and the same however old the answer is.
#[test]
fn times_are_by_the_web_monitors_clock_when_it_asked() {
    case(async |case| {
        let monitor = case.bench.world.find("monitor").expect("it was added");
        case.bench.world.step_wall(monitor, 3_600_000_000_000);
        let now = case.host.wall().as_millis();
        let first = case.get(&of_job()).await;
        let since = |told: &Value| told["timestamps"]["RUNNING"].as_u64().expect("a time");
        let off = since(&first).abs_diff(now - 2_000);
        assert!(off < 100, "{off} ms");
        let listed = case.get("/jobs/overview").await;
        let told =
            |listed: &Value| listed["jobs"][0]["last-modification"].as_u64().expect("a time");
        assert!(told(&listed).abs_diff(now - 2_000) < 100);
        case.pass(2_500).await;
        let again = case.get(&of_job()).await;
        assert!(again["age-ms"].as_u64() >= Some(2_500));
        // Two that are rounded to whole milliseconds make up each.
        assert!(since(&first).abs_diff(since(&again)) <= 1, "{first}, then {again}");
        let listed_again = case.get("/jobs/overview").await;
        assert!(told(&listed).abs_diff(told(&listed_again)) <= 1, "{listed}, then {listed_again}");
        assert_eq!(first["duration"], again["duration"]);
    });
}

/// What the old leader said is told with its age, and the new one is asked next, though the old one would answer.
#[test]
fn the_leader_that_came_last_is_asked() {
    case(async |case| {
        assert_eq!(case.get(&of_job()).await["state"], "RUNNING");
        let second = Shared::<Dispatcher>::default();
        *second.now() = Dispatcher::of(JobStatus::Restarting);
        case.bench.lead(DISPATCHER, 2, StubDispatcher(second.clone())).await;
        case.pass(500).await;
        assert_eq!(case.cancel().await.0, 202);
        assert_eq!((second.now().canceled, case.dispatcher.now().canceled), (1, 0));
        assert_eq!(case.get(&of_job()).await["state"], "RESTARTING");
        assert_eq!(case.asked(), 1);
    });
}
