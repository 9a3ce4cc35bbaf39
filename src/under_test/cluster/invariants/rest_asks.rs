//! When readers of REST asked for what they are told.

use super::Check;
use crate::{
    harness::{check::Clocks, event::Moment},
    host::sim::NodeId,
    under_test::cluster::{EventRef, rest_reader::RestEvent},
};
use std::{collections::BTreeMap, time::Duration};

/// The last question of each reader, and how clocks go.
#[derive(Default)]
pub struct RestAsks {
    /// How clocks go.
    pub clocks: Clocks,
    asked: BTreeMap<(NodeId, u64), (u64, Duration)>,
}

impl RestAsks {
    /// Takes a question or an event of the hardware in.
    pub fn observe(&mut self, at: Moment, seen: EventRef<'_>) {
        match seen {
            EventRef::Rest(RestEvent::Asking { ask, .. }) => {
                self.asked.insert(at.process, (*ask, at.time));
            }
            EventRef::Hardware(event) => self.clocks.observe(at, event),
            _ => {}
        }
    }

    /// When it was asked what is answered now.
    ///
    /// # Errors
    /// A broken check, where it never was.
    pub fn asked(&self, at: Moment, ask: u64) -> Result<Duration, Check> {
        match self.asked.get(&at.process) {
            Some((of, asked)) if *of == ask => Ok(*asked),
            _ => Err(Check::broken(
                "what is answered was asked".to_string(),
                format!("{at}: the answer to {ask}"),
            )),
        }
    }

    /// How long in true time an age may be, which is told in whole milliseconds of a web monitor's clock.
    pub fn age_most(&self, age_ms: u64) -> Duration {
        self.clocks.stretched_most(Duration::from_millis(age_ms + 1))
    }

    /// Since when it may have been so what an answer of this age tells. Whose clock is slow believes in its lease
    /// for longer than whoever leads next.
    pub fn since(&self, asked: Duration, age_ms: u64, lease: Duration) -> Duration {
        let outbelieved = self.clocks.stretched_most(lease) - lease;
        asked.saturating_sub(self.age_most(age_ms) + outbelieved)
    }
}
