//! A simulated day of a service at ten requests a second, retention on: what the whole cluster holds in memory, its
//! simulated disks among it, in the mean of each hour's minutes. `--hours=N` for another length. Nothing is judged
//! meanwhile but that each request is answered: what a checker remembers grows with its history.

use crate::{
    child::{Child, memory_kb},
    measure::{Effort, row},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use wavetank::{
    host::{
        Event, Host, NodeAddress,
        sim::{Observer, Stamp, World, WorldConfig, simulate},
    },
    jobs::{common::JobSettings, shipped},
    system::{
        client::JobClient,
        cluster::{
            ClusterConfig, PORT, run_coordination_node, run_front_end_node, run_job_manager_node,
            run_log_node, run_object_store_node, run_task_executor_node,
        },
        graph::CheckpointSettings,
        http::{HttpClient, HttpClientLimits, HttpRequest},
        ids::JobId,
        request_reply::{Delivery, FrontEndConfig, ServiceArguments},
        rpc::RpcSystem,
        service::log::Retention,
    },
};

/// The argument that makes this program the child of [`day`].
pub const DAY_CHILD: &str = "day-child";

const CALLERS: u64 = 10;
const FRONT_END: u16 = 8080;
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: u32 = 60;
const REQUESTS: &str = "requests";
const RESPONSES: &str = "responses";
/// Of the responses; requests wait for their reader, too.
const RETENTION: Retention =
    Retention { bytes: Some(1 << 20), age_ms: Some(600_000), bytes_max: None, await_reader: false };

/// Looks at nothing.
struct Nobody;

impl Observer for Nobody {
    fn observe(&self, _: &World, _: Stamp, _: &dyn Event) {}
}

fn hours(effort: Effort) -> u32 {
    let given = std::env::args().find_map(|of| of.strip_prefix("--hours=")?.parse().ok());
    given.unwrap_or(24 / effort.divisor.min(12))
}

/// Runs in a process of its own, so that no other part is seen.
pub fn day(_: Effort) {
    println!(
        "day: account, {CALLERS} requests/s; resident, mean of each hour; aim: at most 1.05 times the first"
    );
    let mut sizes: Vec<f64> = Vec::new();
    Child::start(DAY_CHILD).each_line(|line| {
        match line.strip_prefix("resident ") {
            Some(kb) => sizes.push(kb.parse().expect("a number")),
            None => println!("  {line}"),
        }
        if let Some(kb) = sizes.last().filter(|_| line.starts_with("resident")) {
            row(&format!("hour {}", sizes.len()), format!("{:.1} MB", kb / 1e3));
        }
    });
    let (first, last) = (sizes[0], *sizes.last().expect("an hour at least"));
    row("last / first", format!("{:.3}", last / first));
}

/// Prints what is resident in the mean of each simulated hour.
pub fn day_child(effort: Effort) {
    let ((), report) = simulate(WorldConfig::new(1), Arc::new(Nobody), async |world: World| {
        boot(&world);
        for _ in 0..hours(effort) {
            let mut sum = 0.0;
            for _ in 0..MINUTES {
                world.sleep(MINUTE).await;
                sum += f64::from(u32::try_from(memory_kb("VmRSS")).expect("it is a process"));
            }
            println!("resident {}", sum / f64::from(MINUTES));
        }
    });
    println!("{} messages", report.messages);
}

fn boot(world: &World) {
    let address = |name: &str| NodeAddress::new(name, PORT);
    let config = ClusterConfig::new(address("coordination"), address("blobs"), address("log"));
    let log_server = config.log_server;
    world.boot(world.add_node("coordination"), |host| run_coordination_node(host, PORT));
    world.boot(world.add_node("blobs"), |host| run_object_store_node(host, PORT));
    world.boot(world.add_node("log"), move |host| run_log_node(host, PORT, log_server));
    let of = config.clone();
    world.boot(world.add_node("job-manager"), |host| {
        run_job_manager_node(host, PORT, of, shipped().programs())
    });
    let of = config.clone();
    world.boot(world.add_node("task-executor"), |host| {
        run_task_executor_node(host, PORT, PORT + 1, of, shipped().programs())
    });
    let of = config.clone();
    world.boot(world.add_node("client"), |host| submit(host, of));
    world.boot(world.add_node("front-end"), |host| async move {
        let front_end =
            FrontEndConfig { port: FRONT_END, ..FrontEndConfig::new(0, REQUESTS, RESPONSES) };
        run_front_end_node(host, config, front_end, |_| {}, std::future::pending()).await;
    });
    for number in 0..CALLERS {
        world.boot(world.add_node(&format!("caller-{number}")), move |host| call(host, number));
    }
}

async fn submit(host: Host, config: ClusterConfig) {
    let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
    let services = config.services(&service);
    for (topic, await_reader) in [(REQUESTS, true), (RESPONSES, false)] {
        let (log, retention) = (&services.log, Retention { await_reader, ..RETENTION });
        log.create_topic_until_acknowledged(topic, 1).await.expect("it is new");
        log.set_retention_until_acknowledged(topic, retention).await.expect("it is there");
    }
    let arguments = ServiceArguments::new(REQUESTS, 1, RESPONSES, Delivery::AtLeastOnce);
    let checkpoints = CheckpointSettings { interval_ms: 2_000, ..CheckpointSettings::default() };
    let settings = JobSettings { parallelism: 1, checkpoints, ..JobSettings::default() };
    let jobs = shipped();
    let account = jobs.service("account").expect("it is shipped");
    let graph = account.graph(JobId(1), &arguments, &settings).expect("it is sound");
    let client = JobClient::new(&service, &services.coordination);
    client.submit(&graph).await.expect("it is taken");
    std::future::pending().await
}

/// Asks once a second, each time under a key of its own.
async fn call(host: Host, number: u64) {
    // Until there is a job to answer.
    host.sleep(Duration::from_secs(10)).await;
    let client = HttpClient::new(&host, HttpClientLimits::default());
    let front_end = NodeAddress::new("front-end", FRONT_END);
    for asked in 0_u64.. {
        let path = format!("/accounts/{number}");
        let request = HttpRequest::post_json(path, &json!({ "add": 1 }))
            .with_header("idempotency-key", format!("{number}-{asked}"));
        let response = client.request(&front_end, request).await.expect("it is answered");
        assert_eq!(response.status, 200, "{response:?}");
        host.sleep(Duration::from_secs(1)).await;
    }
}
