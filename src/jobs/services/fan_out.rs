//! `fan-out`: three operators work on a request side by side, and its response is what the three say of it. The body
//! is `{"text": "…"}`; the response has its `length`, its `words`, and it `reversed`.

use crate::{
    jobs::{Service, ServiceCall, ServiceModel},
    system::{
        dataflow::{Collector, KeyContext, Process, Program, Result, Stream, StreamEnv},
        request_reply::{EventId, ServiceArguments, ServiceRequest, ServiceResponse},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many operators work on a request.
const PARTS: usize = 3;

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// What one operator says of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    request: ServiceRequest,
    name: String,
    /// JSON.
    value: String,
}

fn part_of(
    requests: &Stream<ServiceRequest>,
    name: &'static str,
    of: fn(&str) -> Value,
) -> Stream<Part> {
    requests.map(name, move |request: ServiceRequest| {
        let value = request.json::<Text>().map_or(Value::Null, |Text { text }| of(&text));
        Part { request, name: name.to_string(), value: value.to_string() }
    })
}

/// Waits until all parts of a request are there.
#[derive(Clone, Debug, Default)]
struct Join;

fn joined(request: &ServiceRequest, parts: &BTreeMap<String, String>) -> ServiceResponse {
    let read = |(name, value): (&String, &String)| {
        (name.clone(), serde_json::from_str(value).unwrap_or(Value::Null))
    };
    let body: Map<String, Value> = parts.iter().map(read).collect();
    match body.values().any(Value::is_null) {
        true => request.response(400, json!({ "errors": ["the body is {\"text\": \"…\"}"] })),
        false => request.response(200, Value::Object(body)),
    }
}

impl Process<EventId, Part> for Join {
    /// By the operator's name, what it says.
    type State = BTreeMap<String, String>;
    type Out = ServiceResponse;

    fn process(
        &mut self,
        part: Part,
        context: &mut KeyContext<'_, EventId, Self::State>,
        out: &mut Collector<'_, ServiceResponse>,
    ) -> Result<()> {
        context.state().insert(part.name, part.value);
        if context.state().len() == PARTS {
            out.emit(joined(&part.request, context.state()));
            context.clear();
        }
        Ok(())
    }
}

fn describe(env: &mut StreamEnv, arguments: &ServiceArguments) -> Result<()> {
    let requests = arguments.requests(env)?;
    let length = part_of(&requests, "length", |text| json!(text.chars().count()));
    let words = part_of(&requests, "words", |text| json!(text.split_whitespace().count()));
    let reversed =
        part_of(&requests, "reversed", |text| json!(text.chars().rev().collect::<String>()));
    let responses = length
        .union(words)
        .union(reversed)
        .key_by(|part: &Part| part.request.id)
        .process("join", Join);
    arguments.respond(&responses);
    Ok(())
}

/// It remembers nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Expected;

impl ServiceModel for Expected {
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value) {
        let body: Value = request.json().unwrap_or_default();
        let Some(text) = body["text"].as_str() else {
            return (400, json!({ "errors": ["the body is {\"text\": \"…\"}"] }));
        };
        let (length, words) = (text.chars().count(), text.split_whitespace().count());
        let reversed: String = text.chars().rev().collect();
        (200, json!({ "length": length, "words": words, "reversed": reversed }))
    }
}

/// The service.
pub fn service() -> Service {
    Service::new(Program::new("fan-out", 1, describe), Expected)
        .about("Have three operators work on each request")
        .calls(|number, draws| ServiceCall {
            path: format!("/{}", draws.below(3)),
            body: json!({ "text": format!("text {number} of {}", draws.below(100)) }),
        })
}
