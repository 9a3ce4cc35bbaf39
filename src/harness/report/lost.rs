//! When a run was lost: how often it fails that goes other ways from its moments on.

use crate::{
    harness::{
        language::wrap,
        run::{BranchPoint, RunOutcome},
    },
    host::sim::EntryNumber,
};
use std::{cmp::Reverse, collections::BTreeSet, fmt, time::Duration};

/// Changes of the outlook that a report shows.
const CHANGES_MAX: usize = 4;
/// What part of the ways must end otherwise for a change that is told: the rest is chance.
const CHANGE_OF: u64 = 10;

/// How often a run fails that goes other ways from its moments on.
#[derive(Debug)]
pub struct Lost {
    /// The ways that were tried from each moment on.
    pub ways: u64,
    /// The moments, in the order of the run.
    pub moments: Vec<Outlook>,
    /// Of the runs that pass the one that is the same for longest, with its trace.
    pub nearest: Option<Box<RunOutcome>>,
}

/// A moment, and how often a run fails that goes another way from there on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// When it was.
    pub at: Duration,
    /// The last entry that is the same.
    pub entry: EntryNumber,
    /// What happened there.
    pub what: String,
    /// In how many of the ways it failed as it did.
    pub failed: u64,
}

impl Lost {
    /// The moments that tell when it was lost: the first, the last, those that change the outlook most, and the one
    /// before the greatest change.
    fn told(&self) -> Vec<&Outlook> {
        let change = |place: &usize| match place.checked_sub(1) {
            Some(before) => self.moments[*place].failed.abs_diff(self.moments[before].failed),
            None => 0,
        };
        let places = 0..self.moments.len();
        let least = (self.ways / CHANGE_OF).max(1);
        let mut changes: Vec<usize> =
            places.clone().filter(|place| change(place) >= least).collect();
        changes.sort_by_key(|place| Reverse(change(place)));
        changes.truncate(CHANGES_MAX);
        let before = changes.first().map(|greatest| greatest - 1);
        let edges = [places.clone().next(), places.last(), before];
        let told: BTreeSet<usize> =
            changes.into_iter().chain(edges.into_iter().flatten()).collect();
        told.into_iter().map(|place| &self.moments[place]).collect()
    }

    /// A line for each moment that says something, and one on the nearest run that passes.
    fn lines(&self) -> Vec<String> {
        let line = |one: &Outlook| {
            let (at, what) = (one.at.as_secs_f64(), &one.what);
            wrap(&format!("  {at:>9.3}s  {:>2} fail  ", one.failed), what)
        };
        let is_lost_at_once = self.moments.iter().all(|one| one.failed == self.ways);
        let told = if is_lost_at_once { Vec::new() } else { self.told() };
        let mut lines: Vec<String> = told.into_iter().map(line).collect();
        lines.push(match (&self.nearest, self.same_up_to()) {
            (Some(run), Some(at)) => {
                let (recipe, at) = (run.recipe(), at.as_secs_f64());
                wrap(
                    "  ",
                    &format!("nearest run that passes: seed {recipe}, the same up to {at:.3}s"),
                )
            }
            _ if is_lost_at_once => "  it fails whatever comes, from its begin on".to_string(),
            _ => "  none of these runs passes".to_string(),
        });
        lines
    }

    /// The last entry that is the same in the nearest run that passes.
    pub(super) fn parts_after(&self) -> Option<EntryNumber> {
        match self.nearest.as_ref()?.branches.first()?.from {
            BranchPoint::Entry(entry) => Some(entry),
            BranchPoint::Milestone(_) => None,
        }
    }

    /// Up to when it is the same.
    pub(super) fn same_up_to(&self) -> Option<Duration> {
        let entry = self.parts_after()?;
        self.moments.iter().find(|one| one.entry == entry).map(|one| one.at)
    }
}

/// A section of a report, without an end of line.
impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "when it was lost: {} other ways from each moment on", self.ways)?;
        self.lines().iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(failed: &[u64]) -> Lost {
        let moment = |(number, failed): (u64, &u64)| Outlook {
            at: Duration::from_millis(number),
            entry: EntryNumber::new(number).expect("from 1"),
            what: format!("step {number}"),
            failed: *failed,
        };
        Lost { ways: 20, moments: (1..).zip(failed).map(moment).collect(), nearest: None }
    }

    #[test]
    fn what_changes_the_outlook_is_told() {
        let places = |failed: &[u64]| -> Vec<u64> {
            lost(failed).told().iter().map(|one| one.entry.get()).collect()
        };
        assert_eq!(places(&[3, 3, 3, 9, 9, 20, 20]), [1, 4, 5, 6, 7]);
        assert_eq!(places(&[20]), [1]);
        assert_eq!(places(&[2, 1, 2, 1, 2]), [1, 5], "chance");
        assert!(places(&[]).is_empty());
        // Of many changes the greatest are told.
        let mut steps: Vec<u64> = (0..20).map(|place| place % 2 * 2).collect();
        steps[13] = 18;
        let told = places(&steps);
        assert!(told.len() <= CHANGES_MAX + 3, "{told:?}");
        assert!([1, 13, 14, 15, 20].iter().all(|place| told.contains(place)), "{told:?}");
    }

    #[test]
    fn a_run_that_none_passes_says_so() {
        let lines = lost(&[19, 20]).lines();
        assert_eq!(lines[0], "      0.001s  19 fail  step 1");
        assert_eq!(lines[2], "  none of these runs passes");
        assert_eq!(lost(&[20, 20]).lines(), ["  it fails whatever comes, from its begin on"]);
    }
}
