//! The side that asks.

use super::{HeartbeatConfig, HeartbeatListener, HeartbeatManager, manager::Way};
use crate::system::rpc::Context;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// A manager that requests a beat of every target once an interval.
pub struct HeartbeatManagerSender<E: HeartbeatListener<R>, R: 'static> {
    manager: HeartbeatManager<E, R>,
    /// The present round of requests lives as long as this.
    rounds: Arc<()>,
}

impl<E: HeartbeatListener<R>, R: 'static> HeartbeatManagerSender<E, R> {
    /// A sender of the resource `own_id` that asks nobody before it is started.
    ///
    /// # Panics
    /// As [`HeartbeatManager::new`].
    pub fn new(own_id: impl Into<String>, config: HeartbeatConfig) -> Self {
        HeartbeatManagerSender {
            manager: HeartbeatManager::new(own_id, config),
            rounds: Arc::default(),
        }
    }

    /// The manager under it.
    pub fn manager(&mut self) -> &mut HeartbeatManager<E, R> {
        &mut self.manager
    }

    /// Asks every target now and then once an interval, until the manager is stopped or dropped or
    /// the endpoint's token changes. Starting again begins a new interval.
    pub fn start(&mut self, context: &Context<E>) {
        self.rounds = Arc::default();
        schedule_round(context, Duration::ZERO, Arc::downgrade(&self.rounds));
    }
}

fn schedule_round<E: HeartbeatListener<R>, R: 'static>(
    context: &Context<E>,
    delay: Duration,
    rounds: Weak<()>,
) {
    context.schedule(delay, move |endpoint, context| {
        if rounds.strong_count() > 0 {
            ask_all(endpoint, context, rounds);
        }
    });
}

fn ask_all<E: HeartbeatListener<R>, R: 'static>(
    endpoint: &mut E,
    context: &mut Context<E>,
    rounds: Weak<()>,
) {
    let manager = endpoint.heartbeats();
    if manager.is_stopped() {
        return;
    }
    let interval = manager.config().interval;
    for (id, session) in manager.running_targets() {
        HeartbeatManager::beat(endpoint, context, &id, session, Way::Request);
    }
    schedule_round(context, interval, rounds);
}
