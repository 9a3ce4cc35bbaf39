//! W1: what a web monitor tells of jobs was so, at some time between when it says that it asked and when its answer
//! arrived: a status that is not the end was a master's own word then, an end is one that came, and a job that was
//! acknowledged before is known and in each list. Of counts it is enough that each can be right. That a job has failed is decided when it is kept, since a cancellation may come
//! first: then it counts from when a dispatcher knows. Judged on what readers of REST are told, by what masters say and by the
//! results that are kept.

use super::{
    Check, ClusterInvariant,
    rest_asks::RestAsks,
    stored::{Kept, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    host::{sim::Hardware, sim::NodeId},
    system::{
        ids::JobId, job_manager::JobEvent, leadership::LeaderSessionId, protocol::JobStatus,
        store::StoredResult,
    },
    under_test::cluster::{
        EventKind, EventRef, Model, TimeBounds, plain,
        rest_reader::{RestAnswer, RestEvent, RestQuestion, ToldCounts, ToldJob},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// What was so longer ago than this no answer may tell.
const PAST_MAX: Duration = Duration::from_secs(120);

type Process = (NodeId, u64);

/// How far jobs are that are counted together.
type Class = fn(JobStatus) -> bool;

/// A status that a master had.
#[derive(Clone, Copy, Debug)]
struct Said {
    status: JobStatus,
    /// `None` while it has it.
    until: Option<Duration>,
}

/// What is known of one job.
#[derive(Default)]
struct Known {
    acknowledged: Option<Duration>,
    said: Vec<((Process, LeaderSessionId), Said)>,
    stored: Option<(JobStatus, Duration)>,
    /// Its master has seen it fail.
    failing: bool,
    /// When a dispatcher knew first how it ended.
    settled: Option<Duration>,
}

/// Remembers what masters said lately, and when readers asked.
#[derive(Default)]
pub struct RestTellsWhatWas {
    bounds: TimeBounds,
    asks: RestAsks,
    jobs: BTreeMap<JobId, Known>,
}

impl ClusterInvariant for RestTellsWhatWas {
    fn title(&self) -> &'static str {
        "W1 rest-tells-what-was"
    }

    fn promise(&self) -> &'static str {
        "what a web monitor tells of a job was so when it says that it asked, or since"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Rest, EventKind::Job, EventKind::Coordination, EventKind::Hardware]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        self.asks.observe(at, seen);
        match seen {
            EventRef::Rest(RestEvent::Told { ask, age_ms, answer, .. }) => {
                return self.told(at, *ask, *age_ms, answer);
            }
            EventRef::Rest(RestEvent::Refused { ask, question, status: 404 }) => {
                return self.told_unknown(at, *ask, *question);
            }
            EventRef::Job(JobEvent::StatusChanged { job, session, status }) => {
                self.says(at, *job, *session, *status);
            }
            EventRef::Job(JobEvent::SubmissionAcknowledged { job }) => {
                self.jobs.entry(*job).or_default().acknowledged.get_or_insert(at.time);
            }
            EventRef::Job(JobEvent::CleanupStarted { job, .. }) => {
                self.jobs.entry(*job).or_default().settled.get_or_insert(at.time);
            }
            EventRef::Coordination(event) => {
                for result in moved(event, model) {
                    let decode = |value: &[u8]| postcard::from_bytes::<StoredResult>(value).ok();
                    if result.kept == Kept::Stored(StoredPart::Result) {
                        let stored = result.after.and_then(decode).map(|found| found.result.status);
                        let known = self.jobs.entry(result.job).or_default();
                        known.stored = stored.map(|status| match known.stored {
                            Some((before, since)) if before == status => (status, since),
                            _ => (status, at.time),
                        });
                    }
                }
            }
            EventRef::Hardware(Hardware::Ended(_)) => self.falls_silent(at),
            _ => {}
        }
        Check::Ignored
    }
}

impl RestTellsWhatWas {
    /// Judged by these bounds.
    pub fn new(bounds: TimeBounds) -> Self {
        RestTellsWhatWas { bounds, ..RestTellsWhatWas::default() }
    }

    fn says(&mut self, at: Moment, job: JobId, session: LeaderSessionId, status: JobStatus) {
        let known = self.jobs.entry(job).or_default();
        // A cancellation may come first, so that is decided by what is kept. Until whoever keeps it knows, the job is
        // told to be what it was before.
        if status == JobStatus::Failed {
            known.failing = true;
            return;
        }
        let master = (at.process, session);
        let present =
            known.said.iter_mut().filter(|(of, said)| *of == master && said.until.is_none());
        present.for_each(|(_, said)| said.until = Some(at.time));
        known.said.push((master, Said { status, until: None }));
        known.said.retain(|(_, said)| said.until.is_none_or(|until| until + PAST_MAX > at.time));
    }

