//! Finds out when a run was lost: from which of its moments on it fails whatever comes.

use super::trial::first;
use crate::{
    harness::{
        explore::Failure,
        report::{Lost, Outlook, entry_in_words},
        run::{BranchPoint, RunBranch, RunConfig, RunOutcome, Signature, run_on_fresh_thread},
    },
    host::sim::{EntryNumber, TraceLine, causes},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Steps of the chain of causes from which a run is tried to go on.
const STEPS_MAX: usize = 12;
/// Beginnings and ends of faults from which it is.
const EDGES_MAX: usize = 12;

/// Tries the run of a failure from its first entry, from the beginnings and ends of its faults and from some of the steps
/// that led to the failure, so many ways each. The trace of the run was kept. `None` when it was stopped meanwhile, or
/// does not fail.
pub fn when_lost(
    failure: &Failure,
    outcome: &RunOutcome,
    ways: u32,
    jobs: usize,
    stop: &AtomicBool,
    mut on_run: impl FnMut(usize, usize),
) -> Option<Lost> {
    let wanted = Signature::of(outcome)?;
    let mut moments = moments_of(outcome);
    let per_moment = usize::try_from(ways).ok()?;
    let all = moments.len() * per_moment;
    let way = |index: usize| RunBranch {
        from: BranchPoint::Entry(moments[index / per_moment].entry),
        number: u32::try_from(index % per_moment).expect("it is below a u32") + 1,
    };
    let run = |index: usize| {
        let config = RunConfig { branches: vec![way(index)], ..failure.config() };
        (index, run_on_fresh_thread(&failure.plan, &config))
    };
    let is_over = || stop.load(Ordering::Relaxed);
    let (mut failed, mut passed, mut ran) = (BTreeMap::<usize, u64>::new(), BTreeSet::new(), 0);
    first(all, jobs, is_over, run, |(index, outcome)| {
        ran += 1;
        on_run(ran, all);
        let fails = Signature::of(outcome).as_ref() == Some(&wanted);
        *failed.entry(index / per_moment).or_default() += u64::from(fails);
        if outcome.expected {
            passed.insert(*index);
        }
        false
    });
    if ran < all || all == 0 {
        return None;
    }
    // The last moment from which any passes, and of those the first way.
    let last = passed.last().map(|index| index / per_moment * per_moment);
    let nearest = last.and_then(|first| passed.range(first..).next().copied()).map(|index| {
        let config = RunConfig { branches: vec![way(index)], trace: true, ..failure.config() };
        Box::new(run_on_fresh_thread(&failure.plan, &config))
    });
    for (place, moment) in moments.iter_mut().enumerate() {
        moment.failed = failed.get(&place).copied().unwrap_or(0);
    }
    Some(Lost { ways: u64::from(ways), moments, nearest })
}

/// When and at which entries it is worth to look.
fn moments_of(outcome: &RunOutcome) -> Vec<Outlook> {
    let moment = |line: &TraceLine, what: String| Outlook {
        at: Duration::from_nanos(line.time),
        entry: line.entry,
        what,
        failed: 0,
    };
    let broke = outcome.violations.first();
    let end = broke.map_or(outcome.simulated, |broken| broken.at.time);
    let faults = outcome.executed.iter().flat_map(|fault| {
        [(Some(fault.began), "begins"), (fault.ended, "is lifted")]
            .map(|(at, edge)| Some((at?, format!("{} {edge}", fault.what))))
    });
    let edges = faults.flatten().filter(|(at, _)| *at < end).filter_map(|(at, what)| {
        let place = outcome.trace.partition_point(|line| Duration::from_nanos(line.time) < at);
        Some(moment(outcome.trace.get(place)?, what))
    });
    let broke = broke.and_then(|broken| broken.at.entry);
    let led = broke.map(|entry| causes(&outcome.trace, entry)).unwrap_or_default();
    // What broke it is behind the last moment at which it could go another way.
    let led = || led.iter().skip(1);
    let apart = led().count().div_ceil(STEPS_MAX).max(1);
    let words = |entry: EntryNumber| entry_in_words(outcome, entry);
    let begins = outcome.trace.first().map(|line| moment(line, "it begins".to_string()));
    let edges: Vec<Outlook> = edges.collect();
    let edges_apart = edges.len().div_ceil(EDGES_MAX).max(1);
    let mut moments: Vec<Outlook> =
        begins.into_iter().chain(edges.into_iter().step_by(edges_apart)).collect();
    moments.extend(led().step_by(apart).map(|line| moment(line, words(line.entry))));
    moments.sort_by_key(|one| one.entry);
    moments.dedup_by_key(|one| one.entry);
    moments
}
