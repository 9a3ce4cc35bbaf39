//! The events of windows. All of them are self-reports.

use super::Window;
use crate::{
    host::Evidence,
    system::ids::{CheckpointId, ExecutionAttemptId},
};

/// An event of a task's windows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum WindowEvent {
    /// A window has fired.
    Fired {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// The window.
        window: Window,
        /// The checkpoint from which the attempt began; `None`: from nothing.
        restored: Option<CheckpointId>,
    },
    /// Windows have become one.
    Merged {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// What they have become.
        window: Window,
        /// How many they were.
        count: usize,
    },
    /// A record has come when all its windows were gone.
    LateRecord {
        /// The attempt.
        attempt: ExecutionAttemptId,
        /// Whether it goes to a side output; else it is dropped.
        side_output: bool,
    },
}

crate::event!(WindowEvent, |_| Evidence::SelfReport);