    fn falls_silent(&mut self, at: Moment) {
        let all = self.jobs.values_mut().flat_map(|known| &mut known.said);
        let present =
            all.filter(|((process, _), said)| *process == at.process && said.until.is_none());
        present.for_each(|(_, said)| said.until = Some(at.time));
    }

    fn told(&self, at: Moment, ask: u64, age_ms: u64, answer: &RestAnswer) -> Check {
        let asked = match self.asks.asked(at, ask) {
            Ok(asked) => asked,
            Err(never) => return never,
        };
        let since = self.asks.since(asked, age_ms, self.bounds.session_timeout);
        let untrue = answer.jobs().iter().map(|told| self.status(at, since, told));
        let untrue = untrue.fold(Check::Ignored, Check::and);
        untrue.and(match answer {
            RestAnswer::Jobs(jobs) => self.whole(at, since, jobs),
            RestAnswer::Cluster(counts) => self.counts(at, since, *counts),
            RestAnswer::Job(_) => Check::Passed,
        })
    }

    fn status(&self, at: Moment, since: Duration, told: &ToldJob) -> Check {
        let known = self.jobs.get(&told.job);
        let untrue = known.map_or_else(
            || unknown(told.status),
            |known| known.untrue(told.status, since, at.time),
        );
        match untrue {
            None => Check::Passed,
            Some(why) => {
                let ToldJob { job, status, .. } = told;
                let told = format!("{at}: {job:?} is told to be {status}, since {since:?} at most");
                Check::broken(why, told)
            }
        }
    }

    /// Whether a list has every job that was acknowledged before.
    fn whole(&self, at: Moment, since: Duration, jobs: &[ToldJob]) -> Check {
        let missing = self.jobs.iter().find(|(job, known)| {
            known.is_acknowledged(since) && !jobs.iter().any(|told| told.job == **job)
        });
        Check::that(missing.is_none(), || {
            let job = missing.map(|(job, _)| *job);
            (format!("{job:?} was acknowledged before"), format!("{at}: it is not told of"))
        })
    }

    fn told_unknown(&self, at: Moment, ask: u64, question: RestQuestion) -> Check {
        let (RestQuestion::Job(job) | RestQuestion::Cancel(job)) = question else {
            return Check::Ignored;
        };
        match self.asks.asked(at, ask) {
            Err(never) => never,
            Ok(asked) => {
                let known = self.jobs.get(&job);
                Check::that(known.is_none_or(|known| !known.is_acknowledged(asked)), || {
                    let acknowledged = format!("{job:?} was acknowledged before {asked:?}");
                    (acknowledged, format!("{at}: it is said not to be there"))
                })
            }
        }
    }

    /// Whether as many jobs as are counted can have been so far.
    fn counts(&self, at: Moment, since: Duration, counts: ToldCounts) -> Check {
        let classes: [(u64, Class); 4] = [
            (counts.running, |status| !plain::is_end(status)),
            (counts.finished, |status| status == JobStatus::Finished),
            (counts.canceled, |status| status == JobStatus::Canceled),
            (counts.failed, |status| status == JobStatus::Failed),
        ];
        classes.iter().fold(Check::Passed, |check, (told, class)| {
            let (least, most) = self.so_many(*class, since, at.time);
            check.and(Check::that((least..=most).contains(told), || {
                let so_many = format!("from {since:?} on {least} jobs were so far, {most} at most");
                (so_many, format!("{at}: {told} are told to be, of {counts:?}"))
            }))
        })
    }

    /// How many jobs must have been so far at some time, and how many may have been.
    fn so_many(&self, class: Class, since: Duration, now: Duration) -> (u64, u64) {
        let may = |known: &Known, is_in: bool| {
            let mut all = JobStatus::ALL.iter().filter(|status| class(**status) == is_in);
            all.any(|status| known.untrue(*status, since, now).is_none())
        };
        let must = |known: &&Known| known.is_acknowledged(since) && !may(known, false);
        let least = self.jobs.values().filter(must).count() as u64;
        // Jobs of which nobody has said anything may be told to be created.
        let most = match class(JobStatus::Created) {
            true => u64::MAX,
            false => self.jobs.values().filter(|known| may(known, true)).count() as u64,
        };
        (least, most)
    }
}

/// A job is told of before its graph is durable.
fn unknown(status: JobStatus) -> Option<String> {
    (status != JobStatus::Created).then(|| "nobody has said anything of it".to_string())
}

