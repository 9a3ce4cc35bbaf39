//! Which subtask a record goes to, and which keys a subtask owns.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the records of an edge are spread over the consumer's subtasks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Partitioner {
    /// Subtask to the same subtask.
    Forward,
    /// Round robin.
    Rebalance,
    /// Every record to every subtask.
    Broadcast,
    /// To the subtask that owns the key.
    Hash,
}

impl fmt::Display for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Partitioner::Forward => "FORWARD",
            Partitioner::Rebalance => "REBALANCE",
            Partitioner::Broadcast => "BROADCAST",
            Partitioner::Hash => "HASH",
        })
    }
}

/// The key group of a key: `0..max_parallelism`.
pub fn key_group(key: &[u8], max_parallelism: u32) -> u32 {
    crc32fast::hash(key) % max_parallelism
}

/// The key groups that a subtask owns; `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyGroupRange {
    /// The first.
    pub start: u32,
    /// One after the last.
    pub end: u32,
}

impl KeyGroupRange {
    /// The groups of one of `parallelism` subtasks: contiguous, and balanced to one.
    pub fn of_subtask(subtask: u32, parallelism: u32, max_parallelism: u32) -> Self {
        let bound = |subtask: u32| {
            let groups = u64::from(subtask) * u64::from(max_parallelism);
            u32::try_from(groups.div_ceil(u64::from(parallelism))).expect("at most all groups")
        };
        KeyGroupRange { start: bound(subtask), end: bound(subtask + 1) }
    }

    /// Whether the group is one of them.
    pub fn contains(self, group: u32) -> bool {
        (self.start..self.end).contains(&group)
    }

    /// The subtask that owns a group.
    pub fn owner(group: u32, parallelism: u32, max_parallelism: u32) -> u32 {
        let owner = u64::from(group) * u64::from(parallelism) / u64::from(max_parallelism);
        u32::try_from(owner).expect("below the parallelism")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_just_the_owner_whose_range_holds_it() {
        for max_parallelism in [1, 4, 7, 128] {
            for parallelism in 1..=max_parallelism {
                let ranges: Vec<_> = (0..parallelism)
                    .map(|s| KeyGroupRange::of_subtask(s, parallelism, max_parallelism))
                    .collect();
                for group in 0..max_parallelism {
                    let owner = KeyGroupRange::owner(group, parallelism, max_parallelism);
                    for (subtask, range) in ranges.iter().enumerate() {
                        assert_eq!(range.contains(group), subtask == owner as usize);
                    }
                }
                assert_eq!(
                    (ranges[0].start, ranges.last().map(|r| r.end)),
                    (0, Some(max_parallelism))
                );
            }
        }
    }
}
