//! What is due and what has happened: the one queue on which every device hangs, and the digest.

use super::{
    clock::Nanos,
    digest::{Digest, Tag, TraceDigest, TraceLine},
    message::Datagram,
    queue::Queue,
    stream::StreamAction,
    timer::TimerKey,
};
use crate::host::Event;

/// Everything that can happen by itself.
pub(in crate::host) enum Action {
    /// A timer may be due.
    Timer(TimerKey),
    /// A frame has crossed its link.
    Arrive(Datagram),
    /// A stream has something coming.
    Stream(StreamAction),
}

/// A run's future and its past.
pub(in crate::host) struct Timeline {
    due: Queue<Action>,
    digest: Digest,
}

impl Timeline {
    /// Nothing is due; `trace` keeps every entry in memory.
    pub fn new(trace: bool) -> Self {
        let mut digest = Digest::default();
        if trace {
            digest.record_trace();
        }
        Timeline { due: Queue::new(), digest }
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
            Action::Arrive(datagram) => Some(datagram),
            _ => None,
        };
        recalled.into_iter().filter_map(datagram).collect()
    }

    /// Folds an entry into the digest; `text` is only called when a trace is kept.
    pub fn note(&mut self, now: Nanos, tag: Tag, words: &[u64], text: impl FnOnce() -> String) {
        self.digest.entry(now, tag, words, text);
    }

    /// Folds a whole event into the digest, without an entry of its own.
    pub fn fold(&mut self, event: &dyn Event) {
        event.fold(&mut self.digest);
    }

    /// The digest so far and how many entries it covers.
    pub fn digest(&self) -> (TraceDigest, u64) {
        (self.digest.value(), self.digest.entries())
    }

    /// The entries so far, if they were kept.
    pub fn take_trace(&mut self) -> Vec<TraceLine> {
        self.digest.take_trace()
    }
}
