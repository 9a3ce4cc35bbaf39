//! How each job gets on, by what can't be undone, and what it does over and over meanwhile.

use crate::system::{
    ids::{CheckpointId, ExecutionVertexId, JobId},
    job_manager::JobEvent,
    protocol::ExecutionState,
    store::{StoreKey, StoredPart, StoredResult},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    time::Duration,
};

/// So many turns of one kind without getting on are a loop.
const LOOP: usize = 30;
/// And they take this long at least: what several regions or task executors do at once is none.
const LOOP_TIME: Duration = Duration::from_secs(10);
/// Fewer turns of a kind are not worth a word.
const TOLD: usize = 5;

/// What a job does over and over that does not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Deployed,
    Failed,
    Recovered,
    RecoveryRefused,
    ExecutorConnected,
    CheckpointBegun,
    CheckpointAborted,
    CleanupRefused,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Turn::Deployed => "tasks deployed",
            Turn::Failed => "failed",
            Turn::Recovered => "masters begun",
            Turn::RecoveryRefused => "recoveries refused",
            Turn::ExecutorConnected => "task executors connected",
            Turn::CheckpointBegun => "checkpoints begun",
            Turn::CheckpointAborted => "checkpoints aborted",
            Turn::CleanupRefused => "clean-ups refused",
        })
    }
}

/// The turns of a kind since its job got on.
#[derive(Clone, Debug, Default)]
struct Turns {
    count: usize,
    /// When the last of them were.
    last: VecDeque<Duration>,
    /// Why, of the last that said it.
    cause: String,
}

/// How a job gets on.
#[derive(Clone, Debug, Default)]
struct JobProgress {
    /// When it got on last, and what that was.
    got_on: (Duration, &'static str),
    has_result: bool,
    is_over: bool,
    newest: Option<CheckpointId>,
    finished: BTreeSet<ExecutionVertexId>,
    turns: BTreeMap<Turn, Turns>,
}

impl JobProgress {
    fn get_on(&mut self, now: Duration, what: &'static str) {
        self.got_on = (now, what);
        self.turns.clear();
    }

    fn turn(&mut self, now: Duration, turn: Turn, cause: String) {
        let turns = self.turns.entry(turn).or_default();
        if turns.last.back() == Some(&now) {
            return;
        }
        turns.count += 1;
        turns.last.push_back(now);
        if turns.last.len() > LOOP {
            turns.last.pop_front();
        }
        if !cause.is_empty() {
            turns.cause = cause;
        }
    }
}

/// How the jobs get on.
#[derive(Clone, Debug, Default)]
pub struct Progress(BTreeMap<JobId, JobProgress>);

impl Progress {
    /// When a job that is not over got on last, and what that was; nothing of a job of which nothing is kept.
    pub fn of(&self, job: JobId) -> Option<(Duration, &'static str)> {
        self.0.get(&job).filter(|of| !of.is_over).map(|of| of.got_on)
    }

