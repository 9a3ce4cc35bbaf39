//! A state, one call, and what comes of it.

use super::*;
use crate::system::graph::{CheckpointSettings, OperatorSpec, RestartStrategy, StreamGraph};
use std::time::Duration;

pub(super) const ID: JobId = JobId(7);

pub(super) fn graph(id: JobId) -> JobGraph {
    let mut graph = StreamGraph::new();
    let (uid, name) = ("a".to_string(), "a".to_string());
    graph.source(OperatorSpec { uid, name }, 1);
    graph.job_graph(id, "one", CheckpointSettings::default(), RestartStrategy::None).unwrap()
}

fn core_with(stored: StoredJobs) -> DispatcherCore {
    core_for(Purpose::Session, stored)
}

pub(super) fn core_for(purpose: Purpose, stored: StoredJobs) -> DispatcherCore {
    DispatcherCore::new(LeaderSessionId(1), 2, stored, purpose, Switches::default())
}

fn core() -> DispatcherCore {
    core_with(StoredJobs::default())
}

/// Calls the core, checks it, and gives what it wants done.
pub(super) fn on<T>(
    core: &mut DispatcherCore,
    call: impl FnOnce(&mut DispatcherCore) -> T,
) -> (T, Vec<Effect>) {
    let answer = call(core);
    core.check_invariants();
    (answer, core.take_effects())
}

pub(super) fn sound(_: &JobGraph) -> Result<(), SubmitRefusal> {
    Ok(())
}

/// The last that the master knew.
pub(super) fn details() -> JobDetails {
    let since = vec![(JobStatus::Running, 30), (JobStatus::Finished, 0)];
    JobDetails { statuses: since, ..JobDetails::bare(ID, "one", JobStatus::Finished, None) }
}

pub(super) fn finished() -> JobResult {
    JobResult { status: JobStatus::Finished, cause: None }
}

fn running() -> DispatcherCore {
    let mut core = core();
    assert_eq!(core.on_submit(graph(ID), sound), Ok(()));
    core.on_graph_stored(graph(ID), Ok(()));
    core.take_effects();
    core
}

#[test]
fn a_job_is_acknowledged_once_its_graph_is_durable() {
    let mut core = core();
    let (answer, effects) = on(&mut core, |core| core.on_submit(graph(ID), sound));
    assert_eq!((answer, effects), (Ok(()), vec![Effect::StoreGraph(graph(ID))]));
    let ((), effects) = on(&mut core, |core| core.on_graph_stored(graph(ID), Ok(())));
    let expected = [
        Effect::Run(graph(ID)),
        Effect::Announce(JobEvent::SubmissionAcknowledged { job: ID }),
        Effect::AnswerSubmission(ID, Ok(())),
    ];
    assert_eq!(effects, expected);
}

/// Running, ended but dirty, ended and clean, and at the same time: the four kinds of duplicates.
#[test]
fn a_job_is_taken_once_in_whatever_state_it_is() {
    let mut submitting = core();
    assert_eq!(submitting.on_submit(graph(ID), sound), Ok(()));
    assert_eq!(submitting.on_submit(graph(ID), sound), Err(SubmitRefusal::Submitting));
    let mut going_on = running();
    assert_eq!(going_on.on_submit(graph(ID), sound), Err(SubmitRefusal::Duplicate));
    going_on.on_ended(Instant::ORIGIN, finished(), details());
    assert_eq!(going_on.on_submit(graph(ID), sound), Err(SubmitRefusal::Duplicate));
    for dirty in [true, false] {
        let results = BTreeMap::from([(ID, StoredResult { dirty, result: finished() })]);
        let mut ended = core_with(StoredJobs { results, ..StoredJobs::default() });
        let refused = ended.on_submit(graph(ID), sound);
        assert_eq!(refused, Err(SubmitRefusal::Terminated(JobStatus::Finished)));
    }
}

#[test]
fn a_known_job_is_a_duplicate_also_where_its_operators_are_not_known() {
    let unknown = |_: &JobGraph| Err(SubmitRefusal::UnknownProgram("a".to_string()));
    let refused = Err(SubmitRefusal::Duplicate);
    assert_eq!(running().on_submit(graph(ID), unknown), refused);
    let (answer, effects) = on(&mut core(), |core| core.on_submit(graph(ID), unknown));
    assert_eq!(answer, unknown(&graph(ID)));
    assert_eq!(effects, []);
}

