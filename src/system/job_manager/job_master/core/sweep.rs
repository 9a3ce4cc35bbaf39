//! Removes what checkpoints have left that came to nothing: parts and files whose tasks died before they told of them, those
//! of masters that died, and those whose deletion nobody answered.
//!
//! Every name carries the checkpoint for which it was written, and ids only grow. What was written for one that is older
//! than the newest complete one is for nobody, unless a checkpoint that is kept has it, or one under way may name it:
//! nothing older completes any more, in this term or another. A task that knows less may still name such a file; its part is
//! refused, as with any file that is gone ([`shared`](super::shared)). What is written for an old checkpoint later than this
//! look is found by the next one.

use super::{Effect, JobMasterCore};
use crate::{
    host::Instant,
    system::{ids::CheckpointId, job_manager::event::JobEvent, sabotage, store::object_prefix},
};
use std::time::Duration;

/// From one look to the next at least; a checkpoint is complete before each.
const PAUSE: Duration = Duration::from_secs(5);

/// For which checkpoint an object of a job was written, by its name below the job's prefix; `None` when it is of none.
fn written_for(name: &str) -> Option<CheckpointId> {
    let id = match name.strip_prefix("chk-") {
        Some(of_checkpoint) => of_checkpoint.split_once('/')?.0,
        None => name.strip_prefix("shared/")?.rsplit_once('-')?.1,
    };
    id.parse().ok().map(CheckpointId)
}

impl JobMasterCore {
    /// A checkpoint is complete: looks for what is left of older ones, unless that was done just now.
    pub(super) fn sweep(&mut self, now: Instant) {
        let is_due =
            self.checkpoints.swept.is_none_or(|before| now.saturating_since(before) >= PAUSE);
        if is_due && !self.switches.on(sabotage::LEFT_OBJECTS_STAY) {
            self.checkpoints.swept = Some(now);
            self.does(Effect::ListObjects);
        }
    }

    /// These objects of the job are there, of those that were when it was asked.
    pub fn on_objects_listed(&mut self, objects: Vec<String>) {
        let Some(newest) = self.checkpoints.newest() else { return };
        let own = object_prefix(self.id());
        let named = self.named();
        let is_left = |object: &String| {
            let name = object.strip_prefix(&own);
            let Some(of) = name.and_then(written_for).filter(|of| *of < newest) else {
                return false;
            };
            let is_kept = self.checkpoints.completed.iter().any(|kept| kept.id == of)
                || self.savepoints.uses(of);
            let in_folder = name.is_some_and(|name| name.starts_with("chk-"));
            let may_be_named =
                named.contains(object.as_str()) || self.checkpoints.may_be_named(object);
            match in_folder {
                true => !is_kept,
                false => !may_be_named || self.switches.on(sabotage::FILES_IN_USE_SWEPT),
            }
        };
        let left: Vec<String> = objects.into_iter().filter(is_left).collect();
        if !left.is_empty() {
            let (job, objects) = (self.id(), left.clone());
            self.announce(JobEvent::LeftObjectsFound { job, objects });
            self.does(Effect::Discard(left));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_for_which_checkpoint_it_was_written() {
        let of = |name: &str| written_for(name).map(|id| id.0);
        assert_eq!(of("chk-12/0-1-7"), Some(12));
        assert_eq!(of("chk-12/metadata"), Some(12));
        assert_eq!(of("shared/00000000000000ff-0000000003-9"), Some(9));
        for other in ["chk-12", "sink-0/part-3", "shared/x", "files/a-3", "shared/a-b"] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
