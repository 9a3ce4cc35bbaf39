//! A command's work in a live node of its own.

use super::CliError;
use crate::host::{
    Elapsed, Host,
    live::{ExitReason, LOOPBACK, NodeConfig, interrupted, run_node},
};
use futures::{
    future::{Either, select},
    pin_mut,
};
use std::{path::Path, time::Duration};

/// How work came to its end.
pub enum End<T> {
    /// It is done.
    Finished(T),
    /// It took too long and was given up.
    Overdue,
    /// A person wanted it to end.
    Interrupted,
}

/// Does `work` as the node `supervisor` with a folder of its own in `folder`, until it is done, the
/// time, if there is one, is up or a person interrupts it. What the work owns is dropped then, so processes that it
/// has started are gone when this returns.
pub fn run_supervised<T>(
    folder: &Path,
    within: Option<Duration>,
    work: impl AsyncFnOnce(Host) -> Result<T, CliError>,
) -> Result<End<T>, CliError> {
    let (name, data) = ("supervisor".to_string(), folder.join("supervisor"));
    let config = NodeConfig { name, hostname: LOOPBACK.to_string(), data, members: Vec::new() };
    let mut end = None;
    let reason = run_node(config, async |host: Host| {
        let work = within_time(&host, within, work(host.clone()));
        let stop = interrupted();
        pin_mut!(work, stop);
        // Signals are waited for before anything is begun, or one would end this process without a word.
        end = Some(match select(stop, work).await {
            Either::Right((Ok(done), _)) => done.map(End::Finished),
            Either::Right((Err(_), _)) => Ok(End::Overdue),
            Either::Left((Ok(()), _)) => Ok(End::Interrupted),
            Either::Left((Err(error), _)) => Err(error.into()),
        });
    })?;
    end.unwrap_or_else(|| match reason {
        ExitReason::Panicked { message } => Err(CliError::new(message)),
        reason => Err(CliError::new(format!("the supervisor has ended: {reason:?}"))),
    })
}

async fn within_time<T>(
    host: &Host,
    within: Option<Duration>,
    work: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    match within {
        Some(within) => host.timeout(within, work).await,
        None => Ok(work.await),
    }
}
