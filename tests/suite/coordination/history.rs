//! What happened in a run, in one order.

use std::{
    fmt,
    sync::{Arc, Mutex},
};
use wavetank::{
    host::{
        Event,
        sim::{Hardware, Observer, ProcessEnd, Stamp, World},
    },
    system::service::coordination::{
        Change, CoordinationError, CoordinationEvent, KeyPattern, LeaseId, Range, Revision, Update,
    },
};

/// How a write ended for its client.
#[derive(Clone, Debug)]
pub enum Outcome {
    Done(Revision),
    Never(CoordinationError),
    Indeterminate,
}

#[derive(Clone, Debug)]
pub enum Entry {
    Server(CoordinationEvent),
    Ended(ProcessEnd),
    /// A client is about to ask for this.
    Asked {
        tag: Vec<u8>,
        changes: Vec<Change>,
    },
    Answered {
        tag: Vec<u8>,
        outcome: Outcome,
    },
    /// A read that was sent when so many entries stood.
    Read {
        since: usize,
        range: Range,
    },
    Watched {
        watch: u64,
        keys: KeyPattern,
        update: Update,
    },
    /// A keep-alive (or the grant) that was sent at that time was answered.
    Alive {
        lease: LeaseId,
        sent: std::time::Duration,
        ttl: std::time::Duration,
    },
    Revoked {
        lease: LeaseId,
    },
}

/// Acts on the world at the instant of a server's event.
type Trigger = Box<dyn FnMut(&World, Stamp, &CoordinationEvent) + Send>;

#[derive(Default)]
pub struct History {
    entries: Mutex<Vec<(Stamp, Entry)>>,
    trigger: Mutex<Option<Trigger>>,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (stamp, entry)) in self.all().into_iter().enumerate() {
            writeln!(f, "{at} {:?} {:?}#{} {entry:?}", stamp.time, stamp.node, stamp.incarnation)?;
        }
        Ok(())
    }
}

impl Observer for History {
    fn observe(&self, world: &World, stamp: Stamp, event: &dyn Event) {
        if let Some(Hardware::Ended(end)) = event.as_any().downcast_ref() {
            self.push(stamp, Entry::Ended(end.clone()));
        }
        let Some(event) = event.as_any().downcast_ref::<CoordinationEvent>() else { return };
        self.push(stamp, Entry::Server(event.clone()));
        let trigger = self.trigger.lock().unwrap().take();
        if let Some(mut trigger) = trigger {
            trigger(world, stamp, event);
            self.trigger.lock().unwrap().get_or_insert(trigger);
        }
    }
}

impl History {
    pub fn push(&self, stamp: Stamp, entry: Entry) {
        self.entries.lock().unwrap().push((stamp, entry));
    }

    pub fn len(&self) -> usize {
        self.entries.lock().unwrap().len()
    }

    pub fn all(&self) -> Vec<(Stamp, Entry)> {
        self.entries.lock().unwrap().clone()
    }

    pub fn events(&self) -> Vec<(Stamp, CoordinationEvent)> {
        let server = |(stamp, entry)| match entry {
            Entry::Server(event) => Some((stamp, event)),
            _ => None,
        };
        self.all().into_iter().filter_map(server).collect()
    }

    pub fn on_event(
        self: &Arc<Self>,
        trigger: impl FnMut(&World, Stamp, &CoordinationEvent) + Send + 'static,
    ) {
        *self.trigger.lock().unwrap() = Some(Box::new(trigger));
    }
}
