//! How a task executor behaves.

use super::TaskConfig;
use crate::system::{
    heartbeat::HeartbeatConfig, ids::ResourceId, registration::RegistrationConfig,
};
use std::time::Duration;

/// The settings of a task executor. Times are read on its node's clock.
#[derive(Clone, Debug)]
pub struct TaskExecutorConfig {
    /// Its name, where somebody asked for it under one; else that of its host.
    pub resource: Option<ResourceId>,
    /// Slots; 2.
    pub slots: u32,
    /// Beats with masters and the resource manager; lost after 5 s.
    pub heartbeat: HeartbeatConfig,
    /// How it registers.
    pub registration: RegistrationConfig,
    /// How long a call to a master or the resource manager waits for its answer; 2 s.
    pub call_timeout: Duration,
    /// The pause before a call is tried again; 200 ms.
    pub retry_delay: Duration,
    /// How long a slot is held that no master has taken; 10 s.
    pub slot_timeout: Duration,
    /// How long a canceled task may take to end before the task executor ends itself; 180 s.
    pub cancellation_timeout: Duration,
    /// How tasks behave.
    pub task: TaskConfig,
}

impl Default for TaskExecutorConfig {
    fn default() -> Self {
        TaskExecutorConfig {
            resource: None,
            slots: 2,
            heartbeat: HeartbeatConfig {
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(5),
                unreachable_threshold: Some(2),
            },
            registration: RegistrationConfig::default(),
            call_timeout: Duration::from_secs(2),
            retry_delay: Duration::from_millis(200),
            slot_timeout: Duration::from_secs(10),
            cancellation_timeout: Duration::from_secs(180),
            task: TaskConfig::default(),
        }
    }
}
