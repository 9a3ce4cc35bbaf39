//! What one client, and all of them together, may take of the server.

use super::model::{Change, Compare, KeyPattern, Refusal, Transaction};

/// The longest key, or text of a pattern, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;
/// The largest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of all keys and values of one transaction: it must fit in a message.
pub const TRANSACTION_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Conditions and changes of one transaction.
pub const STEPS_MAX: usize = 4096;
/// Keys at one server.
pub(super) const KEYS_MAX: usize = 500_000;
/// Bytes of all keys and values at one server, and of what is kept beside each of them.
pub const STORE_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// What a key takes beside its bytes and its value's.
const KEY_BYTES_AROUND: usize = 64;
/// Bytes of keys and values after which an answer holds no more of them; at least one key is in each.
pub const PAGE_BYTES_MAX: u64 = 1024 * 1024;
/// Leases at one server.
pub(super) const LEASES_MAX: usize = 4096;
/// Leases of one process.
pub const CLIENT_LEASES_MAX: usize = 64;
/// Watches that wait at one server.
pub(super) const WATCHES_MAX: usize = 65_536;
/// Watches of one process that wait: one that leads needs a few for each of its jobs.
pub const CLIENT_WATCHES_MAX: usize = 2_560;

/// What an entry counts for, in bytes.
pub(super) fn entry_bytes(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len() + KEY_BYTES_AROUND) as u64
}

/// What a transaction takes while it waits, in bytes.
pub(super) fn transaction_bytes(transaction: &Transaction) -> usize {
    let steps = steps(transaction).map(|(key, value)| key.len() + value.len() + KEY_BYTES_AROUND);
    steps.sum()
}

/// Refuses keys and values that are too large, and too many of them.
pub(super) fn check_size(transaction: &Transaction) -> Result<(), Refusal> {
    let few = transaction.compares.len() + transaction.changes.len() <= STEPS_MAX;
    let small =
        |(key, value): (&str, &[u8])| key.len() <= KEY_BYTES_MAX && value.len() <= VALUE_BYTES_MAX;
    let fits = transaction_bytes(transaction) <= TRANSACTION_BYTES_MAX;
    match few && fits && steps(transaction).all(small) {
        true => Ok(()),
        false => Err(Refusal::TooLarge),
    }
}

/// Refuses a pattern that is too long.
pub(super) fn check_pattern(keys: &KeyPattern) -> Result<(), Refusal> {
    match keys.common().len() <= KEY_BYTES_MAX {
        true => Ok(()),
        false => Err(Refusal::TooLarge),
    }
}

/// Each condition's and change's key and value.
fn steps(transaction: &Transaction) -> impl Iterator<Item = (&str, &[u8])> {
    let compares = transaction.compares.iter().map(|compare| match compare {
        Compare::Value { key, value } => (key.as_str(), value.as_slice()),
        Compare::Absent { key } | Compare::Unchanged { key, .. } => (key.as_str(), &[][..]),
    });
    let changes = transaction.changes.iter().map(|change| match change {
        Change::Put { key, value, .. } => (key.as_str(), value.as_slice()),
        Change::Delete { key } => (key.as_str(), &[][..]),
    });
    compares.chain(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: usize, value: usize) -> Change {
        Change::Put { key: "k".repeat(key), value: vec![0; value], lease: None }
    }

    #[test]
    fn a_transaction_may_be_as_large_as_each_bound_says_and_no_larger() {
        let steps = |count: usize| {
            let delete = |number: usize| Change::Delete { key: number.to_string() };
            (0..count).map(delete).fold(Transaction::new(), Transaction::then)
        };
        assert_eq!(check_size(&steps(STEPS_MAX)), Ok(()));
        assert_eq!(check_size(&steps(STEPS_MAX + 1)), Err(Refusal::TooLarge));
        let of = |key, value| check_size(&Transaction::new().then(put(key, value)));
        assert_eq!(of(KEY_BYTES_MAX, VALUE_BYTES_MAX), Ok(()));
        assert_eq!(of(KEY_BYTES_MAX + 1, 0), Err(Refusal::TooLarge));
        assert_eq!(of(1, VALUE_BYTES_MAX + 1), Err(Refusal::TooLarge));
        let large = TRANSACTION_BYTES_MAX / 2;
        let two = |value| check_size(&Transaction::new().then(put(1, value)).then(put(2, value)));
        assert_eq!(two(large - KEY_BYTES_MAX), Ok(()));
        assert_eq!(two(large), Err(Refusal::TooLarge));
    }
}
