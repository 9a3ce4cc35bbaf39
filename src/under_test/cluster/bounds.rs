//! How long the cluster may take while faults last.

use std::time::Duration;

/// The bounds that invariants check by. Each is read on the clock of the node that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// The time-out of the job's checkpoints.
    pub checkpoint_timeout: Duration,
    /// How long a session's lease lives.
    pub session_timeout: Duration,
    /// What a checkpoint may take beyond its time-out.
    pub checkpoint: Duration,
    /// How long a checkpoint may keep a job waiting that restarts or ends.
    pub failover: Duration,
    /// From the acknowledgement of a cancellation to the job's result.
    pub cancellation: Duration,
}

impl Default for TimeBounds {
    /// 10 s for a checkpoint and 2 s more, 6 s for a lease, 4 s for a failover, 15 s for a cancellation.
    fn default() -> Self {
        TimeBounds {
            checkpoint_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(6),
            checkpoint: Duration::from_secs(2),
            failover: Duration::from_secs(4),
            cancellation: Duration::from_secs(15),
        }
    }
}
