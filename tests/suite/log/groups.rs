//! Partitions that are added, and how far groups have read.

use super::{Cell, Client, Tested, records, refused};
use crate::service::in_simulation;
use wavetank::{
    host::sim::WorldConfig,
    system::{
        connector::StartingOffsets,
        service::log::{GROUPS_MAX, GroupOffset, LogEvent, LogRefusal, PARTITIONS_MAX},
    },
};

/// With a topic of two partitions, three records in the first one.
fn run(body: impl AsyncFnOnce(Cell, Client) + Send + 'static) {
    in_simulation::<Tested, ()>(WorldConfig::new(1), async |cell| {
        let log = cell.log("client").await;
        log.create_topic("t", 2).await.expect("a new topic");
        log.append("t", 0, "p", 0, records(&["a", "b", "c"])).await.expect("there is room");
        body(cell, log).await;
    });
}

#[test]
fn partitions_are_added_and_never_taken_away() {
    run(async |cell, log| {
        assert_eq!(log.add_partitions("t", 4).await, Ok(()));
        assert_eq!(log.add_partitions("t", 4).await, Ok(()), "again is fine");
        let fewer = log.add_partitions("t", 3).await;
        assert_eq!(fewer, refused(LogRefusal::TooFewPartitions { partitions: 4 }));
        assert_eq!(
            log.add_partitions("t", PARTITIONS_MAX + 1).await,
            refused(LogRefusal::BadPartitions)
        );
        assert_eq!(log.add_partitions("u", 4).await, refused(LogRefusal::NoPartition));
        assert_eq!(log.append("t", 3, "p", 0, records(&["d"])).await, Ok(1));
        let added = LogEvent::PartitionsAdded { topic: "t".to_string(), partitions: 4 };
        let told = cell.history.events();
        assert_eq!(told.iter().filter(|event| **event == added).count(), 1);
        cell.after_power_cut().await;
        assert_eq!(log.end_offsets_until_acknowledged("t").await, Ok(vec![3, 0, 0, 1]));
    });
}

#[test]
fn what_a_group_has_committed_stays_and_never_goes_back() {
    run(async |cell, log| {
        assert_eq!(log.committed_offsets("g", "t").await, Ok(vec![]));
        assert_eq!(log.commit_offsets("g", "t", vec![(0, 2), (1, 0)]).await, Ok(()));
        assert_eq!(log.commit_offsets("g", "t", vec![(0, 1)]).await, Ok(()), "a late word");
        assert_eq!(log.committed_offsets("g", "t").await, Ok(vec![(0, 2), (1, 0)]));
        assert_eq!(log.committed_offsets("h", "t").await, Ok(vec![]), "each group has its own");
        let of = |partition, offset| {
            let (group, topic) = ("g".to_string(), "t".to_string());
            GroupOffset { group, topic, partition, offset }
        };
        let told = LogEvent::OffsetsCommitted { offsets: vec![of(0, 2), of(1, 0)] };
        let all = cell.history.events().into_iter();
        let all = all.filter(|event| matches!(event, LogEvent::OffsetsCommitted { .. }));
        assert_eq!(all.collect::<Vec<_>>(), [told]);
        let LogEvent::Recovered { committed, .. } = cell.after_power_cut().await else { panic!() };
        assert_eq!(committed, [of(0, 2), of(1, 0)]);
        assert_eq!(log.committed_offsets("g", "t").await, Ok(vec![(0, 2), (1, 0)]));
    });
}

#[test]
fn an_offset_of_nothing_is_refused_with_all_that_came_with_it() {
    run(async |_, log| {
        let beyond = log.commit_offsets("g", "t", vec![(0, 2), (1, 1)]).await;
        assert_eq!(beyond, refused(LogRefusal::BeyondEnd { partition: 1, end: 0 }));
        let nowhere = log.commit_offsets("g", "t", vec![(0, 2), (2, 0)]).await;
        assert_eq!(nowhere, refused(LogRefusal::NoPartition));
        assert_eq!(log.commit_offsets("", "t", vec![(0, 2)]).await, refused(LogRefusal::BadName));
        assert_eq!(log.committed_offsets("g", "u").await, refused(LogRefusal::NoPartition));
        assert_eq!(log.committed_offsets("g", "t").await, Ok(vec![]));
    });
}

#[test]
fn there_are_so_many_groups_and_no_more() {
    run(async |_, log| {
        for number in 0..GROUPS_MAX {
            let group = format!("g{number}");
            assert_eq!(log.commit_offsets(&group, "t", vec![(0, 1)]).await, Ok(()));
        }
        assert_eq!(
            log.commit_offsets("one-more", "t", vec![(0, 1)]).await,
            refused(LogRefusal::Full)
        );
        assert_eq!(log.commit_offsets("g7", "t", vec![(0, 3)]).await, Ok(()), "it is known");
    });
}

#[test]
fn a_job_begins_at_the_begin_the_end_or_where_a_group_has_got_to() {
    run(async |_, log| {
        let resolve = async |from: StartingOffsets| from.resolve(&*log, "t").await;
        let committed = || StartingOffsets::Committed { group: "g".to_string() };
        assert_eq!(resolve(StartingOffsets::Earliest).await, Ok(vec![0, 0]));
        assert_eq!(resolve(StartingOffsets::Latest).await, Ok(vec![3, 0]));
        assert_eq!(resolve(committed()).await, Ok(vec![0, 0]), "nothing is committed");
        log.commit_offsets("g", "t", vec![(0, 2)]).await.expect("there is so much");
        assert_eq!(resolve(committed()).await, Ok(vec![2, 0]));
        let nowhere = StartingOffsets::Latest.resolve(&*log, "u").await;
        assert_eq!(nowhere, Err(LogRefusal::NoPartition));
    });
}
