//! The moments of the protocols that runs should reach, and on which triggers hang.

use super::history::Seen;
use crate::{
    host::sim::{Hardware, ProcessEnd},
    jobs::journal::{self, JournalEvent},
    system::{
        leadership::LeadershipEvent,
        service::coordination::{Change, CoordinationEvent, LeaseEnd},
    },
};
use std::fmt;

macro_rules! milestones {
    ($($name:ident = $text:literal, $doc:literal;)+) => {
        /// A moment of a protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Milestone {
            $(#[doc = $doc] $name,)+
        }

        impl Milestone {
            /// Every milestone.
            pub const ALL: &[Milestone] = &[$(Milestone::$name),+];

            /// The name used in files.
            pub fn name(self) -> &'static str {
                match self { $(Milestone::$name => $text),+ }
            }

            /// What it means, in a line.
            pub fn description(self) -> &'static str {
                match self { $(Milestone::$name => $doc),+ }
            }
        }
    };
}

milestones! {
    LatchTaken = "latch-taken", "The latch of the election was written durably.";
    LeaderGranted = "leader-granted", "A contender was told that it leads.";
    LeaderConfirmed = "leader-confirmed", "A contender's confirmation was accepted.";
    LeaderPublished = "leader-published", "The leader record was written durably.";
    LeaderRevoked = "leader-revoked", "A contender was told that it no longer leads.";
    LeaderUnknown = "leader-unknown", "A follower was told that the leader is unknown.";
    LeaderNotified = "leader-notified", "A follower was told who leads.";
    SessionConnected = "session-connected", "A client of the coordination service has a lease.";
    SessionSuspended = "session-suspended", "A client has no contact; its lease may live.";
    SessionReconnected = "session-reconnected", "A client has contact again within its lease.";
    SessionLost = "session-lost", "A client knows that its lease is over.";
    LeaseExpired = "lease-expired", "The coordination server let a lease expire.";
    CoordinationRecovered = "coordination-recovered", "The coordination server recovered from a disk that was not empty.";
    JournalServing = "journal-serving", "A journal leader has recovered and serves.";
    JournalRecovered = "journal-recovered", "A journal leader has recovered entries of an earlier one.";
    JournalWritten = "journal-written", "Lines were written durably.";
    JournalAcknowledged = "journal-acknowledged", "A client was told that lines stand.";
    ClientFinished = "client-finished", "A client has nothing more to send.";
    ProcessRestarted = "process-restarted", "A process began that is not its node's first.";
    ProcessExited = "process-exited", "A process ended itself.";
}

impl Milestone {
    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|milestone| milestone.name() == name)
    }

    /// The names that are understood, for messages.
    pub fn known() -> String {
        let names: Vec<String> = Self::ALL.iter().map(|m| format!("\"{}\"", m.name())).collect();
        format!("one of {}", names.join(", "))
    }

    /// The milestones that a fact is.
    pub fn of(incarnation: u64, seen: Seen<'_>) -> Vec<Milestone> {
        match seen {
            Seen::Hardware(event) => Self::of_hardware(incarnation, event).into_iter().collect(),
            Seen::Coordination(event) => Self::of_coordination(event),
            Seen::Leadership(event) => Self::of_leadership(event).into_iter().collect(),
            Seen::Journal(event) => Self::of_journal(event),
            _ => Vec::new(),
        }
    }

    fn of_hardware(incarnation: u64, event: &Hardware) -> Option<Milestone> {
        match event {
            Hardware::Booted if incarnation > 1 => Some(Milestone::ProcessRestarted),
            Hardware::Ended(ProcessEnd::Exited { .. }) => Some(Milestone::ProcessExited),
            _ => None,
        }
    }

    fn of_coordination(event: &CoordinationEvent) -> Vec<Milestone> {
        match event {
            CoordinationEvent::Recovered { keys, .. } if !keys.is_empty() => {
                vec![Milestone::CoordinationRecovered]
            }
            CoordinationEvent::Committed { changes, .. } => {
                let mut reached: Vec<Milestone> =
                    changes.iter().filter_map(Self::of_change).collect();
                reached.sort();
                reached.dedup();
                reached
            }
            CoordinationEvent::LeaseEnded { end: LeaseEnd::Expired, .. } => {
                vec![Milestone::LeaseExpired]
            }
            CoordinationEvent::SessionConnected { .. } => vec![Milestone::SessionConnected],
            CoordinationEvent::SessionSuspended { .. } => vec![Milestone::SessionSuspended],
            CoordinationEvent::SessionReconnected { .. } => vec![Milestone::SessionReconnected],
            CoordinationEvent::SessionLost { .. } => vec![Milestone::SessionLost],
            _ => Vec::new(),
        }
    }

    fn of_change(change: &Change) -> Option<Milestone> {
        let Change::Put { key, .. } = change else { return None };
        if key.starts_with("/election/") {
            let ends = |end| key.ends_with(end);
            return match () {
                () if ends("/latch") => Some(Milestone::LatchTaken),
                () if ends("/leader") => Some(Milestone::LeaderPublished),
                () => None,
            };
        }
        if *key == journal::TAIL_KEY { Some(Milestone::JournalWritten) } else { None }
    }

    fn of_leadership(event: &LeadershipEvent) -> Option<Milestone> {
        match event {
            LeadershipEvent::Granted { .. } => Some(Milestone::LeaderGranted),
            LeadershipEvent::Confirmed { .. } => Some(Milestone::LeaderConfirmed),
            LeadershipEvent::Revoked { .. } => Some(Milestone::LeaderRevoked),
            LeadershipEvent::LeaderNotified { leader: Some(_), .. } => {
                Some(Milestone::LeaderNotified)
            }
            LeadershipEvent::LeaderNotified { leader: None, .. } => Some(Milestone::LeaderUnknown),
            _ => None,
        }
    }

    fn of_journal(event: &JournalEvent) -> Vec<Milestone> {
        match event {
            JournalEvent::Serving { entries: 0 } => vec![Milestone::JournalServing],
            JournalEvent::Serving { .. } => {
                vec![Milestone::JournalServing, Milestone::JournalRecovered]
            }
            JournalEvent::Acknowledged { .. } => vec![Milestone::JournalAcknowledged],
            JournalEvent::ClientFinished { .. } => vec![Milestone::ClientFinished],
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
