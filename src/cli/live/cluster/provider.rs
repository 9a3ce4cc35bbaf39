//! Machines on demand, as processes of this machine: the resource manager asks, and whoever looks after the cluster's
//! processes starts and ends them.

use crate::{
    cli::live::CliError,
    host::NodeAddress,
    system::{
        ids::ResourceId,
        rpc::{Context, Reply, RpcEndpoint, RpcServer, RpcService},
        service::resource_provider::{
            ProviderRefusal, ProviderSession, RESOURCE_PROVIDER, ResourceProviderGateway,
            ResourceProviderHandler, WorkerSpec, WorkerTable,
        },
    },
};
use std::sync::{Arc, Mutex, MutexGuard};

/// Says which task executors there should be.
pub struct LocalProcessProvider {
    table: Table,
    address: NodeAddress,
    _server: RpcServer<Endpoint>,
}

type Table = Arc<Mutex<WorkerTable>>;

struct Endpoint(Table);

fn lock(table: &Table) -> MutexGuard<'_, WorkerTable> {
    table.lock().expect("no panic under this lock")
}

impl LocalProcessProvider {
    /// One that gives so many processes at most, and serves on this service.
    pub fn start(service: &RpcService, most: usize) -> Result<Self, CliError> {
        let table: Table = Arc::new(Mutex::new(WorkerTable::new(most)));
        let server = service.start_server(RESOURCE_PROVIDER, Endpoint(table.clone()));
        let server = server.map_err(|error| CliError::new(error.to_string()))?;
        server.start();
        Ok(LocalProcessProvider { table, address: service.address().clone(), _server: server })
    }

    /// Where it serves.
    pub fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// The task executors that there should be now.
    pub fn wanted(&self) -> Vec<WorkerSpec> {
        lock(&self.table).workers().cloned().collect()
    }

    /// The process of one has ended.
    pub fn lose(&self, name: &str) {
        lock(&self.table).lose(&ResourceId(name.to_string()));
    }
}

impl RpcEndpoint for Endpoint {
    type Gateway = ResourceProviderGateway;
}

impl ResourceProviderHandler for Endpoint {
    fn attach(
        &mut self,
        _: &mut Context<Self>,
        session: ProviderSession,
        reply: Reply<Result<Vec<ResourceId>, ProviderRefusal>>,
    ) {
        reply.ok(lock(&self.0).attach(session));
    }

    fn request_worker(
        &mut self,
        _: &mut Context<Self>,
        session: ProviderSession,
        number: u64,
        worker: WorkerSpec,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        reply.ok(lock(&self.0).request(session, number, worker));
    }

    fn release_worker(
        &mut self,
        _: &mut Context<Self>,
        session: ProviderSession,
        worker: ResourceId,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        reply.ok(lock(&self.0).release(session, &worker));
    }

    fn workers(
        &mut self,
        _: &mut Context<Self>,
        session: ProviderSession,
        reply: Reply<Result<Vec<ResourceId>, ProviderRefusal>>,
    ) {
        reply.ok(lock(&self.0).listed(session));
    }

    fn deregister(
        &mut self,
        _: &mut Context<Self>,
        outcome: String,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        lock(&self.0).deregister(outcome);
        reply.ok(Ok(()));
    }
}
