//! One machine: its clock, ports, disk, service and console, and the process on it.

use super::{
    clock::{Clock, Nanos},
    console::Console,
    disk::DiskState,
    injected_error::InjectedErrors,
    message::Ports,
    stamp::NodeId,
};
use crate::host::random::Draws;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The process that runs on a machine.
struct Process {
    incarnation: u64,
    /// Shared with the handles of this incarnation.
    dead: Arc<AtomicBool>,
}

/// What a pause or its end has changed.
pub(in crate::host) struct PauseChange {
    /// Of the process that runs there.
    pub incarnation: u64,
    /// Whether it stood still before and doesn't now, or the other way round.
    pub paused: bool,
    /// The same of what the history knows.
    pub openly: bool,
}

/// One machine.
pub(in crate::host) struct Machine {
    pub clock: Clock,
    /// The randomness of its processes.
    pub draws: Draws,
    pub ports: Ports,
    pub disk: DiskState,
    pub injected_errors: InjectedErrors,
    pub console: Console,
    /// By how many versions of the protocol the binary is ahead that the next boot runs.
    pub versions_ahead: u16,
    madsim: madsim::task::NodeId,
    incarnations: u64,
    process: Option<Process>,
    paused: bool,
    /// Whether that it is paused is an event of the history.
    paused_openly: bool,
}

impl Machine {
    /// A machine without a process.
    pub fn new(seed: u64, id: NodeId, now: Nanos, madsim: madsim::task::NodeId) -> Self {
        let key = [id.key(), 0];
        // Nodes boot long apart, so that monotonic readings of two nodes never look comparable.
        let origin = Draws::new(seed, "clock-origin", key).below(1_000_000_000_000_000);
        Machine {
            clock: Clock::new(now, origin),
            draws: Draws::new(seed, "node", key),
            ports: Ports::default(),
            disk: DiskState::new(seed, id),
            injected_errors: InjectedErrors::default(),
            console: Console::default(),
            versions_ahead: 0,
            madsim,
            incarnations: 0,
            process: None,
            paused: false,
            paused_openly: false,
        }
    }

    /// From now on all that is drawn here is drawn otherwise.
    pub fn branch(&mut self, number: u32) {
        self.draws.branch(number);
        self.disk.branch(number);
        self.injected_errors.branch(number);
    }

    /// What madsim calls it.
    pub fn madsim(&self) -> madsim::task::NodeId {
        self.madsim
    }

    /// How many processes it has had.
    pub fn incarnations(&self) -> u64 {
        self.incarnations
    }

    /// The incarnation that runs on it.
    pub fn running(&self) -> Option<u64> {
        self.process.as_ref().map(|process| process.incarnation)
    }

    /// Starts the next incarnation; its number, and what tells that it is dead.
    pub fn boot(&mut self) -> (u64, Arc<AtomicBool>) {
        self.incarnations += 1;
        let dead = Arc::new(AtomicBool::new(false));
        self.process = Some(Process { incarnation: self.incarnations, dead: dead.clone() });
        (self.incarnations, dead)
    }

    /// Ends the incarnation that runs on it: from here on nothing it does has an effect.
    pub fn end_process(&mut self) -> Option<u64> {
        let process = self.process.take()?;
        process.dead.store(true, Ordering::Relaxed);
        self.console.forget();
        self.paused = false;
        self.paused_openly = false;
        Some(process.incarnation)
    }

    /// Marks the process as paused or not; `None` when there is none.
    pub fn set_paused(&mut self, paused: bool, openly: bool) -> Option<PauseChange> {
        let incarnation = self.running()?;
        let before = (self.paused, self.paused_openly);
        self.paused = paused;
        self.paused_openly = paused && (openly || before.1);
        let (paused, openly) = (before.0 != self.paused, before.1 != self.paused_openly);
        Some(PauseChange { incarnation, paused, openly })
    }
}
