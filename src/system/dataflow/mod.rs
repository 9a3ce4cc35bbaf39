//! What a job is written with: streams of typed records, functions on them, state by key, timers, event time, windows.
//!
//! A job is a [`Program`]: a function that describes a dataflow in a [`StreamEnv`]. Every process of a cluster has it
//! in its binary and makes its tasks from it, so functions are plain closures, and the operators of a chain call each
//! other: no box, no lock and no encoding between them.
//!
//! The front page of the crate has a whole one.
//!
//! Records have an event time where a [`WatermarkStrategy`] gives them one: it says how far the records of a stream have
//! come, by watermarks that go with them. By these timers of event time fire, and windows, which stand on them
//! ([`KeyedStream::window`]). What comes too late for its windows, or what a function wants to set apart, goes to a side
//! output, by an [`OutputTag`].
//!
//! A function never waits. What it emits beyond the room of those that read it is kept with the task, whose snapshot
//! has it too; what has to be waited for is done between records, by a [`Source`] or a [`Sink`].

mod connect;
mod data;
mod failure;
mod functions;
mod head;
mod keyed_state;
mod operator;
mod operator_fn;
mod output_tag;
mod outputs;
mod plan;
mod port;
mod process;
mod program;
mod shape;
mod side_output;
mod sink;
mod source;
mod stage;
mod stream;
mod time;
mod watermarks;
mod window;

/// A text that is held in place while it is short.
pub use compact_str::CompactString as Text;
pub use connect::{CoProcess, ConnectedStreams};
pub use data::{Data, Key};
pub use failure::{Failure, Result};
pub use head::{ChainHead, Fetched, Records};
pub use keyed_state::{
    DeclaredState, Encoding, List, ListState, Map, MapState, Postcard, Reducing, ReducingState,
    STATES_MAX, StateTtl, States, Value, ValueState,
};
pub use operator::{
    Managed, OperatorContext, Waits, WorkingFolders, WrittenFile, at_once, ready, split_lists,
};
pub use operator_fn::Operator;
pub use output_tag::OutputTag;
pub use outputs::{
    BUFFER_BYTES_MAX, Emitted, OVERFLOW_BYTES_MAX, Outputs, RECORD_BYTES_MAX, RECORD_HEADER_BYTES,
};
pub use plan::Plan;
pub use process::{KeyContext, Process, Timer};
pub use program::{Program, ProgramError, Programs};
pub use shape::shape_of;
pub use sink::Sink;
pub use source::{Source, SourceStep};
pub use stage::{Collector, Downstream, Scope};
pub use stream::{KeyedStream, Stream, StreamEnv};
pub use time::{Timestamp, WatermarkStatus};
pub use watermarks::WatermarkStrategy;
pub use window::{
    Aggregate, Window, WindowAssigner, WindowContext, WindowEvent, WindowFunction, WindowedStream,
};
