//! Services: jobs from requests to responses, behind a front end ([`request_reply`](crate::system::request_reply)).
//!
//! Their programs take [`ServiceArguments`](crate::system::request_reply::ServiceArguments). A service of one's own takes
//! about as much as `echo-result`, and says apart from it what it answers ([`ServiceModel`](super::ServiceModel)):
//!
//! ```
//! use serde_json::{Value, json};
//! use wavetank::{
//!     jobs::{Service, ServiceCall, ServiceModel},
//!     system::{
//!         dataflow::{Program, Result, StreamEnv},
//!         request_reply::{ServiceArguments, ServiceRequest},
//!     },
//! };
//!
//! fn shout(env: &mut StreamEnv, arguments: &ServiceArguments) -> Result<()> {
//!     let responses = arguments.requests(env)?.map("shout", |request: ServiceRequest| {
//!         match request.json::<String>() {
//!             Ok(text) => request.response(200, json!({ "shout": text.to_uppercase() })),
//!             Err(error) => request.response(400, json!({ "why": error.to_string() })),
//!         }
//!     });
//!     arguments.respond(&responses);
//!     Ok(())
//! }
//!
//! /// It remembers nothing.
//! #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
//! struct Shouted;
//!
//! impl ServiceModel for Shouted {
//!     fn respond(&mut self, request: &ServiceRequest) -> (u16, Value) {
//!         match request.json::<String>() {
//!             Ok(text) => (200, json!({ "shout": text.to_uppercase() })),
//!             Err(error) => (400, json!({ "why": error.to_string() })),
//!         }
//!     }
//! }
//!
//! let service = Service::new(Program::new("shout", 1, shout), Shouted).calls(|number, _| ServiceCall {
//!     path: "/".to_string(),
//!     body: json!(format!("text {number}")),
//! });
//! assert_eq!(service.name(), "shout");
//! ```

mod account;
mod echo;
mod fan_out;

use super::Service;

/// Those of this crate.
pub fn all() -> Vec<Service> {
    vec![echo::service(), account::service(), fan_out::service()]
}
