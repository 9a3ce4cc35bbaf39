//! A whole cluster in simulation, spoken to by a client: submission, results, cancellation, restarts.
use bytes::Bytes;
use std::{sync::Arc, time::Duration};
use wavetank::{
    harness::{check::Violation, event::Moment},
    host::{
        Host, MESSAGE_BYTES_MAX, NodeAddress, Sabotage,
        sim::{NodeId, ProcessEnd, World, WorldConfig, simulate},
    },
    jobs::{
        common::{JobSettings, Topics},
        shipped,
        word_count::{topics, word_count},
    },
    system::{
        client::JobClient,
        cluster::{
            ClusterConfig, PORT, run_coordination_node, run_job_manager_node, run_log_node,
            run_object_store_node, run_task_executor_node,
        },
        connector::{GeneratorParameters, Input, LogSourceParameters, upload_text},
        graph::{CheckpointSettings, GraphError, JobGraph, ProgramRef, RestartStrategy},
        ids::JobId,
        protocol::{JobRefusal, JobStatus, SubmitRefusal},
        rpc::{RpcService, RpcSystem},
        service::{Services, coordination::VALUE_BYTES_MAX, log::Retention},
    },
    under_test::cluster::{TimeBounds, checker},
};

pub const JOB: JobId = JobId(0xabc << 96);
const RESTARTS: RestartStrategy = RestartStrategy::FixedDelay { attempts: 2, delay_ms: 200 };

pub fn job(id: JobId, input: Input) -> JobGraph {
    let checkpoints = CheckpointSettings::default();
    let settings =
        JobSettings { parallelism: 2, checkpoints, restarts: RESTARTS, ..JobSettings::default() };
    word_count(id, input, &topics(1).output, &settings).expect("a sound graph")
}

pub fn generator(records: u64, per_second: u64) -> Input {
    Input::Generator(GeneratorParameters { records, per_second, words: 10, seed: 1 })
}

/// What the client of a test works with.
pub struct Outside {
    pub service: RpcService,
    pub client: JobClient,
    pub services: Services,
    pub managers: Managers,
}

/// The job managers of a cluster.
pub struct Managers {
    world: World,
    nodes: Vec<NodeId>,
    config: ClusterConfig,
}

impl Managers {
    /// Kills all of them.
    pub fn kill(&self) {
        self.nodes.iter().for_each(|node| self.world.end_process(*node, ProcessEnd::Killed));
    }

    /// Boots all of them.
    pub fn boot(&self) {
        for node in &self.nodes {
            let config = self.config.clone();
            let run = |host| run_job_manager_node(host, PORT, config, shipped().programs());
            self.world.boot(*node, run);
        }
    }
}

impl Outside {
    async fn new(host: Host, managers: Managers) -> Self {
        let config = &managers.config;
        let service = RpcSystem::default().bind(&host, 0).await.expect("a free port");
        let services = config.services(&service);
        let Topics { input, output, .. } = topics(1);
        for topic in [input, output] {
            services.log.create_topic_until_acknowledged(&topic, 2).await.expect("a new topic");
        }
        let client = JobClient::new(&service, &services.coordination);
        Outside { service, client, services, managers }
    }

    /// Words counted in all, by the committed output.
    async fn output_records(&self) -> u64 {
        let log = &self.services.log;
        let output = &topics(1).output;
        let mut records = 0;
        for partition in 0..2 {
            let mut next = 0;
            loop {
                let read =
                    log.read_until_acknowledged(output, partition, next, 10_000, Duration::ZERO);
                let batch = read.await.expect("the topic is there");
                next += batch.records.len() as u64;
                if next == batch.end {
                    break;
                }
            }
            records += next;
        }
        records
    }
}

/// Boots two job managers and two task executors with two slots each, and runs `main` as a client;
/// every invariant is judged.
pub fn cluster<F: Future<Output = ()> + Send + 'static>(main: fn(Outside) -> F) {
    // A failed assertion of the client is a panic in its process, and so a violation.
    assert_eq!(run_cluster(None, main).0, []);
}

