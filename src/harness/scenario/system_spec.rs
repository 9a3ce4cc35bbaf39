//! What runs in a scenario: which nodes, and what they are given to do.

use super::{
    DurationRange, NumberRange, Reader, ScenarioError, Share, Term, Writer,
    error::Mistakes,
    settings::{
        Bounds, Setting, Settings, maybe_count, maybe_part, maybe_time, number, settings, time,
    },
};
use crate::{
    host::{Draws, name_hash},
    system::protocol::JobStatus,
};
use std::fmt;

/// What runs, with its settings.
#[derive(Clone, Debug, PartialEq)]
pub enum SystemSpec {
    /// Journal nodes and their clients.
    Journal(JournalSpec),
    /// A cluster that counts words.
    WordCount(Box<WordCountSpec>),
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemKind {
    /// Journal nodes and their clients.
    Journal,
    /// A cluster that counts words.
    WordCount,
}

impl SystemKind {
    /// Every system.
    pub const ALL: &[SystemKind] = &[SystemKind::Journal, SystemKind::WordCount];

    /// The system of a file that names none.
    pub const DEFAULT: SystemKind = SystemKind::Journal;

    /// The name used in files.
    pub fn name(self) -> &'static str {
        match self {
            SystemKind::Journal => "journal",
            SystemKind::WordCount => "word-count",
        }
    }

    /// What runs, in a line.
    pub fn description(self) -> &'static str {
        match self {
            SystemKind::Journal => {
                "Journal nodes of which one leads, clients that append lines, and the coordination \
                 server: the smallest component that needs leaders and durable writes."
            }
            SystemKind::WordCount => {
                "A whole cluster that counts words in one job: job managers, task executors, the \
                 coordination, blob and log servers, the writer of the input topic, and a client."
            }
        }
    }

    /// Every key of `[cluster]` and `[workload]`.
    pub fn settings(self) -> Vec<Setting> {
        match self {
            SystemKind::Journal => JournalSpec::settings(),
            SystemKind::WordCount => WordCountSpec::settings(),
        }
    }
}

impl fmt::Display for SystemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

settings! {
    /// A journal cluster; the coordination server comes on top.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    JournalSpec {
        cluster {
            "journals" journals: NumberRange = number(1, 16, 3), "Journal nodes, of which one leads.";
            "clients" clients: NumberRange = number(1, 64, 2), "Clients.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
        }
        workload {
            "lines" lines: NumberRange = number(1, 1_000_000, 100), "Lines that each client sends.";
            "batch" batch: NumberRange = number(1, 512, 5), "Lines in one call at most.";
            "pause" pause: DurationRange = time("0ms", "10m", "500ms"), "The wait after each acknowledged call.";
        }
    }
}

