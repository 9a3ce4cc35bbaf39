//! The programs of this binary that can be submitted: a job each, with arguments of its own.

use crate::{
    cli::live::{CliError, text::parse_duration},
    jobs::{
        common::{FailureInjection, JobSettings, TEXT_BYTES_MAX},
        pipelines::pipelines,
        word_count::{word_count, words},
    },
    system::{
        connector::{
            GeneratorParameters, Input, LINE_BYTES_MAX, TextSourceParameters, upload_text,
        },
        dataflow::ProgramError,
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
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::Duration,
};

/// The pause after a failure, doubled up to a bound with each one more.
const RESTART_DELAY: Duration = Duration::from_millis(500);
const RESTART_DELAY_MAX: Duration = Duration::from_secs(30);
/// A job that has not failed for so long is taken for sound.
const RESTART_RESET: Duration = Duration::from_secs(120);

/// A job that can be submitted: it reads records and writes a topic.
#[derive(Debug)]
pub struct Program {
    /// As it is submitted.
    pub name: &'static str,
    /// What it does, in a line.
    about: &'static str,
    /// What it writes.
    output: &'static str,
    build: Build,
    /// The longest record that it makes of a line, so that nothing is submitted that must fail.
    longest: fn(&[u8]) -> usize,
}

type Build = fn(JobId, Input, &str, &JobSettings) -> Result<JobGraph, ProgramError>;

/// All of them.
const PROGRAMS: &[Program] = &[
    Program {
        name: "word-count",
        about: "Count words: runs of ASCII letters and digits",
        output: "for each time that a word occurs a record with the word and how often it has occurred by then",
        build: word_count,
        longest: |line| words(line).map(<[u8]>::len).max().unwrap_or_default(),
    },
    Program {
        name: "pipelines",
        about: "Number lines and write them in capital letters, each partition apart from the others",
        output: "the n-th record of a partition as `n RECORD`",
        build: |id, input, output, settings| {
            pipelines(id, input, output, settings, FailureInjection::default())
        },
        // With its number.
        longest: |line| line.len() + "18446744073709551615 ".len(),
    },
];

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
    /// The topic of the log service that it writes to; if absent, the program's name and the job's id
    #[arg(long, value_name = "TOPIC")]
    output: Option<String>,
    /// The time from checkpoint to checkpoint
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_interval)]
    checkpoint_interval: Duration,
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

/// A program and its arguments.
#[derive(Debug)]
pub struct Prepared {
    /// The program.
    pub program: &'static Program,
    /// What it reads.
    pub input: JobInput,
    output: Option<String>,
    checkpoint_interval: Duration,
}

/// Why a program can't be submitted.
#[derive(Debug)]
pub enum Unprepared {
    /// Its arguments are wrong, or its help is wanted.
    Arguments(clap::Error),
    /// Something else.
    Refused(CliError),
}

/// A line for each program.
pub fn listed() -> String {
    let width = PROGRAMS.iter().map(|program| program.name.len()).max().unwrap_or_default();
    PROGRAMS.iter().fold(String::new(), |mut told, Program { name, about, .. }| {
        let _ = write!(told, "\n  {name:width$}  {about}");
        told
    })
}

/// A program with its arguments; a text is read. `shipped` is where the text was brought that the arguments name.
pub fn prepare(
    name: &str,
    arguments: &[String],
    shipped: Option<&Path>,
) -> Result<Prepared, Unprepared> {
    let Some(program) = PROGRAMS.iter().find(|program| program.name == name) else {
        let told = format!("there is no program {name:?} in this binary; there are{}", listed());
        return Err(Unprepared::Refused(CliError::new(told)));
    };
    let mut read = program.read(arguments).map_err(Unprepared::Arguments)?;
    if let Some(shipped) = shipped {
        read.input = Some(shipped.to_path_buf());
    }
    program.prepared(read).map_err(Unprepared::Refused)
}

impl Program {
    fn read(&self, arguments: &[String]) -> Result<JobArguments, clap::Error> {
        let Program { name, about, output, .. } = self;
        let long = format!(
            "{about}\n\nIt writes {output}. Records are written once each, whatever fails: they are committed with \
             the checkpoint that covers them."
        );
        let usage = format!("cargo live submit {name} --");
        let command = JobArguments::augment_args(Command::new("submit").bin_name(&usage));
        let command = command.about(*about).long_about(long).max_term_width(100);
        let command = command.after_help(format!(
            "What stands before the --, such as --parallelism and --wait, tells `cargo live submit --help`.\n\n\
             Try `{usage} --records 100000 --per-second 1000`."
        ));
        let given = [usage.as_str()].into_iter().chain(arguments.iter().map(String::as_str));
        JobArguments::from_arg_matches(&command.try_get_matches_from(given)?)
    }

