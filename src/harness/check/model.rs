//! The reference model: what stands on the coordination server by its own log, and what the
//! processes believe.

use super::history::{Moment, Seen};
use crate::{
    host::sim::{Hardware, NodeId},
    jobs::journal::{COMPONENT, JournalEvent},
    system::{
        leadership::{LeaderInformation, LeaderSessionId, LeadershipEvent, latch_key, leader_key},
        service::coordination::{Change, CoordinationEvent},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// The state of the cluster as far as facts tell.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The keys on the coordination server.
    pub keys: BTreeMap<String, Vec<u8>>,
    /// The processes that believe they lead.
    pub granted: BTreeMap<(NodeId, u64), LeaderSessionId>,
    /// The node on which each term was granted.
    pub granted_on: BTreeMap<LeaderSessionId, NodeId>,
    /// What each following process was told last.
    pub notified: BTreeMap<(NodeId, u64), Option<LeaderInformation>>,
    /// The clients that have nothing more to send.
    pub finished: BTreeSet<u32>,
    /// Lines acknowledged, by client.
    pub acknowledged: BTreeMap<u32, u64>,
}

impl Model {
    /// Takes a fact in.
    pub fn observe(&mut self, at: Moment, seen: Seen<'_>) {
        match seen {
            Seen::Hardware(Hardware::Ended(_)) => {
                self.granted.remove(&at.process);
                self.notified.remove(&at.process);
            }
            Seen::Coordination(event) => self.observe_coordination(event),
            Seen::Leadership(event) => self.observe_leadership(at, event),
            Seen::Journal(JournalEvent::ClientFinished { client, .. }) => {
                self.finished.insert(*client);
            }
            Seen::Journal(JournalEvent::Acknowledged { client, through }) => {
                self.acknowledged.insert(*client, *through);
            }
            _ => {}
        }
    }

    fn observe_coordination(&mut self, event: &CoordinationEvent) {
        match event {
            CoordinationEvent::Recovered { keys, .. } => {
                self.keys =
                    keys.iter().map(|(key, value, _)| (key.clone(), value.clone())).collect();
            }
            CoordinationEvent::Committed { changes, .. } => {
                for change in changes {
                    match change {
                        Change::Put { key, value, .. } => {
                            self.keys.insert(key.clone(), value.clone());
                        }
                        Change::Delete { key } => {
                            self.keys.remove(key);
                        }
                    }
                }
            }
            CoordinationEvent::LeaseEnded { removed, .. } => {
                for key in removed {
                    self.keys.remove(key);
                }
            }
            _ => {}
        }
    }

    fn observe_leadership(&mut self, at: Moment, event: &LeadershipEvent) {
        match event {
            LeadershipEvent::Granted { session, .. } => {
                self.granted.insert(at.process, *session);
                self.granted_on.insert(*session, at.process.0);
            }
            LeadershipEvent::Revoked { .. } | LeadershipEvent::ElectionStopped { .. } => {
                self.granted.remove(&at.process);
            }
            LeadershipEvent::LeaderNotified { leader, .. } => {
                self.notified.insert(at.process, leader.clone());
            }
            LeadershipEvent::RetrievalStopped { .. } => {
                self.notified.remove(&at.process);
            }
            _ => {}
        }
    }

    /// The term in the latch, by the server's log.
    pub fn latch(&self) -> Option<LeaderSessionId> {
        self.keys.get(&latch_key(COMPONENT)).and_then(|value| LeaderSessionId::from_bytes(value))
    }

    /// The leader record, by the server's log.
    pub fn record(&self) -> Option<LeaderInformation> {
        let value = self.keys.get(&leader_key(COMPONENT))?;
        postcard::from_bytes(value).ok()
    }

    /// The node that holds the latch.
    pub fn leader(&self) -> Option<NodeId> {
        self.granted_on.get(&self.latch()?).copied()
    }
}
