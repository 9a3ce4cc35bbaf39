//! What callers ask of services and what stands in the log of it, by the log server's own word: the part of the model
//! that services have. Requests and responses are forgotten as soon as they can be the answer of no call any more; where
//! responses stand, when retention has removed them. So of topic data no more is kept here than is under way.

use super::{callers::CallerEvent, event_ref::EventRef};
use crate::{
    harness::event::Moment,
    host::sim::{Hardware, NodeId},
    system::{
        request_reply::{EventId, FrontEndEvent, ServiceRequest, ServiceResponse},
        service::log::LogEvent,
    },
    under_test::cluster::callers::Asked,
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

/// What a caller has asked and waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    pub asked: Asked,
    /// The slot of the front end.
    pub slot: u32,
    /// How many events of services there had been when it was asked.
    asked_at_event: u64,
}

/// A request that a front end has accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Where.
    process: (NodeId, u64),
    /// How many events of services there had been then.
    at_event: u64,
    has_ended: bool,
    /// As it stands in the log.
    pub request: Option<ServiceRequest>,
    /// The first response to it there.
    pub response: Option<Placed>,
}

impl Accepted {
    /// Whether it may be what was asked by that call.
    pub fn is_after(&self, call: &OpenCall) -> bool {
        self.at_event > call.asked_at_event
    }
}

/// A topic's partition.
type Partition = (String, u32);

/// What front ends, their jobs and their callers have said.
#[derive(Clone, Debug, Default)]
pub struct Services {
    events: u64,
    /// Topics of requests, and of responses.
    topics: [BTreeSet<String>; 2],
    /// The first record of each partition that is kept.
    starts: BTreeMap<Partition, u64>,
    /// Where each partition is looked at next.
    next: BTreeMap<Partition, u64>,
    /// Whom the responses of each partition answer, by offset.
    in_order: BTreeMap<Partition, BTreeMap<u64, EventId>>,
    /// Requests that have no response yet, by partition and offset.
    unanswered: BTreeMap<Partition, BTreeMap<u64, EventId>>,
    /// Where those are.
    places: BTreeMap<EventId, Vec<(Partition, u64)>>,
    /// Those that may be the answer of an open call, or are not ended.
    accepted: BTreeMap<EventId, Accepted>,
    /// By process and number.
    calls: BTreeMap<((NodeId, u64), u64), OpenCall>,
}

impl Services {
    /// Takes in an event.
    pub fn observe(&mut self, at: Moment, event: EventRef<'_>) {
        match event {
            EventRef::FrontEnd(event) => self.observe_front_end(at, event),
            EventRef::Caller(event) => self.observe_caller(at, event),
            EventRef::Log(event) => self.observe_log(event),
            EventRef::Hardware(Hardware::Ended(_)) => {
                self.calls.retain(|(process, _), _| *process != at.process);
                let here = self.accepted.values_mut().filter(|of| of.process == at.process);
                here.for_each(|of| of.has_ended = true);
                self.forget();
            }
            _ => return,
        }
        self.events += 1;
    }

    fn observe_front_end(&mut self, at: Moment, event: &FrontEndEvent) {
        match event {
            FrontEndEvent::Began { requests, responses, .. } => {
                self.topics[0].insert(requests.clone());
                self.topics[1].insert(responses.clone());
            }
            FrontEndEvent::RequestAccepted { id, .. } => {
                let (process, has_ended) = (at.process, false);
                let (request, response) = (None, None);
                let accepted =
                    Accepted { process, at_event: self.events, has_ended, request, response };
                self.accepted.insert(*id, accepted);
            }
            FrontEndEvent::RequestEnded { id, .. } => {
                if let Some(of) = self.accepted.get_mut(id) {
                    of.has_ended = true;
                }
                self.forget();
            }
            _ => {}
        }
    }

