//! What the simulated hardware says: every system's histories, reports and milestones know it.

use super::kind::Reported;
use crate::host::sim::{Hardware, ProcessEnd};

impl Reported for Hardware {
    const KIND: &'static str = "hardware";

    fn is_kept(&self) -> bool {
        !matches!(self, Hardware::Stalled(_))
    }

    fn in_words(&self) -> Option<String> {
        match self {
            Hardware::Booted => Some("booted".to_string()),
            Hardware::Ended(ProcessEnd::Exited { reason }) => Some(format!("exited: {reason}")),
            Hardware::Ended(ProcessEnd::Panicked { message }) => {
                Some(format!("panicked: {message}"))
            }
            Hardware::Ended(end) => Some(end_name(end).to_string()),
            Hardware::Paused => Some("paused".to_string()),
            Hardware::Resumed => Some("resumed".to_string()),
            Hardware::ThreadHeld { nanos, .. } => {
                let held = std::time::Duration::from_nanos(*nanos);
                Some(format!("a thread is held for {held:.1?}"))
            }
            Hardware::Stalled(_) | Hardware::Drift { .. } | Hardware::WallStepped { .. } => None,
        }
    }
}

/// How a process ended, in a word or two.
pub fn end_name(end: &ProcessEnd) -> &'static str {
    match end {
        ProcessEnd::Killed => "killed",
        ProcessEnd::PowerCut => "power cut",
        ProcessEnd::Exited { .. } => "exited",
        ProcessEnd::Panicked { .. } => "panicked",
    }
}

crate::milestones! {
    /// Those that every system can reach.
    pub OF_PROCESSES: Hardware {
        "process-restarted" = at, Hardware::Booted if at.process.1 > 1, "A process began that is not its node's first.";
        "thread-held" = _, Hardware::ThreadHeld { .. }, "A function held its thread for 100 ms or longer.";
        "process-exited" = _, Hardware::Ended(ProcessEnd::Exited { .. }), "A process ended itself.";
    }
}