impl Known {
    fn is_acknowledged(&self, before: Duration) -> bool {
        self.acknowledged.is_some_and(|when| when < before)
    }

    /// Why a status can't have been told that was asked for no sooner than `since`.
    fn untrue(&self, status: JobStatus, since: Duration, now: Duration) -> Option<String> {
        let said = |from: Duration| {
            self.said.iter().any(|(_, said)| {
                said.status == status && said.until.is_none_or(|until| until >= from)
            })
        };
        let in_time = |when: Duration| match self.failing {
            true => self.settled.is_some_and(|settled| settled < since),
            false => when < since,
        };
        let ended = self.stored.filter(|(_, when)| in_time(*when));
        match ended {
            Some((end, when)) if end != status => {
                Some(format!("its result is kept since {when:?}: {end}"))
            }
            _ if plain::is_end(status) => {
                let kept = self.stored.is_some_and(|(end, _)| end == status);
                let decided = status != JobStatus::Failed && said(Duration::ZERO);
                (!kept && !decided).then(|| "no such end is kept".to_string())
            }
            // Without a master that is all that can be said.
            _ if status == JobStatus::Created => None,
            _ => {
                let lately: Vec<_> = self.said.iter().map(|(_, said)| said).collect();
                (!said(since))
                    .then(|| format!("no master said so from {since:?} to {now:?}, but {lately:?}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing_jobs::*, RestAnswer, RestEvent, RestQuestion, RestTellsWhatWas, ToldCounts,
        ToldJob,
    };
    use std::time::Duration;

    const READER: usize = 9;

    fn is(status: JobStatus) -> JobEvent {
        JobEvent::StatusChanged { job: JOB, session: term(1), status }
    }

    fn answer(age_ms: u64, answer: RestAnswer) -> RestEvent {
        RestEvent::Told { reader: 1, ask: 1, by_leader: true, age_ms, answer }
    }

    fn told(age_ms: u64, status: Option<JobStatus>) -> RestEvent {
        let job = |status| ToldJob { job: JOB, status, since: Vec::new() };
        answer(age_ms, RestAnswer::Jobs(status.map(job).into_iter().collect()))
    }

    fn asks() -> RestEvent {
        RestEvent::Asking { ask: 1, question: RestQuestion::Jobs }
    }

    /// At 1 s it is acknowledged, at 2 s it runs, at 3 s it restarts, and at 4 s somebody asks.
    fn restarting() -> History<RestTellsWhatWas> {
        History::new()
            .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
            .holds(process(1, 1), is(JobStatus::Running))
            .holds(process(1, 1), is(JobStatus::Restarting))
            .holds(process(READER, 1), asks())
    }

    fn finished(stored: JobStatus) -> History<RestTellsWhatWas> {
        History::new()
            .holds(process(1, 1), is(JobStatus::Running))
            .holds(process(1, 1), is(stored))
            .holds(process(0, 1), committed(1, vec![result(true, stored)]))
            .holds(process(1, 1), cleans(stored))
            .holds(process(READER, 1), asks())
    }

    /// The dispatcher knows how it ended.
    fn cleans(status: JobStatus) -> JobEvent {
        JobEvent::CleanupStarted { job: JOB, result: JobResult { status, cause: None } }
    }

    fn reader() -> (crate::host::sim::NodeId, u64) {
        process(READER, 1)
    }

    #[test]
    fn what_is_so_or_was_so_lately_is_accepted() {
        restarting().holds(reader(), told(0, Some(JobStatus::Restarting)));
        restarting().holds(reader(), told(1_000, Some(JobStatus::Running)));
        restarting().holds(reader(), told(0, Some(JobStatus::Created)));
        finished(JobStatus::Failed).holds(reader(), told(0, Some(JobStatus::Failed)));
        // It came while the answer was on its way.
        restarting()
            .holds(process(1, 1), is(JobStatus::Running))
            .holds(reader(), told(0, Some(JobStatus::Running)));
    }

    #[test]
    fn what_was_so_too_long_ago_is_refused() {
        restarting().breaks(reader(), told(900, Some(JobStatus::Running)));
        restarting()
            .after(Duration::from_secs(10))
            .breaks(reader(), told(900, Some(JobStatus::Running)));
        finished(JobStatus::Failed).breaks(reader(), told(900, Some(JobStatus::Running)));
        finished(JobStatus::Failed).breaks(reader(), told(900, Some(JobStatus::Created)));
        finished(JobStatus::Failed).holds(reader(), told(3_000, Some(JobStatus::Running)));
    }

    #[test]
    fn what_never_was_is_refused() {
        restarting().breaks(reader(), told(9_000, Some(JobStatus::Finished)));
        restarting().breaks(reader(), told(9_000, Some(JobStatus::Cancelling)));
        finished(JobStatus::Finished).breaks(reader(), told(0, Some(JobStatus::Failed)));
        let answer = RestAnswer::Jobs(Vec::new());
        let other = RestEvent::Told { reader: 1, ask: 2, by_leader: true, age_ms: 0, answer };
        restarting().breaks(reader(), other);
    }

    /// A failure that crosses a cancellation ends as canceled.
    #[test]
    fn a_failure_counts_once_it_is_kept_and_known() {
        let failed = || {
            History::<RestTellsWhatWas>::new()
                .holds(process(1, 1), is(JobStatus::Failing))
                .holds(process(1, 1), is(JobStatus::Failed))
                .holds(reader(), asks())
        };
        failed().breaks(reader(), told(0, Some(JobStatus::Failed)));
        failed().holds(reader(), told(0, Some(JobStatus::Failing)));
        // It is kept, and who had it kept has no answer yet; then it has.
        let kept = || {
            History::<RestTellsWhatWas>::new()
                .holds(process(1, 1), is(JobStatus::Failing))
                .holds(process(1, 1), is(JobStatus::Failed))
                .holds(process(0, 1), committed(1, vec![result(true, JobStatus::Failed)]))
        };
        kept().holds(reader(), asks()).holds(reader(), told(0, Some(JobStatus::Failing)));
        kept()
            .holds(process(1, 1), cleans(JobStatus::Failed))
            .holds(reader(), asks())
            .breaks(reader(), told(0, Some(JobStatus::Failing)));
        failed()
            .holds(process(0, 1), committed(1, vec![result(true, JobStatus::Canceled)]))
            .holds(reader(), told(0, Some(JobStatus::Canceled)));
    }

    #[test]
    fn an_acknowledged_job_that_is_left_out_is_refused() {
        restarting().breaks(reader(), told(900, None));
        restarting().holds(reader(), told(3_000, None));
    }

    #[test]
    fn one_job_alone_is_judged_as_one_of_a_list() {
        let told = |age_ms, status| {
            answer(age_ms, RestAnswer::Job(ToldJob { job: JOB, status, since: Vec::new() }))
        };
        restarting().holds(reader(), told(1_000, JobStatus::Running));
        restarting().breaks(reader(), told(900, JobStatus::Running));
        let unknown = |question| RestEvent::Refused { ask: 1, question, status: 404 };
        for question in [RestQuestion::Job(JOB), RestQuestion::Cancel(JOB)] {
            restarting().breaks(reader(), unknown(question));
        }
        let other = RestQuestion::Job(JobId(1));
        restarting().holds(reader(), unknown(other));
        History::<RestTellsWhatWas>::new()
            .holds(reader(), asks())
            .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
            .holds(reader(), unknown(RestQuestion::Job(JOB)));
    }

    #[test]
    fn counts_are_those_of_some_moment() {
        let told = |age_ms, running, finished| {
            let counts = ToldCounts { running, finished, ..ToldCounts::default() };
            answer(age_ms, RestAnswer::Cluster(counts))
        };
        restarting().holds(reader(), told(0, 1, 0));
        restarting().breaks(reader(), told(0, 0, 0));
        restarting().breaks(reader(), told(0, 1, 1));
        let finished = || {
            History::<RestTellsWhatWas>::new()
                .holds(process(1, 1), JobEvent::SubmissionAcknowledged { job: JOB })
                .holds(process(1, 1), is(JobStatus::Running))
                .holds(process(1, 1), is(JobStatus::Finished))
                .holds(process(0, 1), committed(1, vec![result(true, JobStatus::Finished)]))
                .after(Duration::from_secs(1))
                .holds(reader(), asks())
        };
        finished().holds(reader(), told(0, 0, 1));
        finished().breaks(reader(), told(0, 1, 0));
        finished().breaks(reader(), told(0, 0, 2));
        finished().holds(reader(), told(4_000, 1, 0));
    }

    #[test]
    fn the_word_of_a_process_that_has_died_ends_with_it() {
        History::<RestTellsWhatWas>::new()
            .holds(process(1, 1), is(JobStatus::Running))
            .holds(process(1, 1), Hardware::Ended(crate::host::sim::ProcessEnd::Killed))
            .holds(reader(), asks())
            .breaks(reader(), told(900, Some(JobStatus::Running)));
    }
}
