//! The time of tracing lines in simulation: the node and its virtual time.

use crate::host::sim::current_stamp;
use std::fmt;
use tracing_subscriber::fmt::{format::Writer, time::FormatTime};

/// The node that runs on this thread, and the simulated time.
pub struct VirtualTime;

impl FormatTime for VirtualTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match current_stamp() {
            Some((node, stamp)) => {
                write!(writer, "{:>12.6}s {node}/{}", stamp.time.as_secs_f64(), stamp.incarnation)
            }
            None => write!(writer, "{:>13} simulation", "-"),
        }
    }
}
