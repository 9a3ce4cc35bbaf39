//! `echo-result`: the body comes back with `"result": "ok"`.

use crate::{
    jobs::{Service, ServiceModel},
    system::{
        dataflow::{Program, Result, StreamEnv},
        request_reply::{ServiceArguments, ServiceRequest, ServiceResponse},
    },
};
use serde_json::{Value, json};

/// Subtasks that write responses.
const SINKS: u32 = 4;

fn add_result(request: ServiceRequest) -> ServiceResponse {
    match request.json::<Value>() {
        Ok(Value::Object(mut body)) => {
            body.insert("result".to_string(), json!("ok"));
            request.response(200, Value::Object(body))
        }
        Ok(body) => request.response(200, json!({ "value": body, "result": "ok" })),
        Err(error) => request.response(400, json!({ "errors": [error.to_string()] })),
    }
}

fn describe(env: &mut StreamEnv, arguments: &ServiceArguments) -> Result<()> {
    let responses = arguments.requests(env)?.map("add-result", add_result);
    arguments.respond(&responses.parallelism(SINKS));
    Ok(())
}

/// It remembers nothing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Echoed;

impl ServiceModel for Echoed {
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value) {
        let Ok(mut body) = serde_json::from_slice::<Value>(&request.body) else {
            return (400, json!({ "errors": ["it is no JSON"] }));
        };
        match body.is_object() {
            true => body["result"] = json!("ok"),
            false => body = json!({ "value": body, "result": "ok" }),
        }
        (200, body)
    }
}

/// The service.
pub fn service() -> Service {
    Service::new(Program::new("echo-result", 1, describe), Echoed)
        .about("Answer each request with itself and a result")
}
