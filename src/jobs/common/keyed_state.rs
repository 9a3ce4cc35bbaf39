//! What state by key a job must hold at a cut of its input, told apart from the operator that holds it.

use serde::{Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};

/// State by key, with keys and values as they are encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyedStates {
    /// By key.
    pub values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The timers of event time: milliseconds and a key.
    pub event_timers: BTreeSet<(i64, Vec<u8>)>,
    /// Those of processing time.
    pub processing_timers: BTreeSet<(i64, Vec<u8>)>,
}

/// State by key as it is found, in any order.
#[derive(Clone, Debug, Default)]
pub struct FoundStates {
    /// Keys and values.
    pub values: Vec<(Vec<u8>, Vec<u8>)>,
    /// The timers of event time: milliseconds and a key.
    pub event_timers: Vec<(i64, Vec<u8>)>,
    /// Those of processing time.
    pub processing_timers: Vec<(i64, Vec<u8>)>,
}

/// How the state of one keyed operator comes of the input, as a sequential run has it: it must be the same in whatever
/// order the partitions are read.
#[derive(Clone, Copy, Debug)]
pub struct KeyedStateModel {
    /// The uid of the source.
    pub source: &'static str,
    /// The uid of the operator.
    pub operator: &'static str,
    /// The records before the operator that a line of the input comes to, each as it is encoded.
    pub records: fn(&[u8]) -> Vec<Vec<u8>>,
    /// Handles one of them.
    pub handle: fn(&[u8], &mut KeyedStates),
    /// Adds what is kept of a key group in memory; mostly [`read_group`].
    pub read_group: fn(&[u8], &mut FoundStates) -> Result<(), String>,
    /// Whether a key is forgotten, with its timers, some time behind the end of the input.
    pub forgets_at_end: bool,
}

/// What stands of a key group: keys with their states, timers of event time, timers of processing time.
type Group<K, S> = (Vec<(K, S)>, Vec<(i64, K)>, Vec<(i64, K)>);

/// Adds what a key group holds, of keys and states of these types.
///
/// # Errors
/// Why it can't be read.
pub fn read_group<K, S>(encoded: &[u8], found: &mut FoundStates) -> Result<(), String>
where
    K: Serialize + DeserializeOwned,
    S: Serialize + DeserializeOwned,
{
    let (entries, event, processing): Group<K, S> = match postcard::take_from_bytes(encoded) {
        Ok((group, [])) => group,
        Ok((_, left)) => return Err(format!("{} bytes are left behind it", left.len())),
        Err(error) => return Err(error.to_string()),
    };
    found.values.extend(entries.iter().map(|(key, state)| (encode(key), encode(state))));
    found.event_timers.extend(event.iter().map(|(time, key)| (*time, encode(key))));
    found.processing_timers.extend(processing.iter().map(|(time, key)| (*time, encode(key))));
    Ok(())
}

impl FoundStates {
    /// The same by key.
    ///
    /// # Errors
    /// A key that is found twice.
    pub fn by_key(mut self) -> Result<KeyedStates, Vec<u8>> {
        self.values.sort_unstable();
        if let Some([(twice, _), _]) =
            self.values.array_windows().find(|[one, next]| one.0 == next.0)
        {
            return Err(twice.clone());
        }
        Ok(KeyedStates {
            values: self.values.into_iter().collect(),
            event_timers: self.event_timers.into_iter().collect(),
            processing_timers: self.processing_timers.into_iter().collect(),
        })
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain values can be encoded")
}

impl KeyedStates {
    /// Counts a key; answers how often it was counted then.
    pub fn count(&mut self, key: &[u8]) -> u64 {
        let value = self.values.entry(key.to_vec()).or_default();
        // Nothing but a count of this very function is there.
        let count = postcard::from_bytes::<u64>(value).unwrap_or(0) + 1;
        *value = encode(&count);
        count
    }

