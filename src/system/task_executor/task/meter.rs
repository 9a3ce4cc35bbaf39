//! What a task does with its time, and how much goes through it.

use crate::{
    host::{Host, Instant},
    system::protocol::{TaskMetrics, Volume},
};
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// What a task does.
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
    busy: Duration,
    idle: Duration,
    back_pressured: Duration,
    had_no_room: bool,
    read: Volume,
    written: Volume,
}

impl Metered {
    fn add(&mut self, activity: Activity, time: Duration) {
        let of = match activity {
            Activity::Busy => &mut self.busy,
            Activity::Idle => &mut self.idle,
            Activity::BackPressured => &mut self.back_pressured,
        };
        *of += time;
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
        if let Some((before, since)) = metered.now.replace((activity, now)) {
            metered.add(before, now.saturating_since(since));
        }
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
        let Metered { read, written, .. } = *metered;
        let of = |activity: Activity, before: Duration| {
            let since = metered.now.filter(|(of, _)| *of == activity);
            let time = before + since.map_or(Duration::ZERO, |(_, at)| now.saturating_since(at));
            u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
        };
        TaskMetrics {
            busy_us: of(Activity::Busy, metered.busy),
            idle_us: of(Activity::Idle, metered.idle),
            back_pressured_us: of(Activity::BackPressured, metered.back_pressured),
            read,
            written,
        }
    }
}
