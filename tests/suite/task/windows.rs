//! Windows, side outputs and connected streams of real tasks: the same results chained or not, at any parallelism, and
//! over a restart.

use super::{
    cluster::{Cluster, in_simulation},
    ms,
    operators::{Assigner, Numbers, Shape, TIME_PER_NUMBER, event_time, of_window, window_key},
    pipeline::{all_of, numbers},
};
use std::collections::BTreeMap;
use wavetank::host::{Draws, sim::WorldConfig};

const SOURCES: u32 = 2;

/// What a job of windows comes to, computed from all its numbers at once.
fn batch(source: &Numbers, assigner: Assigner) -> Vec<u64> {
    let numbers = (0..u64::from(SOURCES))
        .flat_map(|source_number| (0..source.count).map(move |n| source_number * 1_000_000 + n));
    let mut by_key = BTreeMap::<u64, Vec<(i64, u64)>>::new();
    numbers.for_each(|n| by_key.entry(window_key(n)).or_default().push((event_time(n), n + 1)));
    let mut results = Vec::new();
    for (key, mut timed) in by_key {
        timed.sort_unstable();
        let mut windows = BTreeMap::<(i64, i64), u64>::new();
        match assigner {
            Assigner::Session { gap } => sessions(&timed, gap, &mut windows),
            Assigner::Sliding { size, slide } => {
                let last = timed.last().expect("a key has a number").0;
                for start in (0..).map(|n| -size + n * slide).take_while(|start| *start <= last) {
                    let within = timed.iter().filter(|(at, _)| (start..start + size).contains(at));
                    let sum: u64 = within.map(|(_, n)| n).sum();
                    windows.insert((start, start + size), sum);
                }
                windows.retain(|_, sum| *sum > 0);
            }
        }
        results.extend(windows.into_iter().map(|(window, sum)| of_window(key, window, sum)));
    }
    results.sort_unstable();
    results
}

fn sessions(timed: &[(i64, u64)], gap: i64, windows: &mut BTreeMap<(i64, i64), u64>) {
    let (mut start, mut end, mut sum) = (timed[0].0, timed[0].0, 0);
    for (at, n) in timed {
        if *at > end + gap {
            windows.insert((start, end + gap), sum);
            (start, sum) = (*at, 0);
        }
        (end, sum) = (*at, sum + n);
    }
    windows.insert((start, end + gap), sum);
}

fn shape(source: &Numbers, assigner: Assigner, wide: [u32; 2], chained: bool) -> Shape {
    Shape::Windows { source: source.clone(), assigner, wide: [SOURCES, wide[0], wide[1]], chained }
}

/// A kind of windows of a draw; slides divide sizes so that no number is in between.
fn assigner(draws: &mut Draws) -> Assigner {
    let slide = i64::try_from(draws.between(5, 60)).unwrap();
    match draws.below(3) {
        0 => Assigner::Session {
            gap: TIME_PER_NUMBER * i64::try_from(draws.between(1, 12)).unwrap() + 1,
        },
        1 => Assigner::Sliding { size: slide, slide },
        _ => Assigner::Sliding { size: slide * 3, slide },
    }
}

#[test]
fn windows_are_the_same_chained_or_not_and_at_any_parallelism() {
    let mut results = 0;
    for seed in 0..24 {
        let mut draws = Draws::new(seed, "windows", [0, 0]);
        let source = numbers(draws.between(50, 400), draws.between(1, 40), draws.between(0, 20));
        let assigner = assigner(&mut draws);
        let wide = [0, 0].map(|_| u32::try_from(draws.between(1, 4)).unwrap());
        let expected = batch(&source, assigner);
        results += expected.len();
        let timeout = ms(draws.between(1, 60));
        for chained in [true, false] {
            let (source, expected) = (source.clone(), expected.clone());
            in_simulation(WorldConfig::new(seed), 3, async move |mut cluster| {
                cluster.config.buffer_timeout = timeout;
                let job = cluster.run(&shape(&source, assigner, wide, chained), 1, None).await;
                cluster.finish(&job, 1).await;
                let case = (seed, assigner, wide, chained);
                assert_eq!(cluster.seen.all(), expected, "{case:?}");
                cluster.facts.check_channels();
            });
        }
    }
    assert!(results > 1000, "{results}");
}

