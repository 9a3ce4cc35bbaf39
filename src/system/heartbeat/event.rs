//! What this layer announces.

use super::HeartbeatSession;
use crate::host::Evidence;

/// An event of the heartbeat layer. All of them are self-reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HeartbeatEvent {
    /// A target is monitored from here on.
    TargetMonitored {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is watched.
        session: HeartbeatSession,
    },
    /// The target is no longer monitored; no notice of this session comes any more.
    TargetUnmonitored {
        /// The resource that monitored it.
        by: String,
        /// The target.
        id: String,
        /// The session that was watched.
        session: HeartbeatSession,
    },
    /// A beat of the target came.
    BeatReceived {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is watched.
        session: HeartbeatSession,
    },
    /// The connection to a target has broken: a beat finds out what that means.
    ConnectionBroken {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is watched.
        session: HeartbeatSession,
    },
    /// No beat came for the time-out.
    TimedOut {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is lost.
        session: HeartbeatSession,
    },
    /// Too many calls in a row found nobody there.
    Unreachable {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is lost.
        session: HeartbeatSession,
    },
    /// A call found nobody there.
    CallFoundNobody {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is watched.
        session: HeartbeatSession,
    },
    /// The target has answered a call again, after one that found nobody or a connection that broke.
    CallAnswered {
        /// The resource that monitors it.
        by: String,
        /// The target.
        id: String,
        /// The session that is watched.
        session: HeartbeatSession,
    },
}

crate::event!(HeartbeatEvent, |_| Evidence::SelfReport);
