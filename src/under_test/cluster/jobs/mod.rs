//! The jobs under test: a file each, with its settings, its nodes and its oracle.

pub mod word_count;

use super::Model;
use crate::{
    harness::{
        check::Invariant,
        language::{
            Field, KeyValue, Mistakes, NumberRange, Reader, ScenarioError, Setting, Settings,
            Share, Writer,
        },
        system::{AnySettings, Explanation, LintContext, Node, OutputOf},
    },
    host::{Draws, mix},
    system::{
        cluster::{ClusterConfig, OperatorLibrary},
        ids::JobId,
        protocol::JobStatus,
    },
};
use bytes::Bytes;
use std::{fmt, sync::Arc, time::Duration};

/// Every job that scenarios can name; the first is that of a `[[job]]` without a name.
const ALL: &[&dyn AnyJob] = &[&word_count::WordCount];

/// The table of a job in scenario files.
const TABLE: &str = "job";

/// A job that can run in a cluster under test.
trait JobUnderTest: Sync + 'static {
    /// The name in scenario files.
    const NAME: &'static str;
    /// Its keys.
    type Settings: Settings + Default;

    /// Its subtasks side by side, which is how many slots it needs; the settings may hold ranges still.
    fn slots(settings: &Self::Settings) -> NumberRange;

    /// What is decided once the ranges are drawn.
    fn after_draw(settings: Self::Settings, seed: u64) -> Self::Settings;

    /// What of the settings does not fit: a key and why.
    fn mistakes(settings: &Self::Settings) -> Vec<(&'static str, String)>;

    /// What is sound in the settings but hardly meant.
    fn lints(settings: &Self::Settings, context: &LintContext) -> Vec<String>;

    /// Whether it can take a user's text.
    fn check_input(settings: &Self::Settings, lines: &[Bytes]) -> Result<(), String>;

    /// What it begins with, of drawn settings.
    fn begin(settings: &Self::Settings, run: &JobRun<'_>) -> BegunJob;
}

/// What decides the run of a job besides its settings.
pub struct JobRun<'a> {
    /// Its number among the jobs of the run, from 1.
    pub number: u32,
    /// Of what it draws itself.
    pub seed: u64,
    /// Lines in place of its workload.
    pub input: Option<&'a Arc<Vec<Bytes>>>,
    /// The least latency of a link.
    pub latency: Duration,
    /// What handling a record takes in this cluster.
    pub service_time: Duration,
    /// How the cluster is reached.
    pub config: &'a ClusterConfig,
}

/// A job of a run.
pub struct BegunJob {
    /// The job.
    pub id: JobId,
    /// Its writer and its client.
    pub nodes: Vec<Node>,
    /// What it must put out.
    pub oracle: Box<dyn Invariant<Model>>,
    /// The topic that ends before the job can.
    pub input_topic: String,
    /// The ends that it may come to if it is not canceled.
    pub ends: Vec<JobStatus>,
    /// How often it may restart.
    pub restarts: u32,
    /// Whether its own functions fail.
    pub fails: bool,
    /// How long a checkpoint of it may take.
    pub checkpoint_timeout: Duration,
    /// What came out of it.
    pub output: OutputOf<Model>,
    /// Why it may be stuck without a bug.
    pub explain: Explanation<Model>,
}

/// The operators that the jobs of a run name.
pub fn library() -> OperatorLibrary {
    word_count::library()
}

/// A [`JobUnderTest`] whatever its settings.
trait AnyJob: Sync {
    fn name(&self) -> &'static str;
    fn declared(&self) -> Vec<Setting>;
    fn default_settings(&self) -> Arc<dyn AnySettings>;
    fn read(&self, table: &mut Reader, mistakes: &mut Mistakes) -> Arc<dyn AnySettings>;
    fn draw(&self, settings: &dyn AnySettings, seed: u64) -> Arc<dyn AnySettings>;
    fn slots(&self, settings: &dyn AnySettings) -> NumberRange;
    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String>;
    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String>;
    fn begin(&self, settings: &dyn AnySettings, run: &JobRun<'_>) -> BegunJob;
}

fn own<J: JobUnderTest>(settings: &dyn AnySettings) -> &J::Settings {
    settings.as_any().downcast_ref().expect("a job and its own settings")
}

impl<J: JobUnderTest> AnyJob for J {
    fn name(&self) -> &'static str {
        J::NAME
    }

    fn declared(&self) -> Vec<Setting> {
        J::Settings::declared()
    }

    fn default_settings(&self) -> Arc<dyn AnySettings> {
        Arc::new(J::Settings::default())
    }

    fn read(&self, table: &mut Reader, mistakes: &mut Mistakes) -> Arc<dyn AnySettings> {
        let keys = J::Settings::declared().into_iter().map(|setting| setting.key);
        let places: Vec<(&str, ScenarioError)> =
            keys.filter_map(|key| Some((key, table.place_of(key)?))).collect();
        let settings = J::Settings::read_keys(table, mistakes);
        for (key, message) in J::mistakes(&settings) {
            // What is not written was not meant, so it is no mistake of the file.
            if let Some((_, place)) = places.iter().find(|(written, _)| *written == key) {
                let told = ScenarioError { message, ..place.clone() };
                let _: Option<()> = mistakes.keep(Err(told));
            }
        }
        Arc::new(settings)
    }

