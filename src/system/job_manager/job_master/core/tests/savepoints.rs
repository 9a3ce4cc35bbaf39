//! Savepoints: when one is taken, and what becomes of the job.

use super::*;
use crate::system::protocol::{AfterSavepoint, Finality, SavepointRequest, SavepointStatus};

const ALL: [(u32, u32); 4] = [(0, 0), (1, 0), (0, 1), (1, 1)];

fn request(path: &str, then: AfterSavepoint) -> SavepointRequest {
    SavepointRequest { path: path.to_string(), then, checkpoint: None }
}

impl Bench {
    fn wants(&mut self, path: &str, then: AfterSavepoint) -> Vec<Effect> {
        let asked = request(path, then);
        self.does(|core, _| {
            assert_eq!(core.on_savepoint(asked), SavepointStatus::InProgress);
        })
    }

    fn status(&self, path: &str) -> Option<SavepointStatus> {
        self.core.savepoint_status(path)
    }

    /// A job that runs, of which a savepoint is being taken as that checkpoint.
    fn taking(then: AfterSavepoint, id: u64) -> Self {
        let mut bench = Bench::running(restarts(9));
        let draw = Draw::Checkpoint(bench.core.checkpoints.period_now());
        let effects = bench.wants("here", then);
        assert!(effects.contains(&Effect::Draw(draw.clone(), 1)), "{effects:?}");
        let effects = bench.drawn(draw, id);
        assert_eq!(triggered(&effects), [then == AfterSavepoint::Stop; 2]);
        bench
    }

    /// The same, with its pointer stored.
    fn taken(then: AfterSavepoint, id: u64) -> (Self, Vec<Effect>) {
        let mut bench = Bench::taking(then, id);
        for of in ALL {
            bench.acknowledge(of, id, then == AfterSavepoint::Drain);
        }
        bench.does(|core, now| core.on_metadata_stored(now, CheckpointId(id), Ok(())));
        let effects = bench.settled(id, Settled::Added(Revision(3)));
        (bench, effects)
    }

    /// The next checkpoint is due, and begins.
    fn begins_by_the_clock(&mut self, id: u64) -> Vec<Effect> {
        self.now = self.now + Duration::from_secs(2);
        let period = self.core.checkpoints.period_now();
        self.does(|core, now| core.on_timer(now, Timer::Trigger(period)));
        self.drawn(Draw::Checkpoint(period), id)
    }

    fn published(&mut self, published: Result<(), &str>) -> Vec<Effect> {
        let published = published.map_err(str::to_string);
        self.does(|core, now| core.on_savepoint_published(now, "here", published))
    }
}

/// Whether each source that is to begin a checkpoint stops with it.
fn triggered(effects: &[Effect]) -> Vec<bool> {
    let stops = |effect: &Effect| match effect {
        Effect::Trigger(.., stops) => Some(*stops),
        _ => None,
    };
    effects.iter().filter_map(stops).collect()
}

fn confirmed(effects: &[Effect]) -> Vec<Finality> {
    let confirmed = |effect: &Effect| match effect {
        Effect::Confirm(.., finality) => Some(*finality),
        _ => None,
    };
    effects.iter().filter_map(confirmed).collect()
}

fn discards(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Discard(_)))
}

fn publishes(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::PublishSavepoint(..)))
}

#[test]
fn one_that_lets_the_job_go_on_is_a_copy_of_a_checkpoint() {
    let (mut bench, effects) = Bench::taken(AfterSavepoint::GoOn, 8);
    assert_eq!(confirmed(&effects), [Finality::GoesOn; 4]);
    assert!(publishes(&effects));
    assert_eq!(bench.status("here"), Some(SavepointStatus::InProgress), "it is not copied yet");
    bench.published(Ok(()));
    assert_eq!(bench.status("here"), Some(SavepointStatus::Completed));
    assert_eq!(bench.core.status, JobStatus::Running);
}

#[test]
fn its_checkpoint_stays_until_it_is_copied() {
    let (mut bench, _) = Bench::taken(AfterSavepoint::GoOn, 8);
    bench.begins_by_the_clock(9);
    for of in ALL {
        bench.acknowledge(of, 9, false);
    }
    bench.does(|core, now| core.on_metadata_stored(now, CheckpointId(9), Ok(())));
    let effects = bench.settled(9, Settled::Added(Revision(4)));
    assert!(!discards(&effects), "it is being copied");
    assert!(!discards(&bench.acknowledge(ALL[0], 8, false)), "a task tells it again");
    let effects = bench.published(Ok(()));
    assert!(discards(&effects), "nobody needs it any more");
}

