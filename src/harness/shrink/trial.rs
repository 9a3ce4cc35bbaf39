//! Runs of plans that may fail as another did.

use super::document::Document;
use crate::harness::{
    explore::Failure,
    run::{RunConfig, RunOutcome, Signature, run_on_fresh_thread},
    scenario::Scenario,
    system::Systems,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
};

/// A plan with the text in place of its workload, if there is one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub document: Document,
    pub input: Option<Arc<Vec<Bytes>>>,
}

/// A candidate that fails as the whole plan does.
#[derive(Debug)]
pub(super) struct Kept {
    pub candidate: Candidate,
    pub scenario: Arc<Scenario>,
    pub outcome: RunOutcome,
}

/// Tries candidates, several at a time.
pub(super) struct Trial<'a> {
    pub systems: Systems,
    pub failure: &'a Failure,
    pub wanted: Signature,
    pub jobs: usize,
    /// Set from outside: nothing is run any more.
    pub stop: &'a AtomicBool,
    /// Set once no more candidates are to be tried.
    pub enough: AtomicBool,
}

impl Trial<'_> {
    /// Whether no more candidates are to be tried.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.enough.load(Ordering::Relaxed)
    }

    /// Of a list of candidates the first that fails as the whole plan does, whatever the number of threads, behind
    /// those that had to be tried for it, itself among them; each run is told. What can't be run is passed over, and of the
    /// others at most so many are tried.
    pub fn first_that_fails(
        &self,
        candidates: Vec<Candidate>,
        most: u64,
        mut goes_on: impl FnMut() -> bool,
    ) -> (Vec<Candidate>, Option<Kept>) {
        let known: Vec<(Candidate, Arc<Scenario>)> = candidates
            .into_iter()
            .filter_map(|one| {
                let scenario = one.document.scenario(self.systems, &self.failure.plan)?;
                // What a kept text can't be read by is no candidate.
                let fits =
                    one.input.as_ref().is_none_or(|text| scenario.system.check_input(text).is_ok());
                fits.then(|| (one, Arc::new(scenario)))
            })
            .take(usize::try_from(most).unwrap_or(usize::MAX))
            .collect();
        let run = |index: usize| {
            let (candidate, scenario) = &known[index];
            let config = RunConfig { input: candidate.input.clone(), ..self.failure.config() };
            run_on_fresh_thread(scenario, &config)
        };
        let is_over = || self.is_over();
        let mut ran = 0;
        let found = first(known.len(), self.jobs, is_over, run, |outcome| {
            ran += 1;
            if !goes_on() {
                self.enough.store(true, Ordering::Relaxed);
            }
            Signature::of(outcome).as_ref() == Some(&self.wanted)
        });
        let tried = found.as_ref().map_or(ran, |(index, _)| index + 1);
        let tried = known[..tried].iter().map(|(candidate, _)| candidate.clone()).collect();
        let kept = found.map(|(index, outcome)| {
            let (candidate, scenario) = known[index].clone();
            // There may be very many of them.
            let outcome = RunOutcome { history: Vec::new(), ..outcome };
            Kept { candidate, scenario, outcome }
        });
        (tried, kept)
    }

    /// The run of a plan with its trace.
    pub fn traced(&self, kept: &Kept) -> RunOutcome {
        let input = kept.candidate.input.clone();
        let config = RunConfig { trace: true, input, ..self.failure.config() };
        run_on_fresh_thread(&kept.scenario, &config)
    }

    /// Under how many of the first so many schedules a plan fails so; `None` when it was stopped meanwhile.
    pub fn failures(
        &self,
        scenario: &Arc<Scenario>,
        input: Option<&Arc<Vec<Bytes>>>,
        schedules: u64,
        mut on_run: impl FnMut(),
    ) -> Option<u64> {
        let run = |index: usize| {
            let (schedule, input) = (Some(index as u64), input.cloned());
            let config = RunConfig { schedule, input, ..self.failure.config() };
            run_on_fresh_thread(scenario, &config)
        };
        let (mut ran, mut failed) = (0, 0);
        let schedules = usize::try_from(schedules).unwrap_or(usize::MAX);
        let is_over = || self.stop.load(Ordering::Relaxed);
        let none = first(schedules, self.jobs, is_over, run, |outcome| {
            on_run();
            ran += 1;
            failed += u64::from(Signature::of(outcome).as_ref() == Some(&self.wanted));
            false
        });
        debug_assert!(none.is_none(), "nothing is looked for");
        (ran == schedules).then_some(failed)
    }
}

/// The first of so many runs that is wanted, with those before it known not to be. Whether one is wanted is asked on
/// this thread, in the order in which they end.
#[expect(clippy::disallowed_methods, reason = "runs share nothing, so they may run side by side")]
pub(super) fn first<T: Send>(
    count: usize,
    jobs: usize,
    is_over: impl Fn() -> bool + Sync,
    run: impl Fn(usize) -> T + Sync,
    mut is_wanted: impl FnMut(&T) -> bool,
) -> Option<(usize, T)> {
    let next = AtomicUsize::new(0);
    // Behind it nothing has to be run any more.
    let end = AtomicUsize::new(count);
    let (sender, receiver) = mpsc::sync_channel(jobs.max(1));
    let mut found = BTreeMap::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (sender, next, end) = (sender.clone(), &next, &end);
            let (run, is_over) = (&run, &is_over);
            scope.spawn(move || {
                while !is_over() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= end.load(Ordering::Relaxed)
                        || sender.send((index, run(index))).is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (index, outcome) in receiver {
            if is_wanted(&outcome) {
                end.fetch_min(index, Ordering::Relaxed);
                found.insert(index, outcome);
            }
        }
    });
    found.pop_first()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_found_whatever_the_number_of_threads() {
        let goes_on = || false;
        for jobs in [1, 2, 7] {
            let found = first(40, jobs, goes_on, |index| index, |index| index % 10 == 9);
            assert_eq!(found, Some((9, 9)));
            assert_eq!(first(5, jobs, goes_on, |index| index, |_| false), None);
            assert_eq!(first(0, jobs, goes_on, |index| index, |_| true), None);
        }
        assert_eq!(first(5, 2, || true, |index| index, |_| true), None);
    }
}
