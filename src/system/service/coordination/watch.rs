//! Following keys from update to update.

use super::{
    CoordinationEvent,
    api::{Coordination, CoordinationError},
    model::{KeyPattern, Revision, Update},
};
use std::sync::Arc;

/// Follows keys in the order of their revisions; superseded values may be skipped. Nothing is kept of it at
/// the service but a call that waits, so it ends when dropped.
pub struct Watch {
    client: Arc<dyn Coordination>,
    keys: KeyPattern,
    after: Option<Revision>,
}

impl Watch {
    /// Begins to follow the matching keys.
    pub fn new(client: &Arc<dyn Coordination>, keys: KeyPattern) -> Self {
        Watch { client: client.clone(), keys, after: None }
    }

    /// Waits for the next change. The first update is everything there is.
    ///
    /// # Errors
    /// When the service gives no answer; the next call goes on from where the watch stands.
    pub async fn next(&mut self) -> Result<Update, CoordinationError> {
        loop {
            if let Some(update) = self.next_within_contact().await? {
                return Ok(update);
            }
        }
    }

    /// The same, but `None` when the service has answered that nothing changed for a while.
    ///
    /// # Errors
    /// As [`Watch::next`].
    pub async fn next_within_contact(&mut self) -> Result<Option<Update>, CoordinationError> {
        let update = self.client.changes(&self.keys, self.after).await?;
        let (keys, after) = (self.keys.clone(), self.after.replace(update.revision));
        let told = CoordinationEvent::WatchUpdated { keys, after, update: update.clone() };
        self.client.host().announce(&told);
        Ok(update.has_news().then_some(update))
    }

    /// Waits as long as one should after an error.
    pub async fn back_off(&self) {
        self.client.host().sleep(self.client.retry_delay()).await;
    }
}
