//! Who a fault strikes, by role and by state; resolved when the fault fires.

use crate::harness::scenario::{Field, Nodes, ScenarioError, SystemKind, SystemSpec};
use std::fmt;

/// A name in a scenario file for one node or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The journal node that holds the latch; a random journal node when there is none.
    Leader,
    /// A random journal node that does not hold the latch.
    Follower,
    /// A random journal node.
    RandomJournal,
    /// The journal node of that number, from 1.
    Journal(u32),
    /// All journal nodes.
    Journals,
    /// A drawn part of the journal nodes: at least one and, of several, not all.
    SomeJournals,
    /// The client of that number, from 1.
    Client(u32),
    /// All clients.
    Clients,
    /// The job manager whose dispatcher leads, else a random one. The job's master runs there too.
    LeaderDispatcher,
    /// The job manager whose resource manager leads, else a random one.
    LeaderResourceManager,
    /// The job manager on which the job's master leads, else a random one.
    JobMaster,
    /// A random job manager.
    RandomJobManager,
    /// The job manager of that number, from 1.
    JobManager(u32),
    /// All job managers.
    JobManagers,
    /// A drawn part of the job managers: at least one and, of several, not all.
    SomeJobManagers,
    /// A random task executor that holds a slot for a job, else any.
    BusyTaskExecutor,
    /// A random task executor.
    RandomTaskExecutor,
    /// The task executor of that number, from 1.
    TaskExecutor(u32),
    /// All task executors.
    TaskExecutors,
    /// A drawn part of the task executors: at least one and, of several, not all.
    SomeTaskExecutors,
    /// The task executor on which the job's subtasks of that number began last, from 1; else a random
    /// one.
    Subtask(u32),
    /// The blob server.
    Blobs,
    /// The log server.
    Log,
    /// The writer of the input topic.
    Writer,
    /// The coordination server.
    Coordination,
    /// All nodes.
    Everyone,
}

/// The target of a number.
type OfNumber = fn(u32) -> Target;
/// In which systems a target is there.
type Where = &'static [SystemKind];

const JOURNAL: Where = &[SystemKind::Journal];
const JOBS: Where = &[SystemKind::WordCount];
const ANYWHERE: Where = &[SystemKind::Journal, SystemKind::WordCount];

impl Target {
    /// Whether it is a server that keeps what the cluster has promised.
    pub fn is_service(self) -> bool {
        matches!(self, Target::Coordination | Target::Blobs | Target::Log)
    }

    /// Whether a node that it may mean keeps files.
    pub fn has_files(self) -> bool {
        self.is_service() || self == Target::Everyone
    }

    /// The fixed names, what they stand for and where they are understood.
    pub const NAMES: &[(&str, Target, &str, Where)] = &[
        (
            "leader",
            Target::Leader,
            "the journal node that holds the latch, else a random one",
            JOURNAL,
        ),
        (
            "follower",
            Target::Follower,
            "a random journal node that does not hold the latch",
            JOURNAL,
        ),
        ("random-journal", Target::RandomJournal, "a random journal node", JOURNAL),
        ("journals", Target::Journals, "all journal nodes", JOURNAL),
        ("some-journals", Target::SomeJournals, "a drawn part of them, not all", JOURNAL),
        (
            "leader-dispatcher",
            Target::LeaderDispatcher,
            "the job manager whose dispatcher leads, else a random one",
            JOBS,
        ),
        (
            "leader-resource-manager",
            Target::LeaderResourceManager,
            "the job manager whose resource manager leads, else a random one",
            JOBS,
        ),
        (
            "job-master",
            Target::JobMaster,
            "the job manager on which the job's master leads, else a random one",
            JOBS,
        ),
        ("random-job-manager", Target::RandomJobManager, "a random job manager", JOBS),
        ("job-managers", Target::JobManagers, "all job managers", JOBS),
        ("some-job-managers", Target::SomeJobManagers, "a drawn part of them, not all", JOBS),
        (
            "busy-task-executor",
            Target::BusyTaskExecutor,
            "a random task executor that holds a slot for a job, else any",
            JOBS,
        ),
        ("random-task-executor", Target::RandomTaskExecutor, "a random task executor", JOBS),
        ("task-executors", Target::TaskExecutors, "all task executors", JOBS),
        ("some-task-executors", Target::SomeTaskExecutors, "a drawn part of them, not all", JOBS),
        ("blobs", Target::Blobs, "the blob server", JOBS),
        ("log", Target::Log, "the log server", JOBS),
        ("writer", Target::Writer, "the writer of the input topic", JOBS),
        ("clients", Target::Clients, "all clients", ANYWHERE),
        ("coordination", Target::Coordination, "the coordination server", ANYWHERE),
        ("everyone", Target::Everyone, "all nodes", ANYWHERE),
    ];

    /// The names that end with a node's number.
    pub const NUMBERED: &[(&str, OfNumber, &str, Where)] = &[
        ("journal-", Target::Journal, "the journal node of that number", JOURNAL),
        ("job-manager-", Target::JobManager, "the job manager of that number", JOBS),
        ("task-executor-", Target::TaskExecutor, "the task executor of that number", JOBS),
        ("client-", Target::Client, "the client of that number", ANYWHERE),
        (
            "subtask-",
            Target::Subtask,
            "the task executor where the job's subtasks of that number run, else a random one",
            JOBS,
        ),
    ];

