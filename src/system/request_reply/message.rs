//! What stands in the topics of requests and responses.

use super::{RESPONSE_BYTES_MAX, event_id::EventId};
use crate::system::dataflow::{Failure, Result};
use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The member of a response's body that says which request it answers.
const EVENT_ID: &str = "event_id";

/// A client's request, as a job reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRequest {
    /// Its name, which the response has too.
    pub id: EventId,
    /// The client's `Idempotency-Key`: what it says of two requests that it takes for one.
    pub key: Option<String>,
    /// The path, percent-encoded; requests of one path are read in the order in which they were written.
    pub path: String,
    /// The pairs of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The body, which is JSON.
    pub body: Bytes,
}

/// What becomes of a request, as a job writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceResponse {
    /// The request.
    pub id: EventId,
    /// The status, 200 to 599.
    pub status: u16,
    /// The body, which is JSON.
    pub body: Bytes,
}

impl ServiceRequest {
    /// The body, read as a `T`.
    ///
    /// # Errors
    /// When it is JSON of something else. Fails no task by itself: answer [`response`](Self::response) 400.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.body)
    }

    /// The response to it; an object gets the member `event_id`, in the place of one of its own. One whose body has more
    /// than [`RESPONSE_BYTES_MAX`] bytes is a 500 that says so.
    pub fn response(&self, status: u16, mut body: Value) -> ServiceResponse {
        if let Value::Object(members) = &mut body {
            members.insert(EVENT_ID.to_string(), Value::String(self.id.to_string()));
        }
        let body = body.to_string();
        match body.len() > RESPONSE_BYTES_MAX {
            true => self.response(500, json!({ "errors": [too_long(body.len())] })),
            false => ServiceResponse { id: self.id, status, body: Bytes::from(body) },
        }
    }

    /// The record of a topic.
    ///
    /// # Errors
    /// Never, as long as its parts can be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_allocvec(self)?))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none of a request.
    pub fn decode(record: &Bytes) -> Result<Self> {
        postcard::from_bytes(record).map_err(|_| Failure::new("a record is no request"))
    }
}

fn too_long(bytes: usize) -> String {
    format!("the response has {bytes} bytes, and may have {RESPONSE_BYTES_MAX}")
}

impl ServiceResponse {
    /// The record of a topic.
    ///
    /// # Errors
    /// Never, as long as its parts can be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        Ok(Bytes::from(postcard::to_allocvec(self)?))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none of a response.
    pub fn decode(record: &Bytes) -> Result<Self> {
        postcard::from_bytes(record).map_err(|_| Failure::new("a record is no response"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &str) -> ServiceRequest {
        let id = EventId { slot: 1, incarnation: 2, number: 3 };
        let body = Bytes::copy_from_slice(body.as_bytes());
        ServiceRequest {
            id,
            key: Some("k".to_string()),
            path: "/".to_string(),
            query: Vec::new(),
            body,
        }
    }

    #[test]
    fn a_response_says_which_request_it_answers() {
        let request = request(r#"{"amount": 5}"#);
        let mut body: Value = request.json().unwrap();
        body["result"] = json!("ok");
        let response = request.response(200, body);
        let said: Value = serde_json::from_slice(&response.body).unwrap();
        let expected = json!({"amount": 5, "result": "ok", "event_id": request.id.to_string()});
        assert_eq!((response.id, response.status, said), (request.id, 200, expected));
        assert_eq!(request.response(200, json!([1])).body, "[1]", "only an object has members");
    }

    #[test]
    fn a_response_that_no_task_could_hand_on_says_so() {
        let response = request("7").response(200, json!("a".repeat(RESPONSE_BYTES_MAX)));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert!(response.status == 500 && body["errors"].is_array(), "{body}");
    }

    #[test]
    fn records_are_read_as_they_were_written() {
        let request = request("7");
        assert_eq!(ServiceRequest::decode(&request.encode().unwrap()).unwrap(), request);
        let response = request.response(404, json!({}));
        assert_eq!(ServiceResponse::decode(&response.encode().unwrap()).unwrap(), response);
        assert!(ServiceRequest::decode(&Bytes::from_static(b"\xff\xff")).is_err());
    }
}
