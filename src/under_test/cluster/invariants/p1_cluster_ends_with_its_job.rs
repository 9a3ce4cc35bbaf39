//! P1: a cluster that is there for one job or program ends once the job has ended and nothing is left of it but its
//! result, and comes to what the job came to; a program that fails without a job, or is one that fails whatever its job
//! did, may end it too. What a program came to is kept first, so that all its job managers come to the same, whoever led. A session cluster never ends of its
//! own accord, and no cluster ends because somebody stops leading.

use super::{Check, ClusterInvariant};
use crate::{
    harness::event::Moment,
    system::{
        job_manager::JobEvent,
        leadership::LeaderSessionId,
        protocol::ApplicationStatus,
        store::{StoreKey, StoredPart, StoredResult},
    },
    under_test::cluster::{EventKind, EventRef, Mode, Model},
};
use std::collections::BTreeMap;

/// Knows what the cluster is there for, and what its program came to.
pub struct ClusterEndsWithItsJob {
    mode: Mode,
    /// Its program does nothing but wait for its job.
    is_sound: bool,
    /// In each term of a dispatcher that executed it to its end.
    main: BTreeMap<LeaderSessionId, ApplicationStatus>,
    /// What the first dispatcher that ended the cluster said, and when.
    came_to: Option<(Moment, ApplicationStatus)>,
}

impl ClusterEndsWithItsJob {
    /// Of a cluster that is there for this.
    pub fn new(mode: Mode) -> Self {
        ClusterEndsWithItsJob { mode, is_sound: false, main: BTreeMap::new(), came_to: None }
    }

    /// The same, with a program that does nothing but wait for its job if it `is_sound`.
    #[must_use]
    pub fn with_program(self, is_sound: bool) -> Self {
        ClusterEndsWithItsJob { is_sound, ..self }
    }

    /// Why the cluster must not end so.
    fn refusal(&self, status: ApplicationStatus, model: &Model) -> Option<String> {
        let Jobs { results, outcome, left } = jobs(model);
        let of_job = |result: &StoredResult| ApplicationStatus::of_job(result.result.status);
        match (self.mode, &results[..], outcome) {
            (Mode::Session, _, _) => Some("a session cluster is stopped by its users".to_string()),
            _ if left.is_some() => left.map(|key| format!("{key} is left of its job")),
            (_, [result], _) if result.dirty => Some("something is left of its job".to_string()),
            (Mode::PerJob, [result], _) if of_job(result) == status => None,
            // It is too large to be kept.
            (Mode::PerJob, [], Some(ApplicationStatus::Failed))
                if status == ApplicationStatus::Failed =>
            {
                None
            }
            (Mode::Application, _, Some(kept))
                if kept == status && self.main.values().any(|main| *main == status) =>
            {
                match &results[..] {
                    // A program may fail without a job, and one that is not sound whatever its job did.
                    [] if status != ApplicationStatus::Succeeded => None,
                    [result] if of_job(result) == status => None,
                    [_] if status == ApplicationStatus::Failed && !self.is_sound => None,
                    _ => Some(format!("its job's results are {results:?}")),
                }
            }
            _ => Some(format!(
                "its job's results are {results:?}, its program's {:?}; {outcome:?} is kept",
                self.main
            )),
        }
    }

    /// Whether all come to the same.
    fn check_is_same(&self, at: Moment, who: &str, status: ApplicationStatus) -> Check {
        let other = self.came_to.filter(|(_, first)| *first != status);
        Check::that(other.is_none(), || {
            let (since, first) = other.expect("it is another");
            (format!("{since}: the cluster ends as {first}"), format!("{at}: {who} as {status}"))
        })
    }
}

struct Jobs {
    results: Vec<StoredResult>,
    /// What a program came to, as it is kept.
    outcome: Option<ApplicationStatus>,
    /// A key of a job beside its result.
    left: Option<String>,
}

fn jobs(model: &Model) -> Jobs {
    let mut jobs = Jobs { results: Vec::new(), outcome: None, left: None };
    for (key, value) in &model.keys {
        match StoreKey::parse(key).map(|key| key.part) {
            Some(StoredPart::Result) => jobs.results.extend(postcard::from_bytes(value)),
            Some(StoredPart::Outcome) => jobs.outcome = postcard::from_bytes(value).ok(),
            Some(_) => jobs.left = Some(key.clone()),
            None => {}
        }
    }
    jobs
}

