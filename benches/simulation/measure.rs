//! Interleaved rounds and their medians.

use std::time::Instant;

/// How much work a measurement is worth.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Rounds of which the median is taken.
    pub rounds: usize,
    /// What the usual amount of work is divided by.
    pub divisor: u32,
}

impl Effort {
    pub fn of(quick: bool) -> Self {
        match quick {
            true => Effort { rounds: 3, divisor: 10 },
            false => Effort { rounds: 7, divisor: 1 },
        }
    }
}

/// Does `work` on a fresh thread, as a run does, and returns its seconds of wall time.
///
/// Inside a simulation std's clock shows simulated time, so it is read around the whole.
pub fn seconds(work: impl FnOnce() + Send) -> f64 {
    std::thread::scope(|scope| {
        let timed = move || {
            let begin = Instant::now();
            work();
            begin.elapsed().as_secs_f64()
        };
        let thread = scope.spawn(timed);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The seconds of each contestant in each round; every round takes all of them in turn.
pub fn interleave<const N: usize>(
    rounds: usize,
    mut contestants: [&mut dyn FnMut() -> f64; N],
) -> [Vec<f64>; N] {
    let mut seconds = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds {
        for (contestant, seconds) in contestants.iter_mut().zip(&mut seconds) {
            seconds.push(contestant());
        }
    }
    seconds
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median of the rounds' own ratios, so that a busy machine disturbs both sides alike.
pub fn ratio(above: &[f64], below: &[f64]) -> f64 {
    let ratios: Vec<f64> = above.iter().zip(below).map(|(above, below)| above / below).collect();
    median(&ratios)
}

pub fn row(what: &str, figure: impl std::fmt::Display) {
    println!("  {what:<52} {figure}");
}
