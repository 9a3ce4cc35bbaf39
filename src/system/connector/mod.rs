//! Sources and sinks: a topic of the log service, a text in the blob store, a generator.
//!
//! Every source here is bounded by what its parameters say at submission. The sink is exactly-once:
//! what it writes is seen when the checkpoint that covers it is complete.
//!
//! Deliberately absent: discovery of partitions or texts that come later.

mod generator;
mod log_sink;
mod log_source;
mod text_source;

pub use generator::GeneratorParameters;
pub use generator::GeneratorSource;
pub use log_sink::{LogSink, LogSinkParameters, SinkEvent};
pub use log_source::{LogSource, LogSourceParameters};
pub use text_source::{
    LINE_BYTES_MAX, TEXT_PART_BYTES, TextSource, TextSourceParameters, upload_text,
};

use super::{
    graph::OperatorSpec,
    service::{blobs::BlobClient, log::LogClient},
    task_executor::{OperatorRegistry, TaskError},
};

/// The registered name of [`LogSource`].
pub const LOG_SOURCE: &str = "log-source";
/// The registered name of [`LogSink`].
pub const LOG_SINK: &str = "log-sink";
/// The registered name of [`TextSource`].
pub const TEXT_SOURCE: &str = "text-source";
/// The registered name of [`GeneratorSource`].
pub const GENERATOR: &str = "generator";

/// Registers all of them, on these services.
pub fn register(
    registry: OperatorRegistry,
    log: &LogClient,
    blobs: &BlobClient,
) -> OperatorRegistry {
    let (source_log, sink_log, blobs) = (log.clone(), log.clone(), blobs.clone());
    registry
        .source(LOG_SOURCE, move |parameters| {
            Ok(Box::new(LogSource::new(source_log.clone(), decode(parameters)?)?))
        })
        .operator(LOG_SINK, move |parameters| {
            Ok(Box::new(LogSink::new(sink_log.clone(), decode(parameters)?)))
        })
        .source(TEXT_SOURCE, move |parameters| {
            Ok(Box::new(TextSource::new(blobs.clone(), decode(parameters)?)))
        })
        .source(GENERATOR, |parameters| Ok(Box::new(GeneratorSource::new(decode(parameters)?)?)))
}

/// An operator by name, with encoded parameters.
pub fn spec(uid: &str, name: &str, parameters: &impl serde::Serialize) -> OperatorSpec {
    OperatorSpec {
        uid: uid.to_string(),
        name: name.to_string(),
        parameters: postcard::to_allocvec(parameters).expect("parameters can be encoded"),
    }
}

fn decode<T: serde::de::DeserializeOwned>(parameters: &[u8]) -> Result<T, TaskError> {
    postcard::from_bytes(parameters).map_err(user)
}

fn user(error: impl std::fmt::Display) -> TaskError {
    TaskError::User(error.to_string())
}

fn restore<T: serde::de::DeserializeOwned>(own: &[u8]) -> Result<T, TaskError> {
    postcard::from_bytes(own).map_err(|error| TaskError::Restore(error.to_string()))
}
