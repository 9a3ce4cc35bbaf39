//! How a job manager behaves.

use crate::system::{heartbeat::HeartbeatConfig, registration::RegistrationConfig};
use std::time::Duration;

/// The settings of a job manager's components. Times are read on its node's clock.
#[derive(Clone, Debug)]
pub struct JobManagerConfig {
    /// Beats towards task executors and between masters and resource managers; every second, lost
    /// after 5 s.
    pub heartbeat: HeartbeatConfig,
    /// How masters register at the resource manager.
    pub registration: RegistrationConfig,
    /// How long a call to a task executor waits for its answer; 2 s.
    pub call_timeout: Duration,
    /// The pause before a call is tried again; 200 ms.
    pub retry_delay: Duration,
    /// How long a job may hold slots while it lacks others, and waits for all of them; from 20 s to twice as long.
    /// One that runs in part may for another 20 s, and for more each time.
    pub slot_idle_timeout: Duration,
    /// How long a resource manager remembers a job whose master is gone; 60 s.
    pub job_timeout: Duration,
    /// Jobs that are not over, at most; 1024.
    pub jobs_max: usize,
    /// How task executors are asked for and given back, where somebody gives machines.
    pub workers: WorkerSettings,
}

impl Default for JobManagerConfig {
    fn default() -> Self {
        JobManagerConfig {
            heartbeat: HeartbeatConfig {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(5),
                unreachable_threshold: Some(2),
            },
            registration: RegistrationConfig::default(),
            call_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
            slot_idle_timeout: Duration::from_secs(20),
            job_timeout: Duration::from_secs(60),
            jobs_max: 1024,
            workers: WorkerSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::service::coordination::CLIENT_WATCHES_MAX;

    #[test]
    fn a_process_that_leads_all_may_follow_as_many_jobs_as_it_may_have() {
        // Of each job its election and, as the resource manager, its leader; of the rest a few.
        let needed = 2 * JobManagerConfig::default().jobs_max + 32;
        assert!(needed <= CLIENT_WATCHES_MAX, "{needed} watches");
    }
}

/// How task executors are asked for and given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// The slots of each; 2.
    pub slots: u32,
    /// Workers at most; 64.
    pub workers_max: usize,
    /// How long one may take from its request to its registration; then another one is asked for; 30 s.
    pub registration_timeout: Duration,
    /// How long one may hold no slot for a job before it is given back; 30 s.
    pub idle_timeout: Duration,
    /// The pause after a refusal; 3 s.
    pub refused_delay: Duration,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        WorkerSettings {
            slots: 2,
            workers_max: 64,
            registration_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            refused_delay: Duration::from_secs(3),
        }
    }
}
