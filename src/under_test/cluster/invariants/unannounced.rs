//! Which calls a server may have made durable without announcing it.
//!
//! A server writes one batch of calls at a time and announces it after its sync. What it had synced when
//! it died came in after the batch before that one began, so after the last announcement but one. If it
//! died within the very step of an announcement, a part of that batch is unannounced too, and that came
//! in after the last announcement but two.

use super::Check;
use crate::{
    harness::event::Moment,
    host::{Kind, sim::NodeId},
};
use std::{collections::BTreeSet, time::Duration};

/// The calls that a server's present life handled since its last announcement but two.
#[derive(Default)]
pub struct Unannounced {
    since_last: BTreeSet<&'static str>,
    since_last_but_one: BTreeSet<&'static str>,
    since_last_but_two: BTreeSet<&'static str>,
    /// When the last announcement was, and by whom.
    announced: Option<(Duration, (NodeId, u64))>,
    /// Whether the life that made it ended within that step.
    cut_short: bool,
}

impl Unannounced {
    /// A call came in.
    pub fn handled(&mut self, kind: Kind) {
        self.since_last.insert(kind.name());
    }

    /// A batch was announced; all events of one instant are of one.
    pub fn announced(&mut self, at: Moment) {
        let now = (at.time, at.process);
        if self.announced.replace(now) != Some(now) {
            let last_but_one = std::mem::take(&mut self.since_last);
            self.since_last_but_two = std::mem::replace(&mut self.since_last_but_one, last_but_one);
        }
    }

    /// A process ended.
    pub fn ended(&mut self, at: Moment) -> Check {
        self.cut_short |= self.announced == Some((at.time, at.process));
        Check::Ignored
    }

    /// Whether a call of one of these kinds may be durable.
    pub fn may_have(&self, kinds: &[&str]) -> bool {
        let known = |kind: &&str| {
            self.since_last.contains(*kind)
                || self.since_last_but_one.contains(*kind)
                || self.cut_short && self.since_last_but_two.contains(*kind)
        };
        kinds.iter().any(known)
    }

    /// A new life of the server has recovered; a conflict is what stood and what it found instead.
    pub fn recovered(&mut self, at: Moment, conflict: Option<(String, String)>) -> Check {
        *self = Unannounced::default();
        match conflict {
            None => Check::Passed,
            Some((before, now)) => Check::broken(before, format!("{at}: recovered {now}")),
        }
    }
}
