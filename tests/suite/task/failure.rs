//! Whatever goes wrong, a task ends once, for a reason, and leaves nothing behind.

use super::{
    cluster::{Cluster, Job, Mood, attempt, in_simulation, vertex_id},
    ms,
    operators::{Numbers, Pass, Shape},
    pipeline::{PASS, numbers, three_stages},
};
use bytes::Bytes;
use std::time::Duration;
use wavetank::{
    host::{
        NodeAddress,
        sim::{ProcessEnd, WorldConfig},
    },
    system::{
        graph::{Partitioner, TaskDeployment},
        protocol::Finality,
        task_executor::{TaskHandle, TaskStateUpdate},
    },
};

const FLOWING: Numbers = Numbers { count: u64::MAX, batch: 10, pause_ms: 10 };

fn bad(how: &str, source: &Numbers) -> Shape {
    Shape::Bad { source: source.clone(), how: how.to_string() }
}

/// Every task has ended with one terminal report, and no partition is left.
async fn all_over(cluster: &Cluster, job: &Job) {
    for handle in job.handles.values() {
        let attempt = handle.attempt();
        let over = || cluster.reports.state(attempt).is_some_and(|state| state.is_terminal());
        cluster.until("a task goes on", over).await;
    }
    cluster.until("partitions stay", || cluster.partitions() == 0).await;
    cluster.world.sleep(ms(1000)).await;
}

#[test]
fn a_panic_or_an_error_in_any_call_fails_the_task_and_spares_the_process() {
    for how in ["panic", "fail"] {
        for call in ["open", "process", "finish", "snapshot", "confirm"] {
            in_simulation(WorldConfig::new(1), 2, async move |cluster| {
                let graph = bad(&format!("{how} {call}"), &numbers(50, 5, 1));
                let job = cluster.start(cluster.plan(&graph, 1, None));
                let id = job.task(1, 0).attempt();
                cluster.world.sleep(ms(1000)).await;
                job.trigger(1);
                cluster.world.sleep(ms(300)).await;
                job.notify_checkpoint_complete(1, false);
                let reason = cluster.failure(id).await;
                let expected = match how {
                    "panic" => format!("panic in user code: in {call}"),
                    _ => format!("no {call}"),
                };
                assert_eq!(reason, expected);
                // Its reader fails with it; its writer does when it has had a reader.
                cluster.failure(job.task(2, 0).attempt()).await;
                job.cancel();
                all_over(&cluster, &job).await;
                assert!(cluster.nodes.iter().all(|node| cluster.world.is_running(*node)));
            });
        }
    }
}

#[test]
fn a_failing_close_fails_only_what_would_have_finished() {
    for (how, reason) in [
        ("fail close", "no close"),
        ("panic close", "panic in user code: in close"),
        ("hang close", "the operators did not close in time"),
    ] {
        in_simulation(WorldConfig::new(2), 2, async move |cluster| {
            let graph = bad(how, &numbers(50, 5, 1));
            let job = cluster.run(&graph, 1, None).await;
            cluster.world.sleep(ms(1000)).await;
            job.trigger(1);
            cluster.world.sleep(ms(300)).await;
            job.notify_checkpoint_complete(1, true);
            assert_eq!(cluster.failure(job.task(1, 0).attempt()).await, reason);
            let job = cluster.run(&graph, 2, None).await;
            job.cancel();
            all_over(&cluster, &job).await;
            let states = cluster.reports.states(job.task(1, 0).attempt());
            assert_eq!(states.last(), Some(&TaskStateUpdate::Canceled));
        });
    }
}

