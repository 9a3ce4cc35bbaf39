//! A sink for who wants to see how fast a job is.

use crate::system::dataflow::{Data, Result, Sink, Timestamp};

/// Takes records and does nothing with them.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiscardingSink;

impl<T: Data> Sink<T> for DiscardingSink {
    fn write(&mut self, _: T, _: Option<Timestamp>) -> Result<()> {
        Ok(())
    }
}