    fn observe_caller(&mut self, at: Moment, event: &CallerEvent) {
        match event {
            CallerEvent::Asking { call, slot, asked, .. } => {
                let (asked, asked_at_event) = (asked.clone(), self.events);
                let of = OpenCall { asked, slot: *slot, asked_at_event };
                self.calls.insert((at.process, *call), of);
            }
            CallerEvent::Answered { call, .. } | CallerEvent::Unanswered { call, .. } => {
                self.calls.remove(&(at.process, *call));
                self.forget();
            }
            CallerEvent::Finished { .. } => {}
        }
    }

    fn observe_log(&mut self, event: &LogEvent) {
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
                    self.trim(topic, *partition, *start);
                }
                records.iter().for_each(|(topic, partition, first, records)| {
                    self.take(topic, *partition, *first, records);
                });
            }
            LogEvent::Trimmed { topic, partition, start } => self.trim(topic, *partition, *start),
            _ => {}
        }
    }

    /// Whether a topic is one of requests or responses.
    pub fn has(&self, topic: &str) -> bool {
        self.topics.iter().any(|of| of.contains(topic))
    }

    /// What a process waits for under that number.
    pub fn call(&self, process: (NodeId, u64), call: u64) -> Option<&OpenCall> {
        self.calls.get(&(process, call))
    }

    /// A request that was accepted and has not ended, or may be what an open call has asked.
    pub fn accepted(&self, id: EventId) -> Option<&Accepted> {
        self.accepted.get(&id)
    }

    /// The first record of a partition that is kept.
    pub fn start(&self, topic: &str, partition: u32) -> u64 {
        self.starts.get(&(topic.to_string(), partition)).copied().unwrap_or(0)
    }

    /// A request before that offset of a partition that has no response.
    pub fn unanswered(&self, topic: &str, partition: u32, offset: u64) -> Option<EventId> {
        let of_partition = self.unanswered.get(&(topic.to_string(), partition))?;
        of_partition.range(..offset).map(|(_, id)| *id).next()
    }

    /// Whom the responses of a partition answer, from an offset on, as far as they are kept.
    pub fn responses_from(
        &self,
        topic: &str,
        partition: u32,
        offset: u64,
    ) -> impl Iterator<Item = (u64, EventId)> {
        let all = self.in_order.get(&(topic.to_string(), partition));
        all.into_iter().flat_map(move |all| all.range(offset..)).map(|(at, id)| (*at, *id))
    }

    fn take(&mut self, topic: &str, partition: u32, first: u64, records: &[Bytes]) {
        let [requests, responses] = &self.topics;
        let (is_request, is_response) = (requests.contains(topic), responses.contains(topic));
        if !is_request && !is_response {
            return;
        }
        let place = (topic.to_string(), partition);
        let next = self.next.get(&place).copied().unwrap_or(0);
        for (record, offset) in records.iter().zip(first..).filter(|(_, offset)| *offset >= next) {
            if is_request && let Ok(request) = ServiceRequest::decode(record) {
                self.take_request(&place, offset, request);
            } else if is_response && let Ok(response) = ServiceResponse::decode(record) {
                self.take_response(&place, offset, response);
            }
        }
        self.next.insert(place, next.max(first + records.len() as u64));
    }

    fn take_request(&mut self, place: &Partition, offset: u64, request: ServiceRequest) {
        self.unanswered.entry(place.clone()).or_default().insert(offset, request.id);
        self.places.entry(request.id).or_default().push((place.clone(), offset));
        if let Some(of) = self.accepted.get_mut(&request.id) {
            of.request.get_or_insert(request);
        }
    }

    fn take_response(&mut self, place: &Partition, offset: u64, response: ServiceResponse) {
        let id = response.id;
        self.in_order.entry(place.clone()).or_default().insert(offset, id);
        for (at, offset) in self.places.remove(&id).unwrap_or_default() {
            self.unanswered.entry(at).or_default().remove(&offset);
        }
        if let Some(of) = self.accepted.get_mut(&id) {
            of.response.get_or_insert(Placed { partition: place.1, offset, response });
        }
    }

    fn trim(&mut self, topic: &str, partition: u32, start: u64) {
        let place = (topic.to_string(), partition);
        if let Some(all) = self.in_order.get_mut(&place) {
            *all = all.split_off(&start);
        }
        if let Some(all) = self.unanswered.get_mut(&place) {
            let kept = all.split_off(&start);
            for (offset, id) in std::mem::replace(all, kept) {
                // A second copy of it may be kept.
                if let Some(places) = self.places.get_mut(&id) {
                    places.retain(|(at, of)| (at, *of) != (&place, offset));
                }
            }
            self.places.retain(|_, places| !places.is_empty());
        }
        self.starts.insert(place, start);
    }

    /// Forgets what has ended and was accepted before each open call was made: it answers none.
    fn forget(&mut self) {
        let oldest = self.calls.values().map(|call| call.asked_at_event).min().unwrap_or(u64::MAX);
        self.accepted.retain(|_, of| !of.has_ended || of.at_event > oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::invariants::testing_services::*, *};
    use std::time::Duration;

    fn see(services: &mut Services, process: (NodeId, u64), event: &impl crate::host::Event) {
        services.observe(Moment::new(Duration::ZERO, process), EventRef::new(event));
    }

    /// A call whose request has its response in the log.
    fn responded_to() -> Services {
        let mut services = Services::default();
        see(&mut services, process(1, 1), &began(2));
        see(&mut services, process(3, 1), &asking(1));
        see(&mut services, process(1, 1), &accepted(1));
        see(&mut services, process(0, 1), &requested(0, 1, 1));
        see(&mut services, process(0, 1), &responded(0, 1));
        services
    }

    #[test]
    fn a_request_is_forgotten_when_it_has_ended_and_answers_no_open_call() {
        let mut services = responded_to();
        see(&mut services, process(1, 1), &ended(1));
        assert_eq!(services.accepted.len(), 1, "its caller does not know yet");
        see(&mut services, process(4, 1), &asking(2));
        see(&mut services, process(3, 1), &unanswered(1));
        assert!(services.accepted.is_empty(), "call 2 was made after it");
        let mut died = responded_to();
        see(&mut died, process(3, 1), &unanswered(1));
        assert_eq!(died.accepted.len(), 1, "it has not ended");
        see(&mut died, process(1, 1), &dead());
        assert!(died.accepted.is_empty());
    }

    #[test]
    fn a_second_copy_of_a_request_is_answered_with_the_first() {
        let mut services = Services::default();
        see(&mut services, process(1, 1), &began(2));
        for partition in [0, 1] {
            see(&mut services, process(0, 1), &requested(partition, 1, 1));
        }
        let topic = "requests".to_string();
        see(&mut services, process(0, 1), &LogEvent::Trimmed { topic, partition: 0, start: 1 });
        assert!(services.unanswered("requests", 0, 9).is_none(), "it is removed");
        assert!(services.unanswered("requests", 1, 9).is_some());
        see(&mut services, process(0, 1), &responded(0, 1));
        assert!(services.unanswered("requests", 1, 9).is_none() && services.places.is_empty());
    }

    #[test]
    fn where_responses_stand_is_forgotten_with_them() {
        let mut services = responded_to();
        see(&mut services, process(0, 1), &responded_next(0, 2));
        let left = |of: &Services| -> Vec<u64> {
            of.responses_from(RESPONSES, 0, 0).map(|(at, _)| at).collect()
        };
        assert_eq!(left(&services), [0, 1]);
        let topic = RESPONSES.to_string();
        see(&mut services, process(0, 1), &LogEvent::Trimmed { topic, partition: 0, start: 1 });
        assert_eq!((left(&services), services.start(RESPONSES, 0)), (vec![1], 1));
        assert!(services.unanswered.values().all(BTreeMap::is_empty) && services.places.is_empty());
    }
}
