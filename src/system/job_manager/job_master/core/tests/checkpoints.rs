//! Checkpoints: begun, stored, given up.

use super::*;

#[test]
fn checkpoints_wait_until_all_regions_run_again() {
    let mut bench = Bench::pending(restarts(9), 8);
    let effects = bench.is(attempt((1, 1), 2), failed());
    let aborted =
        |effect: &Effect| matches!(effect, Effect::Announce(JobEvent::CheckpointAborted { .. }));
    assert!(effects.iter().any(aborted));
    // What an attempt of the other region still says of it is late.
    let effects = bench.acknowledge((0, 0), 8, false);
    assert!(effects.contains(&Effect::Notice(Notice::LateAcknowledgement(CheckpointId(8)))));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Discard(_))));
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let due = |bench: &mut Bench| {
        let period = bench.core.checkpoints.period_now();
        bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)))
    };
    let triggers = |effects: &[Effect]| {
        let trigger = |e: &Effect| matches!(e, Effect::Schedule(_, Timer::Trigger(_)));
        effects.iter().any(trigger)
    };
    bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    let effects = bench.drawn(Draw::Epochs(vec![(1, 1)]), 3);
    assert!(!triggers(&effects), "it is deployed and does not run yet");
    let effects = bench.is(attempt((0, 1), 3), TaskExecutionState::Running);
    assert!(!triggers(&effects), "one task does not run yet");
    let effects = bench.is(attempt((1, 1), 3), TaskExecutionState::Running);
    assert!(triggers(&effects), "{effects:?}");
    assert!(matches!(due(&mut bench)[..], [Effect::Draw(Draw::Checkpoint(_), 1), _]));
}

#[test]
fn the_least_pause_between_checkpoints_is_kept() {
    let settings = CheckpointSettings {
        interval_ms: 2_000,
        min_pause_ms: 1_000,
        ..CheckpointSettings::default()
    };
    let mut bench = Bench::of(job_with(restarts(9), settings));
    bench.run_two_regions();
    let period = bench.core.checkpoints.period_now();
    let due =
        |bench: &mut Bench| bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)));
    due(&mut bench);
    bench.drawn(Draw::Checkpoint(period), 8);
    bench.now = bench.now + Duration::from_millis(1_990);
    let timed_out = |core: &mut JobMasterCore, now| {
        core.on_timer(now, Timer::CheckpointTimeout(CheckpointId(8)));
    };
    bench.does(timed_out);
    bench.now = bench.now + Duration::from_millis(10);
    let wait = Duration::from_millis(990);
    assert_eq!(due(&mut bench), [Effect::Schedule(wait, Timer::Trigger(period))]);
    bench.now = bench.now + wait;
    assert!(matches!(due(&mut bench)[..], [Effect::Draw(Draw::Checkpoint(_), 1), _]));
}

#[test]
fn a_checkpoint_does_not_begin_too_soon_after_one_that_ended_while_its_id_was_drawn() {
    let settings = CheckpointSettings {
        interval_ms: 2_000,
        min_pause_ms: 1_000,
        max_concurrent: 2,
        ..CheckpointSettings::default()
    };
    let mut bench = Bench::of(job_with(restarts(9), settings));
    bench.run_two_regions();
    let period = bench.core.checkpoints.period_now();
    for id in [8, 9] {
        bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)));
        if id == 9 {
            let timed_out = |core: &mut JobMasterCore, now| {
                core.on_timer(now, Timer::CheckpointTimeout(CheckpointId(8)));
            };
            bench.does(timed_out);
        }
        bench.drawn(Draw::Checkpoint(period), id);
    }
    assert_eq!(bench.core.checkpoints.pending.len(), 0, "that one does not begin");
}

#[test]
fn a_checkpoint_is_told_of_only_when_its_pointer_stands() {
    let mut bench = Bench::storing(restarts(9), 8, false);
    let effects = bench.settled(8, Settled::Added(Revision(3)));
    let confirmed = effects.iter().filter(|effect| matches!(effect, Effect::Confirm(..))).count();
    assert_eq!(confirmed, 4);
    assert_eq!(bench.core.checkpoints.newest(), Some(CheckpointId(8)));
    // The fence's answer, or a repeat, finds it decided.
    assert_eq!(bench.settled(8, Settled::Fenced(Revision(4))), []);
}