#[test]
fn windows_are_exact_over_a_restart_whatever_had_fired() {
    for (seed, begun) in (0..12).zip([0, 100, 300, 700, 1100, 1900].into_iter().cycle()) {
        let mut draws = Draws::new(seed, "windows over a restart", [0, 0]);
        let (source, assigner) = (numbers(300, 3, 20), assigner(&mut draws));
        let expected = batch(&source, assigner);
        in_simulation(WorldConfig::new(seed), 2, async move |cluster| {
            let shape = shape(&source, assigner, [3, 2], seed % 2 == 0);
            let job = cluster.run(&shape, 1, None).await;
            cluster.world.sleep(ms(begun)).await;
            let checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
            // What comes behind the checkpoint is done again.
            cluster.world.sleep(ms(150)).await;
            job.cancel();
            let job = cluster.run(&shape, 2, Some(&checkpoint)).await;
            cluster.finish(&job, 2).await;
            assert_eq!(cluster.seen.all(), expected, "{:?}", (seed, assigner));
        });
    }
}

/// Even numbers go on, odd ones to a side output, where a million million is added.
async fn sides(cluster: Cluster, read: [bool; 2], expected: Vec<u64>) {
    let shape = Shape::Sides { source: numbers(200, 20, 1), read };
    let job = cluster.run(&shape, 1, None).await;
    cluster.finish(&job, 1).await;
    assert_eq!(cluster.seen.all(), expected);
}

#[test]
fn a_side_output_is_read_beside_the_stream_alone_and_not_at_all() {
    const ADDED: u64 = 1_000_000_000_000;
    let even: Vec<u64> = (0..200).filter(|n| n % 2 == 0).collect();
    let odd: Vec<u64> = (0..200).filter(|n| n % 2 == 1).map(|n| n + ADDED).collect();
    let cases =
        [([true, true], [&even[..], &odd].concat()), ([true, false], even), ([false, true], odd)];
    for (read, expected) in cases {
        let run = async move |cluster| sides(cluster, read, expected).await;
        in_simulation(WorldConfig::new(1), 2, run);
    }
}

#[test]
fn a_side_output_that_is_read_as_another_type_fails_the_task() {
    in_simulation(WorldConfig::new(1), 1, async |cluster| {
        let job = cluster.run(&Shape::WrongSide { source: numbers(10, 1, 10) }, 1, None).await;
        let attempt = job.task(0, 0).attempt();
        let why = cluster.failure(attempt).await;
        assert!(why.contains("\"odd\" is read as another type"), "{why}");
    });
}

#[test]
fn one_function_reads_two_streams_of_different_types_by_key_also_over_a_restart() {
    for wide in [1, 3] {
        in_simulation(WorldConfig::new(u64::from(wide)), 2, async move |cluster| {
            let shape = Shape::Connected { source: numbers(500, 10, 5), wide };
            let job = cluster.run(&shape, 1, None).await;
            cluster.world.sleep(ms(80)).await;
            let checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
            job.cancel();
            let job = cluster.run(&shape, 2, Some(&checkpoint)).await;
            cluster.finish(&job, 2).await;
            // The sources have a subtask each.
            let expected: Vec<u64> = (0..10).map(|digit| digit * 1_000_000 + 50_050).collect();
            assert_eq!(cluster.seen.all(), expected);
        });
    }
}

#[test]
fn timers_that_were_due_at_a_snapshot_fire_before_the_records_behind_it() {
    for (seed, begun) in (0..20).zip([300, 700, 1100, 1500].into_iter().cycle()) {
        in_simulation(WorldConfig::new(seed), 3, async move |mut cluster| {
            // Records of one source come before a watermark of the other.
            cluster.config.buffer_timeout = ms(1);
            let shape = Shape::SlowTimers { source: numbers(400, 2, 2) };
            let job = cluster.run(&shape, 1, None).await;
            cluster.world.sleep(ms(begun)).await;
            let checkpoint = cluster.checkpoint(&job, 1).await.expect("complete");
            job.cancel();
            let job = cluster.run(&shape, 2, Some(&checkpoint)).await;
            cluster.finish(&job, 2).await;
            assert_eq!(cluster.seen.all(), all_of(2, 400));
        });
    }
}
