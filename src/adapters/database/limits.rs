//! How long calls take at most.

use std::time::Duration;

/// How long to wait after a failure before the next try.
pub const RETRY_DELAY: Duration = Duration::from_millis(500);
/// How long a call waits for another connection's transaction, or for the server.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);
