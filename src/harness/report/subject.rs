//! What a run's history says of what two events in conflict are about.

use super::timeline::last_changes;
use crate::harness::run::RunOutcome;
use std::collections::BTreeMap;

/// Lines that a report shows: the first ones and the last ones of those there are.
const FIRST_MAX: usize = 3;
const LAST_MAX: usize = 4;
/// What is named in more lines is no subject, but the run itself.
const RARE: usize = 40;

/// The changes of state up to the failure that name what its two events name, the first and the last of them: an
/// object, a checkpoint, a task, a slot. What everything is about, such as the only job, chooses nothing.
pub fn said_of_it(outcome: &RunOutcome) -> Vec<String> {
    let Some(violation) = outcome.violations.first() else { return Vec::new() };
    let lines = last_changes(outcome, usize::MAX, violation.at.time);
    let [before, now] = [&violation.before, &violation.now].map(|text| outcome.named(text));
    let mut counts: BTreeMap<&str, usize> =
        names(&before).chain(names(&now)).map(|name| (name, 0)).collect();
    for line in &lines {
        for name in names(line) {
            counts.entry(name).and_modify(|count| *count += 1);
        }
    }
    counts.retain(|_, count| (1..=RARE).contains(count));
    let is_about = |line: &&String| names(line).any(|name| counts.contains_key(name));
    let mut about: Vec<String> = lines.iter().filter(is_about).cloned().collect();
    let middle = FIRST_MAX..about.len().saturating_sub(LAST_MAX);
    if !middle.is_empty() {
        let left_out = format!("  and {} more between", middle.len());
        about.splice(middle, [left_out]);
    }
    about
}

/// The words of a text that name one thing of many: behind the time and the node, those with a digit in them.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let behind = text.split_once(": ").map_or(text, |(_, behind)| behind);
    let words = behind.split(|c: char| c.is_whitespace() || ",;()[]\"".contains(c));
    let words = words.map(|word| word.trim_end_matches([':', '.']));
    words.filter(|word| {
        let has_digit = word.contains(|c: char| c.is_ascii_digit());
        // Numbers and times name nothing.
        has_digit && word.starts_with(|c: char| c.is_alphabetic() || c == '/')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_number_of_its_own_is_named() {
        let named = |text| names(text).collect::<Vec<_>>();
        assert_eq!(
            named("1.490s job-manager-1/2: checkpoint-54 of job-f12a is complete, 3 in 1.5s"),
            ["checkpoint-54", "job-f12a"]
        );
        assert_eq!(named("frees slot 1, alloc-bcd63c84"), ["alloc-bcd63c84"]);
        assert_eq!(named("the answer to round 8 is applied"), Vec::<&str>::new());
    }
}
