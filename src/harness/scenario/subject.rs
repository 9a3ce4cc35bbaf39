//! What runs in a scenario: which nodes, and what they are given to do.

use super::{DurationRange, Field, Reader, ScenarioError};
use crate::system::protocol::JobStatus;
use std::time::Duration;

/// What runs, with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// Journal nodes and their clients.
    Journal(JournalSpec),
    /// A cluster that counts words.
    WordCount(WordCountSpec),
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectKind {
    /// Journal nodes and their clients.
    Journal,
    /// A cluster that counts words.
    WordCount,
}

/// The names of the subjects in files.
const SUBJECTS: &[(&str, SubjectKind)] =
    &[("journal", SubjectKind::Journal), ("word-count", SubjectKind::WordCount)];

impl SubjectKind {
    /// The name in files.
    pub fn name(self) -> &'static str {
        SUBJECTS.iter().find(|(_, kind)| *kind == self).expect("every subject has a name").0
    }
}

/// A journal cluster; the coordination server comes on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSpec {
    /// Journal nodes, of which one leads.
    pub journals: u32,
    /// Clients.
    pub clients: u32,
    /// How long a lease lives.
    pub session_timeout: Duration,
    /// Lines that each client sends.
    pub lines: u32,
    /// Lines in one call at most.
    pub batch: u32,
    /// The wait after each acknowledged call.
    pub pause: Duration,
}

/// A cluster that runs a word count; the coordination, blob and log servers, the writer of the input
/// topic and the client that submits the job come on top.
#[derive(Clone, Debug, PartialEq)]
pub struct WordCountSpec {
    /// Job managers.
    pub job_managers: u32,
    /// Task executors.
    pub task_executors: u32,
    /// Slots of each task executor.
    pub slots: u32,
    /// How long a lease lives.
    pub session_timeout: Duration,
    /// From beat to beat; a peer is lost after five of them.
    pub heartbeat: Duration,
    /// Subtasks of every operator, and partitions of both topics.
    pub parallelism: u32,
    /// Lines in the input topic in the end.
    pub lines: u32,
    /// Words in each line.
    pub line_words: u32,
    /// The words are drawn from so many.
    pub words: u32,
    /// Lines written to the input topic in a second.
    pub lines_per_second: u32,
    /// From checkpoint to checkpoint.
    pub checkpoint_interval: Duration,
    /// How long a checkpoint may take.
    pub checkpoint_timeout: Duration,
    /// What handling one record takes.
    pub service_time: DurationRange,
    /// How long a record may wait in a buffer.
    pub buffer_timeout: Duration,
    /// Restarts after failures.
    pub restarts: u32,
    /// From a failure to the restart.
    pub restart_delay: Duration,
    /// When the job is canceled, after its submission.
    pub cancel_after: Option<DurationRange>,
}

impl WordCountSpec {
    /// The ends that the job may come to.
    pub fn expected_status(&self) -> &'static [JobStatus] {
        match self.cancel_after {
            None => &[JobStatus::Finished],
            // It may have finished before it was canceled.
            Some(_) => &[JobStatus::Canceled, JobStatus::Finished],
        }
    }
}

impl Subject {
    /// Reads `subject`, `[cluster]` and `[workload]`.
    ///
    /// # Errors
    /// With the place of the first mistake.
    pub fn read(file: &mut Reader) -> Result<Self, ScenarioError> {
        let kind = file.take("subject", |field| field.one_of(SUBJECTS))?;
        let (mut cluster, mut workload) = (file.table("cluster")?, file.table("workload")?);
        let subject = match kind.unwrap_or(SubjectKind::Journal) {
            SubjectKind::Journal => {
                Subject::Journal(JournalSpec::read(&mut cluster, &mut workload)?)
            }
            SubjectKind::WordCount => {
                Subject::WordCount(WordCountSpec::read(&mut cluster, &mut workload)?)
            }
        };
        cluster.finish()?;
        workload.finish()?;
        Ok(subject)
    }

    /// Which subject it is.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Subject::Journal(_) => SubjectKind::Journal,
            Subject::WordCount(_) => SubjectKind::WordCount,
        }
    }
}

fn duration(
    table: &mut Reader,
    key: &'static str,
    default: Duration,
) -> Result<Duration, ScenarioError> {
    Ok(table.take(key, Field::duration)?.unwrap_or(default))
}

fn number(
    table: &mut Reader,
    key: &'static str,
    bounds: (u32, u32),
    default: u32,
) -> Result<u32, ScenarioError> {
    Ok(table.take(key, |field| field.integer(bounds.0, bounds.1))?.unwrap_or(default))
}

impl JournalSpec {
    fn read(cluster: &mut Reader, workload: &mut Reader) -> Result<Self, ScenarioError> {
        Ok(JournalSpec {
            journals: number(cluster, "journals", (1, 16), 3)?,
            clients: number(cluster, "clients", (1, 64), 2)?,
            session_timeout: duration(cluster, "session-timeout", Duration::from_secs(6))?,
            lines: number(workload, "lines", (1, 1_000_000), 100)?,
            batch: number(workload, "batch", (1, 512), 5)?,
            pause: duration(workload, "pause", Duration::from_millis(500))?,
        })
    }
}

impl WordCountSpec {
    fn read(cluster: &mut Reader, workload: &mut Reader) -> Result<Self, ScenarioError> {
        let none = DurationRange { low: Duration::ZERO, high: Duration::ZERO };
        Ok(WordCountSpec {
            job_managers: number(cluster, "job-managers", (1, 16), 3)?,
            task_executors: number(cluster, "task-executors", (1, 64), 4)?,
            slots: number(cluster, "slots", (1, 64), 2)?,
            session_timeout: duration(cluster, "session-timeout", Duration::from_secs(6))?,
            heartbeat: duration(cluster, "heartbeat", Duration::from_secs(1))?,
            parallelism: number(workload, "parallelism", (1, 128), 4)?,
            lines: number(workload, "lines", (1, 10_000_000), 2_000)?,
            line_words: number(workload, "line-words", (1, 1_000), 1)?,
            words: number(workload, "words", (1, 1_000_000), 100)?,
            lines_per_second: number(workload, "lines-per-second", (1, 1_000_000), 100)?,
            checkpoint_interval: duration(workload, "checkpoint-interval", Duration::from_secs(2))?,
            checkpoint_timeout: duration(workload, "checkpoint-timeout", Duration::from_secs(10))?,
            service_time: workload.take("service-time", Field::duration_range)?.unwrap_or(none),
            buffer_timeout: duration(workload, "buffer-timeout", Duration::from_millis(100))?,
            restarts: number(workload, "restarts", (0, 1_000_000), 1_000)?,
            restart_delay: duration(workload, "restart-delay", Duration::from_secs(1))?,
            cancel_after: workload.take("cancel-after", Field::duration_range)?,
        })
    }
}
