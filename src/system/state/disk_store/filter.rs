//! Which keys a run surely does not have: a Bloom filter, all bits of a key within 64 bytes.

/// Bits for each key.
const BITS: usize = 10;
/// Words of a line of the processor's cache.
const LINE: usize = 8;
const PROBES: u32 = 6;

/// A filter of a run's keys; about one in eighty of those that are not there is let through.
pub(super) struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// An empty one that is meant for so many keys.
    pub fn new(keys: usize) -> Self {
        let lines = (keys * BITS).div_ceil(64 * LINE).max(1);
        Filter { words: vec![0; lines * LINE] }
    }

    pub fn bytes(&self) -> usize {
        self.words.len() * 8
    }

    fn line(&self, hash: u64) -> usize {
        let lines = (self.words.len() / LINE) as u64;
        // The product's upper half: a line in proportion to the hash.
        ((u128::from(hash) * u128::from(lines)) >> 64) as usize * LINE
    }

    fn bits(hash: u64) -> impl Iterator<Item = (usize, u64)> {
        let spread = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..PROBES).map(move |probe| {
            let bit = (spread >> (9 * probe)) & 511;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    pub fn add(&mut self, hash: u64) {
        let line = self.line(hash);
        for (word, bit) in Self::bits(hash) {
            self.words[line + word] |= bit;
        }
    }

    pub fn may_have(&self, hash: u64) -> bool {
        let line = self.line(hash);
        Self::bits(hash).all(|(word, bit)| self.words[line + word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mix;

    #[test]
    fn what_is_there_is_let_through_and_little_else() {
        let mut filter = Filter::new(10_000);
        (0..10_000).for_each(|n| filter.add(mix(1, n)));
        assert!((0..10_000).all(|n| filter.may_have(mix(1, n))));
        let wrong = (10_000..110_000).filter(|n| filter.may_have(mix(1, *n))).count();
        assert!(wrong < 2_500, "{wrong}");
        assert_eq!(Filter::new(0).bytes(), 64);
    }
}