    /// What differs from what is expected, in words. `may_lack` keys, where some are forgotten by now.
    pub fn difference(&self, expected: &KeyedStates, may_lack: bool) -> Option<String> {
        if self == expected {
            return None;
        }
        let shown = |key: &[u8]| format!("{:?}", String::from_utf8_lossy(key));
        let is_wanted = |key: &Vec<u8>| !may_lack || self.values.contains_key(key);
        for (key, value) in &expected.values {
            match self.values.get(key) {
                Some(found) if found == value => {}
                Some(found) => {
                    let key = shown(key);
                    return Some(format!("{key} has the state {found:?}, expected {value:?}"));
                }
                None if may_lack => {}
                None => return Some(format!("{} has no state, expected {value:?}", shown(key))),
            }
        }
        if let Some(key) = self.values.keys().find(|key| !expected.values.contains_key(*key)) {
            return Some(format!("{} has a state, expected none", shown(key)));
        }
        let timers = [
            ("event", &self.event_timers, &expected.event_timers),
            ("processing", &self.processing_timers, &expected.processing_timers),
        ];
        for (kind, found, expected) in timers {
            let lacking = expected.difference(found).find(|(_, key)| is_wanted(key));
            if let Some((time, key)) = lacking {
                return Some(format!("{} has no timer of {kind} time at {time}", shown(key)));
            }
            let surplus =
                found.iter().find(|timer| !(expected.contains(*timer) && is_wanted(&timer.1)));
            if let Some((time, key)) = surplus {
                return Some(format!("{} has a timer of {kind} time at {time}", shown(key)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(entries: &[(&str, u64)], timers: &[(i64, &str)]) -> Vec<u8> {
        encode(&(entries, timers, Vec::<(i64, &str)>::new()))
    }

    fn read(encoded: &[u8]) -> Result<KeyedStates, String> {
        let mut found = FoundStates::default();
        read_group::<String, u64>(encoded, &mut found)?;
        found.by_key().map_err(|_| "twice".to_string())
    }

    #[test]
    fn a_group_is_read_and_one_with_a_key_twice_or_with_more_behind_it_is_refused() {
        let states = read(&group(&[("a", 1), ("b", 300)], &[(7, "a")])).expect("sound");
        assert_eq!(states.values[&encode(&"b")], encode(&300_u64));
        assert_eq!(states.event_timers, [(7, encode(&"a"))].into());
        assert!(read(&group(&[("a", 1), ("b", 1), ("a", 2)], &[])).is_err());
        assert!(read(&[group(&[], &[]), vec![0]].concat()).is_err());
    }

    #[test]
    fn each_difference_is_told() {
        let expected = read(&group(&[("a", 2), ("b", 1)], &[(7, "a"), (7, "b")])).expect("sound");
        let differs = |entries: &[(&str, u64)], timers: &[(i64, &str)], may_lack| {
            let found = read(&group(entries, timers)).expect("sound");
            found.difference(&expected, may_lack).is_some()
        };
        let all = [(7, "a"), (7, "b")];
        assert!(!differs(&[("a", 2), ("b", 1)], &all, false));
        assert!(!differs(&[("a", 2), ("b", 1)], &all, true));
        assert!(!differs(&[("a", 2)], &[(7, "a")], true));
        assert!(differs(&[("a", 2)], &[(7, "a")], false));
        assert!(differs(&[("a", 2)], &all, true), "the timer of a key that is gone");
        assert!(differs(&[("a", 2), ("b", 2)], &all, true));
        assert!(differs(&[("a", 2), ("b", 1)], &[(7, "a")], true));
        assert!(differs(&[("a", 2), ("b", 1)], &[(7, "a"), (8, "b")], false));
        assert!(differs(&[("a", 2), ("b", 1), ("c", 1)], &all, true));
    }

    #[test]
    fn a_key_is_counted() {
        let mut states = KeyedStates::default();
        let counts = (0..200).map(|_| states.count(b"a")).collect::<Vec<_>>();
        assert_eq!(counts, (1..=200).collect::<Vec<_>>());
    }
}
