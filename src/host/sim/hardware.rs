//! What happens to machines and to the processes on them.

use crate::host::Evidence;

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProcessEnd {
    /// It was killed; the machine stays up and its page cache is kept.
    Killed,
    /// The machine lost power: silence, and unsynced writes may be lost or torn.
    PowerCut,
    /// It ended itself.
    Exited {
        /// Why.
        reason: String,
    },
    /// A task of it panicked.
    Panicked {
        /// The panic's message and place.
        message: String,
    },
}

/// An event of the hardware.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hardware {
    /// A new incarnation of the process began.
    Booted,
    /// The process ended.
    Ended(ProcessEnd),
    /// The process stands still; its timers and its inbox go on.
    Paused,
    /// It goes on.
    Resumed,
    /// The process stands still for a slice of time, or its slice is over.
    Stalled(bool),
    /// A task holds its thread for a while, as a function does that computes or waits. Short times are no event.
    ThreadHeld {
        /// For so many nanoseconds of the machine's clock.
        nanos: u64,
        /// How many other tasks that thread has: each waits as long.
        others: usize,
    },
    /// The clock drifts from now on.
    Drift {
        /// Parts in a million gained.
        per_million: i64,
    },
    /// The wall clock was stepped.
    WallStepped {
        /// By so many nanoseconds.
        nanos: i64,
    },
}

crate::event!(Hardware, |_| Evidence::Hardware);
