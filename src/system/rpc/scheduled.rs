//! What a main thread has put off: once or again and again.

use crate::host::Task;
use std::collections::BTreeMap;

/// Names a piece of scheduled work of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scheduled(u64);

/// The work that waits for its time, and its timers. All of it is of the endpoint's present session.
pub(super) struct Schedule<W> {
    entries: BTreeMap<Scheduled, Entry<W>>,
    made: u64,
}

struct Entry<W> {
    /// `None` while it runs.
    work: Option<W>,
    timer: Task,
}

impl<W> Default for Schedule<W> {
    fn default() -> Self {
        Schedule { entries: BTreeMap::new(), made: 0 }
    }
}

impl<W> Schedule<W> {
    /// Takes work in; `timer` says when the time of what is named so has come.
    pub fn add(&mut self, work: W, timer: impl FnOnce(Scheduled) -> Task) -> Scheduled {
        self.made += 1;
        let name = Scheduled(self.made);
        self.entries.insert(name, Entry { work: Some(work), timer: timer(name) });
        name
    }

    /// The work whose time has come, unless it was canceled.
    pub fn begin(&mut self, name: Scheduled) -> Option<W> {
        self.entries.get_mut(&name)?.work.take()
    }

    /// The work is done and not needed again.
    pub fn end(&mut self, name: Scheduled) {
        self.entries.remove(&name);
    }

    /// The work is done and is to run again when `timer` says so, unless it was canceled meanwhile.
    pub fn renew(&mut self, name: Scheduled, work: W, timer: impl FnOnce() -> Task) {
        if let Some(entry) = self.entries.get_mut(&name) {
            *entry = Entry { work: Some(work), timer: timer() };
        }
    }

    /// Forgets a piece of work and its timer.
    #[must_use = "the work is dropped outside of any borrow: its destructor may call back"]
    pub fn cancel(&mut self, name: Scheduled) -> Option<W> {
        let entry = self.entries.remove(&name)?;
        entry.timer.cancel();
        entry.work
    }

    /// Forgets everything.
    #[must_use = "the work is dropped outside of any borrow: its destructor may call back"]
    pub fn cancel_all(&mut self) -> Vec<W> {
        let entries = std::mem::take(&mut self.entries);
        let canceled = entries.into_values().filter_map(|entry| {
            entry.timer.cancel();
            entry.work
        });
        canceled.collect()
    }
}