/// The same with a switch on or none; what is broken. The client comes to its end.
pub fn violations<F: Future<Output = ()> + Send + 'static>(
    sabotage: Option<Sabotage>,
    main: fn(Outside) -> F,
) -> Vec<Violation> {
    let (violations, has_ended) = run_cluster(sabotage, main);
    assert!(has_ended, "an assertion of the client has failed: {violations:#?}");
    violations
}

#[expect(clippy::disallowed_methods, reason = "one fresh thread per seed")]
fn run_cluster<F: Future<Output = ()> + Send + 'static>(
    sabotage: Option<Sabotage>,
    main: fn(Outside) -> F,
) -> (Vec<Violation>, bool) {
    let run = move || {
        let checker = Arc::new(checker(&TimeBounds::default()));
        let body = async move |world: World| drive(&world, main).await;
        let config = WorldConfig { sabotage, ..WorldConfig::new(1) };
        let ((at, has_ended), _) = simulate(config, checker.clone(), body);
        (checker.close(at).violations, has_ended)
    };
    std::thread::spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn drive<F: Future<Output = ()> + Send + 'static>(
    world: &World,
    main: fn(Outside) -> F,
) -> (Moment, bool) {
    let address = |name: &str| NodeAddress::new(name, PORT);
    let config = ClusterConfig::new(address("coordination"), address("blobs"), address("log"));
    world.boot(world.add_node("coordination"), |host| run_coordination_node(host, PORT));
    world.boot(world.add_node("blobs"), |host| run_object_store_node(host, PORT));
    world.boot(world.add_node("log"), |host| run_log_node(host, PORT, Default::default()));
    let nodes = ["job-manager-1", "job-manager-2"].map(|name| world.add_node(name)).to_vec();
    let managers = Managers { world: world.clone(), nodes, config: config.clone() };
    managers.boot();
    for name in ["task-executor-1", "task-executor-2"] {
        let config = config.clone();
        let run = |host| run_task_executor_node(host, PORT, PORT + 1, config, shipped().programs());
        world.boot(world.add_node(name), run);
    }
    let (done, ended) = futures::channel::oneshot::channel();
    let client = world.add_node("client");
    world.boot(client, move |host| async move {
        main(Outside::new(host, managers).await).await;
        let _ = done.send(());
    });
    // Cut short when the client's process dies.
    let has_ended = ended.await.is_ok();
    (Moment::new(world.elapsed(), (client, 0)), has_ended)
}

#[test]
fn a_job_is_taken_once_and_is_never_run_again() {
    cluster(|outside| async move {
        let graph = job(JOB, generator(100, 0));
        assert_eq!(outside.client.details(JOB).await, Err(JobRefusal::Unknown(JOB)));
        outside.client.submit(&graph).await.expect("a new job");
        outside.client.submit(&graph).await.expect("handing it over again is the same");
        assert_eq!(outside.client.list().await, [JOB]);
        let result = outside.client.result(JOB).await.expect("a known job");
        // Two words in each record: `word-7`.
        assert_eq!((result.status, outside.output_records().await), (JobStatus::Finished, 400));
        outside.client.submit(&graph).await.expect("it was handed over");
        assert_eq!(outside.client.details(JOB).await.map(|d| d.status), Ok(JobStatus::Finished));
        assert_eq!(outside.output_records().await, 400);
        assert_eq!(outside.client.list().await, []);
    });
}

#[test]
fn unsound_and_unknown_jobs_are_refused() {
    cluster(|outside| async move {
        let mut unsound = job(JOB, generator(1, 0));
        unsound.vertices[0].parallelism = 0;
        let refused = outside.client.submit(&unsound).await.expect_err("unsound");
        assert!(matches!(refused, SubmitRefusal::Graph(GraphError::OutOfBounds { .. })));
        let refused = async |change: fn(&mut ProgramRef)| {
            let mut job = job(JOB, generator(1, 0));
            change(&mut job.program);
            let refused = outside.client.submit(&job).await.expect_err("unknown");
            assert!(matches!(refused, SubmitRefusal::UnknownProgram(_)), "{refused}");
            refused.to_string()
        };
        let unknown = refused(|program| program.name = "nobody-knows-it".to_string()).await;
        assert!(unknown.contains("nobody-knows-it") && unknown.contains("word-count"), "{unknown}");
        let arguments = refused(|program| program.arguments = "{}".to_string()).await;
        assert!(arguments.contains("the arguments are refused"), "{arguments}");
        let other = refused(|program| program.version = 7).await;
        assert!(other.contains("version 7") && other.contains("version 1"), "{other}");
        assert_eq!(outside.client.cancel(JOB).await, Err(JobRefusal::Unknown(JOB)));
    });
}

