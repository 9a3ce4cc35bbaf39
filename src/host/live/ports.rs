//! The ports that a node has open, so that all are closed at its end.

use std::sync::{Arc, Mutex, Weak};
use tokio::net::TcpListener;

/// A listener until its port is closed.
pub(super) type Slot = Mutex<Option<TcpListener>>;

/// The open ports of one node.
#[derive(Default)]
pub(super) struct Ports {
    slots: Mutex<Vec<Weak<Slot>>>,
}

impl Ports {
    /// Adds an open port; one that is added after the end must be closed with the others again.
    pub fn add(&self, slot: &Arc<Slot>) {
        let mut slots = self.slots.lock().expect("nothing panics here");
        slots.retain(|slot| slot.strong_count() > 0);
        slots.push(Arc::downgrade(slot));
    }

    /// Closes every port.
    pub fn close_all(&self) {
        let slots = std::mem::take(&mut *self.slots.lock().expect("nothing panics here"));
        for slot in slots.iter().filter_map(Weak::upgrade) {
            slot.lock().expect("nothing panics here").take();
        }
    }
}
