//! Where a process of a cluster runs, and what each of them does there.

use super::{CliError, Outcome, folder::claim, text};
use crate::host::{
    Host,
    live::{ExitReason, LOOPBACK, NodeConfig, interrupted, run_node},
};
use clap::Args;
use std::{fmt::Display, path::PathBuf};

/// Where a process runs.
#[derive(Args)]
pub struct Place {
    /// The node's name
    #[arg(long)]
    name: String,
    /// The folder that is its disk
    #[arg(long)]
    data: PathBuf,
    /// The port on which it listens; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Tells the parent where this process listens.
pub fn announce(address: &impl Display) {
    text::say(&address.to_string());
}

/// Ready when a signal wants this process to end.
pub async fn told_to_end() {
    if let Err(error) = interrupted().await {
        tracing::warn!(%error, "signals can't be heard");
        std::future::pending::<()>().await;
    }
}

/// Runs a process with a node in it, alone in its folder.
pub fn run(place: Place, main: impl AsyncFnOnce(Host, u16)) -> Result<Outcome, CliError> {
    let Place { name, data, port } = place;
    let _span = tracing::error_span!("process", name).entered();
    let _alone = claim(&data)?;
    let config = NodeConfig { name, hostname: LOOPBACK.to_string(), data, members: Vec::new() };
    // Why it ended otherwise, the host has put into the log.
    match run_node(config, async |host| main(host, port).await)? {
        ExitReason::Returned => Ok(Outcome::Passed),
        ExitReason::Exited { .. } | ExitReason::Panicked { .. } => Ok(Outcome::Stuck),
    }
}