settings! {
    /// A cluster that runs a word count; the coordination, blob and log servers, the writer of the
    /// input topic and the client that submits the job come on top.
    #[derive(Clone, Debug, PartialEq)]
    WordCountSpec {
        cluster {
            "job-managers" job_managers: NumberRange = number(1, 16, 3), "Job managers, of which one leads.";
            "task-executors" task_executors: NumberRange = number(1, 64, 4), "Task executors.";
            "slots" slots: NumberRange = number(1, 64, 2), "Slots of each task executor.";
            "session-timeout" session_timeout: DurationRange = time("100ms", "10m", "6s"), "How long a lease lives.";
            "heartbeat" heartbeat: DurationRange = time("10ms", "10m", "1s"), "From beat to beat; a peer is lost after five of them.";
        }
        workload {
            "parallelism" parallelism: NumberRange = number(1, 128, 4), "Subtasks of every operator, and partitions of both topics.";
            "lines" lines: NumberRange = number(1, 10_000_000, 2_000), "Lines in the input topic in the end.";
            "line-words" line_words: NumberRange = number(1, 1_000, 1), "Words in each line.";
            "words" words: NumberRange = number(1, 1_000_000, 100), "The words are drawn from so many.";
            "lines-per-second" lines_per_second: NumberRange = number(1, 1_000_000, 120), "Lines written to the input topic in a second at most: the links' latency comes on top.";
            "checkpoint-interval" checkpoint_interval: DurationRange = time("10ms", "60m", "2s"), "From checkpoint to checkpoint.";
            "checkpoint-timeout" checkpoint_timeout: DurationRange = time("10ms", "60m", "10s"), "How long a checkpoint may take.";
            "concurrent-checkpoints" concurrent_checkpoints: NumberRange = number(1, 16, 1), "Checkpoints under way at once at most.";
            "retained-checkpoints" retained_checkpoints: NumberRange = number(1, 16, 1), "Completed checkpoints that are kept.";
            "service-time" service_time: DurationRange = time("0ms", "1m", "0ms"), "What handling one record takes.";
            "buffer-timeout" buffer_timeout: DurationRange = time("1ms", "1m", "100ms"), "How long a record may wait in a buffer.";
            "restarts" restarts: NumberRange = number(0, 1_000_000, 1_000), "Restarts after failures.";
            "restart-delay" restart_delay: DurationRange = time("0ms", "10m", "1s"), "From a failure to the restart.";
            "cancel-after" cancel_after: Option<DurationRange> = maybe_time("0s", "60m"), "When the job is canceled, after its submission; never when absent.";
            "fail-at" fail_at: Option<NumberRange> = maybe_count(10_000_000), "The line at which a subtask's function fails, counted in each attempt from its begin; never when absent.";
            "panic-at" panic_at: Option<NumberRange> = maybe_count(10_000_000), "The same by a panic.";
            "fail-times" fail_times: NumberRange = number(1, 1_000_000, 1), "How many of the job's attempts fail in these ways.";
            "poisoned" poisoned: Option<NumberRange> = maybe_count(10_000_000), "The line, counted over the whole input, that no attempt can handle, so that the job fails for good.";
            "slow-subtask" slow_subtask: Option<DurationRange> = maybe_time("0ms", "1m"), "What each record takes more in one subtask, of those that split or those that count; both are drawn.";
            "skew" skew: Option<Share> = maybe_part(), "The share of all words that is one word.";
        }
    }
}

impl WordCountSpec {
    /// That the poisoned line may lie beyond the input, if it may.
    fn poisoned_beyond(&self) -> Option<String> {
        let (poisoned, lines) = (self.poisoned?, self.lines);
        (poisoned.high > lines.low).then(|| {
            let may = if lines.low < lines.high { "a seed may draw only" } else { "the input has" };
            format!(
                "`workload.poisoned`: there is no line {}; {may} {} lines",
                poisoned.high, lines.low
            )
        })
    }

    /// The ends that the job may come to, of drawn settings.
    pub fn expected_status(&self) -> &'static [JobStatus] {
        let fails = self.fail_at.is_some() || self.panic_at.is_some();
        let may_fail = fails && self.fail_times.one() > self.restarts.one();
        match (self.poisoned.is_some(), may_fail, self.cancel_after.is_some()) {
            (true, _, false) => &[JobStatus::Failed],
            (true, _, true) => &[JobStatus::Canceled, JobStatus::Failed],
            (false, false, false) => &[JobStatus::Finished],
            // It may have finished before it was canceled.
            (false, false, true) => &[JobStatus::Canceled, JobStatus::Finished],
            // An attempt that goes on near the end meets too few lines to fail.
            (false, true, false) => &[JobStatus::Failed, JobStatus::Finished],
            (false, true, true) => &[JobStatus::Canceled, JobStatus::Failed, JobStatus::Finished],
        }
    }
}

/// The nodes of a role, or what else goes by a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nodes {
    /// The role's name; a node's name is that with `-` and its number, or that alone.
    pub role: &'static str,
    /// How many there are.
    pub count: NumberRange,
    /// The table and the key that say so.
    pub key: Option<(&'static str, &'static str)>,
}

impl SystemSpec {
    /// Reads `system`, `[cluster]` and `[workload]`; nothing when nobody knows what runs.
    pub(super) fn read(file: &mut Reader, mistakes: &mut Mistakes) -> Option<Self> {
        let known: Vec<_> = SystemKind::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
        let kind = file.take("system", |field| field.one_of(&known, "list --systems"));
        let Some(kind) = mistakes.keep(kind) else {
            // What may stand in them depends on it.
            file.skip(&["cluster", "workload"]);
            return None;
        };
        Some(match kind.unwrap_or(SystemKind::DEFAULT) {
            SystemKind::Journal => SystemSpec::Journal(JournalSpec::read(file, mistakes)),
            SystemKind::WordCount => {
                let place = file.place("workload", "poisoned");
                let spec = WordCountSpec::read(file, mistakes);
                if let (Some(place), Some(message)) = (place, spec.poisoned_beyond()) {
                    let _: Option<()> = mistakes.keep(Err(ScenarioError { message, ..place }));
                }
                SystemSpec::WordCount(Box::new(spec))
            }
        })
    }

