//! `shrink`: the smallest plan that fails as a kept one does.

use super::{
    CliError, Outcome,
    explore::jobs,
    failure::{find_failure, page_of, report_of},
    interrupt::Interrupt,
    parse_jobs, parse_limit,
    print::{note, out},
    progress::{Progress, clock},
};
use crate::harness::{
    explore::{Failure, folder_of, keep_shrunk},
    language::{printable, wrap},
    report::Lost,
    run::RunOutcome,
    shrink::{Limits, Measure, Shrunk, shrink, when_lost},
    system::Systems,
};
use clap::Args;
use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

/// Schedules of the first and of the last plan.
const SCHEDULES: u64 = 20;
/// Other ways from each moment of the run that is left.
const WAYS: u32 = 20;

/// Makes the plan of a kept failure as small as it can be and still fail the same way.
///
/// Faults are left out, made shorter and plainer, and come earlier; the cluster, its jobs and their input are
/// made smaller; settings go back to their defaults. A smaller plan counts if the same invariant breaks by
/// the same two kinds of event under the schedule that failed; what comes out at the end fails under at
/// least half as many schedules as the whole plan. It is kept in the folder `shrunk` of the failure, which
/// `replay` and `add-regression` take like any other. Ctrl-C ends it with the smallest plan so far.
#[derive(Args)]
pub struct Shrink {
    /// The failure folder, or a file in it
    path: PathBuf,
    /// Try no more candidates after this time, such as 15s or 10m; until none is left if absent
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_limit, allow_hyphen_values = true)]
    limit: Option<Duration>,
    /// Try so many candidates at most; 1000 if absent
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = 1000, allow_hyphen_values = true, value_parser = clap::value_parser!(u64).range(1..))]
    candidates: u64,
    /// Schedules of the first and of the last plan; 20 if absent
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = SCHEDULES, allow_hyphen_values = true, value_parser = clap::value_parser!(u64).range(1..))]
    schedules: u64,
    /// Runs side by side; all cores if absent
    #[arg(long, value_name = "N", value_parser = parse_jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// Find out when the run was lost: run it this many other ways from each of its moments on; 20 if absent, 0 for
    /// not at all
    #[arg(long, value_name = "N", hide_default_value = true, default_value_t = WAYS, allow_hyphen_values = true, value_parser = clap::value_parser!(u32).range(..=1000))]
    ways: u32,
}

impl Shrink {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let interrupt = Interrupt::listen()?;
        let failure = find_failure(systems, &self.path)?;
        let folder = folder_of(&self.path);
        let limits = Limits {
            candidates: self.candidates,
            schedules: self.schedules,
            jobs: jobs(self.jobs),
        };
        let record = &failure.record;
        let what = format!("{} in {}, seed {}", record.verdict, record.scenario, record.recipe());
        note(&wrap("wavetank: ", &printable(&what)));
        let mut progress = Progress::start();
        let stop = interrupt.stop();
        let shrunk = shrink(systems, &failure, limits, stop, |now| {
            let elapsed = progress.elapsed().as_secs_f64();
            // How many candidates there are, nobody knows.
            let share = self.limit.map_or(0.0, |limit| elapsed / limit.as_secs_f64());
            progress.show(share, || {
                let doing = if now.is_accepting { "schedules" } else { "candidates" };
                format!("{}, {} {doing}", sizes(&now.measure), now.candidates)
            });
            self.limit.is_none_or(|limit| progress.elapsed() < limit)
        });
        let took = progress.finish();
        let Some(shrunk) = shrunk else {
            out("it does not fail any more, or another way: see `cargo run -- replay`");
            return Ok(Outcome::Violated);
        };
        let left = Left::of(&shrunk, &failure, self.ways, limits.jobs, stop);
        tell(&left, &folder, &shrunk, took)?;
        Ok(if interrupt.is_wanted() { Outcome::Interrupted } else { Outcome::Passed })
    }
}

