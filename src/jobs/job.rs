//! A job of a binary: all that its commands, its clusters and its scenarios have to know of it.

use super::common::{
    DATABASE_ARGUMENT, JobArguments, JobOracle, JobSettings, KeyedStateModel, TEXT_BYTES_MAX,
    job_of,
};
use crate::{
    host::Draws,
    system::{
        connector::Input,
        dataflow::{Program, ProgramError},
        graph::{GraphReport, JobGraph},
        ids::JobId,
    },
};
use bytes::Bytes;
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap, fmt, sync::Arc};

/// Words that a line of the standard workload has.
const LINE_WORDS: u64 = 3;
/// The different words of the standard workload, `w0` to `w49`.
const WORDS: u64 = 50;
/// How a record of the standard generator looks, for who checks whether a job can read one.
const GENERATED: &[u8] = b"word-17";

type CheckLine = dyn Fn(&[u8]) -> Result<(), String> + Send + Sync;
type CheckText = dyn Fn(&[Bytes]) -> Result<(), String> + Send + Sync;
type MakeLine = dyn Fn(u64, &mut Draws) -> Bytes + Send + Sync;
type IsIdle = dyn Fn(&[Bytes]) -> bool + Send + Sync;
type MakeOracle = dyn Fn(&[Bytes]) -> Box<dyn JobOracle> + Send + Sync;

/// A job that reads records and writes a topic: its program, and what is said of it besides.
///
/// Its program's arguments have the fields of [`JobArguments`], `input` and `output`, which whoever runs it fills in:
/// in simulation the topics of a workload, on the command line a file or a generator. All else has a default.
///
/// ```
/// use bytes::Bytes;
/// use wavetank::{
///     jobs::{Job, common::JobArguments},
///     system::{connector::LogSink, dataflow::{Program, Result, StreamEnv}},
/// };
///
/// fn shout(env: &mut StreamEnv, arguments: &JobArguments) -> Result<()> {
///     env.source("lines", arguments.input.source()?)
///         .map("shout", |line: Bytes| Bytes::from(line.to_ascii_uppercase()))
///         .sink("sink", LogSink::encoding(&arguments.output, |line: &Bytes| Ok(line.clone())));
///     Ok(())
/// }
///
/// // What must be committed of an input, computed apart from the job: in any order, each once.
/// let expected = |lines: &[Bytes]| lines.iter().map(|line| Bytes::from(line.to_ascii_uppercase())).collect();
/// let job = Job::new(Program::new("shout", 1, shout), expected).about("Write lines in capital letters");
/// assert_eq!(job.name(), "shout");
/// ```
#[derive(Clone)]
pub struct Job {
    program: Program,
    about: String,
    output: String,
    writes_files: bool,
    arguments: Map<String, Value>,
    check_line: Arc<CheckLine>,
    show: fn(&[u8]) -> Cow<'_, [u8]>,
    test: JobTest,
}

/// How a job is put under test.
#[derive(Clone)]
pub enum JobTest {
    /// By the settings that every job has, a workload and an oracle.
    Standard(Workload),
    /// By settings of its own, which `under_test` has under its name.
    OwnSettings,
}

/// What a job is given in simulation, and what it must make of it.
#[derive(Clone)]
pub struct Workload {
    line: Arc<MakeLine>,
    check_text: Arc<CheckText>,
    is_idle: Arc<IsIdle>,
    oracle: Arc<MakeOracle>,
}

impl Workload {
    /// So many lines, drawn from a seed.
    pub fn lines(&self, seed: u64, count: u64) -> Vec<Bytes> {
        let mut draws = Draws::new(seed, "workload", [0, 0]);
        (0..count).map(|number| (self.line)(number, &mut draws)).collect()
    }

    /// Whether a text can be used in its place.
    ///
    /// # Errors
    /// Why not.
    pub fn check_text(&self, lines: &[Bytes]) -> Result<(), String> {
        (self.check_text)(lines)
    }

    /// Whether it is known that nothing must be committed of these lines: a run of them would show nothing. Never for a
    /// job with an oracle of its own, which is not asked.
    pub fn is_idle(&self, lines: &[Bytes]) -> bool {
        (self.is_idle)(lines)
    }

    /// An oracle for these lines, of which nothing has been read.
    pub fn oracle(&self, lines: &[Bytes]) -> Box<dyn JobOracle> {
        (self.oracle)(lines)
    }
}

