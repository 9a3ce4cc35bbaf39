//! What a run is made from: a seed, and from where on it goes another way than the seed says.

use crate::{harness::event::Milestone, host::sim::EntryNumber};
use std::fmt;

/// The last moment that is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BranchPoint {
    /// An entry, with the step that it belongs to.
    Entry(EntryNumber),
    /// The first time that a milestone is reached, from the start or behind the branch before.
    Milestone(Milestone),
}

/// From where on a run goes another way: tasks are scheduled otherwise, and whatever links, disks and nodes draw is drawn
/// otherwise; the plan of faults stays. Written `leader-confirmed+3`, or `#1234+3` behind an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunBranch {
    /// Up to where it is the same run.
    pub from: BranchPoint,
    /// Which of the other ways it goes; 0 is none of them.
    pub number: u32,
}

/// A plan seed and the branches of its run, one behind the other. Written `7`, or `7@leader-confirmed+3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipe {
    /// The plan seed.
    pub seed: u64,
    /// Where it goes another way.
    pub branches: Vec<RunBranch>,
}

impl fmt::Display for RunBranch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            BranchPoint::Entry(entry) => write!(f, "{entry}+{}", self.number),
            BranchPoint::Milestone(milestone) => write!(f, "{milestone}+{}", self.number),
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seed)?;
        self.branches.iter().try_for_each(|branch| write!(f, "@{branch}"))
    }
}

impl RunBranch {
    /// Reads one, of a system with these milestones.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn parse(text: &str, known: &[Milestone]) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a branch such as leader-confirmed+3, a milestone and a number, found {text:?}"
            )
        };
        let (from, number) = text.rsplit_once('+').ok_or_else(expected)?;
        let number = number.parse().map_err(|_| expected())?;
        let from = match from.strip_prefix('#') {
            Some(entry) => {
                let entry = entry.parse().ok().and_then(EntryNumber::new);
                BranchPoint::Entry(entry.ok_or_else(expected)?)
            }
            None => {
                let milestone = known.iter().find(|known| known.name() == from);
                let unknown = || format!("there is no milestone {from:?}: see `cargo run -- list`");
                BranchPoint::Milestone(*milestone.ok_or_else(unknown)?)
            }
        };
        Ok(RunBranch { from, number })
    }

    /// Reads some, one behind the other with an `@` between.
    ///
    /// # Errors
    /// What is wrong with one, for a person.
    pub fn parse_all(text: &str, known: &[Milestone]) -> Result<Vec<Self>, String> {
        text.split('@').map(|branch| RunBranch::parse(branch, known)).collect()
    }
}

impl Recipe {
    /// The run of a seed as it goes by itself.
    pub fn of_seed(seed: u64) -> Self {
        Recipe { seed, branches: Vec::new() }
    }

    /// The branches as text; `None` where there are none.
    pub fn branches_as_text(&self) -> Option<String> {
        let text = self.to_string();
        text.split_once('@').map(|(_, branches)| branches.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::event::MilestoneSpec;

    const KNOWN: &[Milestone] = &[Milestone::new(&MilestoneSpec {
        name: "pointer-moved",
        description: "",
        kind: crate::harness::event::EventKind::of::<crate::host::PropertyEvent>(),
        is: |_, _| false,
        besides: None,
        asks: &[],
    })];

    #[test]
    fn branches_are_read_as_they_are_written() {
        for text in ["pointer-moved+3", "#1234+0", "pointer-moved+3@#1234+1@pointer-moved+2"] {
            let branches = RunBranch::parse_all(text, KNOWN).expect("they are");
            let recipe = Recipe { seed: 7, branches };
            assert_eq!(recipe.to_string(), format!("7@{text}"));
            assert_eq!(recipe.branches_as_text().as_deref(), Some(text));
        }
        assert_eq!(Recipe::of_seed(7).to_string(), "7");
        assert_eq!(Recipe::of_seed(7).branches_as_text(), None);
        for text in [
            "",
            "pointer-moved",
            "pointer-moved+",
            "pointer-moved+-1",
            "#0+1",
            "#x+1",
            "pointer-moved+1@",
        ] {
            let refused = RunBranch::parse_all(text, KNOWN).expect_err("it is none");
            assert!(refused.starts_with("expected a branch"), "{text}: {refused}");
        }
        let refused = RunBranch::parse("pointer+3", KNOWN).expect_err("it is unknown");
        assert!(refused.contains("no milestone \"pointer\""), "{refused}");
    }
}
