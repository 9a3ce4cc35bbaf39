//! How many calls in a row found nobody at a target, for the invariants of losses.

use crate::{harness::event::Moment, system::heartbeat::HeartbeatEvent};

/// What calls over one session have found.
#[derive(Default)]
pub struct CallsInARow {
    nobody: u32,
    /// The connection has broken, and no call has been answered since.
    suspected: bool,
    too_many: Option<Moment>,
}

impl CallsInARow {
    /// Takes an event of the session in.
    pub fn observe(&mut self, at: Moment, event: &HeartbeatEvent, threshold: u32) {
        match event {
            HeartbeatEvent::ConnectionBroken { .. } => self.suspected = true,
            HeartbeatEvent::CallAnswered { .. } => (self.nobody, self.suspected) = (0, false),
            HeartbeatEvent::CallFoundNobody { .. } => {
                self.nobody += 1;
                if self.suspected || self.nobody >= threshold {
                    self.too_many.get_or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// When there was first one too many: so many in a row, or one after the connection broke.
    pub fn too_many(&self) -> Option<Moment> {
        self.too_many
    }
}