#[test]
fn what_is_not_stored_is_forgotten_and_room_is_kept() {
    for (error, refusal) in [
        (StoreError::NotLeader, SubmitRefusal::Stopping),
        (StoreError::Conflict("there".to_string()), SubmitRefusal::Duplicate),
        (StoreError::TooLarge, SubmitRefusal::TooLarge),
        (StoreError::Full, SubmitRefusal::Full),
    ] {
        let mut core = core();
        assert_eq!(core.on_submit(graph(ID), sound), Ok(()));
        assert_eq!(core.on_submit(graph(JobId(8)), sound), Ok(()));
        assert_eq!(core.on_submit(graph(JobId(9)), sound), Err(SubmitRefusal::Busy));
        core.take_effects();
        let ((), effects) = on(&mut core, |core| core.on_graph_stored(graph(ID), Err(error)));
        assert_eq!(effects, [Effect::AnswerSubmission(ID, Err(refusal))]);
        assert_eq!(core.known(Instant::ORIGIN, ID), Known::Nothing);
        assert_eq!(core.on_submit(graph(JobId(9)), sound), Ok(()), "there is room again");
    }
}

#[test]
fn an_end_is_kept_before_anything_is_removed() {
    let mut core = running();
    let ((), effects) = on(&mut core, |core| core.on_ended(Instant::ORIGIN, finished(), details()));
    assert_eq!(effects, [Effect::StoreResult(ID, finished())]);
    assert_eq!(core.result(ID), Some(None), "it does not count yet");
    let ((), effects) = on(&mut core, |core| core.on_result_stored(ID, Ok(finished())));
    assert!(effects.contains(&Effect::CleanUp(ID)));
    assert_eq!(core.result(ID), Some(Some(finished())));
    on(&mut core, |core| core.on_cleaned(ID, Ok(())));
    assert!(!core.results[&ID].dirty);
}

#[test]
fn a_refusal_that_is_no_loss_of_leadership_ends_the_process() {
    let damaged = || StoreError::Conflict("another result".to_string());
    let mut core = running();
    core.on_ended(Instant::ORIGIN, finished(), details());
    core.take_effects();
    let ((), effects) = on(&mut core, |core| core.on_result_stored(ID, Err(damaged())));
    assert!(matches!(effects[..], [Effect::Exit(_)]));
    let ((), effects) = on(&mut core, |core| {
        core.on_result_stored(ID, Err(StoreError::NotLeader));
    });
    assert_eq!(effects, []);
}

#[test]
fn a_cleanup_that_is_refused_is_tried_again_and_holds_nothing_up() {
    let results = BTreeMap::from([(ID, StoredResult { dirty: true, result: finished() })]);
    let mut core = core_with(StoredJobs { results, ..StoredJobs::default() });
    on(&mut core, DispatcherCore::on_start);
    let refused = || Err(StoreError::Conflict("it is full".to_string()));
    let ((), effects) = on(&mut core, |core| core.on_cleaned(ID, refused()));
    let cause = "it is full".to_string();
    let told = Effect::Announce(JobEvent::CleanupRefused { job: ID, cause });
    assert_eq!(effects, [told, Effect::CleanUpLater(ID)]);
    assert_eq!(core.on_submit(graph(JobId(8)), sound), Ok(()));
    core.take_effects();
    let ((), effects) = on(&mut core, |core| core.on_clean_again(ID));
    assert!(effects.contains(&Effect::CleanUp(ID)), "{effects:?}");
    on(&mut core, |core| core.on_cleaned(ID, Ok(())));
    on(&mut core, DispatcherCore::on_stop);
    let ((), effects) = on(&mut core, |core| core.on_clean_again(ID));
    assert_eq!(effects, []);
}

#[test]
fn what_was_kept_runs_on_or_is_cleaned_and_never_both() {
    let results = BTreeMap::from([
        (JobId(8), StoredResult { dirty: true, result: finished() }),
        (JobId(9), StoredResult { dirty: false, result: finished() }),
    ]);
    let cancellations = BTreeSet::from([ID]);
    let mut core =
        core_with(StoredJobs { graphs: vec![graph(ID)], results, cancellations, outcome: None });
    let ((), effects) = on(&mut core, DispatcherCore::on_start);
    let tells = |effect: &&Effect| !matches!(effect, Effect::Announce(_));
    let done: Vec<&Effect> = effects.iter().filter(tells).collect();
    let expected = [Effect::Run(graph(ID)), Effect::CancelMaster(ID), Effect::CleanUp(JobId(8))];
    assert_eq!(done, expected.iter().collect::<Vec<_>>());
}