#[test]
fn a_cancel_ends_every_phase_once_and_releases_everything() {
    for how in ["hang open", "hang snapshot", "hang restore"] {
        in_simulation(WorldConfig::new(3), 2, async move |cluster| {
            let graph = bad(how, &numbers(50, 5, 1));
            let mut restore = None;
            if how == "hang restore" {
                let job = cluster.run(&graph, 1, None).await;
                restore = cluster.checkpoint(&job, 1).await;
                assert!(restore.is_some());
                job.cancel();
                all_over(&cluster, &job).await;
                cluster.store.set(Mood::Hanging);
            }
            let job = cluster.start(cluster.plan(&graph, 2, restore.as_ref()));
            cluster.world.sleep(ms(1000)).await;
            job.trigger(2);
            cluster.world.sleep(ms(1000)).await;
            job.cancel();
            job.cancel();
            all_over(&cluster, &job).await;
            job.trigger(3);
            job.notify_checkpoint_complete(3, true);
            let states = cluster.reports.states(job.task(1, 0).attempt());
            assert_eq!(states.last(), Some(&TaskStateUpdate::Canceled), "{how}");
            let closed = cluster.seen.log().iter().filter(|line| *line == "close").count();
            // Behind an operator that never opens, the sink looks for it in vain, but is open.
            assert_eq!(closed, 1, "{how}");
            cluster.world.sleep(ms(1000)).await;
        });
    }
}

#[test]
fn a_canceled_task_ends_in_the_middle_of_back_pressure() {
    in_simulation(WorldConfig::new(4), 2, async |cluster| {
        let pass = Pass { copies: 100, wait_ms: 50 };
        let graph = three_stages(&numbers(u64::MAX, 9000, 0), &pass, [2, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(3000)).await;
        job.cancel();
        let begin = cluster.world.elapsed();
        for handle in job.handles.values() {
            cluster.until_state(handle.attempt(), TaskStateUpdate::Canceled).await;
        }
        assert!(cluster.world.elapsed() - begin < ms(100));
        all_over(&cluster, &job).await;
    });
}

/// Only the consumers of the second vertex, whose producers are not there.
fn orphan(cluster: &Cluster, epoch: u64) -> (usize, TaskDeployment, Vec<(usize, TaskDeployment)>) {
    let mut plan = cluster.plan(&three_stages(&FLOWING, &PASS, [1, 1, 1]), epoch, None);
    let (node, consumer) = plan.tasks.remove(1);
    (node, consumer, plan.tasks)
}

fn start(cluster: &Cluster, node: usize, deployment: TaskDeployment) -> TaskHandle {
    wavetank::system::task_executor::Task::start(cluster.environment(node), deployment)
}

#[test]
fn a_missing_partition_is_asked_for_until_it_is_there_or_the_time_is_over() {
    for nodes in [1, 2] {
        in_simulation(WorldConfig::new(5), nodes, async |cluster| {
            let begin = cluster.world.elapsed();
            let (node, consumer, _) = orphan(&cluster, 1);
            let handle = start(&cluster, node, consumer);
            let reason = cluster.failure(handle.attempt()).await;
            assert!(reason.ends_with("the partition was not found"), "{reason}");
            let took = cluster.world.elapsed() - begin;
            assert!(
                (Duration::from_secs(18)..=Duration::from_secs(21)).contains(&took),
                "{took:?}"
            );

            let (node, consumer, mut others) = orphan(&cluster, 2);
            let handle = start(&cluster, node, consumer);
            cluster.world.sleep(ms(5000)).await;
            let state = cluster.reports.state(handle.attempt());
            assert_eq!(state, Some(TaskStateUpdate::Initializing));
            let (node, producer) = others.remove(0);
            let producer = start(&cluster, node, producer);
            cluster.until_state(handle.attempt(), TaskStateUpdate::Running).await;
            drop(producer);
            cluster.failure(handle.attempt()).await;
        });
    }
}

#[test]
fn a_subpartition_is_read_once() {
    for nodes in [1, 2] {
        in_simulation(WorldConfig::new(6), nodes, async |cluster| {
            let graph = three_stages(&FLOWING, &PASS, [1, 1, 1]);
            let job = cluster.run(&graph, 1, None).await;
            let (node, mut second, _) = orphan(&cluster, 1);
            second.attempt.epoch = 2;
            let second = start(&cluster, node, second);
            let reason = cluster.failure(second.attempt()).await;
            assert!(reason.ends_with("refused by the producer"), "{reason}");
            let state = cluster.reports.state(job.task(0, 0).attempt());
            assert_eq!(state, Some(TaskStateUpdate::Running), "the first reader is undisturbed");
        });
    }
}

#[test]
fn a_dead_neighbour_fails_both_sides_of_its_channels() {
    in_simulation(WorldConfig::new(7), 3, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        cluster.world.end_process(cluster.nodes[1], ProcessEnd::Killed);
        let upstream = cluster.failure(job.task(0, 0).attempt()).await;
        assert!(upstream.contains("is gone"), "{upstream}");
        let downstream = cluster.failure(job.task(2, 0).attempt()).await;
        assert!(downstream.contains("reading part 0"), "{downstream}");
        let left = [0, 2].map(|node| cluster.exchanges[node].partitions().len());
        assert_eq!(left, [0, 0]);
        // An executor that is gone can't be asked for partitions either.
        let (node, mut consumer, _) = orphan(&cluster, 2);
        assert_eq!(node, 1);
        consumer.inputs[0].channels[0].location = cluster.exchanges[1].address().clone();
        let consumer = start(&cluster, 2, consumer);
        let reason = cluster.failure(consumer.attempt()).await;
        assert!(reason.contains("no connection"), "{reason}");
    });
}

