//! What a run's history says of what two events in conflict are about.

use super::timeline::last_changes;
use crate::harness::run::RunOutcome;
use std::collections::BTreeMap;

/// Lines that a report shows: the first ones and the last ones of those there are.
const FIRST_MAX: usize = 3;
const LAST_MAX: usize = 4;
/// So many lines are few in any run.
const RARE: usize = 4;

/// The changes of state up to the failure that name what its two events name, the first and the last of them: an
/// object, a checkpoint, a round, a slot. Of what they name the rarest is what they are about; all else, such as the only
/// job, is what the whole run is about.
pub fn said_of_it(outcome: &RunOutcome) -> Vec<String> {
    let Some(violation) = outcome.violations.first() else { return Vec::new() };
    let lines = last_changes(outcome, usize::MAX, violation.at.time);
    let [before, now] = [&violation.before, &violation.now].map(|text| outcome.named(text));
    let asked = names(&before).into_iter().chain(names(&now));
    let mut counts: BTreeMap<String, usize> = asked.map(|name| (name, 0)).collect();
    for name in lines.iter().flat_map(|line| names(line)) {
        counts.entry(name).and_modify(|count| *count += 1);
    }
    counts.retain(|_, count| *count > 0);
    let rarest = counts.values().min().copied().unwrap_or(0);
    counts.retain(|_, count| *count <= (2 * rarest).max(RARE));
    let is_about = |line: &&String| names(line).iter().any(|name| counts.contains_key(name));
    let mut about: Vec<String> = lines.iter().filter(is_about).cloned().collect();
    let middle = FIRST_MAX..about.len().saturating_sub(LAST_MAX);
    if !middle.is_empty() {
        let left_out = format!("  and {} more between", middle.len());
        about.splice(middle, [left_out]);
    }
    about
}

/// What a text names of which there are many, behind the time and the node: words with a digit in them, such as
/// `checkpoint-54`, and numbers with the word before them, such as `round 7`.
fn names(text: &str) -> Vec<String> {
    let behind = text.split_once(": ").map_or(text, |(_, behind)| behind);
    let words = behind.split(|c: char| c.is_whitespace() || ",;()[]\"".contains(c));
    let words: Vec<&str> = words.map(|word| word.trim_end_matches([':', '.'])).collect();
    let begins = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '/');
    let has_digit = |word: &str| word.contains(|c: char| c.is_ascii_digit());
    let pairs = words.windows(2).filter(|pair| begins(pair[0]) && !pair[1].is_empty());
    let pairs = pairs.filter(|pair| pair[1].bytes().all(|byte| byte.is_ascii_digit()));
    let pairs = pairs.map(|pair| pair.join(" "));
    let alone = words.iter().filter(|word| begins(word) && has_digit(word));
    alone.map(|word| word.to_string()).chain(pairs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_number_of_its_own_is_named() {
        let named = |text| names(text);
        assert_eq!(
            named("1.490s job-manager-1/2: checkpoint-54 of job-f12a is complete, 3 in 1.5s"),
            ["checkpoint-54", "job-f12a"]
        );
        assert_eq!(named("frees slot 1, alloc-bcd63c84"), ["alloc-bcd63c84", "slot 1"]);
        assert_eq!(named("the answer to round 8 is applied"), ["round 8"]);
        assert_eq!(named("is stored, 12 at once"), Vec::<String>::new());
    }
}
