//! SIGINT (Ctrl-C), SIGTERM and SIGHUP: once to end what is under way and tell of it, twice to end at
//! once. A SIGHUP that the process was told to ignore (`nohup`) stays ignored.

use super::{CliError, Outcome, print};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Whether somebody wants an end.
pub struct Interrupt {
    wanted: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    #[expect(clippy::disallowed_methods, reason = "signals are met on a thread of their own")]
    pub fn listen() -> Result<Self, CliError> {
        let interrupt = Interrupt { wanted: Arc::default(), stop: Arc::default() };
        let (wanted, stop) = (interrupt.wanted.clone(), interrupt.stop.clone());
        let heard = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
        let mut signals = Signals::new(heard)?;
        std::thread::Builder::new().name("signals".to_string()).spawn(move || {
            for _ in signals.forever() {
                if wanted.swap(true, Ordering::Relaxed) {
                    at_once();
                }
                stop.store(true, Ordering::Relaxed);
                print::note("\nwavetank: what is under way ends; once more ends at once");
            }
        })?;
        Ok(interrupt)
    }

    /// Set when no new run is to begin.
    pub fn stop(&self) -> &Arc<AtomicBool> {
        &self.stop
    }

    /// Whether a signal has come.
    pub fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

/// Whether whoever started this process has it ignore a signal.
#[expect(clippy::disallowed_methods, reason = "what the kernel says of this process")]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignores(&status, signal)
}

/// Whether a signal is in the mask of a process's status.
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

#[expect(clippy::disallowed_methods, reason = "nothing is left to be put away")]
fn at_once() -> ! {
    std::process::exit(Outcome::Interrupted as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_status() {
        let status = "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SIGHUP));
        assert!(!ignores(status, SIGINT) && !ignores(status, SIGTERM));
        assert!(!ignores("", SIGHUP));
    }
}
