//! Sources and sinks: a topic of the log service, a text in the object store, a generator, and one that discards.
//!
//! [`LogSource`] reads a topic up to offsets that are fixed at submission, or without end; the others end. [`LogSink`] is exactly-once: what it writes is seen
//! when the checkpoint that covers it is complete.
//!
//! Deliberately absent: discovery of texts that come later.

mod discarding_sink;
mod generator;
mod input;
mod log_sink;
mod log_source;
mod text_source;

pub use discarding_sink::DiscardingSink;
pub use generator::{GeneratorParameters, GeneratorSource};
pub use input::{Input, InputSource};
pub use log_sink::{LogSink, SinkEvent};
pub use log_source::{LogSource, LogSourceParameters, SourceEvent, StartingOffsets};
pub use text_source::{
    LINE_BYTES_MAX, TEXT_PART_BYTES, TextSource, TextSourceParameters, upload_text,
};
