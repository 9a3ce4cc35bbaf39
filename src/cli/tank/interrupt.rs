//! Ctrl-C: once to end what is under way, twice to end at once.

use super::{CliError, print};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The exit code of a process that was interrupted.
const INTERRUPTED: i32 = 130;

/// Whether the person at the keyboard wants an end.
pub struct Interrupt {
    wanted: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> Result<Self, CliError> {
        let interrupt = Interrupt { wanted: Arc::default(), stop: Arc::default() };
        let (wanted, stop) = (interrupt.wanted.clone(), interrupt.stop.clone());
        ctrlc::set_handler(move || {
            if wanted.swap(true, Ordering::Relaxed) {
                at_once();
            }
            stop.store(true, Ordering::Relaxed);
            print::note("\nwavetank: the runs under way end; Ctrl-C again ends at once");
        })?;
        Ok(interrupt)
    }

    /// Set when no new run is to begin.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Whether Ctrl-C was pressed.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

#[expect(clippy::disallowed_methods, reason = "nothing is left to be put away")]
fn at_once() -> ! {
    std::process::exit(INTERRUPTED)
}
