//! What a task does with its time, and how much goes through it.

use crate::{
    host::{Host, Instant},
    system::protocol::{TaskMetrics, Volume},
};
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// What a task does; in this order times are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It handles something, or waits for what a function of it needs.
    Busy,
    /// It has nothing to handle.
    Idle,
    /// It has no room for what it would emit.
    BackPressured,
}

#[derive(Debug, Default)]
struct Metered {
    /// What it does now, and since when; `None` before it runs.
    now: Option<(Activity, Instant)>,
    /// The time spent before that, by activity.
    spent: [Duration; 3],
    had_no_room: bool,
    read: Volume,
    written: Volume,
}

impl Metered {
    /// The time spent until now, by activity.
    fn spent(&self, now: Instant) -> [Duration; 3] {
        let mut spent = self.spent;
        if let Some((activity, since)) = self.now {
            spent[activity as usize] += now.saturating_since(since);
        }
        spent
    }
}

/// Measures one attempt. The task says what it does; whoever holds it may read.
pub struct Meter {
    host: Host,
    metered: Mutex<Metered>,
}

impl Meter {
    pub fn new(host: &Host) -> Self {
        Meter { host: host.clone(), metered: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Metered> {
        self.metered.lock().expect("no panic under this lock")
    }

    /// The task does something else from here on. Says whether it is the first time that it has no room.
    pub fn enter(&self, activity: Activity) -> bool {
        let (now, mut metered) = (self.host.now(), self.lock());
        metered.spent = metered.spent(now);
        metered.now = Some((activity, now));
        activity == Activity::BackPressured && !std::mem::replace(&mut metered.had_no_room, true)
    }

    /// So much has been read and written in all.
    pub fn count(&self, read: Volume, written: Volume) {
        let mut metered = self.lock();
        (metered.read, metered.written) = (read, written);
    }

    /// What was measured until now.
    pub fn metrics(&self) -> TaskMetrics {
        let (now, metered) = (self.host.now(), self.lock());
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let [busy_us, idle_us, back_pressured_us] = metered.spent(now).map(micros);
        let Metered { read, written, .. } = *metered;
        TaskMetrics { busy_us, idle_us, back_pressured_us, read, written }
    }
}
