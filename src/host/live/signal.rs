//! The operating system's word that this process should end.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Waits until a person (Ctrl-C) or the system asks this process to end.
///
/// From the first call on, neither ends it by itself any more.
///
/// # Errors
/// When the operating system lets nobody wait for it.
///
/// # Panics
/// Outside of a live node.
pub async fn interrupted() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
