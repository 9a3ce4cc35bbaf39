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

    /// Lets a request with so much payload wait; gives it back when too much waits already.
    pub fn push(&mut self, request: R, bytes: usize) -> Result<(), R> {
        let total = self.bytes.saturating_add(bytes);
        if self.requests.len() >= REQUESTS_MAX || total > BYTES_MAX {
            return Err(request);
        }
        self.bytes = total;
        self.requests.push(request);
        Ok(())
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
    fn what_is_beyond_the_bounds_is_given_back() {
        let mut backlog = Backlog::new();
        assert_eq!(backlog.push(1, BYTES_MAX), Ok(()));
        assert_eq!(backlog.push(2, 1), Err(2));
        assert_eq!(backlog.push(3, 0), Ok(()));
        assert_eq!(backlog.take(), [1, 3]);
        assert!((0..REQUESTS_MAX).all(|n| backlog.push(n, 0).is_ok()));
        assert_eq!(backlog.push(5, 0), Err(5));
    }
}
