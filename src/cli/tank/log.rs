//! Tracing lines with the node and the virtual time.

use super::CliError;
use crate::host::sim::current_stamp;
use std::fmt;
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

struct VirtualTime;

impl FormatTime for VirtualTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        match current_stamp() {
            Some((node, stamp)) => {
                write!(writer, "{:>12.6}s {node}/{}", stamp.time.as_secs_f64(), stamp.incarnation)
            }
            None => write!(writer, "{:>13} tank", "-"),
        }
    }
}

/// Prints the lines that pass `filter` on standard error.
pub fn install(filter: &str) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| CliError::new(format!("--log {filter:?}: {error}")))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(VirtualTime)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}
