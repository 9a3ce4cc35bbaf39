//! `campaign`: a long sweep in shards whose sums are kept, so that it can be ended and gone on with.

use super::{
    CliError, Outcome,
    campaign_sums::{Identity, Sum, Sums, build},
    explore::{counted, jobs},
    failure::Keeper,
    find_scenarios,
    interrupt::Interrupt,
    parse_jobs, parse_limit, parse_seeds,
    part::Part,
    print::{self, out},
    progress::{Progress, clock},
};
use crate::harness::{
    run::{Sweep, SweepRun, sweep},
    system::Systems,
};
use clap::Args;
use std::{collections::BTreeMap, num::NonZeroUsize, ops::Range, path::PathBuf, time::Duration};

/// Runs millions of seeds in shards, and keeps the sum of each
///
/// A shard whose sum is in the folder is not run again, so a campaign goes on where it was ended: by a signal,
/// by --for, by a power cut. At most one shard is lost. Seeds, scenarios and shards can't be mixed up: a folder
/// is of one campaign, and says of which. The program may be rebuilt in between; each sum says by which build
/// it is.
///
/// Some runs of each shard are made twice, and their digests compared: a run that differs is a defect of
/// determinism. What failed is kept under failures/ the moment it is found, and the campaign goes on.
///
/// Several machines share a campaign with --shard, each with a folder of its own; --merge adds the folders up to what
/// one machine would have told.
///
/// At the end, and whenever it goes on, the sums of all shards are added up.
#[derive(Args)]
pub struct Campaign {
    /// The folder of the sums, made if it is not there
    folder: PathBuf,
    /// The scenarios, by file, name, folder or with stars; all under scenarios/ if none is named
    scenarios: Vec<String>,
    /// The plan seeds; 0..10000000 if absent
    #[arg(long, value_name = "A..B", value_parser = parse_seeds, default_value = "0..10000000", hide_default_value = true, allow_hyphen_values = true)]
    seeds: Range<u64>,
    /// Seeds of a shard; 1000 if absent
    #[arg(long, value_name = "N", default_value_t = 1000, hide_default_value = true, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    shard_seeds: u64,
    /// Run every n-th of the shards, such as 3/16: the third of sixteen machines
    #[arg(long, value_name = "I/N", value_parser = Part::parse, allow_hyphen_values = true)]
    shard: Option<Part>,
    /// Take over the sums of another folder of the same campaign, and run nothing; may stand more than once
    #[arg(long, value_name = "FOLDER")]
    merge: Vec<PathBuf>,
    /// How many of a hundred seeds are run twice; 10 if absent
    #[arg(long, value_name = "PERCENT", default_value_t = 10, hide_default_value = true, value_parser = clap::value_parser!(u64).range(0..=100))]
    twice: u64,
    /// Runs side by side; all cores if absent
    #[arg(long, value_name = "N", value_parser = parse_jobs, allow_hyphen_values = true)]
    jobs: Option<NonZeroUsize>,
    /// Begin no shard after this time, such as 90s, 10m or 8h
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_limit, allow_hyphen_values = true)]
    limit: Option<Duration>,
    /// Run nothing: add up what is there
    #[arg(long)]
    sums: bool,
    /// Write one JSON object to FILE, or to standard output and no text
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl Campaign {
    /// Does it.
    pub fn run(&self, systems: Systems) -> Result<Outcome, CliError> {
        let interrupt = Interrupt::listen()?;
        print::check_writable(self.json.as_deref())?;
        let scenarios = find_scenarios(systems, &self.scenarios)?;
        let names = scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        let identity =
            Identity { seeds: self.seeds.clone(), shard: self.shard_seeds, scenarios: names };
        let mut sums = Sums::open(&self.folder, identity.clone())?;
        for folder in &self.merge {
            sums.take_over(Sums::there(folder, identity.clone())?)?;
        }
        if !self.sums && self.merge.is_empty() {
            let plan = Sweep {
                jobs: jobs(self.jobs),
                stop: interrupt.stop().clone(),
                ..Sweep::new(scenarios, 0..0)
            };
            self.run_shards(&plan, &interrupt, &mut sums)?;
        }
        let result = match (sums.total().outcome(), interrupt.is_wanted()) {
            (Outcome::Passed, true) => Outcome::Interrupted,
            (outcome, _) => outcome,
        };
        if !print::is_stdout(self.json.as_ref()) {
            out(&print::paint(&sums.describe(), result));
        }
        match &self.json {
            Some(path) => Ok(result.worse(print::written(print::write_json(path, &sums.json())))),
            None => Ok(result),
        }
    }

    fn run_shards(
        &self,
        plan: &Sweep,
        interrupt: &Interrupt,
        sums: &mut Sums,
    ) -> Result<(), CliError> {
        let missing = sums.missing(self.shard);
        print::note(&format!(
            "wavetank: {} of {} to run{}, {} each, over {}, {} at a time",
            missing.len(),
            counted(sums.shards(), "shard"),
            self.shard.map_or(String::new(), |part| format!(" here, of part {part}")),
            counted(self.shard_seeds, "seed"),
            counted(plan.scenarios.len() as u64, "scenario"),
            plan.jobs,
        ));
        let (mut progress, build) = (Progress::start(), build());
        let all = missing.iter().map(|shard| shard.end - shard.start).sum::<u64>();
        let mut done = 0;
        for shard in missing {
            if self.limit.is_some_and(|limit| progress.elapsed() >= limit) {
                break;
            }
            let began = progress.elapsed();
            let mut sum = self.run_shard(plan, Sum::of(&shard, &build), &mut progress, (done, all));
            if interrupt.is_wanted() {
                break;
            }
            sum.wall_seconds = (progress.elapsed() - began).as_secs_f64();
            done += sum.runs;
            sums.keep(sum)?;
        }
        progress.finish();
        Ok(())
    }

    /// Runs a shard, and the first of its seeds once more.
    fn run_shard(
        &self,
        plan: &Sweep,
        mut sum: Sum,
        progress: &mut Progress,
        (done, all): (u64, u64),
    ) -> Sum {
        let mut keeper = Keeper::new(&plan.scenarios, None);
        let seeds = sum.seeds.clone();
        let mut digests = BTreeMap::new();
        sweep(&Sweep { seeds: seeds.clone(), ..plan.clone() }, |run: SweepRun| {
            if let Some(told) = keeper.keep(&run) {
                progress.aside(|| print::note(&told));
            }
            digests.insert(run.outcome.seed, run.outcome.digest);
            sum.add(&run.outcome);
            let done = done + sum.runs;
            let simulated = clock(Duration::from_secs_f64(sum.simulated_seconds));
            progress.show(done as f64 / all as f64, || {
                format!(
                    "{done}/{all} runs, this shard {simulated} simulated, {} failed",
                    sum.failed.len()
                )
            });
        });
        let share = (seeds.end - seeds.start).saturating_mul(self.twice).div_ceil(100);
        let again = seeds.start..seeds.start + share;
        if !again.is_empty() {
            sweep(&Sweep { seeds: again, ..plan.clone() }, |run: SweepRun| {
                let seed = run.outcome.seed;
                sum.compare(seed, digests.get(&seed) == Some(&run.outcome.digest));
            });
        }
        sum.seal(&digests);
        sum
    }
}