#[test]
fn a_region_does_not_begin_anew_while_a_pointer_is_under_way() {
    let mut bench = Bench::storing(restarts(9), 8, false);
    bench.is(attempt((1, 1), 2), failed());
    bench.is(attempt((0, 1), 2), TaskExecutionState::Canceled);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    let waits = Effect::Notice(Notice::DeploymentWaitsForStoring);
    assert_eq!(effects, [waits], "what it begins from is not known");
    let grace = Timer::StoringGrace(CheckpointId(8));
    let effects = bench.does(|core, now| core.on_timer(now, grace));
    assert!(effects.contains(&Effect::FencePointer(Revision::default(), CheckpointId(8), None)));
    let effects = bench.settled(8, Settled::Fenced(Revision(4)));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Draw(Draw::Epochs(_), 1))));
    assert_eq!(bench.core.checkpoints.newest(), None);
}

#[test]
fn after_the_final_checkpoint_a_failure_restarts_all() {
    let mut bench = Bench::storing(restarts(0), 8, true);
    bench.settled(8, Settled::Added(Revision(3)));
    bench.is(attempt((0, 0), 1), TaskExecutionState::Finished);
    bench.is(attempt((1, 0), 1), TaskExecutionState::Finished);
    // No restart is left, but the job has nothing left but to finish.
    let effects = bench.is(attempt((1, 1), 2), failed());
    assert_eq!(canceled(&effects), [attempt((0, 1), 2)]);
    assert_eq!(counted(&effects), [(vec![attempt((1, 1), 2)], true)]);
    let effects = bench.does(|core, now| core.on_timer(now, Timer::Restart(1)));
    assert!(matches!(effects[..], [Effect::Draw(Draw::Epochs(_), 1)]), "{effects:?}");
    assert!(bench.core.regions.iter().all(|region| region.delay.is_none()));
}

#[test]
fn after_the_final_checkpoint_a_late_failure_takes_nothing_more_along() {
    let mut bench = Bench::storing(restarts(9), 8, true);
    bench.settled(8, Settled::Fenced(Revision(3)));
    assert_eq!(bench.core.checkpoints.newest(), None, "that one came to nothing");
    bench.is(attempt((1, 1), 2), failed());
    // While its region is being ended the other one's final part comes: nothing of that is stored yet, and
    // what fails in the region that is ending is no failure of the job.
    bench.core.checkpoints.completed.push(CompletedCheckpoint {
        id: CheckpointId(9),
        states: vec![],
        last: true,
        savepoint: None,
    });
    let effects = bench.is(attempt((0, 1), 2), failed());
    assert_eq!(counted(&effects), []);
    assert_eq!(canceled(&effects), []);
    let stages: Vec<Stage> = bench.core.regions.iter().map(|region| region.stage).collect();
    assert_eq!(stages, [Stage::Deployed, Stage::Waiting]);
}

#[test]
fn only_checkpoints_that_fail_in_a_row_add_up_to_a_failure_of_the_job() {
    let bears_one =
        CheckpointSettings { tolerable_failures: Some(1), ..CheckpointSettings::default() };
    let mut bench = Bench::of(job_with(restarts(9), bears_one));
    bench.run_two_regions();
    let due = |bench: &mut Bench, id, completes: bool| {
        let period = bench.core.checkpoints.period_now();
        bench.does(|core, now| core.on_timer(now, Timer::Trigger(period)));
        bench.drawn(Draw::Checkpoint(period), id);
        if completes {
            for of in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                bench.acknowledge(of, id, false);
            }
            bench.does(|core, now| core.on_metadata_stored(now, CheckpointId(id), Ok(())));
            return bench.settled(id, Settled::Added(Revision(id)));
        }
        bench.does(|core, now| core.on_timer(now, Timer::CheckpointTimeout(CheckpointId(id))))
    };
    assert_eq!(counted(&due(&mut bench, 8, false)), [], "it is borne");
    due(&mut bench, 9, true);
    assert_eq!(bench.core.checkpoints.newest(), Some(CheckpointId(9)));
    assert_eq!(counted(&due(&mut bench, 10, false)), [], "one has completed between them");
    assert_eq!(counted(&due(&mut bench, 11, false)), [(vec![], true)], "two in a row");
}
