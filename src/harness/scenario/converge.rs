//! `[converge]`: how long a healed cluster may take.

use super::{
    DurationRange, Reader, Term, Writer,
    error::Mistakes,
    settings::{Bounds, Setting, Settings, fixed, maybe_time, settings},
};
use crate::host::{Draws, name_hash};
use std::time::Duration;

settings! {
    /// The bounds of convergence, each counted from the moment at which all faults are lifted.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ConvergeSpec {
        converge {
            "within" within: DurationRange = fixed("0s", "600m", "60s"), "How long after the faults anything may take that has no bound of its own.";
            "leaders" leaders: Option<DurationRange> = maybe_time("0s", "600m"), "Until each kind of leader is one, published and known to all.";
            "tasks" tasks: Option<DurationRange> = maybe_time("0s", "600m"), "Until all tasks of the job run, or it has ended.";
            "checkpoint" checkpoint: Option<DurationRange> = maybe_time("0s", "600m"), "Until a checkpoint is complete that began after the faults, or the job has ended.";
            "job" job: Option<DurationRange> = maybe_time("0s", "600m"), "Until the job has ended and its client knows; of a journal, until its clients are done.";
            "leftovers" leftovers: Option<DurationRange> = maybe_time("0s", "600m"), "From the job's end until nothing is left of it but its result.";
        }
    }
}

impl ConvergeSpec {
    /// A bound of its own, or that of all.
    pub fn bound(&self, own: Option<DurationRange>) -> Duration {
        own.unwrap_or(self.within).one()
    }
}
