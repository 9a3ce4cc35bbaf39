//! What a cluster tells over HTTP, asked by a client that knows nothing else of it.

use super::cluster::{JOB, Outside, cluster, generator, job};
use serde_json::Value;
use std::time::Duration;
use wavetank::{
    host::NodeAddress,
    system::{
        client::{RestClient, RestError},
        http::{HttpClient, HttpClientLimits, HttpRequest, HttpResponse, Method},
        protocol::JobStatus,
    },
};

const REST_PORT: u16 = 8081;

fn monitor(number: u32) -> NodeAddress {
    NodeAddress::new(format!("job-manager-{number}"), REST_PORT)
}

async fn ask(outside: &Outside, from: &NodeAddress, request: HttpRequest) -> HttpResponse {
    let client = HttpClient::new(outside.service.host(), HttpClientLimits::default());
    client.request(from, request).await.expect("a web monitor that answers")
}

async fn get(outside: &Outside, from: &NodeAddress, path: &str) -> Value {
    let answer = ask(outside, from, HttpRequest::get(path)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.read_json().expect("JSON")
}

/// Submits a job that runs for long, and waits until it does and has a checkpoint.
async fn running(outside: &Outside) {
    outside.client.submit(&job(JOB, generator(1_000_000, 200))).await.expect("a new job");
    loop {
        let details = outside.client.details(JOB).await.expect("a known job");
        if details.status == JobStatus::Running && details.checkpoints.completed > 0 {
            return;
        }
        outside.service.host().sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn every_web_monitor_tells_the_same_of_a_job_that_runs() {
    cluster(|outside| async move {
        running(&outside).await;
        for number in [1, 2] {
            let from = monitor(number);
            let overview = get(&outside, &from, "/overview").await;
            assert_eq!(
                (&overview["taskmanagers"], &overview["slots-total"]),
                (&2.into(), &4.into())
            );
            assert_eq!(overview["jobs-running"], 1);
            let jobs = get(&outside, &from, "/jobs").await;
            assert_eq!(jobs["jobs"][0]["id"], JOB.to_string());
            let job = get(&outside, &from, &format!("/jobs/{JOB}")).await;
            assert_eq!((&job["state"], &job["name"]), (&"RUNNING".into(), &"word-count".into()));
            assert_eq!(job["status-counts"]["running"], job["status-counts"]["total"]);
            let vertex = &job["vertices"][0]["id"].as_str().expect("a vertex");
            let vertex = get(&outside, &from, &format!("/jobs/{JOB}/vertices/{vertex}")).await;
            let host = vertex["subtasks"][0]["taskmanager-id"].as_str().expect("it runs somewhere");
            assert!(host.starts_with("task-executor-"), "{host}");
            let checkpoints = get(&outside, &from, &format!("/jobs/{JOB}/checkpoints")).await;
            assert!(checkpoints["counts"]["completed"].as_u64() > Some(0), "{checkpoints}");
            assert_eq!(
                get(&outside, &from, &format!("/jobs/{JOB}/exceptions")).await["root-exception"],
                Value::Null
            );
            assert_eq!(
                get(&outside, &from, &format!("/jobs/{JOB}/plan")).await["plan"]["name"],
                "word-count"
            );
            let executors = get(&outside, &from, "/taskmanagers").await;
            assert_eq!(executors["taskmanagers"][1]["id"], "task-executor-2");
            assert_eq!(get(&outside, &from, "/config").await["refresh-interval"], 3_000);
        }
    });
}

#[test]
fn what_is_kept_is_told_again_with_its_age_until_it_is_asked_for_anew() {
    cluster(|outside| async move {
        running(&outside).await;
        let (host, from, path) =
            (outside.service.host().clone(), monitor(1), format!("/jobs/{JOB}"));
        let first = get(&outside, &from, &path).await;
        assert!(first["age-ms"].as_u64() < Some(500), "{first}");
        host.sleep(Duration::from_millis(1_500)).await;
        let answer = ask(&outside, &from, HttpRequest::get(path.clone())).await;
        assert_eq!(answer.headers.get("age"), Some("1"));
        let again: Value = answer.read_json().expect("JSON");
        assert!(again["age-ms"].as_u64() >= Some(1_500), "{again}");
        // Times are told in whole milliseconds, and its age takes part in a rounding.
        let near = |one: &Value, other: &Value| {
            let both = one.as_u64().zip(other.as_u64());
            both.is_some_and(|(one, other)| one.abs_diff(other) <= 1)
        };
        assert!(near(&again["now"], &first["now"]), "{again}, {first}");
        for status in ["CREATED", "RUNNING"] {
            let times = (&again["timestamps"][status], &first["timestamps"][status]);
            assert!(near(times.0, times.1), "{status}: {again}, {first}");
        }
        host.sleep(Duration::from_secs(2)).await;
        let anew = get(&outside, &from, &path).await;
        assert!(anew["age-ms"].as_u64() < Some(500), "{anew}");
        assert!(anew["now"].as_u64() > first["now"].as_u64());
    });
}

#[test]
fn a_job_is_canceled_over_http_once() {
    cluster(|outside| async move {
        running(&outside).await;
        let client = RestClient::new(&outside.services.coordination);
        let from = client.leader().await.expect("a web monitor leads");
        client.cancel(&from, JOB).await.expect("it runs");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Canceled);
        // What a standby has kept is not the leader's.
        for number in [1, 2] {
            let told = client.jobs(&monitor(number)).await.expect("an answer");
            assert_eq!(told.jobs[0].job(), Some(JOB));
        }
        match client.cancel(&from, JOB).await {
            Err(RestError::Refused { status: 409, why }) => {
                assert!(why.contains("Canceled"), "{why}")
            }
            other => panic!("{other:?}"),
        }
        outside.service.host().sleep(Duration::from_secs(4)).await;
        let job = client.get(&from, &format!("/jobs/{JOB}")).await.expect("it is known");
        assert_eq!(job["state"], "CANCELED");
        assert!(job["end-time"].as_u64() > job["start-time"].as_u64(), "{job}");
        assert_eq!(job["name"], "word-count");
    });
}

#[test]
fn what_is_asked_wrongly_is_told_in_words() {
    cluster(|outside| async move {
        let from = monitor(1);
        outside.client.list().await;
        for (request, status, words) in [
            (HttpRequest::get(format!("/jobs/{JOB}")), 404, "there is no job"),
            (HttpRequest::get("/jobs/seven"), 400, "can't be \\\"seven\\\""),
            (HttpRequest::get("/nothing"), 404, "there is no /nothing"),
            (HttpRequest::new(Method::POST, "/jobs"), 405, "POST is not allowed"),
            (
                HttpRequest::new(Method::PATCH, format!("/jobs/{JOB}")).with_query("mode", "stop"),
                400,
                "can only be \\\"cancel\\\"",
            ),
            (HttpRequest::new(Method::PATCH, format!("/jobs/{JOB}")), 404, "there is no job"),
        ] {
            let told = format!("{request:?}");
            let answer = ask(&outside, &from, request).await;
            let body = String::from_utf8_lossy(&answer.body).to_string();
            assert!(answer.status == status && body.contains(words), "{told}: {answer:?}, {body}");
            assert!(body.starts_with("{\"errors\":[\""), "{body}");
        }
    });
}
