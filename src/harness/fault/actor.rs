//! Who a fault strikes, by role and by state; resolved when the fault fires.

use crate::harness::scenario::{Field, Nodes, ScenarioError, Subject, SubjectKind};
use std::fmt;

/// A name in a scenario file for one node or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
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

/// The actor of a number.
type OfNumber = fn(u32) -> Actor;
/// In which subjects an actor is there.
type Where = &'static [SubjectKind];

const JOURNAL: Where = &[SubjectKind::Journal];
const JOBS: Where = &[SubjectKind::WordCount];
const ANYWHERE: Where = &[SubjectKind::Journal, SubjectKind::WordCount];

impl Actor {
    /// Whether it is a server that keeps what the cluster has promised.
    pub fn is_service(self) -> bool {
        matches!(self, Actor::Coordination | Actor::Blobs | Actor::Log)
    }

    /// Whether a node that it may mean keeps files.
    pub fn has_files(self) -> bool {
        self.is_service() || self == Actor::Everyone
    }

    /// The fixed names, what they stand for and where they are understood.
    pub const NAMES: &[(&str, Actor, &str, Where)] = &[
        (
            "leader",
            Actor::Leader,
            "the journal node that holds the latch, else a random one",
            JOURNAL,
        ),
        (
            "follower",
            Actor::Follower,
            "a random journal node that does not hold the latch",
            JOURNAL,
        ),
        ("random-journal", Actor::RandomJournal, "a random journal node", JOURNAL),
        ("journals", Actor::Journals, "all journal nodes", JOURNAL),
        ("some-journals", Actor::SomeJournals, "a drawn part of them, not all", JOURNAL),
        (
            "leader-dispatcher",
            Actor::LeaderDispatcher,
            "the job manager whose dispatcher leads, else a random one",
            JOBS,
        ),
        (
            "leader-resource-manager",
            Actor::LeaderResourceManager,
            "the job manager whose resource manager leads, else a random one",
            JOBS,
        ),
        (
            "job-master",
            Actor::JobMaster,
            "the job manager on which the job's master leads, else a random one",
            JOBS,
        ),
        ("random-job-manager", Actor::RandomJobManager, "a random job manager", JOBS),
        ("job-managers", Actor::JobManagers, "all job managers", JOBS),
        ("some-job-managers", Actor::SomeJobManagers, "a drawn part of them, not all", JOBS),
        (
            "busy-task-executor",
            Actor::BusyTaskExecutor,
            "a random task executor that holds a slot for a job, else any",
            JOBS,
        ),
        ("random-task-executor", Actor::RandomTaskExecutor, "a random task executor", JOBS),
        ("task-executors", Actor::TaskExecutors, "all task executors", JOBS),
        ("some-task-executors", Actor::SomeTaskExecutors, "a drawn part of them, not all", JOBS),
        ("blobs", Actor::Blobs, "the blob server", JOBS),
        ("log", Actor::Log, "the log server", JOBS),
        ("writer", Actor::Writer, "the writer of the input topic", JOBS),
        ("clients", Actor::Clients, "all clients", ANYWHERE),
        ("coordination", Actor::Coordination, "the coordination server", ANYWHERE),
        ("everyone", Actor::Everyone, "all nodes", ANYWHERE),
    ];

    /// The names that end with a node's number.
    pub const NUMBERED: &[(&str, OfNumber, &str, Where)] = &[
        ("journal-", Actor::Journal, "the journal node of that number", JOURNAL),
        ("job-manager-", Actor::JobManager, "the job manager of that number", JOBS),
        ("task-executor-", Actor::TaskExecutor, "the task executor of that number", JOBS),
        ("client-", Actor::Client, "the client of that number", ANYWHERE),
        (
            "subtask-",
            Actor::Subtask,
            "the task executor where the job's subtasks of that number run, else a random one",
            JOBS,
        ),
    ];

