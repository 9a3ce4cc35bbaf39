//! The job's end of request and reply: a source of requests, a sink of responses.

use super::message::{ServiceRequest, ServiceResponse};
use crate::system::{
    connector::{LogSink, LogSource, LogSourceParameters, PlainLogSink},
    dataflow::{OperatorContext, Result, Sink, Stream, StreamEnv, Timestamp, Waits},
    ids::CheckpointId,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// When a response can be read, and what a failure makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// At once. After a failure requests since the last checkpoint are done again, on the state of that checkpoint, and
    /// their responses come again, perhaps others; the front end gives the first. Only a service whose responses are a
    /// function of what stands before the request in its partition says the same each time, and is linearizable so;
    /// for all others choose exactly once. The default.
    #[default]
    AtLeastOnce,
    /// When the checkpoint is complete that covers the request, so the latency is that of checkpoints. What was said
    /// stands.
    ExactlyOnce,
}

/// What a job that is a service is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceArguments {
    /// Whence requests come.
    pub requests: LogSourceParameters,
    /// The topic of the responses, with a partition for each front end.
    pub responses: String,
    /// When responses can be read.
    #[serde(default)]
    pub delivery: Delivery,
}

impl ServiceArguments {
    /// Requests out of all partitions of a topic, of which there are so many to begin with, and responses into another. A
    /// request is read as soon as it is there; a group of the requests' name is told how far they are handled.
    pub fn new(requests: &str, partitions: u32, responses: &str, delivery: Delivery) -> Self {
        let start = vec![0; partitions as usize];
        let requests = LogSourceParameters {
            poll_ms: 0,
            ..LogSourceParameters::unbounded(requests, start).in_group(requests)
        };
        ServiceArguments { requests, responses: responses.to_string(), delivery }
    }

    /// The requests. Records that are none are passed over: anybody can write to a topic.
    ///
    /// # Errors
    /// When there is nothing to read.
    pub fn requests(&self, env: &mut StreamEnv) -> Result<Stream<ServiceRequest>> {
        let source = LogSource::new(self.requests.clone())?;
        Ok(env.source("requests", source).flat_map("decode", |record: Bytes, out| {
            if let Ok(request) = ServiceRequest::decode(&record) {
                out.emit(request);
            }
        }))
    }

    /// Where responses go: each to the partition of the front end that asked.
    pub fn respond(&self, responses: &Stream<ServiceResponse>) {
        let sink = match self.delivery {
            Delivery::AtLeastOnce => ResponseSink::AtLeastOnce(
                PlainLogSink::encoding(&self.responses, ServiceResponse::encode)
                    .to_partitions(|response| response.id.slot),
            ),
            Delivery::ExactlyOnce => ResponseSink::ExactlyOnce(
                LogSink::encoding(&self.responses, ServiceResponse::encode)
                    .to_partitions(|response| response.id.slot),
            ),
        };
        responses.sink("responses", sink);
    }
}

/// The sink of responses.
#[derive(Clone)]
enum ResponseSink {
    AtLeastOnce(PlainLogSink<ServiceResponse>),
    ExactlyOnce(LogSink<ServiceResponse>),
}

macro_rules! each {
    ($of:expr, $sink:ident => $call:expr) => {
        match $of {
            ResponseSink::AtLeastOnce($sink) => $call,
            ResponseSink::ExactlyOnce($sink) => $call,
        }
    };
}

impl Sink<ServiceResponse> for ResponseSink {
    fn write(&mut self, response: ServiceResponse, time: Option<Timestamp>) -> Result<()> {
        each!(self, sink => sink.write(response, time))
    }

    fn open<'a>(
        &'a mut self,
        context: &'a OperatorContext,
        restored: Option<Bytes>,
    ) -> Waits<'a, ()> {
        each!(self, sink => sink.open(context, restored))
    }

    fn is_full(&self) -> bool {
        each!(self, sink => sink.is_full())
    }

    fn wants_flush(&self) -> bool {
        each!(self, sink => sink.wants_flush())
    }

    fn flush(&mut self) -> Waits<'_, ()> {
        each!(self, sink => sink.flush())
    }

    fn snapshot(&mut self, checkpoint: CheckpointId) -> Waits<'_, Bytes> {
        each!(self, sink => sink.snapshot(checkpoint))
    }

    fn redistribute(
        &self,
        states: Vec<(u32, Bytes)>,
        context: &OperatorContext,
    ) -> Result<Option<Bytes>> {
        each!(self, sink => sink.redistribute(states, context))
    }

    fn notify_checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Waits<'_, ()> {
        each!(self, sink => sink.notify_checkpoint_complete(checkpoint))
    }

    fn close(&mut self) -> Waits<'_, ()> {
        each!(self, sink => sink.close())
    }
}
