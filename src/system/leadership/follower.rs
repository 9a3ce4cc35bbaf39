//! Who leads a component, for whoever waits for it.

use super::{LeaderInformation, LeaderRetrievalListener, LeaderRetrievalService};
use crate::system::{
    service::coordination::Coordination,
    watch::{WatchReceiver, WatchSender},
};
use std::sync::Arc;

type Leader = Arc<WatchSender<Option<LeaderInformation>>>;

struct Listener(Leader);

impl LeaderRetrievalListener for Listener {
    fn notify_leader(&self, leader: Option<LeaderInformation>) {
        self.0.set(leader);
    }
}

/// Follows who leads a component.
pub struct LeaderFollower {
    leader: Leader,
    _retrieval: LeaderRetrievalService,
}

impl LeaderFollower {
    /// Begins to follow the component's leader.
    pub fn new(coordination: &Arc<dyn Coordination>, component: &str) -> Self {
        let leader: Leader = Arc::new(WatchSender::new(None));
        let listener = Arc::new(Listener(leader.clone()));
        let retrieval = LeaderRetrievalService::start(component, coordination, listener);
        LeaderFollower { leader, _retrieval: retrieval }
    }

    /// Each change of what is known of the leader, beginning with what is known now.
    pub fn observe(&self) -> WatchReceiver<Option<LeaderInformation>> {
        self.leader.observe()
    }

    /// The leader, as soon as one is known.
    pub async fn leader(&self) -> LeaderInformation {
        let mut leaders = self.observe();
        loop {
            if let Some(leader) = leaders.changed().await {
                return leader;
            }
        }
    }
}
