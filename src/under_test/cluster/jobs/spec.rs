//! The jobs that scenarios can name, and what a `[[job]]` says of one.

use super::{
    KnownJobs,
    job::{AnyJob, JobRun, JobSetup},
    shipped,
};
use crate::{
    harness::{
        language::{
            Bounds, DurationRange, Field, KeyValue, Mistakes, Number, NumberRange, Reader, Setting,
            Share, Time, Writer, number, time,
        },
        system::{AnySettings, LintContext},
    },
    host::{Draws, mix},
    jobs::common::FailedAttempts,
    system::dataflow::Programs,
};
use bytes::Bytes;
use std::{fmt, sync::Arc};

/// How many jobs of a table there may be.
const COUNT: Number = number(1, 200, 1).size();

/// When a client submits.
const SUBMITTED_AFTER: Time = time("0s", "60m", "0s");

/// The table of a job in scenario files.
const TABLE: &str = "job";

/// What the processes of a run can run: the programs of every job.
pub fn programs(known: KnownJobs) -> Programs {
    // One memory of the functions that failed, for all processes of a run.
    let failed = FailedAttempts::default();
    known.iter().fold(Programs::new(), |programs, job| programs.with(job.program(&failed)))
}

/// A job with its settings, as a `[[job]]` table says.
#[derive(Clone)]
pub struct JobSpec {
    job: &'static dyn AnyJob,
    /// How many such jobs there are.
    count: NumberRange,
    /// The probability that each is there; the first always is.
    chance: Share,
    /// How long its client waits before it submits it.
    submitted_after: DurationRange,
    settings: Arc<dyn AnySettings>,
}

impl Default for JobSpec {
    /// A word count with its defaults.
    fn default() -> Self {
        JobSpec::of(shipped()[0])
    }
}

impl PartialEq for JobSpec {
    fn eq(&self, other: &Self) -> bool {
        self.job.name() == other.job.name()
            && self.count == other.count
            && self.chance == other.chance
            && self.submitted_after == other.submitted_after
            && self.settings.equals(&*other.settings)
    }
}

impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.job.name(), self.chance, self.settings)
    }
}

impl JobSpec {
    /// One such job, with its defaults.
    pub fn of(job: &'static dyn AnyJob) -> Self {
        let (count, settings) = (NumberRange::only(1), job.default_settings());
        let submitted_after = DurationRange::ZERO;
        JobSpec { job, count, chance: Share::ALWAYS, submitted_after, settings }
    }

    /// Its settings as their type; `None` of another job.
    pub fn settings<S: 'static>(&self) -> Option<&S> {
        self.settings.as_any().downcast_ref()
    }

    /// How long its client waits before it submits it.
    pub fn submitted_after(&self) -> DurationRange {
        self.submitted_after
    }

    /// Whether it is there whatever the seed.
    pub fn is_always_there(&self) -> bool {
        self.chance.low >= 1_000_000
    }

    /// Whether it writes to a database.
    pub fn uses_database(&self) -> bool {
        self.job.uses_database()
    }

    /// Whether it writes files.
    pub fn writes_files(&self) -> bool {
        self.job.writes_files()
    }

    /// How many writers such jobs have, at the least and at the most.
    pub fn writers(&self) -> NumberRange {
        if self.job.has_writer() { self.count() } else { NumberRange::only(0) }
    }

    /// How many front ends.
    pub fn front_ends(&self) -> NumberRange {
        self.of_all(self.job.front_ends(&*self.settings))
    }

    /// How many callers.
    pub fn callers(&self) -> NumberRange {
        self.of_all(self.job.callers(&*self.settings))
    }

    fn of_all(&self, one: NumberRange) -> NumberRange {
        let count = self.count();
        NumberRange { low: one.low * count.low, high: one.high * count.high }
    }

    /// How many slots one such job needs.
    pub fn slots(&self) -> NumberRange {
        self.job.slots(&*self.settings)
    }

    /// How many slots all of them need.
    pub fn all_slots(&self) -> NumberRange {
        let (one, count) = (self.slots(), self.count);
        NumberRange { low: one.low * count.low, high: one.high * count.high }
    }

    /// How many such jobs there are, at the least and at the most.
    pub fn count(&self) -> NumberRange {
        let low = if self.is_always_there() { self.count.low } else { 0 };
        NumberRange { low, ..self.count }
    }

    /// What is sound in it but hardly meant.
    pub fn lints(&self, context: &LintContext) -> Vec<String> {
        self.job.lints(&*self.settings, context)
    }

    /// Whether it can take a user's text.
    ///
    /// # Errors
    /// Why not.
    pub fn check_input(&self, lines: &[Bytes]) -> Result<(), String> {
        self.job.check_input(&*self.settings, lines)
    }

    /// What it begins with, of drawn settings.
    pub fn setup(&self, run: &JobRun<'_>) -> JobSetup {
        self.job.setup(&*self.settings, run)
    }

    /// Writes it as a table.
    pub fn write(&self, writer: &mut Writer) {
        writer.table(&format!("[[{TABLE}]]"));
        writer.text("name", self.job.name());
        if self.count != NumberRange::only(1) {
            self.count.write("count", writer);
        }
        if self.chance != Share::ALWAYS {
            writer.text("chance", self.chance);
        }
        if self.submitted_after != DurationRange::ZERO {
            writer.text("submitted-after", self.submitted_after);
        }
        self.settings.write_keys(writer);
    }
}

