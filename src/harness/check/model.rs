//! The reference model: what stands on the services by their own logs, and what the processes
//! believe.

use super::history::{Moment, Seen};
use crate::{
    host::sim::{Hardware, NodeId},
    jobs::{journal::JournalEvent, word_count::OUTPUT_TOPIC},
    system::{
        client::ClientEvent,
        ids::{AllocationId, JobId},
        leadership::{LeaderInformation, LeaderSessionId, LeadershipEvent, latch_key, leader_key},
        protocol::{JobResult, JobStatus},
        service::{
            blobs::BlobEvent,
            coordination::{Change, CoordinationEvent},
            log::{LogEvent, TransactionId},
        },
        store::{self, StoredResult},
        task_executor::SlotEvent,
    },
};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};

/// A process and a component, or one of its listeners' services.
type InProcess<T> = ((NodeId, u64), T);

/// The state of the cluster as far as facts tell.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The keys on the coordination server.
    pub keys: BTreeMap<String, Vec<u8>>,
    /// The processes that believe they lead a component.
    pub granted: BTreeMap<InProcess<String>, LeaderSessionId>,
    /// The node on which each term was granted.
    pub granted_on: BTreeMap<LeaderSessionId, NodeId>,
    /// What each listener was told last: by process and service, the component and its leader.
    pub notified: BTreeMap<InProcess<u64>, (String, Option<LeaderInformation>)>,
    /// The journal's clients that have nothing more to send.
    pub finished: BTreeSet<u32>,
    /// The journal's lines acknowledged, by client.
    pub acknowledged: BTreeMap<u32, u64>,
    /// The blobs on the blob server.
    pub blobs: BTreeSet<String>,
    /// The transactions on the log server that have not ended.
    pub transactions: BTreeSet<TransactionId>,
    /// The committed records of the output topic, by partition.
    pub output: BTreeMap<u32, Vec<Bytes>>,
    /// The slots that task executors hold for jobs.
    pub slots: BTreeMap<InProcess<u32>, (JobId, AllocationId)>,
    /// The jobs that clients know to be taken on.
    pub submitted: BTreeSet<JobId>,
    /// The results that clients were told.
    pub results: BTreeMap<JobId, JobResult>,
}

impl Model {
    /// Takes a fact in.
    pub fn observe(&mut self, at: Moment, seen: Seen<'_>) {
        match seen {
            Seen::Hardware(Hardware::Ended(_)) => self.forget_process(at.process),
            Seen::Coordination(event) => self.observe_coordination(event),
            Seen::Leadership(event) => self.observe_leadership(at, event),
            Seen::Blob(event) => self.observe_blobs(event),
            Seen::Log(event) => self.observe_log(event),
            Seen::Slot(event) => self.observe_slots(at, event),
            Seen::Client(ClientEvent::Submitted { job }) => {
                self.submitted.insert(*job);
            }
            Seen::Client(ClientEvent::Ended { job, result }) => {
                self.results.insert(*job, result.clone());
            }
            Seen::Journal(JournalEvent::ClientFinished { client, .. }) => {
                self.finished.insert(*client);
            }
            Seen::Journal(JournalEvent::Acknowledged { client, through }) => {
                self.acknowledged.insert(*client, *through);
            }
            _ => {}
        }
    }

    fn forget_process(&mut self, process: (NodeId, u64)) {
        self.granted.retain(|(of, _), _| *of != process);
        self.notified.retain(|(of, _), _| *of != process);
        self.slots.retain(|(of, _), _| *of != process);
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
            LeadershipEvent::Granted { session, component } => {
                self.granted.insert((at.process, component.clone()), *session);
                self.granted_on.insert(*session, at.process.0);
            }
            LeadershipEvent::Revoked { component, .. }
            | LeadershipEvent::ElectionStopped { component } => {
                self.granted.remove(&(at.process, component.clone()));
            }
            LeadershipEvent::LeaderNotified { component, service, leader } => {
                let told = (component.clone(), leader.clone());
                self.notified.insert((at.process, *service), told);
            }
            LeadershipEvent::RetrievalStopped { service, .. } => {
                self.notified.remove(&(at.process, *service));
            }
            _ => {}
        }
    }

    fn observe_blobs(&mut self, event: &BlobEvent) {
        match event {
            BlobEvent::Recovered { blobs, .. } => {
                self.blobs = blobs.iter().map(|(name, _, _)| name.clone()).collect();
            }
            BlobEvent::Stored { name, .. } => {
                self.blobs.insert(name.clone());
            }
            BlobEvent::Deleted { names } | BlobEvent::Sealed { removed: names, .. } => {
                for name in names {
                    self.blobs.remove(name);
                }
            }
        }
    }

    fn observe_log(&mut self, event: &LogEvent) {
        match event {
            LogEvent::Recovered { unended, records, .. } => {
                self.transactions = unended.iter().cloned().collect();
                let output = records.iter().filter(|(topic, _, _)| topic == OUTPUT_TOPIC);
                self.output = output.map(|(_, part, held)| (*part, held.clone())).collect();
            }
            LogEvent::TransactionOpened { transaction } => {
                self.transactions.insert(transaction.clone());
            }
            LogEvent::TransactionPrepared { transaction } => {
                self.transactions.insert(transaction.clone());
            }
            LogEvent::TransactionCommitted { transaction, writes } => {
                self.transactions.remove(transaction);
                for (_, partition, _, records) in writes.iter().filter(|w| w.0 == OUTPUT_TOPIC) {
                    self.output.entry(*partition).or_default().extend(records.iter().cloned());
                }
            }
            LogEvent::TransactionAborted { transaction } => {
                self.transactions.remove(transaction);
            }
            _ => {}
        }
    }

    fn observe_slots(&mut self, at: Moment, event: &SlotEvent) {
        match event {
            SlotEvent::SlotAllocated { index, job, allocation, .. } => {
                self.slots.insert((at.process, *index), (*job, *allocation));
            }
            SlotEvent::SlotFreed { index, allocation, .. } => {
                let slot = (at.process, *index);
                if self.slots.get(&slot).is_some_and(|(_, held)| held == allocation) {
                    self.slots.remove(&slot);
                }
            }
            _ => {}
        }
    }

    /// The term in a component's latch, by the server's log.
    pub fn latch(&self, component: &str) -> Option<LeaderSessionId> {
        self.keys.get(&latch_key(component)).and_then(|value| LeaderSessionId::from_bytes(value))
    }

    /// A component's leader record, by the server's log.
    pub fn record(&self, component: &str) -> Option<LeaderInformation> {
        let value = self.keys.get(&leader_key(component))?;
        postcard::from_bytes(value).ok()
    }

    /// The node that holds a component's latch.
    pub fn leader(&self, component: &str) -> Option<NodeId> {
        self.granted_on.get(&self.latch(component)?).copied()
    }

    /// What is kept of a job's end.
    pub fn stored_result(&self, job: JobId) -> Option<StoredResult> {
        postcard::from_bytes(self.keys.get(&store::result_key(job))?).ok()
    }

    /// The status with which a job has ended for good, by what is kept.
    pub fn terminal_status(&self, job: JobId) -> Option<JobStatus> {
        self.stored_result(job).map(|stored| stored.result.status)
    }
}