    fn draw(&self, settings: &dyn AnySettings, seed: u64) -> Arc<dyn AnySettings> {
        Arc::new(J::after_draw(Settings::draw(own::<J>(settings), seed), seed))
    }

    fn slots(&self, settings: &dyn AnySettings) -> NumberRange {
        J::slots(own::<J>(settings))
    }

    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String> {
        J::lints(own::<J>(settings), context)
    }

    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String> {
        J::check_input(own::<J>(settings), lines)
    }

    fn begin(&self, settings: &dyn AnySettings, run: &JobRun<'_>) -> BegunJob {
        J::begin(own::<J>(settings), run)
    }
}

/// A job with its settings, as a `[[job]]` table says.
#[derive(Clone)]
pub struct JobSpec {
    job: &'static dyn AnyJob,
    /// The probability that it is there; the first always is.
    chance: Share,
    settings: Arc<dyn AnySettings>,
}

impl Default for JobSpec {
    fn default() -> Self {
        JobSpec { job: ALL[0], chance: Share::ALWAYS, settings: ALL[0].default_settings() }
    }
}

impl PartialEq for JobSpec {
    fn eq(&self, other: &Self) -> bool {
        self.job.name() == other.job.name()
            && self.chance == other.chance
            && self.settings.equals(&*other.settings)
    }
}

impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:?}", self.job.name(), self.chance, self.settings)
    }
}

impl JobSpec {
    /// Its settings as their type; `None` of another job.
    pub fn settings<S: 'static>(&self) -> Option<&S> {
        self.settings.as_any().downcast_ref()
    }

    /// Whether it is there whatever the seed.
    pub fn is_sure(&self) -> bool {
        self.chance.low >= 1_000_000
    }

    /// How many slots it needs.
    pub fn slots(&self) -> NumberRange {
        self.job.slots(&*self.settings)
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
    pub fn begin(&self, run: &JobRun<'_>) -> BegunJob {
        self.job.begin(&*self.settings, run)
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.table(&format!("[[{TABLE}]]"));
        writer.text("name", self.job.name());
        if self.chance != Share::ALWAYS {
            writer.text("chance", self.chance);
        }
        self.settings.write_keys(writer);
    }
}

/// The seed of what the job of a number draws; that of the run for the first.
pub fn seed_of(seed: u64, number: u32) -> u64 {
    if number == 1 { seed } else { mix(seed, number.into()) }
}

/// Every key of a `[[job]]`, of each kind of job.
pub(super) fn declared() -> Vec<Setting> {
    let names = ALL.iter().map(|job| format!("\"{}\"", job.name())).collect::<Vec<_>>();
    let table = "[job]";
    let mut declared = vec![
        Setting {
            table,
            key: "name",
            meaning: "Which job it is; a file may have several of these tables, each a job of its own.",
            bounds: names.join(" or "),
            default: Some(names[0].clone()),
        },
        Setting {
            table,
            key: "chance",
            meaning: "The probability that it is there. The first is always there, a later one only if the slots suffice for it too.",
            bounds: "a share or a range of shares".to_string(),
            default: Some("\"100%\"".to_string()),
        },
    ];
    let own = ALL.iter().flat_map(|job| job.declared());
    declared.extend(own.map(|setting| Setting { table, ..setting }));
    declared
}

/// Reads every `[[job]]` of a file; without one there is the first kind of job with its defaults.
pub(super) fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Vec<JobSpec> {
    let known: Vec<(&str, &'static dyn AnyJob)> =
        ALL.iter().map(|job| (job.name(), *job)).collect();
    let tables = mistakes.keep(file.tables(TABLE)).unwrap_or_default();
    let jobs = tables.into_iter().map(|mut table| {
        let job = mistakes.keep(table.take("name", |field| field.one_of(&known, "list --systems")));
        let job = job.flatten().unwrap_or(ALL[0]);
        let share = |field: &Field| {
            let share = field.share()?;
            match share.low < 0 {
                true => Err(field.expected("a share from 0% to 100%")),
                false => Ok(share),
            }
        };
        let chance = mistakes.keep(table.take("chance", share)).flatten();
        let settings = job.read(&mut table, mistakes);
        table.finish(mistakes);
        JobSpec { job, chance: chance.unwrap_or(Share::ALWAYS), settings }
    });
    let mut jobs: Vec<JobSpec> = jobs.collect();
    if jobs.is_empty() {
        jobs.push(JobSpec::default());
    }
    jobs
}

/// The jobs of a seed, with what it draws from their settings: the first, and those of the others that it draws
/// and that fit in so many slots beside those before them.
pub(super) fn draw(jobs: &[JobSpec], slots: u32, seed: u64) -> Vec<JobSpec> {
    let (mut drawn, mut taken) = (Vec::new(), 0);
    for (number, spec) in (1..).zip(jobs) {
        let seed = seed_of(seed, number);
        let mut draws = Draws::new(seed, "job is there", [number.into(), 0]);
        let share = u32::try_from(KeyValue::draw(&spec.chance, &mut draws).low).unwrap_or(0);
        let job = JobSpec {
            chance: Share::ALWAYS,
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

#[cfg(test)]
mod tests {
    use super::*;
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
