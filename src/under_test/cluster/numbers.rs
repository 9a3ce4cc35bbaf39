//! A set of numbers that come roughly in order, so that most of it is few ranges.

use std::collections::BTreeMap;

/// The set: each range's first number, and its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers(BTreeMap<u64, u64>);

impl Numbers {
    /// Whether it has a number.
    pub fn has(&self, number: u64) -> bool {
        self.0.range(..=number).next_back().is_some_and(|(_, last)| *last >= number)
    }

    /// Adds one; whether it is new.
    pub fn add(&mut self, number: u64) -> bool {
        if self.has(number) {
            return false;
        }
        let before = self.0.range(..number).next_back().map(|(first, last)| (*first, *last));
        let first =
            before.filter(|(_, last)| last + 1 == number).map_or(number, |(first, _)| first);
        let next = number.checked_add(1).and_then(|next| self.0.remove(&next));
        self.0.insert(first, next.unwrap_or(number));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(numbers: Vec<u8>) {
            let (mut all, mut model) = (Numbers::default(), BTreeSet::new());
            for number in numbers {
                prop_assert_eq!(all.add(number.into()), model.insert(number));
            }
            for number in 0..=u8::MAX {
                prop_assert_eq!(all.has(number.into()), model.contains(&number));
            }
            let ranges = model.iter().filter(|of| !model.contains(&of.wrapping_sub(1)) || **of == 0);
            prop_assert_eq!(all.0.len(), ranges.count());
        }
    }
}
