//! What is told of all jobs: by what is kept, and by their masters.

use super::DispatcherCore;
use crate::{
    host::Instant,
    system::{ids::JobId, protocol::JobOverview},
};
use std::collections::BTreeMap;

/// Jobs that a list tells of at most.
const JOBS_TOLD: usize = 4096;

impl DispatcherCore {
    /// All jobs, as far as they are known without their masters: those that are not over, then those that have
    /// ended.
    pub fn overviews(&self, now: Instant) -> Vec<JobOverview> {
        let ended = self.results.keys().filter(|job| !self.jobs.contains_key(job));
        let all = self.jobs.keys().chain(ended).take(JOBS_TOLD);
        let details = all.filter_map(|job| self.details_without_master(now, *job));
        details.map(|details| details.overview()).collect()
    }
}

/// What is known of all jobs once their masters have said how far they are. A master knows its job better than
/// anybody, but not how it ended: what is kept decides that, and a master may still be there that saw it fail. A job
/// of which nothing is known here is not told of, whoever its master is.
pub fn merged(
    mut known: Vec<JobOverview>,
    said: impl IntoIterator<Item = JobOverview>,
) -> Vec<JobOverview> {
    let mut said: BTreeMap<JobId, JobOverview> =
        said.into_iter().map(|said| (said.job, said)).collect();
    for job in known.iter_mut().filter(|job| !job.status.is_globally_terminal()) {
        if let Some(said) = said.remove(&job.job) {
            *job = said;
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Effect, Purpose,
            tests::{ID, core_for, details, finished, graph, on, sound},
        },
        *,
    };
    use crate::system::{
        protocol::{JobDetails, JobResult, JobStatus},
        store::StoredJobs,
    };
    use std::time::Duration;

    const OTHER: JobId = JobId(8);

    fn is(job: JobId, status: JobStatus) -> JobOverview {
        JobDetails::bare(job, "one", status, None).overview()
    }

    #[test]
    fn a_master_knows_better_how_far_its_job_is_that_goes_on() {
        let known = vec![is(ID, JobStatus::Created), is(OTHER, JobStatus::Created)];
        let said = [is(OTHER, JobStatus::Restarting)];
        let all = [is(ID, JobStatus::Created), is(OTHER, JobStatus::Restarting)];
        assert_eq!(merged(known, said), all, "in the order in which they are known");
    }

    #[test]
    fn what_is_kept_of_an_end_wins_over_each_thing_that_a_master_may_say() {
        let ends = [JobStatus::Finished, JobStatus::Canceled, JobStatus::Failed];
        for (end, said) in ends.iter().flat_map(|end| JobStatus::ALL.iter().map(move |s| (end, s)))
        {
            assert_eq!(merged(vec![is(ID, *end)], [is(ID, *said)]), [is(ID, *end)], "{said}");
        }
    }

    #[test]
    fn a_job_that_is_not_known_here_is_not_told_of() {
        let said = [is(OTHER, JobStatus::Running), is(ID, JobStatus::Running)];
        assert_eq!(merged(vec![is(ID, JobStatus::Created)], said), [is(ID, JobStatus::Running)]);
        assert_eq!(merged(vec![], [is(ID, JobStatus::Running)]), []);
    }

    /// Those that go on come first, and each is told once.
    #[test]
    fn an_end_is_told_once_and_grows_older() {
        let mut core = core_for(Purpose::Session, StoredJobs::default());
        for id in [ID, OTHER] {
            assert_eq!(on(&mut core, |core| core.on_submit(graph(id), sound)).0, Ok(()));
            on(&mut core, |core| core.on_graph_stored(graph(id), Ok(())));
        }
        core.on_ended(Instant::ORIGIN, finished(), details());
        let stored = on(&mut core, |core| core.on_result_stored(ID, Ok(finished())));
        assert!(stored.1.contains(&Effect::CleanUp(ID)));
        let all = core.overviews(Instant::ORIGIN + Duration::from_millis(70));
        let told: Vec<_> = all.iter().map(|job| (job.job, job.status, job.changed_ms)).collect();
        let ended = (ID, JobStatus::Finished, Some(70));
        assert_eq!(told, [(OTHER, JobStatus::Created, None), ended]);
    }

    /// Its failure crossed a cancellation, and its master is being ended.
    #[test]
    fn a_master_that_saw_its_job_fail_is_not_heard_once_it_is_kept_as_canceled() {
        let mut core = core_for(Purpose::Session, StoredJobs::default());
        assert_eq!(core.on_submit(graph(ID), sound), Ok(()));
        core.on_graph_stored(graph(ID), Ok(()));
        let failed = JobResult { status: JobStatus::Failed, cause: None };
        let last = JobDetails::bare(ID, "one", JobStatus::Failed, None);
        core.on_ended(Instant::ORIGIN, failed, last);
        let of = |core: &DispatcherCore| {
            merged(core.overviews(Instant::ORIGIN), [is(ID, JobStatus::Failing)])
        };
        assert_eq!(of(&core)[0].status, JobStatus::Failing);
        let canceled = JobResult { status: JobStatus::Canceled, cause: None };
        on(&mut core, |core| core.on_result_stored(ID, Ok(canceled)));
        assert_eq!(of(&core)[0].status, JobStatus::Canceled);
    }
}
