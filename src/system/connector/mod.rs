//! Sources and sinks: a topic of the log service, a text in the object store, a generator, a database, files, and one that
//! discards.
//!
//! [`LogSource`] reads a topic up to offsets that are fixed at submission, or without end; the others end. [`LogSink`]
//! is exactly-once: what it writes is seen when the checkpoint that covers it is complete. So is [`DatabaseSink`], unless
//! it is told to write at once, and [`FileSink`].
//!
//! Deliberately absent: discovery of texts that come later.

mod database_sink;
mod discarding_sink;
mod file_sink;
mod generator;
mod input;
mod log_sink;
mod log_source;
mod sink_event;
mod text_source;

pub use database_sink::{DatabaseSink, DatabaseSinkError, WAITING_BYTES_MAX};
pub use discarding_sink::DiscardingSink;
pub use file_sink::{
    FILES, FileSink, FileSinkError, PART_BYTES, PENDING_PARTS_MAX, file_folder, is_file_of,
    part_lines, read_files,
};
pub use generator::{GeneratorParameters, GeneratorSource};
pub use input::{Input, InputSource};
pub use log_sink::{Encode, LogSink, PlainLogSink, ToPartition};
pub use log_source::{LogSource, LogSourceParameters, SourceEvent, StartingOffsets};
pub use sink_event::SinkEvent;
pub use text_source::{
    LINE_BYTES_MAX, TEXT_PART_BYTES, TextSource, TextSourceParameters, upload_text,
};
