//! A client of the journal: sends its lines in order, and each of them until it is acknowledged.

use super::{AppendRefusal, COMPONENT, JournalEvent, JournalGateway};
use std::{sync::Arc, time::Duration};
use wavetank::{
    host::Host,
    system::{
        leadership::LeaderGateway,
        rpc::{RpcError, RpcService},
        service::coordination::Coordination,
    },
};

/// What a client sends, and how fast.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The client's number.
    pub client: u32,
    /// Its lines.
    pub lines: Arc<Vec<String>>,
    /// Lines sent in one call at most.
    pub batch: usize,
    /// The wait after each acknowledged call.
    pub pause: Duration,
}

/// How long a call to the leader may take before it is tried again.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_DELAY: Duration = Duration::from_millis(200);

/// Sends one workload.
pub struct JournalClient {
    workload: Workload,
    journal: LeaderGateway<JournalGateway>,
}

impl JournalClient {
    /// A client that follows the journal's leader.
    pub fn new(
        service: &RpcService,
        coordination: &Arc<dyn Coordination>,
        workload: Workload,
    ) -> Self {
        let journal = LeaderGateway::new(service, coordination, COMPONENT);
        JournalClient { workload, journal: journal.with_times(CALL_TIMEOUT, RETRY_DELAY) }
    }

    fn host(&self) -> &Host {
        self.journal.host()
    }

    /// Sends all lines; those that stand already, from an earlier life of this client, are skipped.
    pub async fn run(&self) {
        let client = self.workload.client;
        let lines = self.workload.lines.len() as u64;
        let mut standing = None;
        while standing.is_none_or(|standing| standing < lines) {
            let gateway = self.journal.gateway().await;
            match self.send_to(&gateway, &mut standing).await {
                Ok(()) => {}
                Err(error) => {
                    tracing::debug!(%error, "the journal did not answer; trying again");
                    self.journal.forget_and_wait().await;
                }
            }
        }
        self.host().announce(&JournalEvent::ClientFinished { client, lines });
    }

    /// Sends to one leader until all is sent or it fails.
    async fn send_to(
        &self,
        gateway: &JournalGateway,
        standing: &mut Option<u64>,
    ) -> Result<(), RpcError> {
        let Workload { client, lines, batch, pause } = &self.workload;
        let mut known = match *standing {
            Some(known) => known,
            None => gateway.position(*client).await?,
        };
        loop {
            *standing = Some(known);
            let sent = usize::try_from(known).expect("fewer lines than memory has bytes");
            let next: Vec<String> = lines.iter().skip(sent).take(*batch).cloned().collect();
            if next.is_empty() {
                return Ok(());
            }
            known = match gateway.append(*client, known + 1, next).await? {
                Ok(through) => through,
                Err(AppendRefusal::Gap { expected }) => {
                    assert!(expected <= known, "the journal expects a line that was not sent");
                    let error = format!("line {expected} of client {client} no longer stands");
                    return Err(RpcError::Application(error));
                }
                Err(refusal) => return Err(RpcError::Application(refusal.to_string())),
            };
            self.host().announce(&JournalEvent::Acknowledged { client: *client, through: known });
            self.host().sleep(*pause).await;
        }
    }
}