    /// Which system it is.
    pub fn kind(&self) -> SystemKind {
        match self {
            SystemSpec::Journal(_) => SystemKind::Journal,
            SystemSpec::WordCount(_) => SystemKind::WordCount,
        }
    }

    /// What a seed draws from the ranges.
    #[must_use]
    pub fn draw(&self, seed: u64) -> Self {
        match self {
            SystemSpec::Journal(spec) => SystemSpec::Journal(spec.draw(seed)),
            SystemSpec::WordCount(spec) => SystemSpec::WordCount(Box::new(spec.draw(seed))),
        }
    }

    /// The subtasks of a job's operators, where there is a job.
    pub fn subtasks(&self) -> Option<Nodes> {
        match self {
            SystemSpec::Journal(_) => None,
            SystemSpec::WordCount(spec) => Some(Nodes {
                role: "subtask",
                count: spec.parallelism,
                key: Some(("workload", "parallelism")),
            }),
        }
    }

    /// How many nodes of each role boot.
    pub fn nodes(&self) -> Vec<Nodes> {
        let one = |role| Nodes { role, count: NumberRange::only(1), key: None };
        let some = |role, count, key| Nodes { role, count, key: Some(("cluster", key)) };
        match self {
            SystemSpec::Journal(spec) => vec![
                one("coordination"),
                some("journal", spec.journals, "journals"),
                some("client", spec.clients, "clients"),
            ],
            SystemSpec::WordCount(spec) => vec![
                one("coordination"),
                one("blobs"),
                one("log"),
                some("job-manager", spec.job_managers, "job-managers"),
                some("task-executor", spec.task_executors, "task-executors"),
                one("writer"),
                one("client"),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::{
        scenario::Scenario,
        world::{Role, journal_lines, journal_nodes, word_count_lines, word_count_nodes},
    };
    use std::{collections::BTreeMap, path::Path};

    fn system(head: &str) -> SystemSpec {
        let text = format!("{head}\ndescription = \"A test.\"\n");
        Scenario::parse(&text, Path::new("a.toml")).expect("a sound scenario").system
    }

    #[test]
    fn the_nodes_are_those_that_boot() {
        for kind in SystemKind::ALL {
            let system = system(&format!("system = \"{kind}\""));
            let booted: Vec<Role> = match &system {
                SystemSpec::Journal(spec) => {
                    let lines = journal_lines(spec, 0, None);
                    journal_nodes(spec, &lines).into_iter().map(|(role, _)| role).collect()
                }
                SystemSpec::WordCount(spec) => {
                    let lines = word_count_lines(spec, 0, None);
                    word_count_nodes(spec, 0, &lines).into_iter().map(|(role, _)| role).collect()
                }
            };
            let mut counted = BTreeMap::<String, u64>::new();
            for name in booted.into_iter().map(Role::name) {
                let role = name.trim_end_matches(|c: char| c.is_ascii_digit());
                *counted.entry(role.trim_end_matches('-').to_string()).or_default() += 1_u64;
            }
            let told = system.nodes().into_iter().map(|n| (n.role.to_string(), n.count.low));
            assert_eq!(told.collect::<BTreeMap<_, _>>(), counted);
        }
    }

    #[test]
    fn every_default_reads_back_as_itself() {
        for kind in SystemKind::ALL {
            let head = format!("system = \"{kind}\"");
            let defaults = |table| {
                let of = kind.settings().into_iter().filter(move |s| s.table == table);
                let lines = of.filter_map(|s| Some(format!("{} = {}\n", s.key, s.default?)));
                lines.collect::<String>()
            };
            let text = format!(
                "description = \"A test.\"\n{head}\n[cluster]\n{}[workload]\n{}",
                defaults("cluster"),
                defaults("workload")
            );
            let written =
                Scenario::parse(&text, Path::new("a.toml")).expect("the defaults are sound");
            assert_eq!(written.system, system(&head), "{text}");
        }
    }
}