#[test]
fn released_partitions_fail_their_readers() {
    in_simulation(WorldConfig::new(8), 2, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        cluster.exchanges[1].release(attempt(vertex_id(1, 0), 1));
        let reason = cluster.failure(job.task(2, 0).attempt()).await;
        assert!(reason.contains("ended before the end"), "{reason}");
        let reason = cluster.failure(job.task(1, 0).attempt()).await;
        assert!(reason.contains("is gone"), "{reason}");
        job.cancel();
        all_over(&cluster, &job).await;

        // A finished task leaves its partition to a reader that has not come yet.
        let few = three_stages(&numbers(5, 5, 1), &PASS, [1, 1, 1]);
        let (node, producer) = cluster.plan(&few, 2, None).tasks.remove(0);
        let producer = start(&cluster, node, producer);
        cluster.world.sleep(ms(500)).await;
        producer.trigger_checkpoint(wavetank::system::ids::CheckpointId(1), false);
        cluster.world.sleep(ms(100)).await;
        producer.confirm_checkpoint(wavetank::system::ids::CheckpointId(1), Finality::Finished);
        cluster.until_state(producer.attempt(), TaskStateUpdate::Finished).await;
        assert_eq!(cluster.partitions(), 1);
        cluster.exchanges[node].release_job(producer.attempt().job);
        assert_eq!(cluster.partitions(), 0);
    });
}

/// A node that answers everyone who connects with these bytes.
async fn impostor(cluster: &Cluster, answer: Bytes) -> NodeAddress {
    let node = cluster.world.add_node("impostor");
    cluster.world.boot(node, move |host| async move {
        let mut listener = host.listen(9).await.expect("a free port");
        loop {
            let mut stream = listener.accept().await.expect("a listener");
            stream.read().await.expect("a request");
            stream.write(answer.clone()).await.expect("a short answer");
            host.sleep(ms(1000)).await;
        }
    });
    cluster.world.sleep(ms(10)).await;
    NodeAddress::new("impostor", 9)
}

