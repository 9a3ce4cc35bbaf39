//! Records go through, in order, once, and no faster than those behind take them.

use super::{
    cluster::{Cluster, attempt, in_simulation, job_graph, vertex_id},
    ms,
    operators::{Numbers, Pass, registry, spec},
    record::Report,
};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        graph::{Partitioner, StreamGraph},
        task_executor::{TaskError, TaskEvent, TaskStateUpdate},
    },
};

pub fn numbers(count: u64, batch: u64, pause_ms: u64) -> Numbers {
    Numbers { count, batch, pause_ms }
}

pub const PASS: Pass = Pass { copies: 1, wait_ms: 0 };

pub fn by_digit() -> Partitioner {
    Partitioner::Hash { selector: "last-digit".to_string() }
}

/// Sources to passes to sinks, over channels all the way.
pub fn three_stages(source: &Numbers, pass: &Pass, wide: [u32; 3]) -> StreamGraph {
    let mut graph = StreamGraph::new();
    let source = graph.source(spec("source", "numbers", source), wide[0]);
    let pass = spec("pass", "pass", pass);
    let pass = graph.operator(source, Partitioner::Rebalance, pass, wide[1]);
    graph.operator(pass, by_digit(), spec("sink", "collect", &()), wide[2]);
    graph
}

/// What `sources` sources hand out in all.
pub fn all_of(sources: u64, count: u64) -> Vec<u64> {
    (0..sources).flat_map(|source| source * 1_000_000..source * 1_000_000 + count).collect()
}

fn finished_order(cluster: &Cluster) -> Vec<u32> {
    let reports = cluster.reports.all().into_iter();
    let finished = reports.filter_map(|report| match report {
        Report::State(attempt, TaskStateUpdate::Finished) => Some(attempt.vertex.vertex.0),
        _ => None,
    });
    finished.collect()
}

#[test]
fn every_record_goes_through_three_stages_once_and_the_job_finishes_in_order() {
    in_simulation(WorldConfig::new(1), 3, async |cluster| {
        let graph = three_stages(&numbers(5000, 50, 10), &PASS, [2, 3, 2]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.finish(&job, 1).await;
        assert_eq!(cluster.seen.all(), all_of(2, 5000));
        assert_eq!(finished_order(&cluster), [0, 0, 1, 1, 1, 2, 2]);
        assert!(cluster.facts.check_channels() > 150);
        let (equal, unequal) = cluster.facts.cuts();
        assert!(equal > 50 && unequal == 0, "{equal} {unequal}");
        cluster.until("partitions stay", || cluster.partitions() == 0).await;
        let finishes = cluster.seen.log().iter().filter(|line| line.starts_with("finish")).count();
        assert_eq!(finishes, 3, "each operator finishes once");
    });
}

#[test]
fn a_forward_channel_keeps_the_order_and_a_chain_is_one_task() {
    in_simulation(WorldConfig::new(2), 2, async |cluster| {
        let mut graph = StreamGraph::new();
        let source = graph.source(spec("source", "numbers", &numbers(3000, 7, 1)), 2);
        let twice = spec("pass", "pass", &Pass { copies: 2, wait_ms: 0 });
        let pass = graph.operator(source, Partitioner::Forward, twice, 2);
        let sink = spec("sink", "collect", &());
        let sink = graph.operator(pass, Partitioner::Forward, sink, 2);
        graph.node_mut(sink).slot_sharing_group = "apart".to_string();
        let job = cluster.run(&graph, 1, None).await;
        assert_eq!(job.handles.len(), 4);
        cluster.finish(&job, 1).await;
        for subtask in 0..2 {
            let begin = u64::from(subtask) * 1_000_000;
            let expected: Vec<u64> = (begin..begin + 3000).flat_map(|n| [n, n]).collect();
            assert_eq!(cluster.seen.of(vertex_id(1, subtask)), expected);
        }
        cluster.facts.check_channels();
    });
}

#[test]
fn keyed_counts_are_exact_over_a_restart() {
    in_simulation(WorldConfig::new(3), 2, async |cluster| {
        let mut graph = StreamGraph::new();
        let source = graph.source(spec("source", "numbers", &numbers(1000, 10, 5)), 2);
        let count = graph.operator(source, by_digit(), spec("count", "count", &()), 3);
        let sink = spec("sink", "collect", &());
        graph.operator(count, Partitioner::Rebalance, sink, 1);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(50)).await;
        let checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
        assert!(!checkpoint.all_ended);
        job.cancel();
        let job = cluster.run(&graph, 2, Some(&checkpoint)).await;
        cluster.finish(&job, 2).await;
        let expected: Vec<u64> = (0..10).map(|digit| digit * 1_000_000 + 200).collect();
        assert_eq!(cluster.seen.all(), expected);
    });
}

