//! The history of a run: the events that changed the system's state, with no more bytes than it may have.

use super::{KeptEvent, Moment};
use std::{collections::VecDeque, hash::Hasher};

/// Bytes that the events of a run's history may hold; beyond it the oldest go, since the end of a run is what is
/// looked at. Runs of the shipped scenarios have a few megabytes.
pub const HISTORY_BYTES_MAX: usize = 64 << 20;

/// What an event takes besides its content.
const EVENT_BYTES: usize = size_of::<(Moment, KeptEvent)>() + 64;

/// The events that changed the system's state, the newest of them.
#[derive(Debug, Default)]
pub struct RunHistory {
    events: VecDeque<(Moment, KeptEvent)>,
    bytes: usize,
    cut: u64,
}

impl RunHistory {
    /// Takes an event in, and lets the oldest go if there are too many bytes.
    pub fn add(&mut self, at: Moment, event: KeptEvent) {
        self.add_within(HISTORY_BYTES_MAX, at, event);
    }

    fn add_within(&mut self, most: usize, at: Moment, event: KeptEvent) {
        self.bytes += bytes_of(&event);
        self.events.push_back((at, event));
        while self.bytes > most
            && let Some((_, oldest)) = self.events.pop_front()
        {
            self.bytes -= bytes_of(&oldest);
            self.cut += 1;
        }
    }

    /// How many events have gone that were there first.
    pub fn cut(&self) -> u64 {
        self.cut
    }

    /// The events, in their order.
    pub fn into_events(self) -> Vec<(Moment, KeptEvent)> {
        self.events.into()
    }
}

/// About how much memory an event takes: as much as it says to a digest, and its frame.
fn bytes_of(event: &KeptEvent) -> usize {
    let mut count = Count(EVENT_BYTES);
    event.fold(&mut count);
    count.0
}

/// Counts what a digest would read.
struct Count(usize);

impl Hasher for Count {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = self.0.saturating_add(bytes.len());
    }

    fn finish(&self) -> u64 {
        self.0 as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        harness::event::EventKind,
        host::{Evidence, sim::NodeId},
    };
    use std::time::Duration;

    #[derive(Clone, Debug, Hash)]
    struct Said(Vec<u8>);
    crate::event!(Said, |_| Evidence::SelfReport);

    impl crate::harness::event::Reported for Said {
        const KIND: &'static str = "said";
    }

    #[test]
    fn the_oldest_events_go_when_there_are_too_many_bytes() {
        let mut history = RunHistory::default();
        for number in 0..10_u8 {
            let said = Said(vec![number; 1000]);
            let kept = EventKind::of::<Said>().keep(&said).expect("it is kept");
            let at = Moment::new(Duration::from_secs(number.into()), (NodeId::for_tests(1), 1));
            history.add_within(3 * (1000 + EVENT_BYTES + 8), at, kept);
        }
        assert_eq!(history.cut(), 7);
        let left: Vec<u8> = history
            .into_events()
            .into_iter()
            .filter_map(|(_, kept)| kept.get::<Said>()?.0.first().copied())
            .collect();
        assert_eq!(left, [7, 8, 9]);
    }
}
