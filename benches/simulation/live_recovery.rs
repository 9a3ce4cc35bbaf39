//! How long a live cluster takes to start and to recover, and what its idle processes hold in memory. Everything is
//! on this machine, each role a process of its own.

use crate::{
    live_cluster::{Client, Cluster, EXECUTORS, memory, role, send},
    measure::{Effort, median, row},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use wavetank::{
    jobs::{common::JobSettings, word_count::word_count},
    system::{
        connector::{GeneratorParameters, Input},
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        leadership::LeaderFollower,
        protocol::{DISPATCHER, DispatcherGateway},
    },
};

/// Rounds of which the median is told, each with a new cluster.
const ROUNDS: usize = 5;
const PARALLELISM: u32 = 2;

/// What is measured, and what is aimed at.
const FIGURES: [(&str, &str); 6] = [
    ("cluster started -> ready", "0.25 s"),
    ("job submitted -> all tasks running", "0.1 s"),
    ("executor killed (SIGKILL) -> all tasks running again", "0.3 s"),
    ("executor stopped (SIGSTOP) -> all tasks running again", "3.2 s"),
    ("leading job manager killed (SIGKILL) -> answered again", "2.8 s"),
    ("leading job manager told to end (SIGTERM) -> answered", "0.5 s"),
];

/// Prints the table.
pub fn live_recovery(effort: Effort) {
    let rounds = ROUNDS.min(effort.rounds);
    println!(
        "live recovery: medians of {rounds} rounds (least to most); 2 job managers with a lease of 3 s, renewed \
         every second; {EXECUTORS} executors that are lost after 3 s without a beat"
    );
    let mut seconds: [Vec<f64>; FIGURES.len()] = Default::default();
    let mut memory = BTreeMap::<String, Vec<f64>>::new();
    for number in 0..rounds {
        let round = Round::of(number);
        for (all, one) in seconds.iter_mut().zip(round.seconds) {
            all.push(one);
        }
        for (role, mib) in round.memory {
            memory.entry(role).or_default().push(mib);
        }
    }
    for ((what, aim), seconds) in FIGURES.iter().zip(&seconds) {
        let (least, most) = ends(seconds);
        row(what, format!("{:.3} s ({least:.3} to {most:.3}; aim {aim})", median(seconds)));
    }
    for (role, mib) in &memory {
        let (least, most) = ends(mib);
        let what = format!("resident memory, idle: {role}");
        row(&what, format!("{:.1} MiB ({least:.1} to {most:.1}; aim 10)", median(mib)));
    }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    (least, values.iter().copied().fold(0.0, f64::max))
}

/// What one cluster has shown.
struct Round {
    seconds: [f64; FIGURES.len()],
    /// In MiB, by roles.
    memory: Vec<(String, f64)>,
}

impl Round {
    fn of(number: usize) -> Round {
        let begun = Instant::now();
        let cluster = Cluster::start(&format!("live-recovery-{number}"));
        let ready = begun.elapsed().as_secs_f64();
        let (rest, memory) = cluster.with_client(async |client| round(&client).await);
        let [submit, killed, stopped, failover, told] = rest;
        Round { seconds: [ready, submit, killed, stopped, failover, told], memory }
    }
}

async fn round(client: &Client<'_>) -> ([f64; 5], Vec<(String, f64)>) {
    let dispatcher = LeaderFollower::new(&client.services.coordination, DISPATCHER);
    // What a start leaves to be done is done.
    client.host.sleep(Duration::from_secs(1)).await;
    let memory = idle_memory(client.cluster);
    let job = job(JobId(client.host.random_u128()));
    let topic = client.services.log.create_topic_until_acknowledged("output", PARALLELISM);
    topic.await.expect("a new topic");
    let begun = Instant::now();
    let submitted = client.dispatcher.call(|gateway| gateway.submit_job(job.clone()), drop).await;
    submitted.expect("it is taken on");
    let mut details = client.until_running(job.id, None).await;
    let submit = begun.elapsed().as_secs_f64();
    let mut seconds = vec![submit];
    for signal in ["-KILL", "-STOP"] {
        let first = &details.vertices[0].subtasks[0];
        let executor = first.executor.as_ref().expect("it runs").to_string();
        let process = client.cluster.processes()[&executor];
        let begun = Instant::now();
        send(signal, process);
        details = client.until_running(job.id, Some(&details)).await;
        seconds.push(begun.elapsed().as_secs_f64());
        if signal == "-STOP" {
            send("-KILL", process);
        }
        client.until_whole(&executor, process).await;
    }
    for signal in ["-KILL", "-TERM"] {
        let (name, process) = client.leading(&dispatcher).await;
        let begun = Instant::now();
        send(signal, process);
        // The one that is told to end may answer until it does.
        client.until_ended(process).await;
        client.dispatcher.call(DispatcherGateway::list_jobs, drop).await;
        seconds.push(begun.elapsed().as_secs_f64());
        client.until_whole(&name, process).await;
    }
    (seconds.try_into().expect("five were measured"), memory)
}

/// What the processes hold.
fn idle_memory(cluster: &Cluster) -> Vec<(String, f64)> {
    let resident = |process| memory(process, "VmRSS").expect("it runs");
    let processes = cluster.processes().into_iter();
    let mut all: Vec<_> =
        processes.map(|(name, id)| (role(&name).to_string(), resident(id))).collect();
    let supervisor = cluster.file()["pid"].as_u64().expect("it runs");
    all.push(("supervisor".to_string(), resident(supervisor)));
    all
}

/// A word count that outlasts every round.
fn job(id: JobId) -> JobGraph {
    let parameters =
        GeneratorParameters { records: 1_000_000_000, per_second: 100, words: 100, seed: 1 };
    let checkpoints = CheckpointSettings { interval_ms: 500, ..CheckpointSettings::default() };
    let restarts = RestartStrategy::FixedDelay { attempts: u32::MAX, delay_ms: 0 };
    let settings =
        JobSettings { parallelism: PARALLELISM, checkpoints, restarts, ..JobSettings::default() };
    word_count(id, Input::Generator(parameters), "output", &settings).expect("sound")
}
