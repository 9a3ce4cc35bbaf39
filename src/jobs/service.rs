//! A service of a binary: a job from requests to responses, and what is said of it besides.

use super::common::{JobSettings, job_of};
use crate::{
    host::Draws,
    system::{
        dataflow::{Program, ProgramError},
        graph::JobGraph,
        ids::JobId,
        request_reply::{ServiceArguments, ServiceRequest, ServiceResponse},
    },
};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{any::Any, cmp::Ordering, fmt, sync::Arc};

/// What a service answers to the requests of one path, one after the other: computed apart from the job, and so what
/// every answer is held against. It is cloned and compared while orders of concurrent requests are tried.
pub trait ServiceModel: Clone + Ord + Send + Sync + 'static {
    /// The status and the body of the response; an object gets the member `event_id`.
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value);
}

/// A [`ServiceModel`] whatever its type.
trait AnyServiceModel: Send + Sync {
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value);
    fn boxed(&self) -> Box<dyn AnyServiceModel>;
    fn compare(&self, other: &dyn AnyServiceModel) -> Ordering;
    fn as_any(&self) -> &dyn Any;
}

impl<M: ServiceModel> AnyServiceModel for M {
    fn respond(&mut self, request: &ServiceRequest) -> (u16, Value) {
        ServiceModel::respond(self, request)
    }

    fn boxed(&self) -> Box<dyn AnyServiceModel> {
        Box::new(self.clone())
    }

    fn compare(&self, other: &dyn AnyServiceModel) -> Ordering {
        self.cmp(other.as_any().downcast_ref().expect("both are of one service"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The model of one path of a service, as far as requests were put to it.
pub struct ModelOfPath(Box<dyn AnyServiceModel>);

impl ModelOfPath {
    /// What the service answers next.
    pub fn respond(&mut self, request: &ServiceRequest) -> ServiceResponse {
        let (status, body) = self.0.respond(request);
        request.response(status, body)
    }
}

impl Clone for ModelOfPath {
    fn clone(&self) -> Self {
        ModelOfPath(self.0.boxed())
    }
}

impl PartialEq for ModelOfPath {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ModelOfPath {}

impl PartialOrd for ModelOfPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ModelOfPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.compare(&*other.0)
    }
}

/// One request of a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceCall {
    /// The path, which begins with a slash.
    pub path: String,
    /// The body.
    pub body: Value,
}

type DrawCall = dyn Fn(u64, &mut Draws) -> ServiceCall + Send + Sync;

/// A job from requests to responses, behind a front end. It answers each request as it handles it, and not by a timer or
/// a later record, so that a checkpoint which covers the request covers its response. Its program takes
/// [`ServiceArguments`].
#[derive(Clone)]
pub struct Service {
    program: Program,
    about: String,
    model: Arc<dyn Fn() -> ModelOfPath + Send + Sync>,
    call: Arc<DrawCall>,
}

/// Paths of the standard workload.
const PATHS: u64 = 4;

impl Service {
    /// A service that answers as the model does, which begins so for each path.
    pub fn new(program: Program, model: impl ServiceModel) -> Self {
        Service {
            about: format!("The service {}", program.name()),
            program,
            model: Arc::new(move || ModelOfPath(model.boxed())),
            call: Arc::new(|number, draws| ServiceCall {
                path: format!("/{}", draws.below(PATHS)),
                body: json!({ "amount": number }),
            }),
        }
    }

    /// What it does, in a line without a full stop, for lists and `--help`; `The service NAME` by default.
    #[must_use]
    pub fn about(self, about: &str) -> Self {
        Service { about: about.to_string(), ..self }
    }

    /// What is asked of it in simulation: the request of a number, from 0, with what it draws from the run's seed. By
    /// default `{"amount": NUMBER}` to one of four paths.
    #[must_use]
    pub fn calls(
        self,
        call: impl Fn(u64, &mut Draws) -> ServiceCall + Send + Sync + 'static,
    ) -> Self {
        Service { call: Arc::new(call), ..self }
    }

    /// Its name: that of its program.
    pub fn name(&self) -> &str {
        self.program.name()
    }

    /// What it does, in a line.
    pub fn description(&self) -> &str {
        &self.about
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its graph, to be submitted.
    ///
    /// # Errors
    /// Why there is none.
    pub fn graph(
        &self,
        id: JobId,
        arguments: &ServiceArguments,
        settings: &JobSettings,
    ) -> Result<JobGraph, ProgramError> {
        job_of(&self.program, id, arguments, settings)
    }

    /// The model of a path of which nothing was asked.
    pub fn model(&self) -> ModelOfPath {
        (self.model)()
    }

    /// A request of its workload.
    pub fn call(&self, number: u64, draws: &mut Draws) -> ServiceCall {
        (self.call)(number, draws)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.name())
    }
}

/// The body of a request of a workload.
impl From<&ServiceCall> for Bytes {
    fn from(call: &ServiceCall) -> Self {
        Bytes::from(call.body.to_string())
    }
}
