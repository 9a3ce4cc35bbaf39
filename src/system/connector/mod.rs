//! Sources and sinks: a topic of the log service, a text in the object store, a generator.
//!
//! Every source here is bounded by what its parameters say at submission. The sink is exactly-once:
//! what it writes is seen when the checkpoint that covers it is complete.
//!
//! Deliberately absent: discovery of partitions or texts that come later.

mod encoding;
mod generator;
mod log_sink;
mod log_source;
mod registration;
mod text_source;

pub use generator::GeneratorParameters;
pub use generator::GeneratorSource;
pub use log_sink::{LogSink, LogSinkParameters, SinkEvent};
pub use log_source::{LogSource, LogSourceParameters};
pub use registration::{GENERATOR, LOG_SINK, LOG_SOURCE, TEXT_SOURCE, register, spec};
pub use text_source::{
    LINE_BYTES_MAX, TEXT_PART_BYTES, TextSource, TextSourceParameters, upload_text,
};