    /// What a job has done over and over since it got on, with the rates; nothing of what it did a few times.
    pub fn turning(&self, job: JobId, now: Duration) -> Option<String> {
        let of_job = self.0.get(&job)?;
        let since = now.saturating_sub(of_job.got_on.0);
        let told = of_job.turns.iter().filter(|(_, turns)| turns.count >= TOLD);
        let told: Vec<String> = told.map(|(turn, turns)| rate(*turn, turns, since)).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    /// A loop that a job is in since a moment: turns without getting on.
    pub fn looping(&self, job: JobId, since: Duration, now: Duration) -> Option<String> {
        let of_job = self.0.get(&job).filter(|of| !of.is_over)?;
        let since = since.max(of_job.got_on.0);
        let is_loop = |turns: &Turns| {
            let first = turns.last.front().filter(|_| turns.last.len() == LOOP);
            first.is_some_and(|first| *first >= since && now.saturating_sub(*first) >= LOOP_TIME)
        };
        let (turn, turns) = of_job.turns.iter().find(|(_, turns)| is_loop(turns))?;
        Some(rate(*turn, turns, now.saturating_sub(of_job.got_on.0)))
    }

    /// A key of a job was put, or found after a crash.
    pub fn put(&mut self, now: Duration, StoreKey { job, part }: StoreKey, value: &[u8]) {
        if part == StoredPart::Graph && !self.0.contains_key(&job) {
            self.0.entry(job).or_default().get_on(now, "its graph was kept");
            return;
        }
        let Some(of_job) = self.0.get_mut(&job) else { return };
        match part {
            StoredPart::Pointer(id) if of_job.newest.is_none_or(|newest| newest.0 < id.0) => {
                of_job.newest = Some(id);
                of_job.get_on(now, "a checkpoint was completed");
            }
            StoredPart::Final => of_job.get_on(now, "its final checkpoint was completed"),
            StoredPart::Cancellation => of_job.get_on(now, "its cancellation was kept"),
            StoredPart::Result => {
                of_job.get_on(now, "its result was kept");
                of_job.has_result = true;
                let stored = postcard::from_bytes::<StoredResult>(value);
                of_job.is_over = stored.is_ok_and(|stored| !stored.dirty);
            }
            _ => {}
        }
    }

    /// A key was removed. Before the result what is removed makes room for other checkpoints.
    pub fn removed(&mut self, now: Duration, key: &str) {
        let Some(StoreKey { job, .. }) = StoreKey::parse(key) else { return };
        if let Some(of_job) = self.0.get_mut(&job).filter(|of_job| of_job.has_result) {
            of_job.get_on(now, "something that it had left was removed");
        }
    }

    /// Takes an event of a job in.
    pub fn observe(&mut self, now: Duration, event: &JobEvent) {
        let (job, turn, cause) = match event {
            JobEvent::ExecutionChanged { attempt, state: ExecutionState::Finished } => {
                if let Some(of_job) = self.0.get_mut(&attempt.job)
                    && of_job.finished.insert(attempt.vertex)
                {
                    of_job.get_on(now, "a task came to its end");
                }
                return;
            }
            JobEvent::SavepointRequested { job, .. } => {
                if let Some(of_job) = self.0.get_mut(job) {
                    of_job.get_on(now, "a savepoint was asked for");
                }
                return;
            }
            JobEvent::Scheduled { job, .. } => (job, Turn::Deployed, String::new()),
            JobEvent::FailureCounted { job, cause, .. } => (job, Turn::Failed, cause.clone()),
            JobEvent::RecoveryStarted { job, .. } => (job, Turn::Recovered, String::new()),
            JobEvent::RecoveryFailed { job, cause, .. } => {
                (job, Turn::RecoveryRefused, cause.clone())
            }
            JobEvent::ExecutorConnected { job, .. } => {
                (job, Turn::ExecutorConnected, String::new())
            }
            JobEvent::CheckpointTriggered { job, .. } => {
                (job, Turn::CheckpointBegun, String::new())
            }
            JobEvent::CheckpointAborted { job, cause, .. } => {
                (job, Turn::CheckpointAborted, cause.to_string())
            }
            JobEvent::CleanupRefused { job, cause } => (job, Turn::CleanupRefused, cause.clone()),
            _ => return,
        };
        if let Some(of_job) = self.0.get_mut(job) {
            of_job.turn(now, turn, cause);
        }
    }
}

fn rate(turn: Turn, turns: &Turns, since: Duration) -> String {
    let a_minute = turns.count as f64 * 60.0 / since.as_secs_f64().max(1.0);
    let cause = match turns.cause.as_str() {
        "" => String::new(),
        cause => format!(" (at last: {cause})"),
    };
    format!("{turn} {} times, {a_minute:.0} a minute{cause}", turns.count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        harness::event::Moment, host::Event, system::protocol::JobStatus,
        under_test::cluster::invariants::testing_jobs::*,
    };

    /// Events, each at a second.
    fn after<'a>(events: impl IntoIterator<Item = (u64, &'a dyn Event)>) -> Progress {
        let mut model = Model::default();
        for (second, event) in events {
            let at = Moment::new(Duration::from_secs(second), process(1, 1));
            check::Model::observe(&mut model, at, event);
        }
        model.progress
    }