#[test]
fn a_cancellation_is_answered_when_it_is_durable() {
    let mut core = running();
    let (answer, effects) = on(&mut core, |core| core.on_cancel(ID));
    assert_eq!((answer, effects), (Ok(()), vec![Effect::RecordCancellation(ID)]));
    let recorded = |core: &mut DispatcherCore| {
        core.on_cancellation_recorded(ID, Ok(Cancellation::Recorded));
    };
    let ((), effects) = on(&mut core, recorded);
    assert!(effects.contains(&Effect::AnswerCancellation(ID, Ok(()))));
    assert!(effects.contains(&Effect::CancelMaster(ID)));
    let ((), effects) = on(&mut core, recorded);
    assert!(!effects.contains(&Effect::CancelMaster(ID)), "once is enough");
    let late = |core: &mut DispatcherCore| {
        core.on_cancellation_recorded(ID, Ok(Cancellation::TooLate));
    };
    let refused = Err(JobRefusal::Terminated(JobStatus::Finished));
    assert_eq!(on(&mut core, late).1, [Effect::AnswerCancellation(ID, refused)]);
}

#[test]
fn a_cancellation_whose_answer_comes_after_the_jobs_end_is_not_kept_in_mind() {
    let mut core = running();
    core.on_cancel(ID).unwrap();
    core.on_ended(Instant::ORIGIN, finished(), details());
    core.on_result_stored(ID, Ok(finished()));
    core.take_effects();
    let recorded = |core: &mut DispatcherCore| {
        core.on_cancellation_recorded(ID, Ok(Cancellation::Recorded));
    };
    let ((), effects) = on(&mut core, recorded);
    assert!(effects.contains(&Effect::AnswerCancellation(ID, Ok(()))));
    assert!(!effects.contains(&Effect::CancelMaster(ID)));
}

#[test]
fn a_cancellation_that_another_term_refuses_is_for_the_next_to_take() {
    let mut core = running();
    core.on_cancel(ID).unwrap();
    core.take_effects();
    let late =
        |core: &mut DispatcherCore| core.on_cancellation_recorded(ID, Err(StoreError::NotLeader));
    assert_eq!(on(&mut core, late).1, [Effect::FailCancellation(ID)]);
    assert!(!core.is_to_be_canceled(ID));
}

#[test]
fn what_can_not_be_canceled_is_told_at_once() {
    assert_eq!(core().on_cancel(ID), Err(JobRefusal::Unknown(ID)));
    let mut submitting = core();
    submitting.on_submit(graph(ID), sound).unwrap();
    assert_eq!(submitting.on_cancel(ID), Err(JobRefusal::NoMaster));
    let mut ended = running();
    ended.on_ended(Instant::ORIGIN, finished(), details());
    let refused = Err(JobRefusal::Terminated(JobStatus::Finished));
    assert_eq!(ended.on_cancel(ID), refused);
    ended.on_result_stored(ID, Ok(finished()));
    assert_eq!(ended.on_cancel(ID), refused);
}

#[test]
fn what_a_master_knew_last_is_told_of_a_job_that_has_ended() {
    let at = |millis| Instant::ORIGIN + Duration::from_millis(millis);
    let mut core = running();
    core.on_ended(at(100), finished(), details());
    core.on_result_stored(ID, Ok(finished()));
    let told = core.details_without_master(at(170), ID).unwrap();
    assert_eq!(told.statuses, [(JobStatus::Running, 100), (JobStatus::Finished, 70)]);
    let [overview] = &core.overviews(at(170))[..] else { panic!("one job is known") };
    assert_eq!((overview.name.as_str(), overview.status), ("one", JobStatus::Finished));
    assert_eq!((overview.began_ms, overview.changed_ms), (Some(100), Some(70)));
    // Of one that ended in another term the result is all there is.
    let results = BTreeMap::from([(ID, StoredResult { dirty: false, result: finished() })]);
    let next = core_with(StoredJobs { results, ..StoredJobs::default() });
    let told = next.details_without_master(at(0), ID).unwrap();
    assert_eq!(told, JobDetails::bare(ID, "", JobStatus::Finished, None));
}

