//! The names under which sources and sinks are registered.

use super::{
    encoding::decode, generator::GeneratorSource, log_sink::LogSink, log_source::LogSource,
    text_source::TextSource,
};
use crate::system::{
    graph::OperatorSpec,
    service::{log::Log, object_store::ObjectStore},
    task_executor::OperatorRegistry,
};
use std::sync::Arc;

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
    log: &Arc<dyn Log>,
    objects: &Arc<dyn ObjectStore>,
) -> OperatorRegistry {
    let (source_log, sink_log, objects) = (log.clone(), log.clone(), objects.clone());
    registry
        .source(LOG_SOURCE, move |parameters| {
            Ok(Box::new(LogSource::new(source_log.clone(), decode(parameters)?)?))
        })
        .operator(LOG_SINK, move |parameters| {
            Ok(Box::new(LogSink::new(sink_log.clone(), decode(parameters)?)))
        })
        .source(TEXT_SOURCE, move |parameters| {
            Ok(Box::new(TextSource::new(objects.clone(), decode(parameters)?)))
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
