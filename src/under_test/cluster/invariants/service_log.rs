//! The requests and responses that stand in the log, by the log server's own word.

use crate::system::{
    request_reply::{EventId, FrontEndEvent, ServiceRequest, ServiceResponse},
    service::log::LogEvent,
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A response where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub partition: u32,
    pub offset: u64,
    pub response: ServiceResponse,
}

/// What front ends and their jobs have put there.
#[derive(Default)]
pub struct ServiceLog {
    /// Topics of requests, and of responses.
    topics: [BTreeSet<String>; 2],
    /// The first record of each partition that is kept.
    starts: BTreeMap<(String, u32), u64>,
    /// Where each partition is looked at next.
    next: BTreeMap<(String, u32), u64>,
    /// The responses of each partition, one after the other; nothing in the place of what is none.
    in_order: BTreeMap<(String, u32), Vec<Option<EventId>>>,
    /// Those that have no response yet, by topic, partition and offset.
    unanswered: BTreeMap<(String, u32, u64), EventId>,
    /// By name.
    pub requests: BTreeMap<EventId, ServiceRequest>,
    /// The first of each request.
    pub responses: BTreeMap<EventId, Placed>,
}

impl ServiceLog {
    /// Takes in where a front end's requests and responses are.
    pub fn observe_front_end(&mut self, event: &FrontEndEvent) {
        if let FrontEndEvent::Began { requests, responses, .. } = event {
            self.topics[0].insert(requests.clone());
            self.topics[1].insert(responses.clone());
        }
    }

    /// Takes in what stands in the log.
    pub fn observe_log(&mut self, event: &LogEvent) {
        match event {
            LogEvent::Appended { topic, partition, offset, records, .. } => {
                self.take(topic, *partition, *offset, records);
            }
            LogEvent::TransactionCommitted { writes, .. } => {
                writes.iter().for_each(|(topic, partition, offset, records)| {
                    self.take(topic, *partition, *offset, records);
                });
            }
            // What was synced but not announced before a crash shows only here.
            LogEvent::Recovered { starts, records, .. } => {
                for (topic, partition, start) in starts {
                    self.starts.insert((topic.clone(), *partition), *start);
                }
                records.iter().for_each(|(topic, partition, first, records)| {
                    self.take(topic, *partition, *first, records);
                });
            }
            LogEvent::Trimmed { topic, partition, start } => {
                self.starts.insert((topic.clone(), *partition), *start);
            }
            _ => {}
        }
    }

    /// The first record of a partition that is kept.
    pub fn start(&self, topic: &str, partition: u32) -> u64 {
        self.starts.get(&(topic.to_string(), partition)).copied().unwrap_or(0)
    }

    /// A request before that offset of a partition that has no response.
    pub fn unanswered(&mut self, topic: &str, partition: u32, offset: u64) -> Option<EventId> {
        let responses = &self.responses;
        self.unanswered.retain(|_, id| !responses.contains_key(id));
        let first = (topic.to_string(), partition, 0);
        let before = self.unanswered.range(first..(topic.to_string(), partition, offset));
        before.map(|(_, id)| *id).next()
    }

    /// The first response of a partition at an offset or behind it, with its offset.
    pub fn response_from(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
    ) -> Option<(u64, EventId)> {
        let all = self.in_order.get(&(topic.to_string(), partition))?;
        let from = usize::try_from(offset).ok()?;
        (offset..).zip(all.get(from..)?).find_map(|(offset, id)| Some((offset, (*id)?)))
    }

    fn take(&mut self, topic: &str, partition: u32, first: u64, records: &[Bytes]) {
        let [requests, responses] = &self.topics;
        let (is_request, is_response) = (requests.contains(topic), responses.contains(topic));
        if !is_request && !is_response {
            return;
        }
        let next = self.next.entry((topic.to_string(), partition)).or_default();
        for (record, offset) in records.iter().zip(first..).filter(|(_, offset)| offset >= next) {
            if is_request && let Ok(request) = ServiceRequest::decode(record) {
                self.unanswered.insert((topic.to_string(), partition, offset), request.id);
                self.requests.entry(request.id).or_insert(request);
            } else if is_response {
                let response = ServiceResponse::decode(record).ok();
                let place = (topic.to_string(), partition);
                self.in_order.entry(place).or_default().push(response.as_ref().map(|of| of.id));
                let Some(response) = response else { continue };
                let placed = Placed { partition, offset, response };
                self.responses.entry(placed.response.id).or_insert(placed);
            }
        }
        *next = (*next).max(first + records.len() as u64);
    }
}