    /// Reads a name as it is understood in scenarios of a subject.
    pub fn parse(name: &str, subject: SubjectKind) -> Option<Self> {
        let fixed =
            Self::NAMES.iter().find(|(known, _, _, at)| *known == name && at.contains(&subject));
        let numbered = || {
            Self::NUMBERED.iter().filter(|(_, _, _, at)| at.contains(&subject)).find_map(
                |(prefix, actor, _, _)| {
                    let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
                    (number > 0).then(|| actor(number))
                },
            )
        };
        fixed.map(|(_, actor, _, _)| *actor).or_else(numbered)
    }

    /// Reads a key's value as it is understood where that subject runs.
    ///
    /// # Errors
    /// When nobody has that name, or the cluster is not that large.
    pub fn read(field: &Field, subject: &Subject) -> Result<Self, ScenarioError> {
        let name = field.text()?;
        let actor = Self::parse(&name, subject.kind()).ok_or_else(|| {
            let known = Self::known(subject);
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            field.unknown(&known, "list --actors")
        })?;
        let numbered = Self::NUMBERED.iter().find_map(|(prefix, _, _, _)| {
            let number: u32 = name.strip_prefix(prefix)?.parse().ok()?;
            Some((prefix.trim_end_matches('-'), number))
        });
        let beyond = numbered.and_then(|(role, number)| {
            let nodes = subject.nodes().into_iter().chain(subject.subtasks());
            let nodes = nodes.into_iter().find(|nodes| nodes.role == role)?;
            (u64::from(number) > nodes.count.low).then_some(nodes)
        });
        beyond.map_or(Ok(actor), |nodes| Err(beyond_the_cluster(field, &name, nodes)))
    }

    /// Whether it is one node, and the same whenever it is asked for in one moment.
    pub(super) fn is_one(self, subject: &Subject) -> bool {
        let nodes = |wanted: &str| {
            let nodes = subject.nodes().into_iter().find(|nodes| nodes.role == wanted);
            nodes.is_some_and(|nodes| nodes.count.high == 1)
        };
        match self {
            Actor::Everyone => false,
            Actor::Journals | Actor::SomeJournals => nodes("journal"),
            Actor::Clients => nodes("client"),
            Actor::JobManagers | Actor::SomeJobManagers => nodes("job-manager"),
            Actor::TaskExecutors | Actor::SomeTaskExecutors => nodes("task-executor"),
            Actor::Leader
            | Actor::Follower
            | Actor::RandomJournal
            | Actor::Journal(_)
            | Actor::Client(_)
            | Actor::LeaderDispatcher
            | Actor::LeaderResourceManager
            | Actor::JobMaster
            | Actor::RandomJobManager
            | Actor::JobManager(_)
            | Actor::BusyTaskExecutor
            | Actor::RandomTaskExecutor
            | Actor::TaskExecutor(_)
            | Actor::Subtask(_)
            | Actor::Blobs
            | Actor::Log
            | Actor::Writer
            | Actor::Coordination => true,
        }
    }

    /// The names that are understood where that subject runs; of the numbered ones the first.
    fn known(subject: &Subject) -> Vec<String> {
        let at = subject.kind();
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

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Journal(number) => write!(f, "journal-{number}"),
            Actor::Client(number) => write!(f, "client-{number}"),
            Actor::JobManager(number) => write!(f, "job-manager-{number}"),
            Actor::TaskExecutor(number) => write!(f, "task-executor-{number}"),
            Actor::Subtask(number) => write!(f, "subtask-{number}"),
            fixed => {
                let found = Self::NAMES.iter().find(|(_, actor, _, _)| actor == fixed);
                f.write_str(found.expect("every other actor has a fixed name").0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_where_it_is_understood_and_nowhere_else() {
        let numbered = Actor::NUMBERED.iter().map(|(_, actor, _, at)| (actor(3), *at));
        let fixed = Actor::NAMES.iter().map(|(_, actor, _, at)| (*actor, *at));
        for (actor, at) in fixed.chain(numbered) {
            for subject in [SubjectKind::Journal, SubjectKind::WordCount] {
                let expected = at.contains(&subject).then_some(actor);
                assert_eq!(Actor::parse(&actor.to_string(), subject), expected);
            }
        }
        assert_eq!(Actor::parse("journal-0", SubjectKind::Journal), None);
        assert_eq!(Actor::parse("nobody", SubjectKind::Journal), None);
    }
}
