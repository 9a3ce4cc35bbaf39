//! Tracing lines on standard error.

use super::CliError;
use tracing_subscriber::{EnvFilter, fmt::time::FormatTime};

/// Prints the lines that pass `filter` on standard error, each with the time that `timer` writes.
pub fn install(
    filter: &str,
    timer: impl FormatTime + Send + Sync + 'static,
) -> Result<(), CliError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| CliError::new(format!("--log {filter:?}: {error}")))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(timer)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        // They go to standard error too, and panic when its reader has gone.
        .log_internal_errors(false)
        .init();
    Ok(())
}