impl ClusterInvariant for ClusterEndsWithItsJob {
    fn title(&self) -> &'static str {
        "P1 cluster-ends-with-its-job"
    }

    fn promise(&self) -> &'static str {
        "a cluster that is there for one job ends with it, and neither sooner nor otherwise"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Job]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        match seen {
            EventRef::Job(JobEvent::MainEnded { session, status, .. }) => {
                self.main.insert(*session, *status);
                Check::Ignored
            }
            EventRef::Job(JobEvent::ClusterEnds { status, .. }) => {
                if let Some(refusal) = self.refusal(*status, model) {
                    return Check::broken(refusal, format!("{at}: the cluster ends as {status}"));
                }
                let same = self.check_is_same(at, "it ends", *status);
                self.came_to.get_or_insert((at, *status));
                same
            }
            EventRef::Job(JobEvent::JobManagerEnded { status }) => match self.came_to {
                Some(_) => self.check_is_same(at, "a job manager ends", *status),
                None => Check::broken(
                    "no dispatcher has ended the cluster".to_string(),
                    format!("{at}: a job manager ends as {status}"),
                ),
            },
            _ => Check::Ignored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, ClusterEndsWithItsJob, Mode};
    use crate::system::service::coordination::CoordinationEvent;

    fn ends(status: ApplicationStatus) -> JobEvent {
        JobEvent::ClusterEnds { session: term(1), status }
    }

    fn main(status: ApplicationStatus) -> JobEvent {
        JobEvent::MainEnded { session: term(1), status, cause: None }
    }

    /// What the program came to is kept.
    fn kept(position: u64, status: ApplicationStatus) -> CoordinationEvent {
        committed(position, vec![outcome(status)])
    }

    fn job_manager(status: ApplicationStatus) -> JobEvent {
        JobEvent::JobManagerEnded { status }
    }

    /// A job has ended, and nothing is left of it.
    fn ended(mode: Mode, status: JobStatus) -> History<ClusterEndsWithItsJob> {
        running(mode)
            .holds(process(0, 1), committed(2, vec![result(true, status), no_graph()]))
            .holds(process(0, 1), committed(3, vec![result(false, status)]))
    }

    fn running(mode: Mode) -> History<ClusterEndsWithItsJob> {
        History::of(ClusterEndsWithItsJob::new(mode))
            .holds(process(0, 1), committed(1, vec![graph()]))
    }

    #[test]
    fn an_end_with_the_job_is_accepted() {
        let (succeeded, failed) = (ApplicationStatus::Succeeded, ApplicationStatus::Failed);
        ended(Mode::PerJob, JobStatus::Finished).holds(process(1, 1), ends(succeeded));
        ended(Mode::PerJob, JobStatus::Failed).holds(process(1, 1), ends(failed));
        ended(Mode::Application, JobStatus::Finished)
            .holds(process(1, 1), main(succeeded))
            .holds(process(0, 1), kept(4, succeeded))
            .holds(process(1, 1), ends(succeeded))
            .holds(process(1, 1), job_manager(succeeded));
        // The program failed after its job, or before it.
        ended(Mode::Application, JobStatus::Finished)
            .holds(process(1, 1), main(failed))
            .holds(process(0, 1), kept(4, failed))
            .holds(process(1, 1), ends(failed));
        History::of(ClusterEndsWithItsJob::new(Mode::Application))
            .holds(process(1, 1), main(failed))
            .holds(process(0, 1), kept(1, failed))
            .holds(process(1, 1), ends(failed));
        // Its job is too large.
        History::of(ClusterEndsWithItsJob::new(Mode::PerJob))
            .holds(process(0, 1), kept(1, failed))
            .holds(process(1, 1), ends(failed));
    }

    #[test]
    fn an_end_without_or_beside_the_job_is_refused() {
        let (succeeded, failed) = (ApplicationStatus::Succeeded, ApplicationStatus::Failed);
        running(Mode::PerJob).breaks(process(1, 1), ends(failed));
        running(Mode::Application)
            .holds(process(1, 1), main(failed))
            .breaks(process(1, 1), ends(failed));
        ended(Mode::PerJob, JobStatus::Finished).breaks(process(1, 1), ends(failed));
        ended(Mode::Application, JobStatus::Finished).breaks(process(1, 1), ends(succeeded));
        ended(Mode::Application, JobStatus::Failed)
            .holds(process(1, 1), main(succeeded))
            .holds(process(0, 1), kept(4, succeeded))
            .breaks(process(1, 1), ends(succeeded));
        ended(Mode::Session, JobStatus::Finished).breaks(process(1, 1), ends(succeeded));
    }

    #[test]
    fn a_sound_program_that_fails_though_its_job_did_not_is_refused() {
        let ended = |job, program| {
            let sound = ClusterEndsWithItsJob::new(Mode::Application).with_program(true);
            History::of(sound)
                .holds(process(0, 1), committed(1, vec![graph()]))
                .holds(process(0, 1), committed(2, vec![result(false, job), no_graph()]))
                .holds(process(1, 1), main(program))
                .holds(process(0, 1), kept(3, program))
        };
        let (succeeded, failed) = (ApplicationStatus::Succeeded, ApplicationStatus::Failed);
        ended(JobStatus::Finished, succeeded).holds(process(1, 1), ends(succeeded));
        ended(JobStatus::Failed, failed).holds(process(1, 1), ends(failed));
        ended(JobStatus::Finished, failed).breaks(process(1, 1), ends(failed));
    }

    #[test]
    fn an_end_that_is_not_kept_or_not_the_same_for_all_is_refused() {
        let (succeeded, failed) = (ApplicationStatus::Succeeded, ApplicationStatus::Failed);
        ended(Mode::Application, JobStatus::Finished)
            .holds(process(1, 1), main(failed))
            .breaks(process(1, 1), ends(failed));
        let ends_as_failed = || {
            ended(Mode::Application, JobStatus::Finished)
                .holds(process(1, 1), main(failed))
                .holds(process(0, 1), kept(4, failed))
                .holds(process(1, 1), ends(failed))
        };
        ends_as_failed()
            .holds(process(2, 1), main(succeeded))
            .holds(process(0, 1), kept(5, succeeded))
            .breaks(process(2, 1), ends(succeeded));
        ends_as_failed().breaks(process(2, 1), job_manager(succeeded));
        running(Mode::PerJob).breaks(process(1, 1), job_manager(failed));
    }

    #[test]
    fn an_end_while_something_is_left_of_the_job_is_refused() {
        let succeeded = ApplicationStatus::Succeeded;
        running(Mode::PerJob)
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Finished), no_graph()]))
            .breaks(process(1, 1), ends(succeeded));
        running(Mode::PerJob)
            .holds(process(0, 1), committed(2, vec![result(false, JobStatus::Finished)]))
            .breaks(process(1, 1), ends(succeeded));
    }
}
