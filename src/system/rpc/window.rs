//! At most once: recognises repeated calls, and refuses those too old to tell.

use std::collections::BTreeMap;

/// How many calls of one sender, counted back from its newest, are told from repeats.
pub const WINDOW_CALLS: u64 = 1024;

/// How many senders are remembered; the one not heard for longest is forgotten first.
pub const SENDERS_MAX: usize = 1024;

const WORDS: usize = (WINDOW_CALLS / 64) as usize;

/// What a call is to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Never before.
    Fresh,
    /// Seen already.
    Repeat,
    /// Older than the window: it may be a repeat.
    TooOld,
}

struct Window {
    newest: u64,
    /// Bit `call % WINDOW_CALLS` for the calls in `newest - WINDOW_CALLS < call <= newest`.
    bits: [u64; WORDS],
    last_heard: u64,
}

/// A calling service: the incarnation of its process, and its port there.
pub type Sender = (u64, u16);

/// The windows of all senders. Call numbers of a sender must grow.
#[derive(Default)]
pub struct Windows {
    senders: BTreeMap<Sender, Window>,
    heard: u64,
}

impl Windows {
    /// Judges a call and remembers it.
    pub fn see(&mut self, sender: Sender, call: u64) -> Seen {
        self.heard += 1;
        let heard = self.heard;
        if let Some(window) = self.senders.get_mut(&sender) {
            window.last_heard = heard;
            return window.see(call);
        }
        if self.senders.len() >= SENDERS_MAX {
            let oldest = self.senders.iter().min_by_key(|(_, window)| window.last_heard);
            let oldest = *oldest.expect("the table is full").0;
            self.senders.remove(&oldest);
        }
        let mut window = Window { newest: call, bits: [0; WORDS], last_heard: heard };
        window.mark(call);
        self.senders.insert(sender, window);
        Seen::Fresh
    }
}

impl Window {
    fn place(call: u64) -> (usize, u64) {
        let bit = call % WINDOW_CALLS;
        (usize::try_from(bit / 64).expect("below WORDS"), 1 << (bit % 64))
    }

    fn mark(&mut self, call: u64) {
        let (word, bit) = Self::place(call);
        self.bits[word] |= bit;
    }

    fn clear(&mut self, call: u64) {
        let (word, bit) = Self::place(call);
        self.bits[word] &= !bit;
    }

    fn see(&mut self, call: u64) -> Seen {
        if call > self.newest {
            if call - self.newest >= WINDOW_CALLS {
                self.bits = [0; WORDS];
            } else {
                for skipped in self.newest + 1..call {
                    self.clear(skipped);
                }
            }
            self.newest = call;
            self.mark(call);
            return Seen::Fresh;
        }
        if self.newest - call >= WINDOW_CALLS {
            return Seen::TooOld;
        }
        let (word, bit) = Self::place(call);
        if self.bits[word] & bit != 0 {
            return Seen::Repeat;
        }
        self.mark(call);
        Seen::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_call_is_fresh_twice_and_none_in_the_window_is_refused(
            steps in prop::collection::vec((0..3u64, 0..3000i64), 1..200),
        ) {
            let mut windows = Windows::default();
            let mut seen = BTreeSet::new();
            let mut newest = [5000_u64; 3];
            let mut known = [false; 3];
            for (sender, step) in steps {
                let index = usize::try_from(sender).unwrap();
                let call = newest[index].saturating_add_signed(step - 2000);
                let in_window = !known[index] || call + WINDOW_CALLS > newest[index];
                let verdict = windows.see((sender, 0), call);
                let expected = match (seen.insert((sender, call)), in_window) {
                    (true, true) => Seen::Fresh,
                    (false, true) => Seen::Repeat,
                    (_, false) => Seen::TooOld,
                };
                prop_assert_eq!(verdict, expected);
                newest[index] = if known[index] { newest[index].max(call) } else { call };
                known[index] = true;
            }
        }
    }

    #[test]
    fn the_table_of_senders_is_bounded_and_forgets_the_quietest() {
        let mut windows = Windows::default();
        windows.see((0, 0), 1);
        for sender in 1..=SENDERS_MAX as u64 {
            assert_eq!(windows.see((sender, 0), 1), Seen::Fresh);
            windows.see((1, 0), 2);
        }
        assert_eq!(windows.senders.len(), SENDERS_MAX);
        assert_eq!(windows.see((1, 0), 2), Seen::Repeat);
        assert!(!windows.senders.contains_key(&(0, 0)));
    }
}
