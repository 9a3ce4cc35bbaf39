//! `[meanwhile]`: how long the cluster may take while faults last.

use super::{
    DurationRange, Reader, Term, Writer,
    error::Mistakes,
    settings::{Bounds, Setting, Settings, fixed, settings},
};
use crate::host::{Draws, name_hash};

settings! {
    /// Bounds that hold also under faults, each read on the clock of the node that waits.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    MeanwhileSpec {
        meanwhile {
            "checkpoint" checkpoint: DurationRange = fixed("0s", "60m", "2s"), "What a checkpoint may take beyond its time-out.";
            "failover" failover: DurationRange = fixed("3s", "60m", "4s"), "How long a checkpoint may keep a job waiting that restarts or ends.";
            "cancellation" cancellation: DurationRange = fixed("0s", "60m", "15s"), "From the acknowledgement of a cancellation to the job's result, under leaders that stay.";
        }
    }
}
