//! What a service must put into the topic of its responses, by the topic of its requests.

use crate::{
    jobs::{ModelOfPath, Service, common::JobOracle},
    system::request_reply::{Delivery, EventId, ServiceRequest, ServiceResponse},
};
use std::collections::{BTreeMap, BTreeSet};

/// Puts the requests of each path to the service's model, in the order in which they stand in the log, and holds the
/// responses against its answers.
pub struct ByTheLog {
    service: Service,
    delivery: Delivery,
    models: BTreeMap<String, ModelOfPath>,
    expected: BTreeMap<EventId, ServiceResponse>,
    /// The requests that have their response.
    responded: BTreeSet<EventId>,
    /// A request that stands in the log twice.
    repeated: Option<EventId>,
}

impl ByTheLog {
    /// Nothing was asked.
    pub fn new(service: Service, delivery: Delivery) -> Self {
        ByTheLog {
            service,
            delivery,
            models: BTreeMap::new(),
            expected: BTreeMap::new(),
            responded: BTreeSet::new(),
            repeated: None,
        }
    }
}

impl JobOracle for ByTheLog {
    fn promise(&self) -> &'static str {
        "each response is what the requests before it on its path come to, in its front end's partition"
    }

    fn input(&mut self, _: u32, record: &[u8]) {
        // Anybody can write to a topic.
        let Ok(request) = ServiceRequest::decode(&record.to_vec().into()) else { return };
        let model = self.models.entry(request.path.clone()).or_insert_with(|| self.service.model());
        let response = model.respond(&request);
        if self.expected.insert(request.id, response).is_some() {
            self.repeated = Some(request.id);
        }
    }

    fn output(&mut self, partition: u32, record: &[u8]) -> Result<(), String> {
        if let Some(id) = self.repeated {
            return Err(format!("{id:?} stands twice in the topic of requests"));
        }
        let response = ServiceResponse::decode(&record.to_vec().into())
            .map_err(|error| format!("it is no response: {error}"))?;
        let Some(expected) = self.expected.get(&response.id) else {
            return Err(format!("{:?} was never asked", response.id));
        };
        if response != *expected {
            let text = |of: &ServiceResponse| {
                format!("{} {}", of.status, String::from_utf8_lossy(&of.body))
            };
            return Err(format!(
                "{:?} is answered {}, expected {}",
                response.id,
                text(&response),
                text(expected)
            ));
        }
        if partition != response.id.slot {
            return Err(format!("{:?} is another front end's", response.id));
        }
        let is_first = self.responded.insert(response.id);
        match is_first || self.delivery == Delivery::AtLeastOnce {
            true => Ok(()),
            false => Err(format!("{:?} has its response already", response.id)),
        }
    }

    fn missing(&self) -> Option<String> {
        let (id, _) = self.expected.iter().find(|(id, _)| !self.responded.contains(id))?;
        Some(format!("{id:?} has no response"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::shipped;
    use bytes::Bytes;

    fn request(number: u64, add: i64) -> ServiceRequest {
        ServiceRequest {
            id: EventId { slot: 1, incarnation: 9, number },
            key: None,
            path: "/accounts/a".to_string(),
            query: Vec::new(),
            body: Bytes::from(format!("{{\"add\": {add}}}")),
        }
    }

    fn response(number: u64, status: u16, balance: i64) -> Bytes {
        let body = serde_json::json!({ "balance": balance });
        request(number, 0).response(status, body).encode().expect("it can be encoded")
    }

    /// An oracle of an account to which 5 were added and from which 7 were to be taken.
    fn asked(delivery: Delivery) -> ByTheLog {
        let jobs = shipped();
        let account = jobs.services().find(|service| service.name() == "account");
        let mut oracle = ByTheLog::new(account.expect("it is shipped").clone(), delivery);
        for (number, add) in [(1, 5), (2, -7)] {
            oracle.input(0, &request(number, add).encode().expect("it can be encoded"));
        }
        oracle
    }

    #[test]
    fn responses_are_what_the_requests_before_them_come_to() {
        let mut oracle = asked(Delivery::ExactlyOnce);
        assert_eq!(oracle.output(1, &response(2, 409, 5)), Ok(()));
        assert!(oracle.missing().is_some());
        assert_eq!(oracle.output(1, &response(1, 200, 5)), Ok(()));
        assert_eq!(oracle.missing(), None);
        let twice = oracle.output(1, &response(1, 200, 5)).expect_err("it is there");
        assert!(twice.contains("already"), "{twice}");
        assert_eq!(asked(Delivery::AtLeastOnce).output(1, &response(1, 200, 5)), Ok(()));
    }

    #[test]
    fn what_is_wrong_elsewhere_or_never_asked_is_refused() {
        for (partition, record, why) in [
            (1, response(1, 200, 6), "expected 200"),
            (0, response(1, 200, 5), "another front end's"),
            (1, response(3, 200, 5), "never asked"),
            (1, Bytes::from_static(b"\xff"), "no response"),
        ] {
            let told = asked(Delivery::AtLeastOnce).output(partition, &record).expect_err(why);
            assert!(told.contains(why), "{told}");
        }
        let mut oracle = asked(Delivery::AtLeastOnce);
        oracle.input(1, &request(2, -7).encode().expect("it can be encoded"));
        let told = oracle.output(1, &response(1, 200, 5)).expect_err("it stands there twice");
        assert!(told.contains("twice"), "{told}");
    }
}
