//! Reads the responses of one front end, and gives each to the request that waits for it.

use super::{
    event::{Ending, FrontEndEvent},
    in_flight::{InFlight, Outcome},
    message::ServiceResponse,
};
use crate::system::{
    sabotage,
    service::log::{Log, LogRefusal},
};
use std::{sync::Arc, time::Duration};

/// How long the log keeps a read without news: if one is lost, nothing is heard for as long again.
const WAIT: Duration = Duration::from_secs(1);
/// Responses of one read at most.
const RECORDS_MAX: u32 = 1024;

/// Reads from that offset on, for as long as it is polled.
pub(super) async fn read_responses(in_flight: &InFlight, log: &Arc<dyn Log>, mut offset: u64) {
    let (topic, mut slot) = (&in_flight.config.responses, in_flight.config.slot);
    if in_flight.host.sabotaged(sabotage::RESPONSE_PARTITION_SHARED) {
        slot = 0;
    }
    if in_flight.host.sabotaged(sabotage::RESPONSES_FROM_THE_NEWEST) {
        in_flight.host.sleep(log.retry_delay()).await;
        let ends = log.end_offsets_until_acknowledged(topic).await.unwrap_or_default();
        offset = ends.get(slot as usize).copied().unwrap_or(offset);
    }
    loop {
        let read = log.read_until_acknowledged(topic, slot, offset, RECORDS_MAX, WAIT);
        let batch = match read.await {
            Ok(batch) => batch,
            Err(LogRefusal::Trimmed { start }) => {
                tracing::warn!(offset, start, "responses were removed before they were read");
                let (from, to) = (offset, start);
                in_flight.host.announce(&FrontEndEvent::ResponsesMissed { from, to });
                offset = start;
                continue;
            }
            Err(refusal) => {
                tracing::warn!(%refusal, "responses can't be read");
                in_flight.host.sleep(log.retry_delay()).await;
                continue;
            }
        };
        if batch.end < offset {
            // Its folder was set back, and what comes now is new.
            tracing::warn!(offset, end = batch.end, "the log ends before what was read of it");
            offset = batch.end;
        }
        offset += batch.records.len() as u64;
        for record in &batch.records {
            match ServiceResponse::decode(record) {
                Ok(response) => {
                    let given = give(in_flight, response);
                    if !given && in_flight.host.sabotaged(sabotage::LATE_RESPONSE_ENDS_READER) {
                        return;
                    }
                }
                // Anybody can write to a topic.
                Err(error) => tracing::warn!(%error, "what is no response is skipped"),
            }
        }
    }
}

/// Gives a response to whom it is for; whether he still waits.
fn give(in_flight: &InFlight, response: ServiceResponse) -> bool {
    let mut id = response.id;
    let own = (in_flight.config.slot, in_flight.incarnation);
    if (id.slot, id.incarnation) != own
        && in_flight.host.sabotaged(sabotage::FOREIGN_RESPONSES_ANSWER)
    {
        id = in_flight.id(id.number);
    }
    if (id.slot, id.incarnation) != own {
        in_flight.host.announce(&FrontEndEvent::ForeignResponse { id });
        return false;
    }
    let Some(waits) = in_flight.end(id, Ending::Answered) else {
        in_flight.host.announce(&FrontEndEvent::LateResponse { id });
        return false;
    };
    // Its connection may have ended since.
    drop(waits.send(Outcome::Response(response)));
    true
}
