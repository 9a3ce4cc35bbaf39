//! The `Date` of an answer.

use crate::host::Host;
use std::time::{Duration, SystemTime};

/// The last second that the format can say: the end of the year 9999.
const SECONDS_MAX: u64 = 253_402_300_799;

/// What the node's wall clock reads, as `Date` says it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(host: &Host) -> String {
    let seconds = (host.wall().as_millis() / 1000).min(SECONDS_MAX);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
