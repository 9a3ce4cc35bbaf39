//! One of several machines that share a sweep.

use std::{fmt, ops::Range};

/// Which of how many parts: `2/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    number: u64,
    of: u64,
}

/// More machines than that nobody has.
const PARTS_MAX: u64 = 100_000;

impl Part {
    /// Reads `i/n`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a part such as 1/4, from 1/N to N/N, N at most {PARTS_MAX}, found {text:?}"
            )
        };
        let (number, of) = text.split_once('/').ok_or_else(expected)?;
        let (number, of) =
            (number.parse().map_err(|_| expected())?, of.parse().map_err(|_| expected())?);
        if of > PARTS_MAX || !(1..=of).contains(&number) {
            return Err(expected());
        }
        Ok(Part { number, of })
    }

    /// Whether a place in a list, from 0, is of this part: it takes every n-th.
    pub fn takes(self, place: usize) -> bool {
        place as u64 % self.of == self.number - 1
    }

    /// Its share of some seeds: all parts together are all of them, each once, and differ by one seed at most.
    pub fn of_seeds(self, seeds: &Range<u64>) -> Range<u64> {
        let all = u128::from(seeds.end - seeds.start);
        let edge = |number: u64| {
            let before = all * u128::from(number) / u128::from(self.of);
            seeds.start + u64::try_from(before).expect("it is at most what there is")
        };
        edge(self.number - 1)..edge(self.number)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(of: u64) -> impl Iterator<Item = Part> {
        (1..=of).map(move |number| Part::parse(&format!("{number}/{of}")).expect("it is one"))
    }

    #[test]
    fn all_parts_together_are_the_whole_and_no_seed_is_in_two() {
        for seeds in [0..1, 0..10, 5..1000, u64::MAX - 7..u64::MAX, 0..u64::MAX] {
            for of in [1, 2, 3, 7, 16, 1000] {
                let shares: Vec<Range<u64>> = parts(of).map(|part| part.of_seeds(&seeds)).collect();
                assert_eq!(
                    (shares[0].start, shares[shares.len() - 1].end),
                    (seeds.start, seeds.end)
                );
                assert!(shares.windows(2).all(|two| two[0].end == two[1].start), "{shares:?}");
                let sizes = shares.iter().map(|share| share.end - share.start);
                let (least, most) = (sizes.clone().min(), sizes.max());
                assert!(
                    most.zip(least).is_some_and(|(most, least)| most - least <= 1),
                    "{shares:?}"
                );
            }
        }
        for place in 0..50 {
            assert_eq!(parts(7).filter(|part| part.takes(place)).count(), 1, "{place}");
        }
    }

    #[test]
    fn a_part_is_read_strictly() {
        for text in ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/2", "a/b", "1/100001"] {
            let refused = Part::parse(text).expect_err("it is none");
            assert!(refused.contains("such as 1/4") && refused.contains(text), "{refused}");
        }
        assert_eq!(Part::parse("4/4").map(|part| part.to_string()), Ok("4/4".to_string()));
    }
}
