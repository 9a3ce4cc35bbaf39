//! What somebody enters at a machine's console.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

/// How many lines wait at most for a process that reads none; no more are taken.
const LINES_MAX: usize = 64;

/// A machine's console.
#[derive(Default)]
pub(in crate::host) struct Console {
    lines: VecDeque<String>,
    reader: Option<Waker>,
}

impl Console {
    /// Whether there is room for another line.
    pub fn has_room(&self) -> bool {
        self.lines.len() < LINES_MAX
    }

    /// Takes a line, for which there is room; whom to wake.
    pub fn enter(&mut self, line: &str) -> Option<Waker> {
        debug_assert!(self.has_room(), "who enters a line has looked");
        self.lines.push_back(line.to_string());
        self.reader.take()
    }

    /// The next line, for its one reader.
    pub fn poll(&mut self, context: &Context<'_>) -> Poll<String> {
        match self.lines.pop_front() {
            Some(line) => Poll::Ready(line),
            None => {
                self.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Its process has ended: what it did not read nobody will.
    pub fn forget(&mut self) {
        *self = Console::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_order_and_so_many_wait() {
        let mut console = Console::default();
        let context = Context::from_waker(Waker::noop());
        assert_eq!(console.poll(&context), Poll::Pending);
        assert!(console.enter("0").is_some(), "the reader waits");
        for number in 1..LINES_MAX {
            assert!(console.has_room() && console.enter(&number.to_string()).is_none());
        }
        assert!(!console.has_room());
        for number in 0..LINES_MAX {
            assert_eq!(console.poll(&context), Poll::Ready(number.to_string()));
        }
        assert_eq!(console.poll(&context), Poll::Pending);
        console.enter("never read");
        console.forget();
        assert_eq!(console.poll(&context), Poll::Pending);
    }
}
