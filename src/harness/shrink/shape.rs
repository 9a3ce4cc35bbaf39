//! What plans have in common that do the same harm.

use crate::harness::scenario::Scenario;

/// The faults of a plan without times, shares and numbers, each once, and whom they strike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape(Vec<String>);

impl Shape {
    /// That of a plan.
    pub fn of(plan: &Scenario) -> Self {
        let mut faults: Vec<String> =
            plan.faults.iter().map(|fault| without_numbers(&fault.kind.to_string())).collect();
        faults.sort();
        faults.dedup();
        Shape(faults)
    }

    /// One of these faults, apart by semicolons.
    #[cfg(test)]
    pub fn for_tests(faults: &str) -> Self {
        Shape(faults.split(';').filter(|fault| !fault.is_empty()).map(str::to_string).collect())
    }

    /// Whether there is no fault in it, which says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0[..] {
            [] => f.write_str("no fault"),
            faults => f.write_str(&faults.join("; ")),
        }
    }
}

/// The words that are no numbers, nodes by their roles.
fn without_numbers(text: &str) -> String {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_alphabetic());
    let names = text.split_whitespace().filter(is_name);
    let names = names.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-'));
    names.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_and_how_much_is_no_part_of_it() {
        assert_eq!(without_numbers("crash task-executor-3"), "crash task-executor");
        let reorder = without_numbers("reorder 20.1421% by 183ms everyone -> everyone A.watch*");
        assert_eq!(reorder, "reorder by everyone everyone A.watch*");
        assert_eq!(reorder, without_numbers("reorder 1% by 1.4s everyone -> everyone A.watch*"));
        assert_ne!(without_numbers("pause a"), without_numbers("pause b"));
    }
}