/// Shrinks a failure that is kept for so long, beside what else is told of it; a line about what is left. `None` where
/// it was stopped or is as small as it can be.
pub fn shrink_briefly(
    systems: Systems,
    folder: &Path,
    limit: Duration,
    jobs: usize,
    stop: &AtomicBool,
) -> Result<Option<String>, CliError> {
    let failure = Failure::load(systems, folder)?;
    let limits = Limits { candidates: u64::MAX, schedules: SCHEDULES, jobs };
    let mut progress = Progress::start();
    let shrunk = shrink(systems, &failure, limits, stop, |now| {
        let elapsed = progress.elapsed();
        progress
            .show(elapsed.div_duration_f64(limit), || format!("shrinks: {}", sizes(&now.measure)));
        elapsed < limit
    });
    progress.finish();
    let Some(shrunk) = shrunk else { return Ok(None) };
    let [whole, last] = &shrunk.measures;
    let Some(rates) = shrunk.rates.filter(|_| last.is_less_than(whole)) else { return Ok(None) };
    let kept = Left::of(&shrunk, &failure, 0, jobs, stop).keep(folder)?;
    let (faults, nodes) = (last.faults, last.nodes);
    Ok(Some(format!(
        "shrunk  {faults} of {} faults, {nodes} of {} nodes; fails under {}\n        cargo run -- replay {}",
        whole.faults,
        whole.nodes,
        rates[1],
        kept.display()
    )))
}

/// The failure that is left.
struct Left {
    failure: Failure,
    traced: RunOutcome,
    lost: Option<Lost>,
}

impl Left {
    /// What shrinking a failure has left, and when that run was lost if ways are to be tried.
    fn of(shrunk: &Shrunk, whole: &Failure, ways: u32, jobs: usize, stop: &AtomicBool) -> Self {
        let failure = shrunk.failure(whole);
        let traced = failure.traced();
        let mut progress = Progress::start();
        let lost = when_lost(&failure, &traced, ways, jobs, stop, |ran, all| {
            let words = || format!("when it was lost: {ran} of {all} other ways");
            progress.show(ran as f64 / all as f64, words);
        });
        progress.finish();
        Left { failure, traced, lost }
    }

    /// Keeps it in the folder of the whole failure, with what people read of it.
    fn keep(&self, folder: &Path) -> Result<PathBuf, CliError> {
        let Left { failure, traced, lost } = self;
        let report = |at: &Path| report_of(traced, lost.as_ref(), at, "", "");
        let page = |at: &Path| page_of(traced, lost.as_ref(), at);
        Ok(keep_shrunk(folder, failure, traced, report, page)?)
    }
}

/// Keeps what it came to, and tells it.
fn tell(left: &Left, folder: &Path, shrunk: &Shrunk, took: Duration) -> Result<(), CliError> {
    let kept = left.keep(folder)?;
    out(&compared(&shrunk.measures));
    match shrunk.rates {
        Some([whole, last]) => {
            out(&format!("fails under {last}, the whole plan under {}", whole.failed));
        }
        None => out("stopped before it was known under how many schedules it fails"),
    }
    if shrunk.given_up > 0 {
        out(&format!("{} smaller plans failed too seldom", shrunk.given_up));
    }
    let cut_short = if shrunk.is_cut_short { ", and was ended" } else { "" };
    out(&format!("tried {} candidates in {}{cut_short}", shrunk.candidates, clock(took)));
    let faults = shrunk.outcome.plan.faults.iter();
    faults.for_each(|fault| out(&wrap("  ", &fault.to_string())));
    if let Some(lost) = &left.lost {
        out(&format!("\n{lost}\n"));
    }
    out(&format!("plan    {}", kept.join("plan.toml").display()));
    out(&format!("again   cargo run -- replay {}", kept.display()));
    Ok(())
}

fn sizes(measure: &Measure) -> String {
    format!("{} faults, {} nodes", measure.faults, measure.nodes)
}

/// A line for each thing of which there is less.
fn compared([whole, last]: &[Measure; 2]) -> String {
    let mut rows = vec![
        ("faults".to_string(), whole.faults as u64, last.faults as u64),
        ("nodes, by keys".to_string(), whole.nodes, last.nodes),
    ];
    for (name, size) in &whole.sizes {
        let now = last.sizes.iter().find(|(other, _)| other == name).map_or(0, |(_, now)| *now);
        rows.push((name.clone(), *size, now));
    }
    rows.push(("settings of its own".to_string(), whole.settings as u64, last.settings as u64));
    rows.retain(|(name, was, now)| was != now || name == "faults");
    let line = |(name, was, now): (String, u64, u64)| format!("  {name:<22} {was:>7} -> {now}");
    rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
