//! The processes of a journal: journal nodes and clients.

use super::{COMPONENT, ENTRY_PREFIX, Entry, JournalClient, JournalLeader, Workload};
use futures::{FutureExt, channel::oneshot, future::pending};
use std::sync::Arc;
use wavetank::{
    host::Host,
    system::{
        leadership::{
            CoordinationElectionDriver, EndpointTerms, LeaderRunner, RecoverEndpoint, Recovered,
        },
        rpc::{RpcService, RpcSystem},
        service::coordination::{
            Coordination, CoordinationClient, CoordinationConfig, CoordinationError, KeyPattern,
            Session,
        },
    },
};

/// Runs a journal node, which leads whenever it is elected. Returns only when it can't run.
pub async fn run_journal_node(host: Host, port: u16, config: CoordinationConfig) {
    match RpcSystem::default().bind(&host, port).await {
        Ok(service) => serve_journal(service, config).await,
        Err(error) => host.exit(&format!("journal node: {error}")),
    }
}

/// The same on a service that is bound already; never returns.
pub async fn serve_journal(service: RpcService, config: CoordinationConfig) {
    let host = service.host().clone();
    let client: Arc<dyn Coordination> = Arc::new(CoordinationClient::new(&service, config));
    let session = Arc::new(Session::open(&client));
    let recovered = client.clone();
    let recover: RecoverEndpoint<JournalLeader> = Box::new(move |term| {
        let (ready, claimed) = oneshot::channel();
        let leader = JournalLeader::recover(recovered.clone(), term, ready);
        // A leader whose claim was refused is never confirmed.
        let serves = async move {
            if claimed.await.is_err() {
                pending().await
            }
        };
        let recovered = async { Ok(Recovered { endpoint: leader.await?, serves: serves.boxed() }) };
        recovered.boxed()
    });
    let factory = Arc::new(EndpointTerms::new(&service, COMPONENT, recover));
    let _runner = LeaderRunner::start(&host, COMPONENT, factory, |events| {
        CoordinationElectionDriver::start(COMPONENT, &client, &session, events)
    });
    pending().await
}

/// Runs a client until its lines stand, and then for as long as its process lives.
pub async fn run_client_node(host: Host, config: CoordinationConfig, workload: Workload) {
    let service = match RpcSystem::default().bind(&host, 0).await {
        Ok(service) => service,
        Err(error) => return host.exit(&format!("journal client: {error}")),
    };
    let coordination: Arc<dyn Coordination> = Arc::new(CoordinationClient::new(&service, config));
    JournalClient::new(&service, &coordination, workload).run().await;
}

/// Reads the journal from the coordination service, in order.
///
/// # Errors
/// What the service said; nothing is returned of a journal that can't be read whole.
pub async fn read_entries(client: &dyn Coordination) -> Result<Vec<Entry>, CoordinationError> {
    /// Entries that share all but their last three digits are read together.
    const PAGE: u64 = 1000;
    let mut entries = Vec::new();
    loop {
        let page = format!("{ENTRY_PREFIX}{:013}", entries.len() as u64 / PAGE);
        let range = client.read(&KeyPattern::Prefix(page)).await?;
        let found = range.keys.len() as u64;
        for key in range.keys {
            let entry = postcard::from_bytes(&key.value);
            let malformed = |error: postcard::Error| {
                let text = format!("{}: {error}", key.key);
                CoordinationError::NotDone(wavetank::system::rpc::RpcError::Malformed(text))
            };
            entries.push(entry.map_err(malformed)?);
        }
        if found < PAGE {
            return Ok(entries);
        }
    }
}
