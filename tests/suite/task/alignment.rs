//! Barriers that come late, twice, never, or are called back.

use super::{
    cluster::{Cluster, Job, in_simulation},
    ms,
    operators::Numbers,
    pipeline::{PASS, numbers, three_stages},
};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        ids::CheckpointId,
        protocol::Finality,
        task_executor::{TaskEvent, TaskStateUpdate},
    },
};

const FLOWING: Numbers = Numbers { count: u64::MAX, batch: 10, pause_ms: 10 };

/// Two sources that flow into one task, and a sink behind it.
async fn two_into_one(cluster: &Cluster) -> Job {
    cluster.run(&three_stages(&FLOWING, &PASS, [2, 1, 1]), 1, None).await
}

fn trigger_one(job: &Job, subtask: u32, id: u64) {
    job.task(0, subtask).trigger_checkpoint(CheckpointId(id), false);
}

fn received(cluster: &Cluster) -> usize {
    let facts = cluster.facts.all();
    facts.iter().filter(|(_, event)| matches!(event, TaskEvent::BufferReceived { .. })).count()
}

/// How many records of either source have come through.
fn seen_of_each(cluster: &Cluster) -> [usize; 2] {
    let seen = cluster.seen.all();
    let of_first = seen.iter().filter(|number| **number < 1_000_000).count();
    [of_first, seen.len() - of_first]
}

#[test]
fn the_first_barrier_blocks_its_channel_until_the_last_has_come() {
    in_simulation(WorldConfig::new(1), 2, async |cluster| {
        let job = two_into_one(&cluster).await;
        cluster.world.sleep(ms(500)).await;
        trigger_one(&job, 0, 1);
        cluster.world.sleep(ms(500)).await;
        let first = cluster.seen.all().iter().filter(|number| **number < 1_000_000).count();
        cluster.world.sleep(ms(2000)).await;
        let seen = cluster.seen.all();
        let later = seen.iter().filter(|number| **number < 1_000_000).count();
        assert_eq!(later, first, "nothing of the channel that delivered");
        assert!(seen.len() - later > 1500, "the other flows on");
        trigger_one(&job, 1, 1);
        assert!(cluster.outcome(&job, 1).await.is_some());
        cluster.world.sleep(ms(1000)).await;
        assert!(cluster.seen.all().iter().filter(|n| **n < 1_000_000).count() > later + 500);
        assert_eq!((cluster.facts.cuts(), cluster.reports.declined()), ((3, 0), vec![]));
    });
}

#[test]
fn a_source_that_stops_reads_nothing_until_its_checkpoint_comes_to_nothing() {
    in_simulation(WorldConfig::new(3), 2, async |cluster| {
        let job = two_into_one(&cluster).await;
        cluster.world.sleep(ms(500)).await;
        for subtask in [0, 1] {
            job.task(0, subtask).trigger_checkpoint(CheckpointId(1), true);
        }
        assert!(cluster.outcome(&job, 1).await.is_some());
        cluster.world.sleep(ms(500)).await;
        let stopped = seen_of_each(&cluster);
        cluster.world.sleep(ms(2_000)).await;
        assert_eq!(seen_of_each(&cluster), stopped, "nothing comes behind it");
        job.task(0, 0).abort_checkpoint(CheckpointId(1));
        cluster.world.sleep(ms(500)).await;
        let told = seen_of_each(&cluster);
        assert!(told[0] > stopped[0] + 100, "{told:?}: the one that was told goes on");
        assert_eq!(told[1], stopped[1], "the other waits still");
        // A newer checkpoint that stops nobody says as much.
        for subtask in [0, 1] {
            trigger_one(&job, subtask, 2);
        }
        assert!(cluster.outcome(&job, 2).await.is_some());
        cluster.world.sleep(ms(500)).await;
        assert!(seen_of_each(&cluster)[1] > told[1] + 100);
    });
}

