//! How long the cluster may take while faults last.

use crate::system::ids::JobId;
use std::{collections::BTreeMap, time::Duration};

/// The bounds that invariants check by. Each is read on the clock of the node that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeBounds {
    /// The time-out of a job's checkpoints, unless it has one of its own.
    pub checkpoint_timeout: Duration,
    /// The time-outs of the checkpoints of jobs.
    pub checkpoint_timeouts: BTreeMap<JobId, Duration>,
    /// How long a session's lease lives.
    pub session_timeout: Duration,
    /// How long a peer may send no beat before it is lost.
    pub heartbeat_timeout: Duration,
    /// How many calls in a row that find nobody at a peer lose it.
    pub unreachable_threshold: u32,
    /// What a checkpoint may take beyond its time-out.
    pub checkpoint: Duration,
    /// How long a checkpoint may keep a job waiting that restarts or ends.
    pub failover: Duration,
    /// From the acknowledgement of a cancellation to the job's result.
    pub cancellation: Duration,
    /// How long an object may stay that a checkpoint has left which came to nothing, while the job completes others.
    pub left_objects: Duration,
    /// How long a job that runs may be without another complete checkpoint, beyond its interval or pause.
    pub next_checkpoint: Option<Duration>,
}

impl Default for TimeBounds {
    /// 10 s for a checkpoint and 2 s more, 6 s for a lease, 5 s or two calls for a peer that is not there, 4 s for a failover, 15 s
    /// for a cancellation, 20 s for an object that is left, none for the next checkpoint.
    fn default() -> Self {
        TimeBounds {
            checkpoint_timeout: Duration::from_secs(10),
            checkpoint_timeouts: BTreeMap::new(),
            session_timeout: Duration::from_secs(6),
            heartbeat_timeout: Duration::from_secs(5),
            unreachable_threshold: 2,
            checkpoint: Duration::from_secs(2),
            failover: Duration::from_secs(4),
            cancellation: Duration::from_secs(15),
            left_objects: Duration::from_secs(20),
            next_checkpoint: None,
        }
    }
}

impl TimeBounds {
    /// The time-out of a job's checkpoints.
    pub fn checkpoint_timeout_of(&self, job: JobId) -> Duration {
        self.checkpoint_timeouts.get(&job).copied().unwrap_or(self.checkpoint_timeout)
    }
}
