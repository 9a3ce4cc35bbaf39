//! Seeded draws that stay the same on every machine, build and version of the crates below.
//!
//! Only raw ChaCha8 words are taken from the library; how they map to ranges is owned here. No
//! floating-point function of libm is used.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use std::time::Duration;

/// A stream of draws keyed by a seed, the concern that it serves and up to two keys of that concern.
#[derive(Clone)]
pub struct Draws {
    stream: ChaCha8Rng,
    /// Which other way than the seed's it goes; 0 for the seed's own.
    branch: u64,
}

impl Draws {
    /// The stream of `concern` under `seed`; `keys` tell one link, disk or node from another.
    pub fn new(seed: u64, concern: &str, keys: [u64; 2]) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&name_hash(concern).to_le_bytes());
        key[16..24].copy_from_slice(&keys[0].to_le_bytes());
        key[24..].copy_from_slice(&keys[1].to_le_bytes());
        Draws { stream: ChaCha8Rng::from_seed(key), branch: 0 }
    }

    /// From now on other words come, of a number's own; 0 changes nothing.
    #[cfg(madsim)]
    pub(in crate::host) fn branch(&mut self, number: u32) {
        if number > 0 {
            self.branch = mix(self.branch, u64::from(number));
        }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let word = self.stream.next_u64();
        if self.branch == 0 { word } else { mix(word, self.branch) }
    }

    /// Uniform in `0..bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number lies below 0");
        scale(self.next_u64(), bound)
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "{low} is above {high}");
        match (high - low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.next_u64(),
        }
    }

    /// True with a probability of `per_million` in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// Uniform in `low..=high`.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        Duration::from_nanos(self.between(nanos(low), nanos(high)))
    }

    /// One of the items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.below(items.len() as u64);
        &items[usize::try_from(index).expect("an index below a length")]
    }

    /// A uniformly drawn order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64 + 1);
            items.swap(last, usize::try_from(other).expect("an index below a length"));
        }
    }
}

/// Maps 64 random bits to `0..bound`; the bias is below bound / 2^64.
pub(in crate::host) fn scale(bits: u64, bound: u64) -> u64 {
    u64::try_from((u128::from(bits) * u128::from(bound)) >> 64)
        .expect("the upper half of a product")
}

/// Maps 64 random bits to `0..=max`.
pub(in crate::host) fn scale_duration(bits: u64, max: Duration) -> Duration {
    Duration::from_nanos(scale(bits, nanos(max).saturating_add(1)))
}

pub(in crate::host) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// FNV-1a, for keys that must be the same in every build.
pub const fn name_hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// Stirs one more word into a hash; the same on every machine.
pub const fn mix(state: u64, word: u64) -> u64 {
    let product = ((state ^ word) as u128) * 0x9e37_79b9_7f4a_7c15_u128;
    ((product >> 64) as u64) ^ (product as u64) ^ state.rotate_left(23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_concerns_and_keys_differ() {
        let first = |concern, keys| Draws::new(7, concern, keys).next_u64();
        let draws = [first("plan", [0, 0]), first("link", [0, 0]), first("link", [0, 1])];
        assert!(draws[0] != draws[1] && draws[1] != draws[2] && draws[0] != draws[2]);
    }

    #[test]
    fn the_first_draws_of_a_seed_never_change() {
        let mut draws = Draws::new(7, "plan", [1, 2]);
        let drawn: Vec<u64> = (0..4).map(|_| draws.below(1000)).collect();
        assert_eq!(drawn, [295, 600, 888, 784]);
    }

    #[test]
    #[cfg(madsim)]
    fn a_branch_has_words_of_its_own_from_its_start_on() {
        let mut ways: Vec<Draws> = (0..4).map(|_| Draws::new(7, "plan", [1, 2])).collect();
        let drawn = |ways: &mut [Draws]| ways.iter_mut().map(|w| w.next_u64()).collect::<Vec<_>>();
        let before = drawn(&mut ways);
        assert!(before.iter().all(|word| *word == before[0]));
        (0..).zip(&mut ways).for_each(|(number, way)| way.branch(number));
        let after = drawn(&mut ways);
        let mut own = Draws::new(7, "plan", [1, 2]);
        assert_eq!([own.next_u64(), own.next_u64()], [before[0], after[0]], "0 is no other way");
        let apart: std::collections::BTreeSet<u64> = after.into_iter().collect();
        assert_eq!(apart.len(), 4);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Draws::new(1, "test", [0, 0]).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn ranges_reach_both_ends() {
        let mut draws = Draws::new(3, "test", [0, 0]);
        let drawn: Vec<u64> = (0..200).map(|_| draws.between(5, 8)).collect();
        assert!((5..=8).all(|n| drawn.contains(&n)));
        assert!(drawn.iter().all(|n| (5..=8).contains(n)));
        assert_eq!(draws.between(9, 9), 9);
    }
}