impl Job {
    /// A job whose committed records, of all partitions together, must be those that `expected` makes of all lines of
    /// the input: in any order, each as often as it is there. Of its workload it must make some, or no run would show
    /// anything: where the standard words are not enough, [`workload`](Job::workload) says what the job reads.
    pub fn new(
        program: Program,
        expected: impl Fn(&[Bytes]) -> Vec<Bytes> + Send + Sync + 'static,
    ) -> Self {
        let expected = Arc::new(expected);
        let of_lines = expected.clone();
        let job =
            Job::with_oracle(program, move |lines| Box::new(ExpectedRecords::new(of_lines(lines))));
        let JobTest::Standard(workload) = job.test else {
            unreachable!("a job with an oracle has a workload")
        };
        let is_idle = Arc::new(move |lines: &[Bytes]| expected(lines).is_empty());
        let test = JobTest::Standard(Workload { is_idle, ..workload });
        Job { test, ..job }
    }

    /// A job whose committed records an oracle follows step by step, such as one of a promise about their order. It is
    /// made anew for each run, of all lines that will be written to the input in the end.
    pub fn with_oracle(
        program: Program,
        oracle: impl Fn(&[Bytes]) -> Box<dyn JobOracle> + Send + Sync + 'static,
    ) -> Self {
        let (line, oracle) = (Arc::new(drawn_words), Arc::new(oracle));
        let (check_text, is_idle) = (Arc::new(|_: &[Bytes]| Ok(())), Arc::new(|_: &[Bytes]| false));
        Job::of(program, JobTest::Standard(Workload { line, check_text, is_idle, oracle }))
    }

    /// A job of this crate, with settings of its own in scenario files.
    pub(super) fn with_own_settings(program: Program) -> Self {
        Job::of(program, JobTest::OwnSettings)
    }

    fn of(program: Program, test: JobTest) -> Self {
        Job {
            about: format!("The job {}", program.name()),
            output: "what the program's sinks make of its records".to_string(),
            writes_files: false,
            arguments: Map::new(),
            check_line: Arc::new(short_enough),
            show: |record| Cow::Borrowed(record),
            program,
            test,
        }
    }

