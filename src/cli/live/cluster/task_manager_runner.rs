//! The process of a task executor.

use super::worker::Worker;
use crate::{
    cli::live::{CliError, Outcome, place::run, text::parse_duration},
    jobs::Jobs,
    system::cluster::{bind, serve_tasks},
};
use clap::Args;
use std::time::Duration;

/// Runs a task executor.
#[derive(Args)]
pub struct TaskManagerRunner {
    #[command(flatten)]
    worker: Worker,
    /// How many slots it has
    #[arg(long)]
    slots: u32,
    /// How long a record may wait in a buffer that is not full
    #[arg(long, value_parser = parse_duration)]
    buffer_timeout: Duration,
}

impl TaskManagerRunner {
    /// Runs it to its end.
    pub fn run(self, jobs: &Jobs) -> Result<Outcome, CliError> {
        let TaskManagerRunner { worker: Worker { place, servers }, slots, buffer_timeout } = self;
        run(place, async |host, port| {
            let Some(service) = bind(&host, port).await else { return };
            let mut config = servers.config();
            config.task_executor.slots = slots;
            config.task_executor.task.buffer_timeout = buffer_timeout;
            serve_tasks(service, 0, config, &jobs.programs()).await;
        })
    }
}