    fn seconds(progress: &Progress) -> Option<u64> {
        progress.of(JOB).map(|(at, _)| at.as_secs())
    }

    #[test]
    fn a_job_gets_on_by_what_is_kept_and_is_over_once_its_result_is_clean() {
        let [kept, again] = [committed(1, vec![graph()]), committed(9, vec![graph()])];
        let [first, older] = [committed(2, vec![pointer(4)]), committed(3, vec![pointer(3)])];
        let dirty = committed(4, vec![result(true, JobStatus::Finished)]);
        let removed = committed(5, vec![no_pointer(4)]);
        let clean = committed(6, vec![result(false, JobStatus::Finished)]);
        assert_eq!(seconds(&after([(1, &first as &dyn Event)])), None, "no graph of it is kept");
        let mut events: Vec<(u64, &dyn Event)> = vec![(1, &kept), (5, &again)];
        assert_eq!(seconds(&after(events.clone())), Some(1), "it was kept before");
        events.extend([(7, &first as &dyn Event), (9, &older)]);
        assert_eq!(seconds(&after(events.clone())), Some(7), "an older one is nothing new");
        events.push((11, &removed));
        assert_eq!(seconds(&after(events.clone())), Some(7), "it only makes room");
        events.extend([(20, &dirty as &dyn Event), (21, &removed)]);
        assert_eq!(seconds(&after(events.clone())), Some(21));
        events.push((22, &clean));
        assert_eq!(seconds(&after(events)), None);
    }

    #[test]
    fn turns_are_a_loop_if_there_are_many_for_long_and_nothing_got_on() {
        let (kept, deployed) = (committed(1, vec![graph()]), scheduled(1, 1, None));
        let failed = JobEvent::FailureCounted {
            job: JOB,
            session: term(1),
            failures: 1,
            attempts: Vec::new(),
            all: true,
            cause: "no luck".to_string(),
        };
        let mut events: Vec<(u64, &dyn Event)> = vec![(0, &kept)];
        let looping = |progress: &Progress, since, now| {
            progress.looping(JOB, Duration::from_secs(since), Duration::from_secs(now))
        };
        for second in 1..=30 {
            events.extend([
                (second, &deployed as &dyn Event),
                (second, &deployed),
                (second, &failed),
            ]);
        }
        let few = after(events[..events.len() - 3].to_vec());
        assert_eq!(looping(&few, 0, 60), None);
        let many = after(events.clone());
        let told = "tasks deployed 30 times, 60 a minute";
        assert_eq!(looping(&many, 0, 30).as_deref(), Some(told), "those of one instant are one");
        assert_eq!(looping(&many, 2, 30), None, "the first was under a fault");
        let all = many.turning(JOB, Duration::from_secs(30));
        let both = format!("{told}, failed 30 times, 60 a minute (at last: no luck)");
        assert_eq!(all, Some(both));
        let first = committed(2, vec![pointer(4)]);
        events.push((31, &first));
        let got_on = after(events);
        assert_eq!(looping(&got_on, 0, 60), None);
        assert_eq!(got_on.turning(JOB, Duration::from_secs(60)), None);
    }

    #[test]
    fn many_turns_at_once_are_no_loop() {
        let kept = committed(1, vec![graph()]);
        let deployed = scheduled(1, 1, None);
        let mut progress = after([(0, &kept as &dyn Event)]);
        for millis in 0..100 {
            progress.observe(Duration::from_millis(millis), &deployed);
        }
        assert_eq!(progress.looping(JOB, Duration::ZERO, Duration::from_secs(1)), None);
    }
}
