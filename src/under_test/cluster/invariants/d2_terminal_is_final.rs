//! D2: once a job has a durable result, that result stays as it is (dirty becomes clean, no more), and
//! nothing that would run the job again becomes durable: no graph, no leader, no checkpoint. Judged on
//! the coordination server's log.
//!
//! Not promised: that no master *says* that it schedules. One whose term is over may do so before it
//! learns of it, without effect.

use super::{
    Check, ClusterInvariant,
    stored::{Kept, Moved, StoredPart, moved},
};
use crate::{
    harness::event::Moment,
    system::{ids::JobId, store, store::StoredResult},
    under_test::cluster::{EventKind, EventRef, Model, plain},
};

/// Needs no memory: the model knows the results.
#[derive(Default)]
pub struct TerminalIsFinal;

impl ClusterInvariant for TerminalIsFinal {
    fn title(&self) -> &'static str {
        "D2 terminal-is-final"
    }

    fn promise(&self) -> &'static str {
        "a durable result never changes, and its job is never led or checkpointed again"
    }

    fn event_kinds(&self) -> &'static [EventKind] {
        &[EventKind::Coordination]
    }

    fn observe(&mut self, at: Moment, seen: EventRef<'_>, model: &Model) -> Check {
        let EventRef::Coordination(event) = seen else { return Check::Ignored };
        let judged = moved(event, model).into_iter().map(|moved| check(at, moved, model));
        judged.fold(Check::Ignored, Check::and)
    }
}

fn check(at: Moment, moved: Moved<'_>, model: &Model) -> Check {
    let ended = || model.keys.contains_key(&store::result_key(moved.job));
    match moved.kept {
        Kept::Stored(StoredPart::Result) => judge_result(at, moved.job, moved.before, moved.after),
        Kept::Stored(StoredPart::Graph) | Kept::Latch | Kept::Stored(StoredPart::Pointer(_))
            if moved.after.is_some() && ended() =>
        {
            Check::broken(
                format!("{:?} has a durable result", moved.job),
                format!("{at}: its {:?} is written", moved.kept),
            )
        }
        _ => Check::Ignored,
    }
}

fn judge_result(at: Moment, job: JobId, before: Option<&[u8]>, after: Option<&[u8]>) -> Check {
    let decode = |value: &[u8]| postcard::from_bytes::<StoredResult>(value).ok();
    let (old, new) = (before.and_then(decode), after.and_then(decode));
    let sound = match (&old, &new) {
        (None, Some(new)) => before.is_none() && plain::is_end(new.result.status),
        (Some(old), Some(new)) => old.result == new.result && (old.dirty || !new.dirty),
        (_, None) => false,
    };
    Check::that(sound, || (format!("the result of {job:?} is {old:?}"), format!("{at}: {new:?}")))
}

#[cfg(test)]
mod tests {
    use super::{super::testing_jobs::*, TerminalIsFinal};

    fn finished() -> History<TerminalIsFinal> {
        History::new()
            .holds(process(0, 1), committed(1, vec![graph(), job_latch(1), pointer(3)]))
            .holds(process(0, 1), committed(2, vec![result(true, JobStatus::Finished)]))
    }

    #[test]
    fn a_result_that_becomes_clean_is_accepted() {
        finished()
            .holds(process(0, 1), committed(3, vec![no_pointer(3), no_graph()]))
            .holds(process(0, 2), recovered(4, vec![result(false, JobStatus::Finished)]));
    }

    #[test]
    fn a_changed_removed_or_dirtied_result_is_refused() {
        finished().breaks(process(0, 1), committed(3, vec![result(true, JobStatus::Failed)]));
        finished().breaks(process(0, 2), recovered(3, vec![graph()]));
        finished()
            .holds(process(0, 1), committed(3, vec![result(false, JobStatus::Finished)]))
            .breaks(process(0, 1), committed(4, vec![result(true, JobStatus::Finished)]));
    }

    #[test]
    fn a_result_that_is_no_end_is_refused() {
        History::<TerminalIsFinal>::new()
            .breaks(process(0, 1), committed(1, vec![result(true, JobStatus::Suspended)]));
    }

    #[test]
    fn what_runs_an_ended_job_again_is_refused() {
        finished().breaks(process(0, 1), committed(3, vec![job_latch(2)]));
        finished().breaks(process(0, 1), committed(3, vec![pointer(4)]));
        finished().breaks(process(0, 1), committed(3, vec![graph()]));
    }
}
