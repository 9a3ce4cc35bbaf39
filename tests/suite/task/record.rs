//! What was announced and reported, and what must hold of all of it.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};
use wavetank::{
    host::{
        Event,
        sim::{Observer, Stamp, World},
    },
    system::{
        graph::StateHandle,
        ids::{CheckpointId, ExecutionAttemptId, ResultPartitionId},
        task_executor::{
            CHANNEL_CREDIT, SUBPARTITION_BUFFERS_MAX, TaskEvent, TaskResponder, TaskStateUpdate,
        },
    },
};

type ChannelId = (ResultPartitionId, u32);

/// Every event of the tasks, in order.
#[derive(Default)]
pub struct Facts(Mutex<Vec<(Duration, TaskEvent)>>);

impl Observer for Facts {
    fn observe(&self, _: &World, stamp: Stamp, event: &dyn Event) {
        if let Some(event) = event.as_any().downcast_ref::<TaskEvent>() {
            self.0.lock().unwrap().push((stamp.time, event.clone()));
        }
    }
}

impl Facts {
    pub fn all(&self) -> Vec<(Duration, TaskEvent)> {
        self.0.lock().unwrap().clone()
    }

    /// Every channel's buffers arrive as they were sent, in order, and few are under way at a time.
    /// Returns how many were received.
    pub fn check_channels(&self) -> usize {
        let mut sent = BTreeMap::<ChannelId, Vec<(u32, u64)>>::new();
        let mut received = BTreeMap::<ChannelId, usize>::new();
        for (_, event) in self.all() {
            match event {
                TaskEvent::BufferSent { partition, subpartition, sequence, records, hash } => {
                    let channel = (partition, subpartition);
                    let sent = sent.entry(channel).or_default();
                    assert_eq!(sequence, sent.len() as u64, "{channel:?}");
                    sent.push((records, hash));
                    let received = received.get(&channel).copied().unwrap_or_default();
                    let under_way = &sent[received..];
                    let data = under_way.iter().filter(|(records, _)| *records > 0).count();
                    let events = under_way.len() - data;
                    // An event may bring one with it.
                    let most = SUBPARTITION_BUFFERS_MAX + CHANNEL_CREDIT as usize + events;
                    assert!(data <= most, "{data} buffers under way");
                }
                TaskEvent::BufferReceived { partition, subpartition, sequence, records, hash } => {
                    let channel = (partition, subpartition);
                    let received = received.entry(channel).or_default();
                    assert_eq!(sequence, *received as u64, "{channel:?}");
                    assert_eq!(sent[&channel][*received], (records, hash));
                    *received += 1;
                }
                _ => {}
            }
        }
        received.values().sum()
    }

    /// Compares what was consumed at a consumer's snapshot with what was emitted at the producer's:
    /// channels that agree, and those that do not.
    pub fn cuts(&self) -> (usize, usize) {
        let mut emitted = BTreeMap::new();
        for (_, event) in self.all() {
            if let TaskEvent::SnapshotTaken { checkpoint, outputs, .. } = event {
                for (partition, subpartition, count) in outputs {
                    emitted.insert((checkpoint, partition, subpartition), count);
                }
            }
        }
        let (mut equal, mut unequal) = (0, 0);
        for (_, event) in self.all() {
            let TaskEvent::SnapshotTaken { checkpoint, inputs, .. } = event else { continue };
            for (partition, subpartition, count) in inputs {
                match emitted.get(&(checkpoint, partition, subpartition)) {
                    Some(emitted) if *emitted == count => equal += 1,
                    Some(_) => unequal += 1,
                    None => {}
                }
            }
        }
        (equal, unequal)
    }
}

/// What a task told its responder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    State(ExecutionAttemptId, TaskStateUpdate),
    Acknowledged(ExecutionAttemptId, CheckpointId, StateHandle, bool),
    Declined(ExecutionAttemptId, CheckpointId, String),
}

impl Report {
    pub fn attempt(&self) -> ExecutionAttemptId {
        match self {
            Report::State(attempt, _)
            | Report::Acknowledged(attempt, ..)
            | Report::Declined(attempt, ..) => *attempt,
        }
    }
}

/// Every report, in order. Nothing may come behind a terminal one.
#[derive(Default)]
pub struct Reports(Mutex<Vec<Report>>);

impl Reports {
    pub fn all(&self) -> Vec<Report> {
        self.0.lock().unwrap().clone()
    }

    fn add(&self, report: Report) {
        let mut reports = self.0.lock().unwrap();
        let over = reports.iter().any(|earlier| {
            matches!(earlier, Report::State(attempt, update)
                if *attempt == report.attempt() && update.is_terminal())
        });
        assert!(!over, "behind the end: {report:?}");
        reports.push(report);
    }

    /// The states of an attempt.
    pub fn states(&self, of: ExecutionAttemptId) -> Vec<TaskStateUpdate> {
        let states = self.all().into_iter().filter_map(|report| match report {
            Report::State(attempt, update) if attempt == of => Some(update),
            _ => None,
        });
        states.collect()
    }

    /// The newest state of an attempt.
    pub fn state(&self, of: ExecutionAttemptId) -> Option<TaskStateUpdate> {
        self.states(of).pop()
    }

    /// What was declined.
    pub fn declined(&self) -> Vec<(u32, u64, String)> {
        let declined = self.all().into_iter().filter_map(|report| match report {
            Report::Declined(attempt, checkpoint, reason) => {
                Some((attempt.vertex.vertex.0, checkpoint.0, reason))
            }
            _ => None,
        });
        declined.collect()
    }
}

impl TaskResponder for Reports {
    fn state_changed(&self, attempt: ExecutionAttemptId, update: TaskStateUpdate) {
        self.add(Report::State(attempt, update));
    }

    fn acknowledge_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        state: StateHandle,
        ended: bool,
    ) {
        self.add(Report::Acknowledged(attempt, checkpoint, state, ended));
    }

    fn decline_checkpoint(
        &self,
        attempt: ExecutionAttemptId,
        checkpoint: CheckpointId,
        reason: String,
    ) {
        self.add(Report::Declined(attempt, checkpoint, reason));
    }
}
