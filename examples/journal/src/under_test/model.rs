//! The state of a journal as far as its events tell: that of the cluster's foundation, and how far its
//! clients are.

use super::super::JournalEvent;
use std::collections::{BTreeMap, BTreeSet};
use wavetank::{
    harness::{
        check,
        event::{Moment, event_as},
    },
    host::Event,
    under_test::cluster,
};

/// The state of a journal.
#[derive(Debug, Default)]
pub struct Model {
    /// Who leads, and what stands on the coordination server.
    pub cluster: cluster::Model,
    /// The clients that have nothing more to send.
    pub finished: BTreeSet<u32>,
    /// The lines acknowledged, by client.
    pub acknowledged: BTreeMap<u32, u64>,
    /// When a line was acknowledged last.
    pub last_acknowledged: std::time::Duration,
}

impl AsRef<cluster::Model> for Model {
    fn as_ref(&self) -> &cluster::Model {
        &self.cluster
    }
}

impl check::Model for Model {
    fn observe(&mut self, at: Moment, event: &dyn Event) {
        check::Model::observe(&mut self.cluster, at, event);
        match event_as(event) {
            Some(JournalEvent::ClientFinished { client, .. }) => {
                self.finished.insert(*client);
            }
            Some(JournalEvent::Acknowledged { client, through }) => {
                self.acknowledged.insert(*client, *through);
                self.last_acknowledged = at.time;
            }
            _ => {}
        }
    }
}
