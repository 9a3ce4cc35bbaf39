//! How registrations are tried.

use std::time::Duration;

/// How a registration is tried. Times are read on the clock of the node that registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationConfig {
    /// How long the first try waits for its answer; each time-out doubles it. 200 ms.
    pub timeout: Duration,
    /// The longest that a try waits; 5 s.
    pub timeout_max: Duration,
    /// The pause after an error; 500 ms.
    pub error_delay: Duration,
    /// The pause after a refusal; 500 ms.
    pub refused_delay: Duration,
}

impl Default for RegistrationConfig {
    fn default() -> Self {
        RegistrationConfig {
            timeout: Duration::from_millis(200),
            timeout_max: Duration::from_secs(5),
            error_delay: Duration::from_millis(500),
            refused_delay: Duration::from_millis(500),
        }
    }
}
