//! The jobs of this binary as they are submitted: from what each reads, to where it writes, and its own arguments.

use crate::{
    adapters::database::LiveDatabases,
    cli::live::{CliError, text::parse_duration},
    jobs::{
        Job, Jobs,
        common::{DATABASE_ARGUMENT, JobSettings},
    },
    system::{
        connector::{
            GeneratorParameters, Input, LINE_BYTES_MAX, TextSourceParameters, upload_text,
        },
        graph::{CheckpointSettings, JobGraph, RestartStrategy},
        ids::JobId,
        service::{
            log::{Log, LogRefusal},
            object_store::{ObjectStore, ObjectStoreRefusal},
        },
    },
};
use bytes::Bytes;
use clap::{Args, Command, FromArgMatches};
use serde_json::{Map, Value};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// The pause after a failure, doubled up to a bound with each one more.
const RESTART_DELAY: Duration = Duration::from_millis(500);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);
/// A job that has not failed for so long is taken for sound.
const RESTART_RESET: Duration = Duration::from_secs(120);

/// From where a job reads, and to where it writes.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("origin").args(["input", "records"]).required(true))]
pub struct JobArguments {
    /// Read the lines of a file, which is uploaded first
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "records",
        required_unless_present = "records"
    )]
    input: Option<PathBuf>,
    /// Make N records in each source subtask instead, such as `word-17`
    #[arg(long, value_name = "N")]
    records: Option<u64>,
    /// Records that each source subtask makes in a second; 0 makes them all at once
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "input")]
    per_second: u64,
    /// How many different words the records are drawn from
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "input", value_parser = clap::value_parser!(u64).range(1..))]
    words: u64,
    /// The topic of the log service, or the table of the database, that it writes to; if absent, the program's name and the job's id
    #[arg(long, value_name = "TOPIC")]
    output: Option<String>,
    /// The time from checkpoint to checkpoint
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_interval)]
    checkpoint_interval: Duration,
    /// The job's own arguments, which stand beside or in place of their defaults: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = parse_object)]
    arguments: Map<String, Value>,
}

fn parse_object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!("expected a JSON object such as {{\"limit\": 5}}, found {other}")),
        Err(error) => Err(format!("that is no JSON: {error}")),
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    match interval < Duration::from_millis(100) {
        true => Err("must be 100ms at least".to_string()),
        false => Ok(interval),
    }
}

/// What a job reads.
#[derive(Debug)]
pub enum JobInput {
    /// A text, to be uploaded.
    Text(Bytes),
    /// What a generator makes.
    Generated(GeneratorParameters),
}

/// A job and its arguments.
#[derive(Debug)]
pub struct Prepared {
    job: Job,
    /// What it reads.
    pub input: JobInput,
    output: Option<String>,
    checkpoint_interval: Duration,
    arguments: Map<String, Value>,
}

/// Why a job can't be submitted.
#[derive(Debug)]
pub enum Unprepared {
    /// Its arguments are wrong, or its help is wanted.
    Arguments(clap::Error),
    /// Something else.
    Refused(CliError),
}

/// A job of a name with its arguments; a text is read. `shipped` is where the text was brought that the arguments name.
pub fn prepare(
    jobs: &Jobs,
    name: &str,
    arguments: &[String],
    shipped: Option<&Path>,
) -> Result<Prepared, Unprepared> {
    let job = jobs.get(name).map_err(|error| Unprepared::Refused(error.into()))?;
    let mut read = read(job, arguments).map_err(Unprepared::Arguments)?;
    if let Some(shipped) = shipped {
        read.input = Some(shipped.to_path_buf());
    }
    prepared(job, read).map_err(Unprepared::Refused)
}

fn read(job: &Job, arguments: &[String]) -> Result<JobArguments, clap::Error> {
    let (name, about, output) = (job.name(), job.description(), job.output());
    let once = match job.writes_to_database() {
        // How often it writes a row, its description says.
        true => "",
        false => {
            " Records are written once each, whatever fails: they are committed with the checkpoint that covers them."
        }
    };
    let long = format!("{about}\n\nIt writes {output}.{once}");
    let usage = format!("cargo live submit {name} --");
    let command = JobArguments::augment_args(Command::new("submit").bin_name(&usage));
    let command = command.about(about.to_string()).long_about(long).max_term_width(100);
    // What it can't read is no example.
    let example = match job.check_generated() {
        Ok(()) => "--records 100000 --per-second 1000",
        Err(_) => "--input FILE",
    };
    let defaults = match job.defaults() {
        defaults if defaults.is_empty() => String::new(),
        defaults => {
            format!("The defaults of --arguments: {}\n\n", Value::Object(defaults.clone()))
        }
    };
    let command = command.after_help(format!(
        "{defaults}What stands before the --, such as --parallelism and --wait, tells `cargo live submit --help`.\n\n\
         Try `{usage} {example}`."
    ));
    let given = [usage.as_str()].into_iter().chain(arguments.iter().map(String::as_str));
    JobArguments::from_arg_matches(&command.try_get_matches_from(given)?)
}

