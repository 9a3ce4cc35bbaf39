//! State is written, restored, confirmed; and what happens when it can't be.

use super::{
    cluster::{Cluster, Mood, in_simulation, vertex_id},
    ms,
    operators::{Numbers, Pass},
    pipeline::{PASS, all_of, numbers, three_stages},
    record::Report,
};
use wavetank::{
    host::sim::WorldConfig,
    system::{
        graph::StatePlace,
        ids::CheckpointId,
        task_executor::{TaskEvent, TaskStateUpdate},
    },
};

const FLOWING: Numbers = Numbers { count: u64::MAX, batch: 10, pause_ms: 10 };

async fn canceled(cluster: &Cluster, job: &super::cluster::Job) {
    job.cancel();
    for handle in job.handles.values() {
        cluster.until_state(handle.attempt(), TaskStateUpdate::Canceled).await;
    }
}

#[test]
fn a_restored_job_goes_on_as_if_nothing_had_happened() {
    in_simulation(WorldConfig::new(1), 3, async |cluster| {
        let graph = three_stages(&numbers(4000, 20, 5), &PASS, [2, 2, 2]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(300)).await;
        let checkpoint = cluster.checkpoint(&job, 5).await.expect("complete");
        job.notify_checkpoint_complete(5, false);
        cluster.world.sleep(ms(300)).await;
        canceled(&cluster, &job).await;
        assert_eq!(cluster.partitions(), 0);

        let job = cluster.run(&graph, 2, Some(&checkpoint)).await;
        // Those up to the restored one mean nothing to the new attempts.
        job.trigger(5);
        job.notify_checkpoint_complete(5, true);
        cluster.finish(&job, 6).await;
        assert_eq!(cluster.seen.all(), all_of(2, 4000));
        cluster.facts.check_channels();
        assert_eq!(cluster.facts.cuts().1, 0);
        let restored = |(_, event): &(_, TaskEvent)| matches!(event, TaskEvent::Restored { checkpoint: Some(id), .. } if *id == checkpoint.id);
        assert_eq!(cluster.facts.all().iter().filter(|fact| restored(fact)).count(), 6);
    });
}

#[test]
fn a_job_restored_from_behind_its_end_finishes_without_its_end_twice() {
    in_simulation(WorldConfig::new(2), 2, async |cluster| {
        let graph = three_stages(&numbers(100, 10, 1), &PASS, [2, 2, 1]);
        let job = cluster.run(&graph, 1, None).await;
        cluster.world.sleep(ms(1000)).await;
        let checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
        assert!(checkpoint.all_ended);
        canceled(&cluster, &job).await;
        let job = cluster.run(&graph, 2, Some(&checkpoint)).await;
        cluster.finish(&job, 2).await;
        assert_eq!(cluster.seen.all(), all_of(2, 100));
        let finishes = cluster.seen.log().iter().filter(|line| line.starts_with("finish")).count();
        assert_eq!(finishes, 2, "only the first attempts'");
    });
}