    /// What it does, in a line without a full stop, for lists and `--help`; `The job NAME` by default.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Job { about: about.to_string(), ..self }
    }

    /// What it writes, as it follows "it writes", for `--help`.
    #[must_use]
    pub fn writes(self, output: &str) -> Self {
        Job { output: output.to_string(), ..self }
    }

    /// How a record of its output is shown to people, for one whose records are no text; as it is by default.
    #[must_use]
    pub fn shows(self, show: fn(&[u8]) -> Cow<'_, [u8]>) -> Self {
        Job { show, ..self }
    }

    /// A record of its output, for people.
    pub fn shown<'a>(&self, record: &'a [u8]) -> Cow<'a, [u8]> {
        (self.show)(record)
    }

    /// That its program writes files of the directory `output`, with a [`FileSink`](crate::system::connector::FileSink),
    /// and no topic.
    #[must_use]
    pub fn in_files(self) -> Self {
        Job { writes_files: true, ..self }
    }

    /// The arguments that its program takes besides `input` and `output`, with their defaults, as a JSON object; none
    /// by default.
    ///
    /// # Panics
    /// When it is no object.
    #[must_use]
    pub fn arguments(self, defaults: Value) -> Self {
        let Value::Object(arguments) = defaults else {
            panic!("arguments are an object: {defaults}")
        };
        Job { arguments, ..self }
    }

    /// Which lines it can read, of those of [`TEXT_BYTES_MAX`] bytes at most: no text and no generator is taken of
    /// which a line is refused here. By default all of them.
    #[must_use]
    pub fn reads(
        self,
        check: impl Fn(&[u8]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        // One of this crate that has settings of its own says itself how long a line may be.
        let any_length = matches!(self.test, JobTest::OwnSettings);
        let check_line = move |line: &[u8]| match any_length {
            true => check(line),
            false => short_enough(line).and_then(|()| check(line)),
        };
        Job { check_line: Arc::new(check_line), ..self }
    }

    /// Which texts it can read as a whole, besides line by line, where its oracle asks for more: in simulation no text of
    /// a user is taken that is refused here. By default all of them.
    ///
    /// # Panics
    /// For a job with settings of its own, which say it.
    #[must_use]
    pub fn reads_all(
        self,
        check: impl Fn(&[Bytes]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let JobTest::Standard(workload) = self.test else {
            panic!("{} has settings of its own", self.program.name())
        };
        let test = JobTest::Standard(Workload { check_text: Arc::new(check), ..workload });
        Job { test, ..self }
    }

    /// How its input looks in simulation: the line of a number, from 0, with what it draws from the run's seed. By
    /// default three words of `w0` to `w49`.
    ///
    /// # Panics
    /// For a job with settings of its own, which say it.
    #[must_use]
    pub fn workload(self, line: impl Fn(u64, &mut Draws) -> Bytes + Send + Sync + 'static) -> Self {
        let JobTest::Standard(workload) = self.test else {
            panic!("{} has settings of its own", self.program.name())
        };
        let test = JobTest::Standard(Workload { line: Arc::new(line), ..workload });
        Job { test, ..self }
    }

    /// What state by key it holds at a cut of its input; by default that is not judged.
    ///
    /// # Panics
    /// For a job with settings of its own, whose oracle says it.
    #[must_use]
    pub fn keeps(self, model: KeyedStateModel) -> Self {
        let JobTest::Standard(workload) = self.test else {
            panic!("{} has settings of its own", self.program.name())
        };
        let oracle = workload.oracle.clone();
        let oracle = Arc::new(move |lines: &[Bytes]| -> Box<dyn JobOracle> {
            Box::new(WithState { oracle: oracle(lines), model })
        });
        let test = JobTest::Standard(Workload { oracle, ..workload });
        Job { test, ..self }
    }

    /// Its name: that of its program.
    pub fn name(&self) -> &str {
        self.program.name()
    }

    /// What it does, in a line.
    pub fn description(&self) -> &str {
        &self.about
    }

    /// What it writes, as it follows "it writes".
    pub fn output(&self) -> &str {
        &self.output
    }

    /// The defaults of the arguments that it takes besides `input` and `output`.
    pub fn defaults(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// Whether it writes to a database: it has an argument [`DATABASE_ARGUMENT`] then.
    pub fn writes_to_database(&self) -> bool {
        self.arguments.contains_key(DATABASE_ARGUMENT)
    }

    /// Whether it writes files.
    pub fn writes_files(&self) -> bool {
        self.writes_files
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Under which name the text is uploaded that a job of an id reads.
    pub fn text_name(id: JobId) -> String {
        format!("text-{id}")
    }

    /// The topic to which it writes as the job of an id, unless another is wanted.
    pub fn output_topic(&self, id: JobId) -> String {
        format!("{}-{id}", self.name())
    }

    /// How it is put under test.
    pub fn test(&self) -> &JobTest {
        &self.test
    }

    /// Whether it can read a line.
    ///
    /// # Errors
    /// Why not.
    pub fn check_line(&self, line: &[u8]) -> Result<(), String> {
        (self.check_line)(line)
    }

    /// Whether it can read what the standard generator makes.
    ///
    /// # Errors
    /// Why not.
    pub fn check_generated(&self) -> Result<(), String> {
        self.check_line(GENERATED).map_err(|why| {
            format!("records such as {:?} are made: {why}", String::from_utf8_lossy(GENERATED))
        })
    }

    /// Its graph, to be submitted: it reads `input` and writes the topic `output`. `more` is a JSON object with
    /// arguments besides, of which those within objects stand beside the defaults there.
    ///
    /// # Errors
    /// Why there is none.
    pub fn graph(
        &self,
        id: JobId,
        input: &Input,
        output: &str,
        more: &Map<String, Value>,
        settings: &JobSettings,
    ) -> Result<JobGraph, ProgramError> {
        job_of(&self.program, id, &self.whole_arguments(input, output, more), settings)
    }

    /// How many slots it needs with that parallelism.
    ///
    /// # Errors
    /// Why there is no such job.
    pub fn required_slots(&self, parallelism: u32) -> Result<u32, ProgramError> {
        let JobArguments { input, output, .. } = JobArguments::example(self.name());
        let settings = JobSettings { parallelism, ..JobSettings::default() };
        Ok(self.graph(JobId(0), &input, &output, &Map::new(), &settings)?.required_slots())
    }

    /// Its graphs for people: of these arguments as JSON, or of its program's example, or of generated records.
    ///
    /// # Errors
    /// Why there are none.
    pub fn report(
        &self,
        arguments: Option<&str>,
        parallelism: u32,
    ) -> Result<GraphReport, ProgramError> {
        let JobArguments { input, output, .. } = JobArguments::example(self.name());
        let standard = self.whole_arguments(&input, &output, &Map::new()).to_string();
        self.program.report(arguments.or(self.program.example()).unwrap_or(&standard), parallelism)
    }

    fn whole_arguments(&self, input: &Input, output: &str, more: &Map<String, Value>) -> Value {
        let mut all = self.arguments.clone();
        merge(&mut all, more);
        let input = serde_json::to_value(input).expect("an input can be written as JSON");
        all.insert("input".to_string(), input);
        all.insert("output".to_string(), Value::from(output));
        Value::Object(all)
    }
}

/// Puts values beside others or in their place, key by key, also within objects.
fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            _ => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

fn short_enough(line: &[u8]) -> Result<(), String> {
    match line.len() > TEXT_BYTES_MAX {
        true => Err(format!("it has {} bytes, and may have {TEXT_BYTES_MAX}", line.len())),
        false => Ok(()),
    }
}

fn drawn_words(_: u64, draws: &mut Draws) -> Bytes {
    let words = (0..LINE_WORDS).map(|_| format!("w{}", draws.below(WORDS)));
    Bytes::from(words.collect::<Vec<_>>().join(" "))
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.name())
    }
}

/// An oracle of a job of which is said besides what state it keeps.
struct WithState {
    oracle: Box<dyn JobOracle>,
    model: KeyedStateModel,
}

impl JobOracle for WithState {
    fn promise(&self) -> &'static str {
        self.oracle.promise()
    }

    fn input(&mut self, partition: u32, record: &[u8]) {
        self.oracle.input(partition, record);
    }

    fn output(&mut self, partition: u32, record: &[u8]) -> Result<(), String> {
        self.oracle.output(partition, record)
    }

    fn missing(&self) -> Option<String> {
        self.oracle.missing()
    }

    fn keyed_state(&self) -> Option<KeyedStateModel> {
        Some(self.model)
    }
}

