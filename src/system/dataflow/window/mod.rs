//! Windows of event time on the records of a key.
//!
//! A window's contents are kept by key until the watermark is past its end and the allowed lateness, in the state and
//! the timers of a [`Process`](super::Process). It fires when the watermark passes its end, and again for each record
//! that comes later and is allowed. A record all of whose windows are gone is late: it goes to a side output, if there
//! is one for it. Session windows that touch become one, with all that was known of each.
//!
//! Start at `operator.rs`: what a record does to the windows of its key, and what a timer does.

mod assigner;
mod event;
mod functions;
mod operator;
#[cfg(test)]
mod tests;
mod windowed_stream;

pub use assigner::{Window, WindowAssigner};
pub use event::WindowEvent;
pub use functions::{Aggregate, WindowContext, WindowFunction};
pub use windowed_stream::WindowedStream;
