//! Whose word on a job's end counts.

use super::*;
use crate::system::ids::JobId;
use crate::{
    host::{Host, run_two},
    system::{
        leadership::{ElectionEvents, LeaderContender, LeaderElectionDriver, LeaderInformation},
        protocol::{JobDetails, JobResult, JobStatus},
    },
};
use futures::future::BoxFuture;

struct Contender;

impl LeaderContender for Contender {
    fn grant_leadership(&self, _: LeaderSessionId) {}

    fn revoke_leadership(&self) {}

    fn handle_error(&self, _: String) {}
}

/// It always leads, in whatever term it was last granted.
struct Driver;

impl LeaderElectionDriver for Driver {
    fn has_leadership(&self) -> bool {
        true
    }

    fn publish(&self, _: LeaderInformation) {}

    fn close(&self) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

fn end(status: JobStatus) -> JobEnd {
    let details = JobDetails::bare(JobId(7), "one", status, None);
    (JobResult { status, cause: None }, Box::new(details))
}

#[test]
fn the_end_that_a_former_terms_master_tells_counts_for_nothing() {
    run_two(|host| async move { tell_of_two_terms(&host) }, |_| async {});
}

fn tell_of_two_terms(host: &Host) {
    let driver: Arc<Mutex<Option<Arc<dyn ElectionEvents>>>> = Arc::default();
    let slot = driver.clone();
    let election = LeaderElectionService::start(host, "c", Arc::new(Contender), |events| {
        *slot.lock().unwrap() = Some(events);
        Arc::new(Driver)
    });
    let events = driver.lock().unwrap().clone().expect("it was made");
    let (report, mut ended) = EndReport::new();
    report.judged_by(&election);
    let (first, second) = (LeaderSessionId(1), LeaderSessionId(2));
    events.on_grant_leadership(first);
    events.on_revoke_leadership();
    report.tell(first, end(JobStatus::Failed));
    events.on_grant_leadership(second);
    report.tell(first, end(JobStatus::Failed));
    assert!(matches!(ended.try_recv(), Ok(None)), "the job goes on in the second term");
    report.tell(second, end(JobStatus::Finished));
    report.tell(second, end(JobStatus::Failed));
    let told = ended.try_recv().expect("it is told").map(|(result, _)| result.status);
    assert_eq!(told, Some(JobStatus::Finished));
}