fn prepared(job: &Job, arguments: JobArguments) -> Result<Prepared, CliError> {
    let JobArguments { input, records, per_second, words, output, checkpoint_interval, arguments } =
        arguments;
    check_database(job, &arguments)?;
    let input = match (input, records) {
        (Some(path), _) => JobInput::Text(text(job, &path)?),
        (None, records) => {
            let unread = |why| CliError::new(format!("--records: {why}; --input reads a file"));
            job.check_generated().map_err(unread)?;
            let records = records.unwrap_or_default();
            JobInput::Generated(GeneratorParameters { records, per_second, words, seed: 1 })
        }
    };
    Ok(Prepared { job: job.clone(), input, output, checkpoint_interval, arguments })
}

/// Refuses a job that writes to a database which nobody reaches: its tasks would be told so again and again.
fn check_database(job: &Job, arguments: &Map<String, Value>) -> Result<(), CliError> {
    let url = arguments.get(DATABASE_ARGUMENT).or_else(|| job.defaults().get(DATABASE_ARGUMENT));
    let Some(url) = url.and_then(Value::as_str) else { return Ok(()) };
    LiveDatabases::check(url).map_err(|error| {
        CliError::new(format!(
            "{error}\n  the job is told by --arguments '{{\"{DATABASE_ARGUMENT}\": \"sqlite:/PATH\"}}'"
        ))
    })
}

/// A text whose records the job and the cluster take.
#[expect(clippy::disallowed_methods, reason = "the user's own file")]
fn text(job: &Job, path: &Path) -> Result<Bytes, CliError> {
    let refused = |why: String| CliError::new(format!("--input {}: {why}", path.display()));
    let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    check(job, &text).map_err(refused)?;
    Ok(Bytes::from(text))
}

fn check(job: &Job, text: &[u8]) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_string());
    }
    // What stands behind the last line break is no line if it is nothing.
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n');
    for (number, line) in (1..).zip(lines) {
        if line.len() as u64 > LINE_BYTES_MAX {
            let found = line.len();
            return Err(format!("line {number} has {found} bytes; it may have {LINE_BYTES_MAX}"));
        }
        job.check_line(line).map_err(|why| format!("line {number}: {why}"))?;
    }
    Ok(())
}

impl Prepared {
    /// The job's name.
    pub fn name(&self) -> &str {
        self.job.name()
    }

    /// The topic to which a job writes.
    pub fn output(&self, job: JobId) -> String {
        self.output.clone().unwrap_or_else(|| self.job.output_topic(job))
    }

    /// Whether it writes to a table of a database.
    pub fn is_table(&self) -> bool {
        self.job.writes_to_database()
    }

    /// Where the output of a job is, for people.
    pub fn place(&self, job: JobId) -> String {
        let kind = match (self.job.writes_to_database(), self.job.writes_files()) {
            (true, _) => "table",
            (false, true) => "files of",
            (false, false) => "topic",
        };
        format!("{kind} {}", self.output(job))
    }

    /// The text that a job reads, if it reads one.
    pub fn text(&self) -> Option<&Bytes> {
        match &self.input {
            JobInput::Text(text) => Some(text),
            JobInput::Generated(_) => None,
        }
    }

    /// Brings the text that a job reads, if it reads one; once more is fine.
    ///
    /// # Errors
    /// What the object store refuses.
    pub async fn upload(
        &self,
        job: JobId,
        objects: &dyn ObjectStore,
    ) -> Result<(), ObjectStoreRefusal> {
        match self.text() {
            Some(text) => upload_text(objects, &Job::text_name(job), text).await.map(drop),
            None => Ok(()),
        }
    }

    /// Makes the topic to which a job writes, if it writes to one; once more is fine.
    ///
    /// # Errors
    /// What the log server refuses.
    pub async fn create_topic(
        &self,
        job: JobId,
        log: &dyn Log,
        parallelism: u32,
    ) -> Result<(), LogRefusal> {
        if self.job.writes_to_database() || self.job.writes_files() {
            return Ok(());
        }
        log.create_topic_until_acknowledged(&self.output(job), parallelism).await
    }

    fn source(&self, job: JobId) -> Input {
        match &self.input {
            JobInput::Generated(parameters) => Input::Generator(parameters.clone()),
            JobInput::Text(text) => {
                Input::Text(TextSourceParameters::new(&Job::text_name(job), text.len() as u64))
            }
        }
    }

