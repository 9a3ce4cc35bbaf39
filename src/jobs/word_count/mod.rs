//! Word count: lines → words → running counts by word → an exactly-once topic.
//!
//! A *word* is a run of ASCII letters and digits, as long as it goes; everything else separates
//! words, and case counts. That is what `LC_ALL=C tr -cs '[:alnum:]' '\n'` makes of a text.
//!
//! Every occurrence of a word emits a [`Counted`], so of each word the output holds 1, 2, 3, … in
//! this order, each once: that is the job's oracle ([`Oracle`]).

mod operators;
mod oracle;
mod words;

pub use operators::{Count, Counted};
pub(super) use oracle::encoded_words;
pub use oracle::{Oracle, OracleError};
pub use words::{text, words};

use super::{
    common::{
        FailedAttempts, FailureInjection, FaultyOperator, JobArguments, JobSettings,
        TEXT_BYTES_MAX, Topics, job_of,
    },
    job::Job,
};
use crate::system::{
    connector::{Input, LogSink},
    dataflow::{Program, ProgramError, Result, StreamEnv, Text},
    graph::JobGraph,
    ids::JobId,
};
use bytes::Bytes;
use std::borrow::Cow;

/// The topics of the word count of a number, from 1: `lines` and `counts` of the first.
pub fn topics(number: u32) -> Topics {
    Topics::numbered("lines", "counts", number)
}

/// The program. Functions that fail on purpose remember in `failed` that they have.
pub fn program(failed: &FailedAttempts) -> Program {
    let failed = failed.clone();
    let program =
        Program::new("word-count", 1, move |env, arguments| describe(env, arguments, &failed));
    program.with_example(&JobArguments::example("counts"))
}

/// A record as text.
fn shown(record: &[u8]) -> Cow<'_, [u8]> {
    match postcard::from_bytes::<Counted>(record) {
        Ok(Counted { word, count }) => Cow::Owned(format!("{word} {count}").into_bytes()),
        Err(_) => Cow::Borrowed(record),
    }
}

/// The job of this program, for whoever runs it live.
pub(super) fn job() -> Job {
    Job::with_own_settings(program(&FailedAttempts::default()))
        .about("Count words: runs of ASCII letters and digits")
        .writes("for each time that a word occurs a record with the word and how often it has occurred by then")
        .shows(shown)
        .reads(|line| match words(line).map(<[u8]>::len).max() {
            Some(longest) if longest > TEXT_BYTES_MAX => {
                Err(format!("it has a word of {longest} bytes; one may have {TEXT_BYTES_MAX}"))
            }
            _ => Ok(()),
        })
}

fn describe(env: &mut StreamEnv, arguments: &JobArguments, failed: &FailedAttempts) -> Result<()> {
    let JobArguments { input, output, failures } = arguments;
    let mut lines = env.source("source", input.source()?);
    if let Some(failures) = failures.of_splitting() {
        lines = lines.apply("faulty-lines", FaultyOperator::new(failures, failed));
    }
    lines
        .flat_map("split", |line: Bytes, out| words(&line).for_each(|word| out.emit(text(word))))
        .key_by(Text::clone)
        .process("count", Count::with_slow_subtask(failures.of_counting()))
        .sink("sink", LogSink::new(output));
    Ok(())
}

/// The word count of what `input` says, into a topic.
///
/// # Errors
/// When the parallelism is out of bounds, or there is nothing to read.
pub fn word_count(
    id: JobId,
    input: Input,
    output: &str,
    settings: &JobSettings,
) -> Result<JobGraph, ProgramError> {
    word_count_with_failures(id, input, output, settings, FailureInjection::default())
}

/// The same with functions that fail on purpose.
///
/// # Errors
/// As [`word_count`].
pub fn word_count_with_failures(
    id: JobId,
    input: Input,
    output: &str,
    settings: &JobSettings,
    failures: FailureInjection,
) -> Result<JobGraph, ProgramError> {
    let arguments = JobArguments { input, output: output.to_string(), failures };
    job_of(&program(&FailedAttempts::default()), id, &arguments, settings)
}
