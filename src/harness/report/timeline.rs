//! Timelines out of a run's history.

use super::words;
use crate::{
    harness::{
        check::{KeptEvent, Moment},
        explore::RunOutcome,
    },
    host::sim::{Hardware, NodeId, ProcessEnd},
    jobs::journal::JournalEvent,
    system::{
        leadership::{LeaderSessionId, LeadershipEvent},
        service::coordination::{CoordinationEvent, LeaseEnd},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// One term of a component: who led, from when, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The component.
    pub component: String,
    /// Counts the component's terms from 1, in the order of their grants.
    pub epoch: u64,
    /// The leading node.
    pub leader: NodeId,
    /// When it was granted.
    pub granted: Moment,
    /// When the leader confirmed it.
    pub confirmed: Option<Moment>,
    /// When and how it ended.
    pub end: Option<(Moment, &'static str)>,
}

/// The terms of a run, as the contenders saw them.
pub fn leadership_timeline(outcome: &RunOutcome) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    let mut open: BTreeMap<LeaderSessionId, usize> = BTreeMap::new();
    for (at, known) in &outcome.history {
        match known {
            KeptEvent::Leadership(LeadershipEvent::Granted { session, component }) => {
                open.insert(*session, terms.len());
                let earlier = terms.iter().filter(|term| term.component == *component).count();
                terms.push(Term {
                    component: component.clone(),
                    epoch: earlier as u64 + 1,
                    leader: at.process.0,
                    granted: *at,
                    confirmed: None,
                    end: None,
                });
            }
            KeptEvent::Leadership(LeadershipEvent::Confirmed { leader, .. }) => {
                if let Some(index) = open.get(&leader.session) {
                    terms[*index].confirmed.get_or_insert(*at);
                }
            }
            KeptEvent::Leadership(LeadershipEvent::Revoked { session, .. }) => {
                if let Some(index) = open.remove(session) {
                    terms[index].end = Some((*at, "revoked"));
                }
            }
            KeptEvent::Hardware(Hardware::Ended(end)) => {
                let died = |index: usize| terms[index].granted.process == at.process;
                let dead: Vec<LeaderSessionId> = open
                    .iter()
                    .filter(|(_, index)| died(**index))
                    .map(|(session, _)| *session)
                    .collect();
                for session in dead {
                    let index = open.remove(&session).expect("it was just listed");
                    terms[index].end = Some((*at, end_name(end)));
                }
            }
            _ => {}
        }
    }
    terms
}

fn end_name(end: &ProcessEnd) -> &'static str {
    match end {
        ProcessEnd::Killed => "killed",
        ProcessEnd::PowerCut => "power cut",
        ProcessEnd::Exited { .. } => "exited",
        ProcessEnd::Panicked { .. } => "panicked",
    }
}

/// What led to the end of a run: every change of the cluster's state, the faults, and what broke.
pub fn history(outcome: &RunOutcome) -> Vec<String> {
    let until = outcome.violations.first().map_or(Duration::MAX, |violation| violation.at.time);
    let line = |at: Duration, text: &str| format!("{:>9.3}s  {text}", at.as_secs_f64());
    let changes = outcome.history.iter().filter(|(at, _)| at.time <= until);
    let changes = changes.filter_map(|(at, known)| {
        let name = outcome.nodes.get(&at.process.0).map_or("?", String::as_str);
        Some((at.time, line(at.time, &format!("{name}: {}", describe(known)?))))
    });
    let mut lines: Vec<(Duration, String)> = changes.collect();
    for fault in &outcome.executed {
        let whom = fault.describe_resolved();
        let text = format!("-- fault begins: {} {whom}", fault.what);
        lines.push((fault.began, line(fault.began, text.trim_end())));
        if let Some(ended) = fault.ended.filter(|ended| *ended <= until) {
            lines.push((ended, line(ended, &format!("-- fault lifted: {}", fault.what))));
        }
    }
    lines.sort_by_key(|(at, _)| *at);
    let broken = outcome.violations.iter().filter(|violation| violation.at.time == until);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    lines.extend(broken.map(|violation| line(until, &format!("** broken: {violation}"))));
    lines
}

/// All changes of the cluster's state, in words.
pub fn state_changes(outcome: &RunOutcome) -> Vec<String> {
    last_changes(outcome, usize::MAX, Duration::MAX)
}

/// The last `count` changes of the cluster's state up to a time, in words.
pub fn last_changes(outcome: &RunOutcome, count: usize, until: Duration) -> Vec<String> {
    let before = outcome.history.iter().rev().filter(|(at, _)| at.time <= until);
    let changes = before.filter_map(|(at, known)| {
        let name = outcome.nodes.get(&at.process.0).map_or("?", String::as_str);
        let text = describe(known)?;
        Some(format!("{:>9.3}s  {name}: {text}", at.time.as_secs_f64()))
    });
    let mut last: Vec<String> = changes.take(count).collect();
    last.reverse();
    last
}

fn describe(known: &KeptEvent) -> Option<String> {
    match known {
        KeptEvent::Hardware(Hardware::Booted) => Some("booted".to_string()),
        KeptEvent::Hardware(Hardware::Ended(ProcessEnd::Exited { reason })) => {
            Some(format!("exited: {reason}"))
        }
        KeptEvent::Hardware(Hardware::Ended(ProcessEnd::Panicked { message })) => {
            Some(format!("panicked: {message}"))
        }
        KeptEvent::Hardware(Hardware::Ended(end)) => Some(end_name(end).to_string()),
        KeptEvent::Hardware(Hardware::Paused) => Some("paused".to_string()),
        KeptEvent::Hardware(Hardware::Resumed) => Some("resumed".to_string()),
        KeptEvent::Leadership(LeadershipEvent::Granted { session, component }) => {
            Some(format!("granted {session:?} of {}", words::short(component)))
        }
        KeptEvent::Leadership(LeadershipEvent::Revoked { session, component }) => {
            Some(format!("revoked {session:?} of {}", words::short(component)))
        }
        KeptEvent::Leadership(LeadershipEvent::Confirmed { leader, .. }) => {
            Some(format!("confirmed {:?}", leader.session))
        }
        KeptEvent::Coordination(CoordinationEvent::LeaseEnded {
            lease,
            end: LeaseEnd::Expired,
            ..
        }) => Some(format!("let {lease:?} expire")),
        KeptEvent::Coordination(CoordinationEvent::SessionSuspended { lease }) => {
            Some(format!("has no contact, {lease:?} may live"))
        }
        KeptEvent::Coordination(CoordinationEvent::SessionLost { lease }) => {
            Some(format!("lost {lease:?}"))
        }
        KeptEvent::Coordination(CoordinationEvent::SessionConnected { lease }) => {
            Some(format!("has {lease:?}"))
        }
        KeptEvent::Coordination(CoordinationEvent::Recovered { revision, .. }) => {
            Some(format!("recovered revision {}", revision.0))
        }
        KeptEvent::Job(event) => words::job(event),
        KeptEvent::Slot(event) => Some(words::slot(event)),
        KeptEvent::Task(event) => words::task(event),
        KeptEvent::Sink(event) => Some(words::sink(event)),
        KeptEvent::Client(event) => Some(words::client(event)),
        KeptEvent::Heartbeat(event) => words::heartbeat(event),
        KeptEvent::Journal(JournalEvent::Serving { entries }) => {
            Some(format!("serves, {entries} entries stand"))
        }
        KeptEvent::Journal(JournalEvent::ClientFinished { lines, .. }) => {
            Some(format!("finished {lines} lines"))
        }
        _ => None,
    }
}
