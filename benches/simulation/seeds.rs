//! What a seed costs before anything happens in it.

use crate::measure::{Effort, interleave, median, row, seconds};
use std::{sync::Arc, thread};
use wavetank::{
    host::sim::{WorldConfig, simulate},
    under_test::cluster::{TimeBounds, checker_of_foundation},
};

const SEEDS: u32 = 2000;

fn empty_world(seed: u64) {
    let checker = Arc::new(checker_of_foundation(&TimeBounds::default()));
    simulate(WorldConfig::new(seed), checker, async |_| {});
}

fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work).join().expect("no panic");
}

pub fn compare(effort: Effort) {
    let seeds = SEEDS / effort.divisor;
    println!("seed: an empty world; aim: at most 100 µs");
    let each = |work: fn(u64)| seconds(|| (0..u64::from(seeds)).for_each(work));
    let [threaded, bare, thread] = interleave(
        effort.rounds,
        [
            &mut || each(|seed| on_a_thread(move || empty_world(seed))),
            &mut || each(empty_world),
            &mut || each(|_| on_a_thread(|| ())),
        ],
    );
    let cost = |times: &[f64]| format!("{:.1} µs", median(times) / f64::from(seeds) * 1e6);
    row("on a fresh thread", cost(&threaded));
    row("without the thread", cost(&bare));
    row("a thread alone", cost(&thread));
}
