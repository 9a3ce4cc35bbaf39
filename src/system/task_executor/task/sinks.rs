//! When the sinks of a task write what they have gathered.

use crate::{
    host::Instant,
    system::{
        dataflow::{ChainHead, Managed},
        task_executor::{TaskError, error::guarded},
    },
};
use std::time::Duration;

/// How long sinks that want to write may gather more, as long as more is there.
const GATHERING_MAX: Duration = Duration::from_millis(1);

/// The sinks of a chain.
#[derive(Default)]
pub struct Sinks {
    /// Since when they gather what they could write.
    since: Option<Instant>,
}

impl Sinks {
    /// Lets those write that have gathered enough.
    pub async fn flush_full(&self, chain: &mut dyn ChainHead) -> Result<(), TaskError> {
        flush(chain, |operator| operator.is_full()).await
    }

    /// Lets those write that want to, unless more has come already that can be written with it.
    pub async fn flush_gathered(
        &mut self,
        chain: &mut dyn ChainHead,
        now: Instant,
        has_more: bool,
    ) -> Result<(), TaskError> {
        if !chain.managed().iter().any(|operator| operator.wants_flush()) {
            self.since = None;
            return Ok(());
        }
        let since = *self.since.get_or_insert(now);
        if has_more && now.saturating_since(since) < GATHERING_MAX {
            return Ok(());
        }
        self.since = None;
        flush(chain, |operator| operator.wants_flush()).await
    }
}

async fn flush(
    chain: &mut dyn ChainHead,
    which: impl Fn(&dyn Managed) -> bool,
) -> Result<(), TaskError> {
    for operator in chain.managed() {
        if which(operator) {
            guarded(operator.flush()).await?;
        }
    }
    Ok(())
}