/// The frame of an answer or event, as the wire has it.
fn frame(kind: u8, sequence: u64, records: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(13 + payload.len()).unwrap().to_le_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(&sequence.to_le_bytes());
    frame.extend_from_slice(&records.to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

#[test]
fn what_a_producer_may_not_send_fails_the_consumer_and_no_more() {
    let accepted = || frame(6, 0, 0, b"");
    let data = |sequence| frame(1, sequence, 1, b"\x02\0\0\0\0\x07");
    let many = || (0..50).flat_map(data).collect::<Vec<u8>>();
    let cases = [
        (vec![255; 40], "too long"),
        (frame(99, 0, 0, b""), "malformed"),
        (data(0), "out of turn"),
        ([accepted(), accepted()].concat(), "out of turn"),
        ([accepted(), data(0), data(2)].concat(), "buffer 2 where 1 was due"),
        ([accepted(), data(0), data(0)].concat(), "buffer 0 where 1 was due"),
        ([accepted(), many()].concat(), "more buffers than credited"),
        ([accepted(), frame(4, 0, 0, b""), data(1)].concat(), "out of turn"),
        ([accepted(), frame(2, 0, 0, b"\x07")].concat(), "malformed"),
        ([accepted(), frame(1, 0, 2, b"\x02\0\0\0\0\x07")].concat(), "malformed"),
        ([accepted(), data(0)[..9].to_vec()].concat(), "ended before"),
    ];
    for (answer, expected) in cases {
        in_simulation(WorldConfig::new(9), 2, async move |mut cluster| {
            // Slow, so that nothing is lent anew.
            cluster.config.service_time = ms(500);
            let ends_short = expected == "ended before";
            let (node, mut consumer, _) = orphan(&cluster, 1);
            let location = impostor(&cluster, Bytes::from(answer)).await;
            consumer.inputs[0].channels[0].location = location;
            let handle = start(&cluster, node, consumer);
            cluster.world.sleep(ms(100)).await;
            if ends_short {
                let impostor = cluster.world.find("impostor").unwrap();
                cluster.world.end_process(impostor, ProcessEnd::Killed);
                let reason = cluster.failure(handle.attempt()).await;
                assert!(reason.contains("reading part 0"), "{reason}");
                return;
            }
            let reason = cluster.failure(handle.attempt()).await;
            assert!(reason.contains(expected), "{expected}: {reason}");
            assert!(cluster.world.is_running(cluster.nodes[node]));
        });
    }
}

#[test]
fn what_a_consumer_may_not_send_does_not_hurt_the_executor() {
    in_simulation(WorldConfig::new(10), 2, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        let address = cluster.exchanges[0].address().clone();
        for garbage in [vec![255; 64], vec![3, 0, 0, 0, 9, 9, 9], vec![2, 0, 0, 0, 1, 5], vec![1]] {
            let (done, ended) = futures::channel::oneshot::channel();
            let (host, address) = (cluster.hosts[1].clone(), address.clone());
            cluster.hosts[1].spawn(async move {
                let mut stream = host.connect(&address).await.expect("a listener");
                stream.write(Bytes::from(garbage)).await.expect("few bytes");
                stream.close();
                let answer = stream.read().await;
                let _ = done.send(matches!(answer, Ok(None) | Err(_)));
            });
            assert!(ended.await.expect("the probe lives"), "nothing but an end is answered");
        }
        assert!(cluster.checkpoint(&job, 1).await.is_some());
    });
}

#[test]
fn an_unsound_deployment_is_a_failed_task() {
    in_simulation(WorldConfig::new(11), 1, async |cluster| {
        let plan = || cluster.plan(&three_stages(&FLOWING, &PASS, [1, 1, 2]), 1, None);
        let spoil: [fn(&mut TaskDeployment); 10] = [
            |task| task.inputs.clear(),
            |task| task.program.hash += 1,
            |task| task.parallelism = 0,
            |task| task.max_parallelism = 0,
            |task| task.attempt.vertex.subtask = 7,
            |task| task.operators.clear(),
            |task| task.operators[0].uid = "nobody".to_string(),
            |task| task.produced[0].subpartitions = 0,
            |task| task.produced[0].consumer_max_parallelism = 1,
            |task| task.produced[0].partitioner = Partitioner::Forward,
        ];
        for (epoch, spoil) in (1..).zip(spoil) {
            let (node, mut task) = plan().tasks.remove(1);
            task.attempt.epoch = epoch;
            spoil(&mut task);
            let handle = start(&cluster, node, task);
            cluster.failure(handle.attempt()).await;
            assert_eq!(cluster.reports.states(handle.attempt()).len(), 2);
            assert_eq!(cluster.partitions(), 0);
        }
        // A second attempt of the same name does not take the first one's partitions with it.
        let (node, task) = plan().tasks.remove(0);
        let first = start(&cluster, node, task.clone());
        cluster.until_state(first.attempt(), TaskStateUpdate::Running).await;
        assert_eq!(cluster.partitions(), 1);
    });
}
