//! Reads the responses of one front end, and gives each to the request that waits for it.

use super::{
    event::{Ending, FrontEndEvent},
    front_end::{Outcome, Shared},
    message::ServiceResponse,
};
use crate::system::service::log::{Log, READ_WAIT_MAX};
use std::sync::Arc;

/// Responses of one read at most.
const RECORDS_MAX: u32 = 1024;

/// Reads from that offset on, for as long as it is polled.
pub(super) async fn read_responses(shared: Arc<Shared>, log: Arc<dyn Log>, mut offset: u64) {
    let (topic, slot) = (&shared.config.responses, shared.config.slot);
    loop {
        let read = log.read_until_acknowledged(topic, slot, offset, RECORDS_MAX, READ_WAIT_MAX);
        let batch = match read.await {
            Ok(batch) => batch,
            Err(refusal) => {
                tracing::warn!(%refusal, "responses can't be read");
                shared.host.sleep(log.retry_delay()).await;
                continue;
            }
        };
        offset += batch.records.len() as u64;
        for record in &batch.records {
            match ServiceResponse::decode(record) {
                Ok(response) => give(&shared, response),
                // Anybody can write to a topic.
                Err(error) => tracing::warn!(%error, "what is no response is skipped"),
            }
        }
    }
}

fn give(shared: &Shared, response: ServiceResponse) {
    let id = response.id;
    if (id.slot, id.incarnation) != (shared.config.slot, shared.incarnation) {
        return shared.host.announce(&FrontEndEvent::ForeignResponse { id });
    }
    match shared.end(id, Ending::Answered) {
        // Its connection may have ended since.
        Some(waits) => drop(waits.send(Outcome::Response(response))),
        None => shared.host.announce(&FrontEndEvent::LateResponse { id }),
    }
}