#[test]
fn a_newer_barrier_replaces_a_pending_checkpoint() {
    in_simulation(WorldConfig::new(2), 2, async |cluster| {
        let job = two_into_one(&cluster).await;
        trigger_one(&job, 0, 1);
        cluster.world.sleep(ms(300)).await;
        trigger_one(&job, 1, 2);
        cluster.world.sleep(ms(300)).await;
        trigger_one(&job, 0, 2);
        assert!(cluster.outcome(&job, 2).await.is_some());
        // A late barrier of the older one changes nothing.
        trigger_one(&job, 1, 1);
        cluster.world.sleep(ms(300)).await;
        let declined = cluster.reports.declined();
        let expected = [(1, 1, "subsumed".to_string()), (2, 1, "canceled upstream".to_string())];
        assert_eq!(declined, expected);
        assert!(cluster.checkpoint(&job, 3).await.is_some());
        assert_eq!(cluster.facts.cuts(), (6, 0));
    });
}

#[test]
fn a_cancel_marker_ends_the_alignment_and_goes_on_downstream_once() {
    in_simulation(WorldConfig::new(3), 2, async |cluster| {
        let job = two_into_one(&cluster).await;
        trigger_one(&job, 0, 1);
        cluster.world.sleep(ms(300)).await;
        // The abort reaches this source before the trigger.
        job.task(0, 1).abort_checkpoint(CheckpointId(1));
        trigger_one(&job, 1, 1);
        cluster.world.sleep(ms(300)).await;
        let canceled = |vertex| (vertex, 1, "canceled upstream".to_string());
        assert_eq!(cluster.reports.declined(), [canceled(1), canceled(2)]);
        assert!(cluster.checkpoint(&job, 2).await.is_some());
        assert_eq!(cluster.facts.cuts(), (3, 0));
    });
}

#[test]
fn an_abort_unblocks_before_and_after_the_first_barrier() {
    in_simulation(WorldConfig::new(4), 2, async |cluster| {
        let job = two_into_one(&cluster).await;
        trigger_one(&job, 0, 1);
        cluster.world.sleep(ms(300)).await;
        job.task(1, 0).abort_checkpoint(CheckpointId(1));
        cluster.world.sleep(ms(300)).await;
        let before = cluster.seen.all().iter().filter(|number| **number < 1_000_000).count();
        cluster.world.sleep(ms(500)).await;
        let after = cluster.seen.all().iter().filter(|number| **number < 1_000_000).count();
        assert!(after > before + 300, "{before} {after}");
        let marker = (2, 1, "canceled upstream".to_string());
        assert_eq!(cluster.reports.declined(), std::slice::from_ref(&marker));
        // Told in advance, the task skips the checkpoint.
        job.task(1, 0).abort_checkpoint(CheckpointId(2));
        job.trigger(2);
        cluster.world.sleep(ms(500)).await;
        let next = (2, 2, "canceled upstream".to_string());
        assert_eq!(cluster.reports.declined(), [marker, next]);
        assert!(cluster.checkpoint(&job, 3).await.is_some());
    });
}

#[test]
fn the_end_of_a_partition_counts_as_a_barrier() {
    in_simulation(WorldConfig::new(5), 2, async |cluster| {
        // The second source has an end of its own: it is told that a checkpoint was final.
        let graph = three_stages(&numbers(500, 10, 10), &PASS, [2, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(2000)).await;
        let checkpoint = cluster.checkpoint(&job, 1).await.expect("all take part");
        assert!(checkpoint.all_ended);
        trigger_one(&job, 0, 2);
        cluster.world.sleep(ms(300)).await;
        let before = received(&cluster);
        job.task(0, 1).confirm_checkpoint(CheckpointId(1), Finality::Finished);
        cluster.until_state(job.task(0, 1).attempt(), TaskStateUpdate::Finished).await;
        cluster.world.sleep(ms(300)).await;
        assert!(received(&cluster) > before);
        let acknowledged = |vertex| {
            let attempt = job.task(vertex, 0).attempt();
            cluster.reports.all().iter().any(|report| {
                matches!(report, super::record::Report::Acknowledged(by, CheckpointId(2), ..)
                    if *by == attempt)
            })
        };
        assert!(acknowledged(0) && acknowledged(1) && acknowledged(2));
        // And at the first barrier of the next.
        trigger_one(&job, 0, 3);
        cluster.world.sleep(ms(500)).await;
        assert_eq!(cluster.reports.declined(), []);
        for vertex in 1..3 {
            job.task(vertex, 0).confirm_checkpoint(CheckpointId(3), Finality::Finished);
        }
        job.task(0, 0).confirm_checkpoint(CheckpointId(3), Finality::Finished);
        for handle in job.handles.values() {
            cluster.until_state(handle.attempt(), TaskStateUpdate::Finished).await;
        }
    });
}