#[test]
fn only_a_final_confirmation_of_its_end_finishes_a_task() {
    in_simulation(WorldConfig::new(3), 2, async |cluster| {
        let graph = three_stages(&numbers(1000, 10, 10), &PASS, [1, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        let early = cluster.checkpoint(&job, 1).await.expect("complete");
        assert!(!early.all_ended);
        job.notify_checkpoint_complete(1, true);
        cluster.world.sleep(ms(2000)).await;
        assert!(cluster.checkpoint(&job, 2).await.expect("complete").all_ended);
        job.notify_checkpoint_complete(2, false);
        job.notify_checkpoint_complete(2, false);
        job.notify_checkpoint_complete(1, false);
        cluster.world.sleep(ms(2000)).await;
        for handle in job.handles.values() {
            let state = cluster.reports.state(handle.attempt());
            assert_eq!(state, Some(TaskStateUpdate::Running));
        }
        // The final word may come for a checkpoint that was confirmed before.
        job.notify_checkpoint_complete(2, true);
        for handle in job.handles.values() {
            cluster.until_state(handle.attempt(), TaskStateUpdate::Finished).await;
        }
        assert_eq!(cluster.seen.log().last().map(String::as_str), Some("close"));
        let confirmed = cluster.seen.log().iter().filter(|line| *line == "confirm 2").count();
        assert_eq!(confirmed, 1, "the same word twice is one confirmation");
    });
}

#[test]
fn a_failing_store_declines_and_the_task_goes_on() {
    in_simulation(WorldConfig::new(4), 2, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        cluster.store.set(Mood::Failing);
        assert!(cluster.checkpoint(&job, 1).await.is_none());
        cluster.world.sleep(ms(500)).await;
        let declined = cluster.reports.declined();
        assert_eq!(declined.len(), 3, "{declined:?}");
        assert!(declined.iter().all(|(_, id, why)| *id == 1 && why == "the server is full"));
        cluster.store.set(Mood::Well);
        assert!(cluster.checkpoint(&job, 2).await.is_some());
        canceled(&cluster, &job).await;
    });
}

#[test]
fn records_and_barriers_flow_while_state_is_written_and_an_abort_ends_the_writing() {
    in_simulation(WorldConfig::new(5), 2, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        cluster.store.set(Mood::Hanging);
        job.trigger(1);
        cluster.world.sleep(ms(1000)).await;
        let before = cluster.seen.all().len();
        cluster.world.sleep(ms(1000)).await;
        assert!(cluster.seen.all().len() > before + 800);
        job.trigger(2);
        cluster.world.sleep(ms(500)).await;
        cluster.store.set(Mood::Slow(cluster.hosts[0].clone(), ms(300)));
        job.abort(1);
        assert!(cluster.outcome(&job, 2).await.is_some());
        let heard = cluster.reports.all().into_iter().any(|report| {
            matches!(
                report,
                Report::Acknowledged(_, CheckpointId(1), ..)
                    | Report::Declined(_, CheckpointId(1), _)
            )
        });
        assert!(!heard, "nothing is heard of what was aborted");
        canceled(&cluster, &job).await;
    });
}

#[test]
fn states_that_wait_too_long_are_given_up_for_newer_ones() {
    in_simulation(WorldConfig::new(6), 1, async |cluster| {
        let job = cluster.run(&three_stages(&FLOWING, &PASS, [1, 1, 1]), 1, None).await;
        cluster.store.set(Mood::Hanging);
        for id in 1..=10 {
            job.trigger(id);
            cluster.world.sleep(ms(300)).await;
        }
        let declined: Vec<u64> = cluster.reports.declined().iter().map(|report| report.1).collect();
        assert_eq!(declined.iter().filter(|id| **id == 2).count(), 3, "{declined:?}");
        assert_eq!(declined.iter().max(), Some(&6), "four wait, one is being written");
        canceled(&cluster, &job).await;
    });
}

#[test]
fn a_state_that_can_not_be_read_fails_the_task() {
    in_simulation(WorldConfig::new(7), 1, async |cluster| {
        let graph = three_stages(&FLOWING, &Pass { copies: 1, wait_ms: 0 }, [1, 1, 1]);
        let job = cluster.run(&graph, 1, None).await;
        let mut checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
        canceled(&cluster, &job).await;
        let wrong = checkpoint.states.get_mut(&vertex_id(2, 0)).unwrap();
        wrong.length += 1;
        let missing = checkpoint.states.get_mut(&vertex_id(1, 0)).unwrap();
        missing.place = StatePlace::Object("nowhere".to_string());
        let job = cluster.start(cluster.plan(&graph, 2, Some(&checkpoint)));
        let reason = cluster.failure(job.task(2, 0).attempt()).await;
        assert!(reason.contains("can't be restored"), "{reason}");
        let reason = cluster.failure(job.task(1, 0).attempt()).await;
        assert!(reason.contains("nowhere: no such object"), "{reason}");
    });
}
