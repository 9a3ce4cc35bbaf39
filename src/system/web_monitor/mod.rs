//! The web monitor: what a cluster tells over HTTP, in Flink's words and shapes where it has them.
//!
//! Every job manager runs one, and they elect a leader of their own, whose address is published; a standby gives
//! the same answers, since all of them ask whoever leads: the dispatcher of jobs, the resource manager of task
//! executors. What was asked is kept for a while ([`WebMonitorConfig::refresh_interval`]), and is told for longer
//! where the leader gives no answer ([`WebMonitorConfig::stale_max`]). Each answer says how old it is: in
//! milliseconds as `age-ms`, in whole seconds as the header `Age`; a refusal can't, so none is kept. A cancellation is
//! answered 202 when the dispatcher has made it durable, 409 when the job has ended or will, 404 when there is none, and
//! 503 when nobody has said so in time, though the job may be canceled all the same: whoever asks again learns it.
//!
//! To follow an answer start at `routes`: a path's handler asks the `view` and writes one of the `shapes`.
//!
//! Deliberately absent: uploads, a history of metrics, and a second way to submit a job.

mod cache;
mod contender;
mod routes;
mod shapes;
#[cfg(test)]
mod tests;
mod view;

pub use contender::WebMonitor;

use crate::system::http::HttpLimits;
use std::time::Duration;

/// How a web monitor behaves. Times are read on its node's clock.
#[derive(Clone, Debug)]
pub struct WebMonitorConfig {
    /// The port, 0 for any free one; 8081, as Flink has it.
    pub port: u16,
    /// For how long an answer of a leader is given again; 3 s.
    pub refresh_interval: Duration,
    /// For how long it is given again where the leader gives no answer; 30 s.
    pub stale_max: Duration,
    /// How long a request waits for a leader and its answer; 3 s.
    pub ask_timeout: Duration,
    /// What clients may take.
    pub http: HttpLimits,
}

impl Default for WebMonitorConfig {
    fn default() -> Self {
        WebMonitorConfig {
            port: 8081,
            refresh_interval: Duration::from_secs(3),
            stale_max: Duration::from_secs(30),
            ask_timeout: Duration::from_secs(3),
            http: HttpLimits::default(),
        }
    }
}
