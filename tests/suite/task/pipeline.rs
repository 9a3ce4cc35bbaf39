//! Records go through, in order, once, and no faster than those behind take them.

use super::{
    cluster::{Cluster, attempt, in_simulation, job_graph, vertex_id},
    ms,
    operators::{Numbers, Pass, Shape, programs},
    record::Report,
};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        graph::ProgramRef,
        protocol::{TaskMetrics, Volume},
        task_executor::{TaskEvent, TaskStateUpdate},
    },
};

pub fn numbers(count: u64, batch: u64, pause_ms: u64) -> Numbers {
    Numbers { count, batch, pause_ms }
}

pub const PASS: Pass = Pass { copies: 1, wait_ms: 0 };

pub fn three_stages(source: &Numbers, pass: &Pass, wide: [u32; 3]) -> Shape {
    Shape::ThreeStages { source: source.clone(), pass: pass.clone(), wide }
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
        let (source, pass) = (numbers(3000, 7, 1), Pass { copies: 2, wait_ms: 0 });
        let graph = Shape::Forward { source, pass, wide: 2 };
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
        let graph = Shape::Counts { source: numbers(1000, 10, 5), wide: [2, 3, 1] };
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
fn what_tasks_spend_their_time_on_is_measured_and_what_goes_through_them() {
    in_simulation(WorldConfig::new(8), 2, async |cluster| {
        let slow = Pass { copies: 2, wait_ms: 1 };
        let graph = three_stages(&numbers(u64::MAX, 500, 0), &slow, [2, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        let measured = || [0, 1, 2].map(|vertex| job.task(vertex, 0).metrics());
        let just_begun = |of: &TaskMetrics| of.elapsed_us() <= 200_000;
        assert!(measured().iter().all(just_begun), "{:?}", measured());
        cluster.world.sleep(ms(5_000)).await;
        let before = measured();
        cluster.world.sleep(ms(60_000)).await;
        let mut spent = measured();
        spent.iter_mut().zip(before).for_each(|(now, before)| *now = now.since(&before));
        // Each of the three parts is told in whole microseconds.
        let whole = |of: &TaskMetrics| of.elapsed_us().abs_diff(60_000_000) <= 3;
        assert!(spent.iter().all(whole), "{spent:?}");
        let [source, pass, sink] = spent;
        let most = 54_000_000;
        assert!(source.back_pressured_us > most, "nobody takes what it has: {source:?}");
        assert!(pass.busy_us > most, "it is what holds the others up: {pass:?}");
        assert!(sink.idle_us > most, "it waits for more: {sink:?}");
        assert_eq!((source.read, sink.written), (Volume::default(), Volume::default()));
        // A buffer counts as read when it is taken, with all its records.
        let buffer = 10_000;
        assert!(pass.read.records.abs_diff(60_000) < buffer, "a millisecond each: {pass:?}");
        assert!(pass.written.records.abs_diff(120_000) < 2_000, "two of each: {pass:?}");
        assert!(pass.written.records.abs_diff(sink.read.records) < buffer, "{pass:?} {sink:?}");
        assert!(pass.read.bytes > pass.read.records, "a number takes some bytes: {pass:?}");
    });
}

#[test]
fn a_barrier_does_not_wait_for_a_consumer_that_takes_nothing() {
    in_simulation(WorldConfig::new(7), 2, async |cluster| {
        let (source, how) = (numbers(u64::MAX, 100, 0), "hang process".to_string());
        let graph = Shape::Bad { source, how };
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
fn without_a_timeout_records_are_sent_before_the_next_ones_are_read() {
    in_simulation(WorldConfig::new(9), 2, async |mut cluster| {
        cluster.config.buffer_timeout = ms(0);
        let graph = three_stages(&numbers(u64::MAX, 5, 200), &PASS, [1, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(1000)).await;
        let sent = |(_, event): &(_, TaskEvent)| match event {
            TaskEvent::BufferSent { records, .. } => Some(*records),
            _ => None,
        };
        let sent: Vec<u32> = cluster.facts.all().iter().filter_map(sent).collect();
        assert!(sent.len() >= 8 && sent.iter().all(|records| *records == 5), "{sent:?}");
        // Nothing waits for the next step of the source. Each goes over two channels.
        assert_eq!(cluster.seen.all().len() * 2, sent.len() * 5);
        job.cancel();
    });
}

#[test]
fn without_a_timeout_records_go_together_while_nobody_takes_them() {
    for nodes in [1, 2] {
        in_simulation(WorldConfig::new(10), nodes, async |mut cluster| {
            cluster.config.buffer_timeout = ms(0);
            let slow = Pass { copies: 1, wait_ms: 1 };
            let graph = three_stages(&numbers(4000, 500, 0), &slow, [2, 1, 1]);
            let job = cluster.run(&graph, 1, None).await;
            cluster.world.sleep(ms(2000)).await;
            assert!(cluster.checkpoint(&job, 1).await.is_some());
            cluster.finish(&job, 2).await;
            assert_eq!(cluster.seen.all(), all_of(2, 4000));
            assert_eq!(cluster.facts.cuts().1, 0);
            assert!(cluster.facts.check_channels() > 10);
            let most = |(_, event): &(_, TaskEvent)| match event {
                TaskEvent::BufferSent { records, .. } => Some(*records),
                _ => None,
            };
            let most = cluster.facts.all().iter().filter_map(most).max();
            assert!(most > Some(100), "{most:?}");
        });
    }
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
fn a_job_of_another_program_is_refused_with_both_and_so_are_arguments_that_do_not_fit() {
    let programs = programs(&Default::default());
    let job = job_graph(&three_stages(&numbers(1, 1, 1), &PASS, [1, 1, 1]));
    assert_eq!(programs.accepts(&job), Ok(()));
    let refused = |change: fn(&mut ProgramRef)| {
        let mut other = job.clone();
        change(&mut other.program);
        programs.accepts(&other).expect_err("it is another").to_string()
    };
    assert_eq!(
        refused(|of| of.name = "tset".to_string()),
        "no program is called \"tset\"; there are test"
    );
    let both = refused(|of| of.version = 2);
    let hash = format!("{:016x}", job.program.hash);
    assert!(both.contains("version 2") && both.contains("version 1"), "{both}");
    assert!(refused(|of| of.hash += 1).contains(&hash));
    assert!(refused(|of| of.arguments = "{}".to_string()).contains("the arguments are refused"));
    // What flows is part of the hash, and so is how wide it is.
    let wider = job_graph(&three_stages(&numbers(1, 1, 1), &PASS, [1, 2, 1]));
    assert_ne!(wider.program.hash, job.program.hash);
    let other = Shape::Bad { source: numbers(1, 1, 1), how: String::new() };
    assert_ne!(job_graph(&other).program.hash, job.program.hash);
}