#[test]
fn a_slow_consumer_slows_its_producers_and_checkpoints_go_on() {
    for nodes in [1, 2] {
        in_simulation(WorldConfig::new(4), nodes, async |cluster| {
            let graph = three_stages(
                &numbers(u64::MAX, 500, 0),
                &Pass { copies: 1, wait_ms: 1 },
                [2, 1, 1],
            );
            let job = cluster.run(&graph, 1, None).await;
            cluster.world.sleep(ms(20_000)).await;
            assert!(cluster.facts.check_channels() > 10, "the bound is looked at there");
            assert!(cluster.seen.all().len() > 10_000);
            let checkpoint = cluster.checkpoint(&job, 1).await;
            assert!(checkpoint.is_some());
            assert_eq!(cluster.facts.cuts().1, 0);
            job.cancel();
            for handle in job.handles.values() {
                cluster.until_state(handle.attempt(), TaskStateUpdate::Canceled).await;
            }
            assert_eq!(cluster.partitions(), 0);
        });
    }
}

#[test]
fn a_barrier_does_not_wait_for_a_consumer_that_takes_nothing() {
    in_simulation(WorldConfig::new(7), 2, async |cluster| {
        let mut graph = StreamGraph::new();
        let source = graph.source(spec("source", "numbers", &numbers(u64::MAX, 100, 0)), 1);
        let stuck = spec("stuck", "bad", &"hang process");
        graph.operator(source, Partitioner::Rebalance, stuck, 1);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(3000)).await;
        job.trigger(1);
        cluster.world.sleep(ms(50)).await;
        let acknowledged = |report: &Report| matches!(report, Report::Acknowledged(..));
        assert_eq!(cluster.reports.all().iter().filter(|report| acknowledged(report)).count(), 1);
        cluster.facts.check_channels();
    });
}

#[test]
fn a_record_waits_for_its_buffer_no_longer_than_the_timeout() {
    in_simulation(WorldConfig::new(5), 2, async |mut cluster| {
        cluster.config.buffer_timeout = ms(50);
        let graph = three_stages(&numbers(u64::MAX, 1, 200), &PASS, [1, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(1000)).await;
        let before = cluster.seen.all().len();
        // Two channels, each a time-out and a link of at most 2 ms.
        cluster.world.sleep(ms(120)).await;
        assert!((3..=5).contains(&before), "{before}");
        let facts = cluster.facts.all();
        let sent = facts.iter().filter(|(_, event)| matches!(event, TaskEvent::BufferSent { .. }));
        assert!(sent.count() <= 12, "nothing is sent without a record");
        drop(job);
        let source = attempt(vertex_id(0, 0), 1);
        cluster.until_state(source, TaskStateUpdate::Canceled).await;
    });
}

#[test]
fn service_time_slows_a_task_without_holding_back_its_buffers() {
    in_simulation(WorldConfig::new(6), 2, async |mut cluster| {
        cluster.config.service_time = ms(2);
        let graph = three_stages(&numbers(u64::MAX, 200, 0), &PASS, [1, 1, 1]);
        let _job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(10_000)).await;
        let seen = cluster.seen.all().len();
        assert!((3000..=5000).contains(&seen), "{seen}");
    });
}

#[test]
fn unknown_names_and_bad_parameters_are_refused_before_anything_runs() {
    let registry = registry(&Default::default());
    let known = spec("a", "numbers", &numbers(1, 1, 1));
    assert_eq!(registry.knows(&known), Ok(()));
    assert!(matches!(registry.knows(&spec("a", "none", &())), Err(TaskError::Unknown { .. })));
    let bad = spec("a", "numbers", &());
    assert!(matches!(registry.knows(&bad), Err(TaskError::Parameters { .. })));
    let graph = |selector: &str, sink: &str| {
        let mut graph = StreamGraph::new();
        let source = graph.source(known.clone(), 1);
        let selector = selector.to_string();
        graph.operator(source, Partitioner::Hash { selector }, spec("b", sink, &()), 1);
        job_graph(&graph)
    };
    assert_eq!(registry.accepts(&graph("last-digit", "collect")), Ok(()));
    assert!(registry.accepts(&graph("first-digit", "collect")).is_err());
    assert!(registry.accepts(&graph("last-digit", "numbers")).is_err(), "a source is no operator");
}
