//! The requests of a front end that wait for what becomes of them.

use super::{
    FrontEndConfig,
    blocking_map::BlockingMap,
    event::{Ending, FrontEndEvent},
    event_id::EventId,
    message::ServiceResponse,
};
use crate::{
    host::Host,
    system::{sabotage, service::log::LogRefusal},
};
use futures::channel::oneshot;

/// What becomes of a request that waits.
pub(super) enum Outcome {
    /// Its response.
    Response(ServiceResponse),
    /// The log refuses it.
    Refused(LogRefusal),
}

/// Those that wait, of one life of a front end.
pub(super) struct InFlight {
    pub host: Host,
    pub config: FrontEndConfig,
    pub incarnation: u64,
    pub waiting: BlockingMap<EventId, oneshot::Sender<Outcome>>,
}

impl InFlight {
    /// Nothing waits.
    pub fn new(host: &Host, incarnation: u64, config: FrontEndConfig) -> Self {
        let capacity = match host.sabotaged(sabotage::CAPACITY_NOT_KEPT) {
            true => usize::MAX,
            false => config.capacity,
        };
        let waiting = BlockingMap::new(capacity, config.waiting_max);
        InFlight { host: host.clone(), config, incarnation, waiting }
    }

    /// The request of a number.
    pub fn id(&self, number: u64) -> EventId {
        EventId { slot: self.config.slot, incarnation: self.incarnation, number }
    }

    /// Removes an entry. Who gets what waited there decides how the request ends, and nobody else.
    pub fn end(&self, id: EventId, how: Ending) -> Option<oneshot::Sender<Outcome>> {
        let waits = self.waiting.remove(&id)?;
        let in_flight = self.waiting.len();
        self.host.announce(&FrontEndEvent::RequestEnded { id, how, in_flight });
        Some(waits)
    }
}
