//! What a job under test is: its settings, its nodes and its oracle, and what it is told of a run.

use crate::{
    harness::{
        check::Invariant,
        language::{Mistakes, NumberRange, Reader, ScenarioError, Setting, Settings},
        system::{AnySettings, Explanation, LintContext, Node, OutputOf, settings_as},
    },
    jobs::common::{FailedAttempts, JobPlan, Submission},
    system::{cluster::ClusterConfig, dataflow::Program, ids::JobId, protocol::JobStatus},
    under_test::cluster::model::Model,
};
use bytes::Bytes;
use std::{ops::Range, sync::Arc, time::Duration};

/// A job that can run in a cluster under test.
pub(super) trait JobUnderTest: Sync + 'static {
    /// Its keys.
    type Settings: Settings + Default;

    /// The name in scenario files.
    fn name(&self) -> &str;

    /// Its program. Functions that fail on purpose remember in `failed` that they have.
    fn program(&self, failed: &FailedAttempts) -> Program;

    /// Its subtasks side by side, which is how many slots it needs; the settings may hold ranges still.
    fn slots(&self, settings: &Self::Settings) -> NumberRange;

    /// Whether it writes to a database.
    fn uses_database(&self) -> bool {
        false
    }

    /// Whether it writes files.
    fn writes_files(&self) -> bool {
        false
    }

    /// Whether a writer brings what it reads.
    fn has_writer(&self) -> bool {
        true
    }

    /// The front ends that bring what it reads; the settings may hold ranges still.
    fn front_ends(&self, settings: &Self::Settings) -> NumberRange {
        let _ = settings;
        NumberRange::only(0)
    }

    /// Who asks these.
    fn callers(&self, settings: &Self::Settings) -> NumberRange {
        let _ = settings;
        NumberRange::only(0)
    }

    /// What is decided once the ranges are drawn.
    fn after_draw(&self, settings: Self::Settings, seed: u64) -> Self::Settings {
        let _ = seed;
        settings
    }

    /// What of the settings does not fit: a key and why.
    fn mistakes(&self, settings: &Self::Settings) -> Vec<(&'static str, String)> {
        let _ = settings;
        Vec::new()
    }

    /// What is sound in the settings but hardly meant.
    fn lints(&self, settings: &Self::Settings, context: &LintContext) -> Vec<String> {
        let _ = (settings, context);
        Vec::new()
    }

    /// Whether it can take a user's text.
    fn check_input(&self, settings: &Self::Settings, lines: &[Bytes]) -> Result<(), String>;

    /// What it begins with, of drawn settings.
    fn setup(&self, settings: &Self::Settings, run: &JobRun<'_>) -> JobSetup;
}

/// What decides the run of a job besides its settings.
pub struct JobRun<'a> {
    /// Its number among the jobs of the run, from 1.
    pub number: u32,
    /// What the jobs before it have.
    pub before: NodesOfJobs,
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
    /// Who hands it over.
    pub submission: Submission,
    /// How long its client waits before it does.
    pub submitted_after: Duration,
}

/// How many nodes jobs have of the roles that not each has once.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodesOfJobs {
    /// Writers.
    pub writers: u32,
    /// Front ends.
    pub front_ends: u32,
    /// Callers.
    pub callers: u32,
}

/// A job of a run.
pub struct JobSetup {
    /// The job.
    pub id: JobId,
    /// What its client wants done.
    pub plan: JobPlan,
    /// Its writer and its client.
    pub nodes: Vec<Node>,
    /// What it must put out.
    pub oracle: Box<dyn Invariant<Model>>,
    /// What must hold of it besides.
    pub besides: Vec<Box<dyn Invariant<Model>>>,
    /// The numbers of its callers, if it is a service.
    pub callers: Range<u32>,
    /// The topic that ends before the job can.
    pub input_topic: String,
    /// The ends that it may come to if it is not canceled.
    pub expected_status: Vec<JobStatus>,
    /// How often it may restart.
    pub restarts: u32,
    /// Whether its own functions fail.
    pub fails_on_purpose: bool,
    /// How long a checkpoint of it may take.
    pub checkpoint_timeout: Duration,
    /// What came out of it.
    pub output: OutputOf<Model>,
    /// Why it may be stuck without a bug.
    pub explain: Explanation<Model>,
}

impl JobSetup {
    /// How long a checkpoint may take of the job and of those as which it goes on.
    pub fn checkpoint_timeouts(&self) -> impl Iterator<Item = (JobId, Duration)> {
        let next = self.plan.course.next.iter().map(|next| next.job.id);
        std::iter::once(self.id).chain(next).map(|id| (id, self.checkpoint_timeout))
    }
}

/// A [`JobUnderTest`] whatever its settings.
pub trait AnyJob: Sync {
    /// The name in scenario files.
    fn name(&self) -> &str;
    fn program(&self, failed: &FailedAttempts) -> Program;
    fn uses_database(&self) -> bool;
    fn writes_files(&self) -> bool;
    fn has_writer(&self) -> bool;
    fn front_ends(&self, settings: &dyn AnySettings) -> NumberRange;
    fn callers(&self, settings: &dyn AnySettings) -> NumberRange;
    fn declared(&self) -> Vec<Setting>;
    fn default_settings(&self) -> Arc<dyn AnySettings>;
    fn read(&self, table: &mut Reader, mistakes: &mut Mistakes) -> Arc<dyn AnySettings>;
    fn draw(&self, settings: &dyn AnySettings, seed: u64) -> Arc<dyn AnySettings>;
    fn slots(&self, settings: &dyn AnySettings) -> NumberRange;
    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String>;
    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String>;
    fn setup(&self, settings: &dyn AnySettings, run: &JobRun<'_>) -> JobSetup;
}

impl<J: JobUnderTest> AnyJob for J {
    fn name(&self) -> &str {
        J::name(self)
    }

    fn program(&self, failed: &FailedAttempts) -> Program {
        J::program(self, failed)
    }

    fn uses_database(&self) -> bool {
        J::uses_database(self)
    }

    fn writes_files(&self) -> bool {
        J::writes_files(self)
    }

    fn has_writer(&self) -> bool {
        J::has_writer(self)
    }

    fn front_ends(&self, settings: &dyn AnySettings) -> NumberRange {
        J::front_ends(self, settings_as(settings))
    }

    fn callers(&self, settings: &dyn AnySettings) -> NumberRange {
        J::callers(self, settings_as(settings))
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
        for (key, message) in J::mistakes(self, &settings) {
            // What is not written was not meant, so it is no mistake of the file.
            if let Some((_, place)) = places.iter().find(|(written, _)| *written == key) {
                let told = ScenarioError { message, ..place.clone() };
                let _: Option<()> = mistakes.keep(Err(told));
            }
        }
        Arc::new(settings)
    }

    fn draw(&self, settings: &dyn AnySettings, seed: u64) -> Arc<dyn AnySettings> {
        Arc::new(J::after_draw(
            self,
            Settings::draw(settings_as::<J::Settings>(settings), seed),
            seed,
        ))
    }

    fn slots(&self, settings: &dyn AnySettings) -> NumberRange {
        J::slots(self, settings_as(settings))
    }

    fn lints(&self, settings: &dyn AnySettings, context: &LintContext) -> Vec<String> {
        J::lints(self, settings_as(settings), context)
    }

    fn check_input(&self, settings: &dyn AnySettings, lines: &[Bytes]) -> Result<(), String> {
        J::check_input(self, settings_as(settings), lines)
    }

    fn setup(&self, settings: &dyn AnySettings, run: &JobRun<'_>) -> JobSetup {
        J::setup(self, settings_as(settings), run)
    }
}
