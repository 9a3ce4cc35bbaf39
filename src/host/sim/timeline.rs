//! What is due and what has happened: the one queue on which every device hangs, and the digest.

use super::{
    cause::{Cause, CurrentCause, EntryNumber},
    clock::Nanos,
    digest::{Digest, TraceDigest},
    entry::Entry,
    message::Datagram,
    queue::Queue,
    stream::StreamAction,
    timer::TimerKey,
    trace::{Trace, TraceLine},
};
use std::sync::Arc;

/// Everything that can happen by itself.
pub(in crate::host) enum Action {
    /// A timer may be due.
    Timer(TimerKey),
    /// A frame has crossed its link. Boxed, since the queue moves what it holds.
    Arrive(Box<Datagram>),
    /// A stream has something coming.
    Stream(StreamAction),
}

/// A run's future and its past.
pub(in crate::host) struct Timeline {
    due: Queue<Action>,
    digest: Digest,
    trace: Option<Trace>,
    cause: CurrentCause,
}

impl Timeline {
    /// Nothing is due; `trace` keeps every entry in memory.
    pub fn new(trace: bool) -> Self {
        Timeline {
            due: Queue::new(),
            digest: Digest::default(),
            trace: trace.then(Trace::default),
            cause: CurrentCause::default(),
        }
    }

    /// The next machine has this name in the trace.
    pub fn name_node(&mut self, name: &Arc<str>) {
        if let Some(trace) = &mut self.trace {
            trace.name_node(name.clone());
        }
    }

    /// The current cause.
    pub fn cause(&self) -> &CurrentCause {
        &self.cause
    }

    /// Lets this happen at `time`, after what was scheduled for that time before.
    pub fn schedule(&mut self, time: Nanos, action: Action) {
        self.due.push(time, action);
    }

    /// When the next action is due.
    pub fn next_time(&self) -> Option<Nanos> {
        self.due.next_time()
    }

    /// The next action that is due by now.
    pub fn pop_due(&mut self, now: Nanos) -> Option<Action> {
        self.due.pop_due(now)
    }

    /// Takes back frames under way, in the order in which they would have arrived.
    pub fn recall(&mut self, wanted: impl Fn(&Datagram) -> bool) -> Vec<Datagram> {
        let recalled = self.due.remove_if(|action| match action {
            Action::Arrive(datagram) => wanted(datagram),
            _ => false,
        });
        let datagram = |action| match action {
            Action::Arrive(datagram) => Some(*datagram),
            _ => None,
        };
        recalled.into_iter().filter_map(datagram).collect()
    }

    /// Writes an entry under the current cause.
    pub fn note(&mut self, now: Nanos, entry: &Entry<'_>) -> EntryNumber {
        self.note_caused(now, self.cause.get(), entry)
    }

    /// Something has happened because of that.
    pub fn note_caused(&mut self, now: Nanos, cause: Cause, entry: &Entry<'_>) -> EntryNumber {
        let number = self.digest.entry(now, cause, entry);
        if let Some(trace) = &mut self.trace {
            trace.push(now, number, cause.entry(), entry);
        }
        number
    }

    /// The digest so far and how many entries it covers.
    pub fn digest(&self) -> (TraceDigest, u64) {
        (self.digest.value(), self.digest.entries())
    }

    /// The entries so far, if they were kept.
    pub fn take_trace(&mut self) -> Vec<TraceLine> {
        self.trace.take().map(Trace::into_lines).unwrap_or_default()
    }
}