/// The seed of what the job of a number draws; that of the run for the first.
pub fn seed_of(seed: u64, number: u32) -> u64 {
    if number == 1 { seed } else { mix(seed, number.into()) }
}

/// Every key of a `[[job]]`, of each kind of job.
pub fn declared(known: KnownJobs) -> Vec<Setting> {
    let names = known.iter().map(|job| format!("\"{}\"", job.name())).collect::<Vec<_>>();
    let table = "[job]";
    let mut declared = vec![
        Setting {
            table,
            key: "name",
            meaning: "Which job it is; a file may have several of these tables, each a job of its own.",
            bounds: names.join(" or "),
            default: Some(names[0].clone()),
            only: None,
            least: None,
        },
        Setting {
            table,
            key: "chance",
            meaning: "The probability that it is there. The first is always there; a later one with a chance only if the slots suffice for it too.",
            bounds: "a share or a range of shares".to_string(),
            default: Some("\"100%\"".to_string()),
            only: None,
            least: None,
        },
    ];
    declared.push(Setting::new(
        table,
        "count",
        "How many such jobs there are, each with a seed, topics, a writer and a client of its own.",
        &COUNT,
    ));
    declared.push(Setting::new(
        table,
        "submitted-after",
        "How long its client waits, from its boot on, before it submits it to a session cluster.",
        &SUBMITTED_AFTER,
    ));
    for (index, job) in known.iter().enumerate() {
        // Without a name it is the first one.
        let only = (index > 0).then(|| job.name());
        declared.extend(job.declared().into_iter().map(|of| Setting { table, only, ..of }));
    }
    declared
}

