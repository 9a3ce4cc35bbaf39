//! The node of a simulated provider: an endpoint for resource managers, and one for machines.

use super::{MachineBeat, MachinesGateway, MachinesHandler, ProviderEvent, ProviderState};
use crate::{
    host::Host,
    system::{
        cluster::bind,
        ids::ResourceId,
        rpc::{Context, Reply, RpcEndpoint},
        service::resource_provider::{
            ProviderRefusal, ProviderSession, RESOURCE_PROVIDER, ResourceProviderGateway,
            ResourceProviderHandler, WorkerSpec,
        },
    },
};
use std::sync::{Arc, Mutex};

/// The name of the endpoint for machines.
pub const MACHINES: &str = "machines";

type Shared = Arc<Mutex<ProviderState>>;

struct ForManagers(Shared);

struct ForMachines(Shared);

/// Serves for as long as its process lives.
pub async fn run_resource_provider_node(host: Host, port: u16, state: Shared) {
    let Some(service) = bind(&host, port).await else { return };
    state.lock().expect("no panic under this lock").begin(host.now());
    let for_managers = service.start_server(RESOURCE_PROVIDER, ForManagers(state.clone()));
    let for_machines = service.start_server(MACHINES, ForMachines(state));
    let (Ok(for_managers), Ok(for_machines)) = (for_managers, for_machines) else {
        return host.exit("an endpoint of the provider can't be hosted");
    };
    for_managers.start();
    for_machines.start();
    std::future::pending().await
}

/// Does something to the state, and announces how many workers there are then.
fn change<E: RpcEndpoint, T>(
    context: &Context<E>,
    state: &Shared,
    change: impl FnOnce(&mut ProviderState) -> T,
) -> T {
    let mut state = state.lock().expect("no panic under this lock");
    let (now, before) = (context.host().now(), state.told());
    state.look(now);
    let output = change(&mut state);
    state.refresh(now);
    let after = state.told();
    if before != after {
        context.host().announce(&after);
    }
    output
}

impl RpcEndpoint for ForManagers {
    type Gateway = ResourceProviderGateway;
}

impl RpcEndpoint for ForMachines {
    type Gateway = MachinesGateway;
}

impl ResourceProviderHandler for ForManagers {
    fn attach(
        &mut self,
        context: &mut Context<Self>,
        session: ProviderSession,
        reply: Reply<Result<Vec<ResourceId>, ProviderRefusal>>,
    ) {
        let attached = change(context, &self.0, |state| state.table.attach(session));
        if attached.is_ok() {
            context.host().announce(&ProviderEvent::Attached { term: session.term });
        }
        reply.ok(attached);
    }

    fn request_worker(
        &mut self,
        context: &mut Context<Self>,
        session: ProviderSession,
        number: u64,
        worker: WorkerSpec,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        reply.ok(change(context, &self.0, |state| state.table.request(session, number, worker)));
    }

    fn release_worker(
        &mut self,
        context: &mut Context<Self>,
        session: ProviderSession,
        worker: ResourceId,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        reply.ok(change(context, &self.0, |state| state.table.release(session, &worker)));
    }

    fn workers(
        &mut self,
        context: &mut Context<Self>,
        session: ProviderSession,
        reply: Reply<Result<Vec<ResourceId>, ProviderRefusal>>,
    ) {
        reply.ok(change(context, &self.0, |state| state.table.listed(session)));
    }

    fn deregister(
        &mut self,
        context: &mut Context<Self>,
        outcome: String,
        reply: Reply<Result<(), ProviderRefusal>>,
    ) {
        change(context, &self.0, |state| state.table.deregister(outcome));
        reply.ok(Ok(()));
    }
}

impl MachinesHandler for ForMachines {
    fn beat(
        &mut self,
        context: &mut Context<Self>,
        of: MachineBeat,
        reply: Reply<Option<WorkerSpec>>,
    ) {
        let now = context.host().now();
        let (worker, is_new) = change(context, &self.0, |state| state.on_beat(now, &of));
        if let Some(worker) = worker.as_ref().filter(|_| is_new) {
            let (machine, worker) = (of.machine, worker.resource.clone());
            context.host().announce(&ProviderEvent::Assigned { machine, worker });
        }
        reply.ok(worker);
    }
}
