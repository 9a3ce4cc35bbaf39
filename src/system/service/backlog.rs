//! Requests that wait until the batch before them is durable.

/// Requests that wait at once.
const REQUESTS_MAX: usize = 16_384;
/// Bytes of payload that wait at once.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// What waits at one server, bounded.
pub(super) struct Backlog<R> {
    requests: Vec<R>,
    bytes: usize,
}

impl<R> Backlog<R> {
    /// Nothing waits.
    pub fn new() -> Self {
        Backlog { requests: Vec::new(), bytes: 0 }
    }

    /// Whether a request with so much payload may wait.
    pub fn has_room(&self, bytes: usize) -> bool {
        self.requests.len() < REQUESTS_MAX && self.bytes.saturating_add(bytes) <= BYTES_MAX
    }

    /// Lets a request wait, room or not: what the clock asks of a server can't be refused.
    pub fn push(&mut self, request: R, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.requests.push(request);
    }

    /// Takes all that waits.
    pub fn take(&mut self) -> Vec<R> {
        self.bytes = 0;
        std::mem::take(&mut self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_room_beyond_the_bounds() {
        let mut backlog = Backlog::new();
        assert!(backlog.has_room(BYTES_MAX) && !backlog.has_room(BYTES_MAX + 1));
        backlog.push(1, BYTES_MAX);
        assert!(backlog.has_room(0) && !backlog.has_room(1));
        backlog.push(2, 0);
        assert_eq!(backlog.take(), [1, 2]);
        (0..REQUESTS_MAX).for_each(|n| backlog.push(n, 0));
        assert!(!backlog.has_room(0));
    }
}