#[test]
fn no_more_ended_jobs_are_kept_in_mind_than_there_is_room_for() {
    let mut core = core();
    for id in 0..2 * ARCHIVE_MAX as u128 {
        core.on_submit(graph(JobId(id)), sound).unwrap();
        core.on_graph_stored(graph(JobId(id)), Ok(()));
        let details = JobDetails { job: JobId(id), ..details() };
        core.on_ended(Instant::ORIGIN, finished(), details);
        core.on_result_stored(JobId(id), Ok(finished()));
    }
    assert_eq!(core.archive.len(), ARCHIVE_MAX);
    assert_eq!(core.archive[0].1.job, JobId(ARCHIVE_MAX as u128), "the oldest go");
}

#[test]
fn one_that_stops_leaves_the_rest_to_the_next() {
    let mut core = running();
    assert_eq!(core.on_submit(graph(JobId(8)), sound), Ok(()));
    core.take_effects();
    let ((), effects) = on(&mut core, DispatcherCore::on_stop);
    assert_eq!(effects, [Effect::Announce(JobEvent::LocalCleanup { job: ID })]);
    on(&mut core, |core| core.on_ended(Instant::ORIGIN, finished(), details()));
    let ((), effects) = on(&mut core, |core| core.on_graph_stored(graph(JobId(8)), Ok(())));
    assert_eq!(effects, [Effect::AnswerSubmission(JobId(8), Err(SubmitRefusal::Stopping))]);
    assert_eq!(core.on_submit(graph(JobId(9)), sound), Err(SubmitRefusal::Stopping));
}

#[test]
fn a_job_is_told_of_in_whatever_state_it_is() {
    let now = Instant::ORIGIN;
    let told = |core: &DispatcherCore| core.details_without_master(now, ID).map(|job| job.status);
    let mut core = core();
    assert_eq!((told(&core), core.known(now, ID)), (None, Known::Nothing));
    core.on_submit(graph(ID), sound).unwrap();
    assert_eq!(told(&core), Some(JobStatus::Created), "it is being taken on");
    core.on_graph_stored(graph(ID), Ok(()));
    assert_eq!((told(&core), core.known(now, ID)), (Some(JobStatus::Created), Known::Running));
    let failed = JobResult { status: JobStatus::Failed, cause: Some("it broke".to_string()) };
    let last = JobDetails {
        statuses: vec![(JobStatus::Failing, 5), (JobStatus::Failed, 0)],
        ..JobDetails::bare(ID, "one", JobStatus::Failed, failed.cause.clone())
    };
    core.on_ended(now, failed.clone(), last);
    let Known::Told(ending) = core.known(now, ID) else { panic!("its last is shown at once") };
    assert_eq!((ending.status, ending.cause), (JobStatus::Failing, failed.cause.clone()));
    assert_eq!(core.result(ID), Some(None), "it counts once it is kept");
    core.on_result_stored(ID, Ok(failed));
    assert_eq!(told(&core), Some(JobStatus::Failed));
}

/// The cancellation is durable and its answer under way, when the job fails.
#[test]
fn a_job_whose_failure_crosses_its_cancellation_is_told_as_what_is_kept_and_not_before() {
    let mut core = running();
    core.on_cancel(ID).unwrap();
    let failed = JobResult { status: JobStatus::Failed, cause: Some("it broke".to_string()) };
    let statuses = vec![(JobStatus::Failing, 30), (JobStatus::Failed, 0)];
    let last = JobDetails::bare(ID, "one", JobStatus::Failed, failed.cause.clone());
    let last = JobDetails { statuses, ..last };
    core.on_ended(Instant::ORIGIN, failed.clone(), last);
    let told = |core: &DispatcherCore| {
        core.details_without_master(Instant::ORIGIN, ID).map(|details| details.status)
    };
    assert_eq!(told(&core), Some(JobStatus::Failing), "how it ends is not kept yet");
    assert_eq!(core.overviews(Instant::ORIGIN)[0].status, JobStatus::Failing);
    assert_eq!(core.on_cancel(ID), Err(JobRefusal::NoMaster), "nor whether it has failed");
    let canceled = JobResult { status: JobStatus::Canceled, ..failed };
    on(&mut core, |core| core.on_result_stored(ID, Ok(canceled.clone())));
    assert_eq!(told(&core), Some(JobStatus::Canceled));
    let details = core.details_without_master(Instant::ORIGIN, ID).expect("it is known");
    assert_eq!(details.statuses.last(), Some(&(JobStatus::Canceled, 0)));
    assert_eq!(core.result(ID), Some(Some(canceled)));
    assert_eq!(core.on_cancel(ID), Err(JobRefusal::Terminated(JobStatus::Canceled)));
}