/// Reads every `[[job]]` of a file; without one there is the first kind of job with its defaults.
pub fn read(known: KnownJobs, file: &mut Reader, mistakes: &mut Mistakes) -> Vec<JobSpec> {
    let names: Vec<(&str, &'static dyn AnyJob)> =
        known.iter().map(|job| (job.name(), *job)).collect();
    let tables = mistakes.keep(file.tables(TABLE)).unwrap_or_default();
    let jobs = tables.into_iter().enumerate().map(|(index, mut table)| {
        let job = mistakes.keep(table.take("name", |field| field.one_of(&names, "list --systems")));
        let job = job.flatten().unwrap_or(known[0]);
        let share = |field: &Field| {
            let share = field.share()?;
            match share.low < 0 {
                true => Err(field.expected("a share from 0% to 100%")),
                false if index == 0 && share != Share::ALWAYS => {
                    Err(field.refused("the first job is always there"))
                }
                false => Ok(share),
            }
        };
        let chance = mistakes.keep(table.take("chance", share)).flatten();
        let count = mistakes.keep(COUNT.take(&mut table, "count")).unwrap_or(COUNT.default());
        let submitted_after = mistakes.keep(SUBMITTED_AFTER.take(&mut table, "submitted-after"));
        let submitted_after = submitted_after.unwrap_or(DurationRange::ZERO);
        let settings = job.read(&mut table, mistakes);
        table.finish(mistakes);
        let chance = chance.unwrap_or(Share::ALWAYS);
        JobSpec { job, count, chance, submitted_after, settings }
    });
    let mut jobs: Vec<JobSpec> = jobs.collect();
    if jobs.is_empty() {
        jobs.push(JobSpec::of(known[0]));
    }
    jobs
}

/// The jobs of a seed, with what it draws from their settings: the first, and those of the others that it draws
/// and that fit in so many slots beside those before them.
pub fn draw(jobs: &[JobSpec], slots: u32, seed: u64) -> Vec<JobSpec> {
    let (mut drawn, mut taken) = (Vec::new(), 0);
    let copies = jobs.iter().zip(1..).flat_map(|(spec, place)| {
        let mut draws = Draws::new(seed, "count of jobs", [place, 0]);
        (0..spec.count.draw(&mut draws)).map(move |_| spec)
    });
    for (number, spec) in (1..).zip(copies) {
        let seed = seed_of(seed, number);
        let mut draws = Draws::new(seed, "job is there", [number.into(), 0]);
        let share = u32::try_from(spec.chance.draw(&mut draws)).unwrap_or(0);
        let job = JobSpec {
            count: NumberRange::only(1),
            chance: Share::ALWAYS,
            submitted_after: drawn_wait(spec.submitted_after, seed),
            settings: spec.job.draw(&*spec.settings, seed),
            ..spec.clone()
        };
        let needed = job.slots().one();
        let fits = taken + needed <= slots;
        if number == 1 || (draws.chance(share) && (fits || spec.chance == Share::ALWAYS)) {
            taken += needed;
            drawn.push(job);
        }
    }
    drawn
}

fn drawn_wait(range: DurationRange, seed: u64) -> DurationRange {
    DurationRange::only(range.draw(&mut Draws::new(seed, "job is submitted", [0, 0])))
}

/// The jobs with ranges of which a seed has drawn that only an end is left.
pub fn at_edges(jobs: &[JobSpec], seed: u64) -> Vec<JobSpec> {
    let edge = |(spec, number): (&JobSpec, u32)| {
        let settings = spec.settings.at_edges(seed_of(seed, number));
        JobSpec { settings, ..spec.clone() }
    };
    jobs.iter().zip(1..).map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::word_count, *};
    use NumberRange;

    fn spec(parallelism: u64, chance: i64) -> JobSpec {
        let settings = word_count::WordCountSettings {
            parallelism: NumberRange::only(parallelism),
            ..word_count::WordCountSettings::default()
        };
        JobSpec { chance: Share::only(chance), settings: Arc::new(settings), ..JobSpec::default() }
    }

    #[test]
    fn the_first_job_is_there_and_others_by_chance_if_they_fit() {
        let count = |jobs: &[JobSpec], slots, seed| draw(jobs, slots, seed).len();
        let jobs = [spec(4, 0), spec(3, 500_000), spec(3, 500_000)];
        let counts: Vec<usize> = (0..200).map(|seed| count(&jobs, 20, seed)).collect();
        for wanted in [1, 2, 3] {
            assert!(counts.iter().filter(|found| **found == wanted).count() > 20, "{counts:?}");
        }
        assert!((0..200).all(|seed| count(&jobs, 7, seed) <= 2), "two of them need ten slots");
        assert!((0..20).all(|seed| count(&jobs, 4, seed) == 1));
        // Whoever says that it is there means it.
        let sure = [spec(4, 0), spec(3, 1_000_000)];
        assert_eq!(count(&sure, 4, 1), 2);
        let seeds: Vec<u64> = (1..4).map(|number| seed_of(7, number)).collect();
        assert!(seeds[0] == 7 && seeds[1] != 7 && seeds[1] != seeds[2]);
    }
}