/// Beyond what the store keeps, and beyond what a message holds.
#[test]
fn a_graph_that_is_too_large_is_refused_and_harms_nobody() {
    cluster(|outside| async move {
        for bytes in [VALUE_BYTES_MAX + 1, MESSAGE_BYTES_MAX + 1] {
            let mut large = job(JOB, generator(1, 0));
            large.name = "x".repeat(bytes);
            let refused = outside.client.submit(&large).await;
            let is_too_large =
                matches!(refused, Err(SubmitRefusal::Graph(_) | SubmitRefusal::TooLarge));
            assert!(is_too_large, "{refused:?}");
            assert_eq!(outside.client.details(JOB).await, Err(JobRefusal::Unknown(JOB)));
        }
        outside.client.submit(&job(JOB, generator(10, 0))).await.expect("a small one");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Finished);
    });
}

#[test]
fn a_job_that_keeps_failing_fails_with_its_cause_after_its_restarts() {
    cluster(|outside| async move {
        let nowhere = LogSourceParameters::new("no-such-topic", vec![1, 1]);
        let graph = job(JOB, Input::Log(nowhere));
        outside.client.submit(&graph).await.expect("its operators are known");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Failed);
        let cause = result.cause.expect("it says why");
        // A reader that loses its producer may be told of first.
        let causes = ["no such partition", "ended before the end of the partition"];
        assert!(causes.iter().any(|known| cause.contains(known)), "{cause}");
    });
}

#[test]
fn a_job_begins_where_its_topic_is_kept_by_then() {
    cluster(|outside| async move {
        let (log, input) = (&outside.services.log, topics(1).input);
        let append = async |first: u64, count: usize| {
            let lines = vec![Bytes::from_static(b"a b"); count];
            log.append_until_acknowledged(&input, 0, "w", first, lines).await
        };
        assert_eq!(append(0, 10).await, Ok(10));
        let gone = Retention { age_ms: Some(200), ..Retention::default() };
        log.set_retention_until_acknowledged(&input, gone).await.expect("it is there");
        log.host().sleep(Duration::from_secs(2)).await;
        assert_eq!(log.start_offsets_until_acknowledged(&input).await, Ok(vec![10, 0]));
        log.set_retention_until_acknowledged(&input, Retention::default()).await.expect("there");
        assert_eq!(append(10, 5).await, Ok(15));
        let graph = job(JOB, Input::Log(LogSourceParameters::new(&input, vec![15, 0])));
        outside.client.submit(&graph).await.expect("a new job");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!((result.status, outside.output_records().await), (JobStatus::Finished, 10));
    });
}

#[test]
fn a_canceled_job_ends_and_frees_its_slots_for_the_next() {
    cluster(|outside| async move {
        let endless = job(JOB, generator(1_000_000_000, 10));
        outside.client.submit(&endless).await.expect("a new job");
        outside.service.host().sleep(Duration::from_secs(5)).await;
        outside.client.cancel(JOB).await.expect("it runs");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!(result.status, JobStatus::Canceled);
        let refused = outside.client.cancel(JOB).await;
        assert_eq!(refused, Err(JobRefusal::Terminated(JobStatus::Canceled)));
    });
}

#[test]
fn the_lines_of_a_text_are_counted_whatever_their_length_and_end() {
    cluster(|outside| async move {
        let objects = &*outside.services.objects;
        let long = "x ".repeat(40_000);
        let text = Bytes::from(format!("one two\n\n{long}\nthree\nlast without an end"));
        let parameters = upload_text(objects, "text", &text).await.expect("a new text");
        let graph = job(JOB, Input::Text(parameters));
        outside.client.submit(&graph).await.expect("a new job");
        let result = outside.client.result(JOB).await.expect("a known job");
        assert_eq!((result.status, result.cause), (JobStatus::Finished, None));
        assert_eq!(outside.output_records().await, 2 + 40_000 + 1 + 4);
    });
}