#[test]
fn one_that_stops_the_job_is_its_last_checkpoint_and_the_job_waits_for_the_copy() {
    let (mut bench, effects) = Bench::taken(AfterSavepoint::Stop, 8);
    assert_eq!(confirmed(&effects), [Finality::Stopped; 4]);
    assert!(bench.core.checkpoints.is_final());
    for of in ALL {
        bench.is(attempt(of, u64::from(of.1) + 1), TaskExecutionState::Finished);
    }
    assert_eq!(bench.core.status, JobStatus::Running, "its state would go with it");
    bench.published(Err("the server is full"));
    assert_eq!(bench.status("here"), Some(SavepointStatus::InProgress));
    let again = Timer::PublishSavepoint(CheckpointId(8));
    assert!(publishes(&bench.does(|core, now| core.on_timer(now, again))));
    bench.published(Ok(()));
    assert_eq!(bench.core.status, JobStatus::Finished);
    assert_eq!(bench.status("here"), Some(SavepointStatus::Completed));
}

#[test]
fn a_later_term_copies_what_the_job_was_stopped_with() {
    let (bench, _) = Bench::taken(AfterSavepoint::Stop, 8);
    let completed = bench.core.checkpoints.completed.clone();
    let mut later = Bench::new(restarts(9));
    later.core.checkpoints = Checkpoints::recovered(completed, Revision(3));
    let effects = later.does(JobMasterCore::on_start);
    assert!(publishes(&effects));
    assert_eq!(later.status("here"), Some(SavepointStatus::InProgress));
    let restore = later.core.checkpoints.restored_state(vertex(0, 0), 2).expect("a part");
    assert!(restore.stopped, "it only has to learn that the job is over");
}

#[test]
fn one_that_comes_to_nothing_leaves_the_job_as_it_is() {
    for then in [AfterSavepoint::GoOn, AfterSavepoint::Stop] {
        let mut bench = Bench::taking(then, 8);
        let timeout = Timer::CheckpointTimeout(CheckpointId(8));
        let effects = bench.does(|core, now| core.on_timer(now, timeout));
        let told = effects.iter().filter(|effect| matches!(effect, Effect::Abort(..))).count();
        assert_eq!(told, 4, "a source that stopped goes on");
        assert!(matches!(bench.status("here"), Some(SavepointStatus::Failed(_))));
        assert_eq!(bench.core.status, JobStatus::Running);
        let effects = bench.wants("there", then);
        assert!(
            effects.iter().any(|effect| matches!(effect, Effect::Draw(..))),
            "another may begin"
        );
    }
}

#[test]
fn while_one_is_taken_no_other_checkpoint_begins() {
    let mut bench = Bench::taking(AfterSavepoint::Stop, 8);
    bench.now = bench.now + Duration::from_secs(2);
    let effects = bench.does(|core, now| {
        let period = core.checkpoints.period_now();
        core.on_timer(now, Timer::Trigger(period));
    });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Draw(..))), "{effects:?}");
}

#[test]
fn a_job_that_is_drained_ends_with_whichever_checkpoint_is_the_last() {
    let mut bench = Bench::running(restarts(9));
    let effects = bench.wants("here", AfterSavepoint::Drain);
    let drained = effects.iter().filter(|effect| matches!(effect, Effect::Drain(..))).count();
    assert_eq!(drained, 2, "each source");
    let effects = bench.begins_by_the_clock(8);
    assert_eq!(triggered(&effects), [false; 2]);
    for of in ALL {
        bench.acknowledge(of, 8, false);
    }
    bench.does(|core, now| core.on_metadata_stored(now, CheckpointId(8), Ok(())));
    let effects = bench.settled(8, Settled::Added(Revision(3)));
    assert!(!publishes(&effects), "a task was not at its end");
    let effects = bench.begins_by_the_clock(9);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Drain(..))), "a word may be lost");
    for of in ALL {
        bench.acknowledge(of, 9, true);
    }
    bench.does(|core, now| core.on_metadata_stored(now, CheckpointId(9), Ok(())));
    let effects = bench.settled(9, Settled::Added(Revision(4)));
    assert!(publishes(&effects));
    assert_eq!(confirmed(&effects), [Finality::Finished; 4]);
}

#[test]
fn a_job_that_restarts_takes_what_is_wanted_once_it_runs() {
    let mut bench = Bench::taking(AfterSavepoint::GoOn, 8);
    bench.wants("there", AfterSavepoint::GoOn);
    bench.is(attempt((1, 0), 1), failed());
    assert!(matches!(bench.status("here"), Some(SavepointStatus::Failed(_))), "it was being taken");
    assert_eq!(bench.status("there"), Some(SavepointStatus::InProgress));
}

#[test]
fn what_is_asked_twice_is_taken_once_and_a_job_that_ends_takes_none() {
    let mut bench = Bench::taking(AfterSavepoint::Stop, 8);
    let effects = bench.wants("here", AfterSavepoint::Stop);
    assert!(effects.is_empty(), "{effects:?}");
    let other = bench.core.on_savepoint(request("there", AfterSavepoint::Stop));
    assert!(matches!(other, SavepointStatus::Failed(why) if why.contains("here")));
    bench.does(JobMasterCore::on_cancel);
    let late = bench.core.on_savepoint(request("late", AfterSavepoint::GoOn));
    assert!(matches!(late, SavepointStatus::Failed(_)));
    assert!(matches!(bench.status("here"), Some(SavepointStatus::Failed(_))));
}
