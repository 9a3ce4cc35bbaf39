//! A checkpoint is a consistent cut, whatever the delays.

use super::{
    cluster::in_simulation,
    ms,
    operators::Pass,
    pipeline::{all_of, numbers, three_stages},
};
use std::sync::{Arc, Mutex};
use wavetank::host::{Draws, Sabotage, sim::WorldConfig};

/// Random data, barriers and delays; returns how many cuts of channels are whole, and are not.
fn massive(seed: u64, sabotage: Option<Sabotage>) -> (usize, usize) {
    let cuts = Arc::<Mutex<(usize, usize)>>::default();
    let found = cuts.clone();
    let config = WorldConfig { sabotage, ..WorldConfig::new(seed) };
    in_simulation(config, 3, async move |mut cluster| {
        let mut draws = Draws::new(seed, "cut", [0, 0]);
        let wide = [0, 0, 0].map(|_| u32::try_from(draws.between(1, 3)).unwrap());
        let wide = [wide[0].max(2), wide[1], wide[2]];
        let source =
            numbers(draws.between(1000, 20_000), draws.between(1, 60), draws.between(0, 8));
        cluster.config.service_time = std::time::Duration::from_micros(draws.between(0, 800));
        cluster.config.buffer_timeout = ms(draws.between(1, 100));
        if seed.is_multiple_of(4) {
            cluster.config.buffer_timeout = ms(0);
        }
        let pass = Pass { copies: 1, wait_ms: 0 };
        let job = cluster.run(&three_stages(&source, &pass, wide), 1, None).await;
        for id in 1..=10 {
            // Sources hear of it at different times; now and then one is given up on the way.
            for subtask in 0..wide[0] {
                cluster.world.sleep(ms(draws.below(60))).await;
                let id = wavetank::system::ids::CheckpointId(id);
                job.task(0, subtask).trigger_checkpoint(id, false);
            }
            if draws.chance(200_000) {
                cluster.world.sleep(ms(draws.below(30))).await;
                job.abort(id);
            } else if draws.chance(700_000) {
                let complete = cluster.outcome(&job, id).await;
                assert!(complete.is_some() || sabotage.is_some(), "seed {seed}: {id} fails");
            }
        }
        *found.lock().unwrap() = cluster.facts.cuts();
        if sabotage.is_some() {
            return;
        }
        cluster.finish(&job, 11).await;
        assert_eq!(cluster.seen.all(), all_of(u64::from(wide[0]), source.count), "seed {seed}");
        cluster.facts.check_channels();
    });
    *cuts.lock().unwrap()
}

#[test]
fn random_data_barriers_and_delays_give_whole_cuts_and_never_stall() {
    for seed in 0..60 {
        let (whole, torn) = massive(seed, None);
        assert!(whole > 0 && torn == 0, "seed {seed}: {whole} {torn}");
    }
}

#[test]
fn without_blocking_the_cuts_are_not_whole() {
    let torn = (0..10)
        .filter(|seed| massive(*seed, Some(wavetank::system::sabotage::BARRIERS_DONT_BLOCK)).1 > 0);
    assert!(torn.count() > 3);
}