    /// Reads a name as it is understood in scenarios of a system.
    pub fn parse(name: &str, system: SystemKind) -> Option<Self> {
        let fixed =
            Self::NAMES.iter().find(|(known, _, _, at)| *known == name && at.contains(&system));
        let numbered = || {
            Self::NUMBERED.iter().filter(|(_, _, _, at)| at.contains(&system)).find_map(
                |(prefix, target, _, _)| {
                    let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
                    (number > 0).then(|| target(number))
                },
            )
        };
        fixed.map(|(_, target, _, _)| *target).or_else(numbered)
    }

    /// Reads a key's value as it is understood where that system runs.
    ///
    /// # Errors
    /// When nobody has that name, or the cluster is not that large.
    pub fn read(field: &Field, system: &SystemSpec) -> Result<Self, ScenarioError> {
        let name = field.text()?;
        let target = Self::parse(&name, system.kind()).ok_or_else(|| {
            let known = Self::known(system);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            field.unknown(&known, "list --targets")
        })?;
        let numbered = Self::NUMBERED.iter().find_map(|(prefix, _, _, _)| {
            let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
            Some((prefix.trim_end_matches('-'), number))
        });
        let beyond = numbered.and_then(|(role, number)| {
            let nodes = system.nodes().into_iter().chain(system.subtasks());
            let nodes = nodes.into_iter().find(|nodes| nodes.role == role)?;
            (u64::from(number) > nodes.count.low).then_some(nodes)
        });
        beyond.map_or(Ok(target), |nodes| Err(beyond_the_cluster(field, &name, nodes)))
    }

    /// Whether it is one node, and the same whenever it is asked for in one moment.
    pub(super) fn is_one(self, system: &SystemSpec) -> bool {
        let nodes = |wanted: &str| {
            let nodes = system.nodes().into_iter().find(|nodes| nodes.role == wanted);
            nodes.is_some_and(|nodes| nodes.count.high == 1)
        };
        match self {
            Target::Everyone => false,
            Target::Journals | Target::SomeJournals => nodes("journal"),
            Target::Clients => nodes("client"),
            Target::JobManagers | Target::SomeJobManagers => nodes("job-manager"),
            Target::TaskExecutors | Target::SomeTaskExecutors => nodes("task-executor"),
            Target::Leader
            | Target::Follower
            | Target::RandomJournal
            | Target::Journal(_)
            | Target::Client(_)
            | Target::LeaderDispatcher
            | Target::LeaderResourceManager
            | Target::JobMaster
            | Target::RandomJobManager
            | Target::JobManager(_)
            | Target::BusyTaskExecutor
            | Target::RandomTaskExecutor
            | Target::TaskExecutor(_)
            | Target::Subtask(_)
            | Target::Blobs
            | Target::Log
            | Target::Writer
            | Target::Coordination => true,
        }
    }

    /// The names that are understood where that system runs; of the numbered ones the first.
    fn known(system: &SystemSpec) -> Vec<String> {
        let at = system.kind();
        let fixed = Self::NAMES.iter().filter(|(_, _, _, known)| known.contains(&at));
        let numbered = Self::NUMBERED.iter().filter(|(_, _, _, known)| known.contains(&at));
        fixed
            .map(|(name, _, _, _)| name.to_string())
            .chain(numbered.map(|(prefix, _, _, _)| format!("{prefix}1")))
            .collect()
    }
}

fn beyond_the_cluster(field: &Field, name: &str, nodes: Nodes) -> ScenarioError {
    let Nodes { role, count, key } = nodes;
    let there_are = match count.low {
        low if low < count.high => format!("a seed may draw only {low}"),
        1 => format!("\"{role}-1\" is the only one"),
        count => format!("there are {count}, \"{role}-1\" to \"{role}-{count}\""),
    };
    let error = field.refused(format!("there is no \"{name}\"; {there_are}"));
    match key {
        Some((table, key)) => error.with_help(format!("`{key}` of `[{table}]` says how many")),
        None => error,
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Journal(number) => write!(f, "journal-{number}"),
            Target::Client(number) => write!(f, "client-{number}"),
            Target::JobManager(number) => write!(f, "job-manager-{number}"),
            Target::TaskExecutor(number) => write!(f, "task-executor-{number}"),
            Target::Subtask(number) => write!(f, "subtask-{number}"),
            fixed => {
                let found = Self::NAMES.iter().find(|(_, target, _, _)| target == fixed);
                f.write_str(found.expect("every other target has a fixed name").0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_where_it_is_understood_and_nowhere_else() {
        let numbered = Target::NUMBERED.iter().map(|(_, target, _, at)| (target(3), *at));
        let fixed = Target::NAMES.iter().map(|(_, target, _, at)| (*target, *at));
        for (target, at) in fixed.chain(numbered) {
            for system in [SystemKind::Journal, SystemKind::WordCount] {
                let expected = at.contains(&system).then_some(target);
                assert_eq!(Target::parse(&target.to_string(), system), expected);
            }
        }
        assert_eq!(Target::parse("journal-0", SystemKind::Journal), None);
        assert_eq!(Target::parse("nobody", SystemKind::Journal), None);
    }
}