    fn prepared(&'static self, arguments: JobArguments) -> Result<Prepared, CliError> {
        let JobArguments { input, records, per_second, words, output, checkpoint_interval } =
            arguments;
        let input = match (input, records) {
            (Some(path), _) => JobInput::Text(self.text(&path)?),
            (None, records) => {
                let records = records.unwrap_or_default();
                JobInput::Generated(GeneratorParameters { records, per_second, words, seed: 1 })
            }
        };
        Ok(Prepared { program: self, input, output, checkpoint_interval })
    }

    /// A text whose records the cluster takes.
    #[expect(clippy::disallowed_methods, reason = "the user's own file")]
    fn text(&self, path: &Path) -> Result<Bytes, CliError> {
        let refused = |why: String| CliError::new(format!("--input {}: {why}", path.display()));
        let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
        self.check(&text).map_err(refused)?;
        Ok(Bytes::from(text))
    }

    fn check(&self, text: &[u8]) -> Result<(), String> {
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            if line.len() as u64 > LINE_BYTES_MAX {
                let found = line.len();
                return Err(format!(
                    "line {number} has {found} bytes; it may have {LINE_BYTES_MAX}"
                ));
            }
            let longest = (self.longest)(line);
            if longest > TEXT_BYTES_MAX {
                return Err(format!(
                    "line {number} makes a record of {longest} bytes; it may have {}",
                    TEXT_BYTES_MAX
                ));
            }
        }
        match text.is_empty() {
            true => Err("it is empty".to_string()),
            false => Ok(()),
        }
    }
}

/// The name under which the text that a job reads is uploaded.
pub fn text_name(job: JobId) -> String {
    format!("text-{job}")
}

impl Prepared {
    /// The topic to which a job writes.
    pub fn output(&self, job: JobId) -> String {
        self.output.clone().unwrap_or_else(|| format!("{}-{job}", self.program.name))
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
            Some(text) => upload_text(objects, &text_name(job), text).await.map(drop),
            None => Ok(()),
        }
    }

    /// Makes the topic to which a job writes; once more is fine.
    ///
    /// # Errors
    /// What the log server refuses.
    pub async fn create_topic(
        &self,
        job: JobId,
        log: &dyn Log,
        parallelism: u32,
    ) -> Result<(), LogRefusal> {
        log.create_topic_until_acknowledged(&self.output(job), parallelism).await
    }

    fn source(&self, job: JobId) -> Input {
        match &self.input {
            JobInput::Generated(parameters) => Input::Generator(parameters.clone()),
            JobInput::Text(text) => {
                Input::Text(TextSourceParameters::new(&text_name(job), text.len() as u64))
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
        let settings = JobSettings { parallelism, checkpoints, restarts };
        Ok((self.program.build)(job, self.source(job), &self.output(job), &settings)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(name: &str, arguments: &[&str]) -> Result<Prepared, String> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        prepare(name, &arguments, None).map_err(|error| match error {
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
            ("word-cuont", &[][..], "\n  word-count  Count words"),
            ("word-count", &[], "<--input <FILE>|--records <N>>"),
            ("word-count", &["--records", "many"], "--records"),
            ("word-count", &["--records", "1", "--input", "x"], "cannot be used with"),
            ("word-count", &["--input", "/no/such/file"], "No such file"),
            ("word-count", &["--records", "1", "--words", "0"], "--words"),
            ("word-count", &["--records", "1", "--checkpoint-interval", "1ms"], "100ms at least"),
            ("pipelines", &["--help"], "cargo live submit pipelines -- "),
        ] {
            let told = prepared(name, arguments).expect_err(why);
            assert!(told.contains(why), "{name} {arguments:?}: {told}");
        }
    }

    #[test]
    fn a_text_that_must_fail_is_refused() {
        let check = |name: &str, text: &[u8]| {
            let program = PROGRAMS.iter().find(|program| program.name == name).expect("one");
            program.check(text).err().unwrap_or_default()
        };
        let long = [b"a b\n".to_vec(), vec![b'a'; TEXT_BYTES_MAX]].concat();
        assert_eq!(check("word-count", &long), "");
        assert!(check("pipelines", &long).contains("line 2 makes a record"));
        assert!(check("word-count", b"").contains("is empty"));
        assert!(check("word-count", &[long, b"a".to_vec()].concat()).contains("line 2 makes"));
    }

    #[test]
    fn each_program_makes_a_sound_job() {
        for Program { name, .. } in PROGRAMS {
            let job = prepared(name, &["--records", "5"]).expect("right");
            assert_eq!(job.job(JobId(1), 3).expect("sound").id, JobId(1));
        }
    }
}