/// Records that must be put out, in any order.
struct ExpectedRecords {
    /// By record: how often it must come, and how often it came.
    records: BTreeMap<Bytes, (u64, u64)>,
}

impl ExpectedRecords {
    fn new(expected: Vec<Bytes>) -> Self {
        let mut records = BTreeMap::<Bytes, (u64, u64)>::new();
        for record in expected {
            records.entry(record).or_default().0 += 1;
        }
        ExpectedRecords { records }
    }
}

fn shown(record: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(record))
}

impl JobOracle for ExpectedRecords {
    fn promise(&self) -> &'static str {
        "the records are those that are expected of the input, each as often"
    }

    fn input(&mut self, _: u32, _: &[u8]) {}

    fn output(&mut self, _: u32, record: &[u8]) -> Result<(), String> {
        let Some((expected, found)) = self.records.get_mut(record) else {
            return Err(format!("{} is not expected", shown(record)));
        };
        *found += 1;
        match *found > *expected {
            true => Err(format!("{} comes {found} times, expected {expected}", shown(record))),
            false => Ok(()),
        }
    }

    fn missing(&self) -> Option<String> {
        let (record, (expected, found)) =
            self.records.iter().find(|(_, (expected, found))| found < expected)?;
        Some(format!("{} came {found} times, expected {expected}", shown(record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expected_records_come_in_any_order_and_each_as_often() {
        let expected = ["a", "b", "a"].map(Bytes::from).to_vec();
        let mut oracle = ExpectedRecords::new(expected);
        assert!(oracle.output(0, b"c").is_err(), "nobody expects it");
        assert_eq!((oracle.output(1, b"b"), oracle.output(0, b"a")), (Ok(()), Ok(())));
        assert!(oracle.output(0, b"b").expect_err("once").contains("comes 2 times, expected 1"));
        assert_eq!(oracle.missing().as_deref(), Some("\"a\" came 1 times, expected 2"));
        assert_eq!((oracle.output(7, b"a"), oracle.missing()), (Ok(()), None));
    }

    #[test]
    fn arguments_stand_beside_the_defaults_also_within_objects() {
        let program = Program::new("p", 1, |_, _: &Value| Ok(()));
        let job =
            Job::new(program, |_| Vec::new()).arguments(json!({"a": {"b": 1, "c": 2}, "d": 3}));
        let JobArguments { input, .. } = JobArguments::example("");
        let Value::Object(more) = json!({"a": {"c": 4}, "output": "mine", "e": null}) else {
            return;
        };
        let whole = job.whole_arguments(&input, "topic", &more);
        assert_eq!((&whole["a"], &whole["d"]), (&json!({"b": 1, "c": 4}), &json!(3)));
        assert_eq!(whole["output"], "topic", "whoever runs the job says where it writes");
    }
}