    /// The job.
    pub fn job(&self, job: JobId, parallelism: u32) -> Result<JobGraph, CliError> {
        let checkpoints = CheckpointSettings {
            interval_ms: u64::try_from(self.checkpoint_interval.as_millis())?,
            ..CheckpointSettings::default()
        };
        let restarts =
            RestartStrategy::exponential(RESTART_DELAY, RESTART_DELAY_MAX, RESTART_RESET);
        let settings = JobSettings { parallelism, checkpoints, restarts, ..JobSettings::default() };
        let (source, output) = (self.source(job), self.output(job));
        Ok(self.job.graph(job, &source, &output, &self.arguments, &settings)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::{common::TEXT_BYTES_MAX, shipped};

    fn prepared(name: &str, arguments: &[&str]) -> Result<Prepared, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        prepare(&shipped(), name, &arguments, None).map_err(|error| match error {
            Unprepared::Arguments(error) => error.to_string(),
            Unprepared::Refused(error) => error.to_string(),
        })
    }

    #[test]
    fn a_generator_makes_as_many_records_as_are_wanted() {
        let job = prepared("word-count", &["--records", "5", "--per-second", "2"]).expect("right");
        let JobInput::Generated(parameters) = &job.input else { panic!("no text was given") };
        assert_eq!((parameters.records, parameters.per_second, parameters.words), (5, 2, 1000));
        assert_eq!(job.output(JobId(1)), format!("word-count-{:032x}", 1));
        let named = prepared("pipelines", &["--records", "5", "--output", "x"]).expect("right");
        assert_eq!(named.output(JobId(1)), "x");
    }

    #[test]
    fn wrong_arguments_and_unknown_programs_are_refused_with_what_there_is() {
        for (name, arguments, why) in [
            ("word-cuont", &[][..], "\n  word-count       Count words"),
            ("word-count", &[], "<--input <FILE>|--records <N>>"),
            ("word-count", &["--records", "many"], "--records"),
            ("word-count", &["--records", "1", "--input", "x"], "cannot be used with"),
            ("word-count", &["--input", "/no/such/file"], "No such file"),
            ("word-count", &["--records", "1", "--words", "0"], "--words"),
            ("word-count", &["--records", "1", "--checkpoint-interval", "1ms"], "100ms at least"),
            ("word-count", &["--records", "1", "--arguments", "[1]"], "expected a JSON object"),
            ("word-count", &["--records", "1", "--arguments", "{"], "that is no JSON"),
            ("bank-ledger", &["--input", "x"], "database of simulations"),
            (
                "bank-ledger",
                &["--input", "x", "--arguments", "{\"database\": \"sqlite:x\"}"],
                "absolute",
            ),
            ("click-sessions", &["--records", "1"], "\"word-17\" are made: it is no click"),
            ("click-sessions", &["--help"], "submit click-sessions -- --input FILE"),
            ("pipelines", &["--help"], "cargo live submit pipelines -- "),
        ] {
            let told = prepared(name, arguments).expect_err(why);
            assert!(told.contains(why), "{name} {arguments:?}: {told}");
        }
    }

    #[test]
    fn a_text_that_must_fail_is_refused() {
        let jobs = shipped();
        let check = |name: &str, text: &[u8]| {
            check(jobs.get(name).expect("one"), text).err().unwrap_or_default()
        };
        let long = [b"a b\n".to_vec(), vec![b'a'; TEXT_BYTES_MAX]].concat();
        let longer = [&long[..], b"a"].concat();
        assert_eq!((check("word-count", &long), check("pipelines", &long)), Default::default());
        assert!(check("word-count", &longer).contains("line 2: it has a word of"));
        assert!(check("pipelines", &longer).contains("line 2: it has"));
        assert!(check("word-count", b"").contains("is empty"));
        assert_eq!(check("click-sessions", b"ada 1 1\nada 2 1\n"), "");
        assert!(check("click-sessions", b"ada 1 1\n\nada 2 1").contains("line 2: it is no click"));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
    fn arguments_of_a_job_s_own_stand_beside_their_defaults() {
        let file = std::env::temp_dir().join(format!("wavetank-clicks-{}", std::process::id()));
        std::fs::write(&file, "ada 1500 1\n").expect("a folder for such files");
        let input = file.to_str().expect("a path of letters");
        let gap = r#"{"sessions": {"gap": {"secs": 30}}}"#;
        let job =
            prepared("click-sessions", &["--input", input, "--arguments", gap]).expect("right");
        let arguments = job.job(JobId(1), 2).expect("sound").program.arguments;
        assert!(arguments.contains(r#""gap":{"nanos":0,"secs":30}"#), "{arguments}");
        assert!(arguments.contains(r#""lateness":{"nanos":0,"secs":60}"#), "{arguments}");
        let wrong = r#"{"sessions": {"gap": "30s"}}"#;
        let job =
            prepared("click-sessions", &["--input", input, "--arguments", wrong]).expect("JSON");
        let refused = job.job(JobId(1), 2).expect_err("no time").to_string();
        assert!(refused.contains("the arguments are refused"), "{refused}");
        std::fs::remove_file(&file).expect("its own");
    }

    #[test]
    fn each_job_that_takes_records_is_sound() {
        for name in ["word-count", "pipelines"] {
            let job = prepared(name, &["--records", "5"]).expect("right");
            assert_eq!(job.job(JobId(1), 3).expect("sound").id, JobId(1));
        }
    }
}
